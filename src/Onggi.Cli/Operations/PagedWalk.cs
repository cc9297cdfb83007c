using Onggi.Client;
using Onggi.Client.Routing;

namespace Onggi.Cli.Operations;

/// <summary>Keys that SCAN found in one step.</summary>
/// <param name="Cursor">Where the next step begins; <c>0</c> after the last one of a server.</param>
/// <param name="Keys">The names, as bytes: they need not be text.</param>
internal sealed record KeyPage(string Cursor, byte[][] Keys)
{
    public const string End = "0";

    public static readonly ReplyParser<KeyPage> Parser = static (ref reader) =>
    {
        reader.Read();
        var cursor = reader.ReadString()!;
        reader.Read();
        return new KeyPage(cursor, ReplyParsers.ReadArray(ref reader, static (ref name) => name.ReadBytes()!));
    };
}

/// <summary>A walk over all keys of a pattern, step by step, that can be left and gone on with: every key that stands during the whole of it comes at least once.</summary>
/// <remarks>On a cluster all primaries are walked, and again whoever has been given slots meanwhile; there it cannot be gone on with, because a cursor is of one server.</remarks>
internal sealed class PagedWalk
{
    private readonly RedisClient _client;
    private readonly KeyWalk _walk;
    private readonly string _pattern;
    private string? _cursor;
    private string? _first;

    private PagedWalk(RedisClient client, KeyWalk walk, string pattern, string cursor)
    {
        _client = client;
        _walk = walk;
        _pattern = pattern;
        _first = cursor;
    }

    /// <summary>Begins at a cursor of an earlier walk, or at <see cref="KeyPage.End"/> to begin at all.</summary>
    public static async Task<PagedWalk> BeginAsync(
        RedisClient client,
        string pattern,
        string cursor,
        CancellationToken cancellationToken
    ) => new(client, await client.NewWalkAsync(cancellationToken).ConfigureAwait(false), pattern, cursor);

    /// <summary>The next step; <c>null</c> when there is none. One round trip.</summary>
    /// <param name="count">How many keys the server looks at.</param>
    /// <param name="cancellationToken">Ends the wait, and with it the walk.</param>
    public async Task<KeyPage?> NextAsync(int count, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_cursor is null)
            {
                if (!_walk.Next())
                    return null;
                (_cursor, _first) = (_first ?? KeyPage.End, null);
            }

            KeyPage page;
            try
            {
                page = await _client
                    .SendToAsync(_walk.Slot, ["SCAN", _cursor, "MATCH", _pattern, "COUNT", count], KeyPage.Parser, cancellationToken)
                    .ConfigureAwait(false);
            }
            catch (RedisException) when (!_walk.StillThere)
            {
                _cursor = null;
                continue;
            }

            var stays = _walk.StillThere;
            if (stays && page.Cursor == KeyPage.End)
                _walk.Done();
            _cursor = stays && page.Cursor != KeyPage.End ? page.Cursor : null;
            return page;
        }
    }
}
