using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Operations;

/// <summary>A lock that somebody holds.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Family">Its family.</param>
/// <param name="Owner">Who holds it; as the value stands there when it is none of Onggi's.</param>
/// <param name="Fence">The number of this holding; <c>null</c> where there is none.</param>
/// <param name="TimeLeft">How long, if it is not renewed; <c>null</c> for ever, which Onggi never makes.</param>
/// <param name="Waiting">How many processes wait for it, or listen on the same node; <c>null</c> where that may not be asked.</param>
internal sealed record HeldLock(string Name, FamilySettings Family, string Owner, long? Fence, TimeSpan? TimeLeft, long? Waiting)
{
    private const int Step = 500;
    private const string Wake = "wake";

    /// <summary>All of them, in the order of their names.</summary>
    /// <exception cref="RedisException">Redis is gone, or refuses.</exception>
    public static async Task<IReadOnlyList<HeldLock>> ListAsync(
        RedisClient client,
        Keyspace keyspace,
        IReadOnlyList<FamilySettings> families,
        CancellationToken cancellationToken
    )
    {
        var found = new SortedDictionary<string, HeldLock>(StringComparer.Ordinal);
        foreach (var family in families)
        {
            foreach (var pattern in family.ScanPatterns.Where(static pattern => !pattern.StartsWith('{')))
            {
                var walk = await PagedWalk.BeginAsync(client, pattern, KeyPage.End, cancellationToken).ConfigureAwait(false);
                while (await walk.NextAsync(Step, cancellationToken).ConfigureAwait(false) is { } page)
                {
                    var names = page.Keys.Select(Encoding.UTF8.GetString).Where(name => ReferenceEquals(keyspace.FamilyOf(name), family));
                    foreach (var held in await AskAsync(client, family, [.. names], cancellationToken).ConfigureAwait(false))
                        found[held.Name] = held;
                }
            }
        }

        return [.. found.Values];
    }

    private static async Task<List<HeldLock>> AskAsync(
        RedisClient client,
        FamilySettings family,
        IReadOnlyList<string> names,
        CancellationToken cancellationToken
    )
    {
        if (names.Count == 0)
            return [];
        var batch = client.CreateBatch();
        var asked = names
            .Select(name =>
                (
                    Name: name,
                    Value: batch.Add(["GET", name], ReplyParsers.Text, CommandOptions.Idempotent),
                    Left: batch.Add(["PTTL", name], ReplyParsers.Milliseconds, CommandOptions.Idempotent),
                    Waiting: batch.Add(
                        ["PUBSUB", "SHARDNUMSUB", AuxiliaryName.Of(name, Wake)],
                        static (ref reader) =>
                            ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadString()) is [_, { } count]
                                ? long.Parse(count, CultureInfo.InvariantCulture)
                                : 0,
                        CommandOptions.Idempotent
                    )
                )
            )
            .ToList();
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        var held = new List<HeldLock>();
        foreach (var (name, value, left, waiting) in asked)
        {
            // Given back meanwhile.
            if (value.Value is { } text)
                held.Add(Of(name, family, text, left.Value, waiting.Error is null ? waiting.Value : null));
        }

        return held;
    }

    private static HeldLock Of(string name, FamilySettings family, string value, TimeSpan? left, long? waiting)
    {
        var bar = value.LastIndexOf('|');
        return bar >= 0 && long.TryParse(value.AsSpan(bar + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var fence)
            ? new HeldLock(name, family, value[..bar], fence, left, waiting)
            : new HeldLock(name, family, value, Fence: null, left, waiting);
    }
}
