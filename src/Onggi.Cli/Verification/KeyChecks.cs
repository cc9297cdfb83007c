using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Verification;

/// <summary>Whether what lies in Redis is what the catalog says: a first look. <c>onggi audit</c> looks closer.</summary>
internal static class KeyChecks
{
    private const string Category = "keys";
    private const int Sampled = 1000;
    private const int Named = 3;
    private static readonly TimeSpan ProbeTtl = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ShortTtl = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ExpiryPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG016",
                Category,
                "A key ends when its time is over",
                "a key of our own with 100 ms to live is gone, and one with 60 s has at most those",
                "Values that never end are stale for ever and fill the memory.",
                CheckSource.Server,
                ExpiresAsync
            )
            {
                Needs = "ONG001",
                Item = "5 times to live",
            },
            new(
                "ONG018",
                Category,
                "There is one keyspace",
                "no keys in databases other than 0",
                "Rights do not know databases, a cluster has one, and nobody looks into the others.",
                CheckSource.Server,
                IsOneKeyspaceAsync
            )
            {
                Needs = "ONG001",
            },
            new(
                "ONG080–ONG081",
                Category,
                "Keys are somebody's, and end",
                $"each of the first {Sampled} keys belongs to a family and has a time to live",
                "Nobody's keys are never removed: nobody dares to.",
                CheckSource.Server,
                SampleAsync
            )
            {
                Needs = "ONG001",
                Item = "5 times to live",
            },
        ];

    private static async Task<CheckOutcome> ExpiresAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (!target.Settings.ProbeWrites)
            return CheckOutcome.Skip("only with --probe-writes: it writes two keys of its own");
        var name = $"{target.Keyspace.Prefix}onggi:verify:{Guid.NewGuid():N}";
        var client = target.Client;
        await client.SetAsync($"{name}:long", "1", ProbeTtl, cancellationToken).ConfigureAwait(false);
        await client.SetAsync($"{name}:short", "1", ShortTtl, cancellationToken).ConfigureAwait(false);
        var began = target.Time.GetTimestamp();
        try
        {
            var left = await client.TimeToLiveAsync($"{name}:long", cancellationToken).ConfigureAwait(false);
            if (left is null || left > ProbeTtl)
                return CheckOutcome.Of(
                    $"time to live {left}",
                    new Problem(
                        $"a key that was given 60 s has {left?.ToString() ?? "no end"}.",
                        "See who changes keys that are not his: MONITOR for a moment, ACL LOG."
                    )
                );
            while (await client.ExistsAsync($"{name}:short", cancellationToken).ConfigureAwait(false))
            {
                if (target.Time.GetElapsedTime(began) > ExpiryPatience)
                    return CheckOutcome.Of(
                        "still there",
                        new Problem(
                            "a key that was given 100 ms is still there after 5 s.",
                            "See the server's clock, and whether it is a replica of one that is gone."
                        )
                    );
                await Task.Delay(Pause, target.Time, cancellationToken).ConfigureAwait(false);
            }

            return CheckOutcome.Ok($"gone after {target.Time.GetElapsedTime(began).TotalMilliseconds:0} ms");
        }
        finally
        {
            await client.UnlinkAsync([$"{name}:long", $"{name}:short"], CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static async Task<CheckOutcome> IsOneKeyspaceAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        return CheckOutcome.Of(
            string.Join(", ", info.Databases.Select(database => $"db{database.Key}: {database.Value} keys").DefaultIfEmpty("no keys")),
            [
                .. info
                    .Databases.Where(database => database.Key != 0)
                    .Select(database => new Problem(
                        $"database {database.Key} has {Words.Count((int)Math.Min(database.Value, int.MaxValue), "key", "keys")}.",
                        $"Move them: onggi migrate; or look whose they are: redis-cli -n {database.Key} --scan",
                        Where: $"database {database.Key}"
                    )),
            ]
        );
    }

    private static async Task<CheckOutcome> SampleAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var key in target.Client.ScanAsync("*", cancellationToken: cancellationToken).ConfigureAwait(false))
            if (names.Add(key) && names.Count == Sampled)
                break;
        var families = names.Select(name => (Name: name, Family: target.Keyspace.FamilyOf(name))).ToList();
        var nobodys = families.Where(key => key.Family is null).Select(key => key.Name).ToList();
        var owned = families.Where(key => key.Family is { } family && MustEnd(family)).Select(key => key.Name).ToList();
        var times = await Task.WhenAll(
                owned.Select(name => target.Client.SendAsync(["PTTL", name], ReplyParsers.Int64, cancellationToken).AsTask())
            )
            .ConfigureAwait(false);
        var endless = owned.Where((_, i) => times[i] == -1).ToList();
        var problems = new List<Problem>();
        if (nobodys.Count > 0)
            problems.Add(
                new Problem(
                    $"{nobodys.Count} of {names.Count} keys are nobody's: {Names(nobodys)}.",
                    "Look closer: onggi audit; then name their family in the catalog, or remove them.",
                    Code: "ONG080"
                )
            );
        if (endless.Count > 0)
            problems.Add(
                new Problem(
                    $"{endless.Count} of {names.Count} keys never end: {Names(endless)}.",
                    "Look closer: onggi audit; then write them with the family's time to live, through Onggi or SET … PX.",
                    Code: "ONG081",
                    Why: "What never ends is stale for ever and fills the memory."
                )
            );
        return CheckOutcome.Of($"{names.Count} keys looked at", problems);
    }

    /// <summary>Whether the family's keys have an end: all but streams and Onggi's own.</summary>
    public static bool MustEnd(FamilySettings family) => family.Kind is not "stream" && family.Ttl != TimeSpan.MaxValue;

    private static string Names(List<string> names) =>
        string.Join(", ", names.Order(StringComparer.Ordinal).Take(Named).Select(Words.Key)) + (names.Count > Named ? ", …" : "");
}
