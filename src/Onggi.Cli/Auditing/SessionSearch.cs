using Onggi.Cli.Migration;
using Onggi.Client;

namespace Onggi.Cli.Auditing;

/// <summary>Looks once more for sessions that no index seems to name: an index is looked into in part only, and people sign in while the keys are walked.</summary>
/// <param name="client">The Redis.</param>
/// <param name="books">What was found so far.</param>
internal sealed class SessionSearch(RedisClient client, SessionBooks books)
{
    private const string Session = ":session:";
    private const string Index = ":session-user:";
    private const int MembersAtOnce = 1000;

    /// <summary>Reads all indexes beside such sessions, whole; then leaves out what is over or was replaced.</summary>
    /// <exception cref="RedisException">Redis cannot be asked.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (var head in books.Unnamed.Select(HeadOf).Distinct().ToList())
        {
            await foreach (var index in client.ScanAsync(KeyMap.Glob(head + Index), MembersAtOnce, cancellationToken).ConfigureAwait(false))
                await ReadAsync(head, index, cancellationToken).ConfigureAwait(false);
        }

        var over = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in books.Unnamed)
        {
            var isThere = await client.ExistsAsync(name, cancellationToken).ConfigureAwait(false);
            if (
                !isThere || await client.SendAsync(["HEXISTS", name, "next"], ReplyParsers.Boolean, cancellationToken).ConfigureAwait(false)
            )
                over.Add(name);
        }

        books.Remove(over);
    }

    private static string HeadOf(string session) => session[..session.IndexOf(Session, StringComparison.Ordinal)];

    private async Task ReadAsync(string head, string index, CancellationToken cancellationToken)
    {
        try
        {
            var cursor = "0";
            do
            {
                var page = await client
                    .SendAsync(["ZSCAN", index, cursor, "COUNT", MembersAtOnce], ScanPage.Parser, cancellationToken)
                    .ConfigureAwait(false);
                cursor = page.Cursor;
                books.AddIndexed(page.Items.Chunk(2).Select(pair => $"{head}{Session}{System.Text.Encoding.UTF8.GetString(pair[0]!)}"));
            } while (cursor != "0");
        }
        catch (RedisServerException problem) when (problem.Code == "WRONGTYPE")
        {
            // That is found by its type.
        }
    }
}
