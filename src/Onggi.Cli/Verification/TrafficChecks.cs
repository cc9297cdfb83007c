using System.Globalization;
using Onggi.Client;

namespace Onggi.Cli.Verification;

/// <summary>The plan's goals of speed, measured, and whether the applications are there.</summary>
internal static class TrafficChecks
{
    private const string Performance = "performance";
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);
    private const int Pings = 200;
    private const double MostMilliseconds = 5;
    private const int Operations = 5000;
    private const int AtOnce = 50;
    private const double LeastOperations = 1000;
    private const long MostConnections = 100;

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG019",
                "applications",
                "The services are connected",
                "a connection of each service of the catalog, by its user or its client's name",
                "They run without Redis, from their source, and nobody has noticed.",
                CheckSource.Server,
                AreConnectedAsync
            )
            {
                Needs = "ONG001",
                Item = "6 the applications",
                NeedsTraffic = true,
            },
            new(
                "ONG022",
                Performance,
                "PING is fast",
                $"a median below {MostMilliseconds:0} ms",
                "Every call of every service waits that long, several times over.",
                CheckSource.Server,
                PingIsFastAsync
            )
            {
                Needs = "ONG001",
                Item = "9 performance",
            },
            new(
                "ONG023",
                Performance,
                "It does enough",
                $"more than {LeastOperations:0} operations a second, {AtOnce} at a time",
                "At the busiest hour callers wait in line.",
                CheckSource.Server,
                DoesEnoughAsync
            )
            {
                Needs = "ONG001",
                Item = "9 performance",
            },
            new(
                "ONG025",
                Performance,
                "Connections are few",
                $"fewer than {MostConnections}, and less than 80 % of maxclients",
                "Somebody opens one for each call, and at the limit everybody is refused.",
                CheckSource.Server,
                AreFewAsync
            )
            {
                Needs = "ONG001",
                Item = "9 performance",
            },
            new(
                "ONG026",
                Performance,
                "Nobody stops everybody",
                "no KEYS, FLUSHALL, FLUSHDB, MONITOR, SAVE since it started",
                "While one of them runs nobody is answered, or after it nothing is there.",
                CheckSource.Server,
                NobodyStopsAsync
            )
            {
                Needs = "ONG001",
            },
        ];

    private static async Task<CheckOutcome> AreConnectedAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var services = target.Keyspace.Services;
        if (services.Count == 0)
            return CheckOutcome.Skip("the catalog names no services");
        var clients = await target.ClientsAsync(cancellationToken).ConfigureAwait(false);
        var away = services.Where(service => !clients.Any(client => client.IsOf(service))).ToList();
        return CheckOutcome.Of(
            $"{services.Count - away.Count} of {services.Count} services",
            away.Count == 0
                ? []
                :
                [
                    new Problem(
                        $"{string.Join(", ", away)} {(away.Count == 1 ? "is" : "are")} not connected.",
                        "Start them, and see their logs; they are known by their user, or by their client's name.",
                        IsWarning: true
                    ),
                ]
        );
    }

    private static async Task<CheckOutcome> PingIsFastAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var trips = new List<double>(Pings);
        var began = target.Time.GetTimestamp();
        while (trips.Count < Pings && target.Time.GetElapsedTime(began) < Longest)
        {
            var asked = target.Time.GetTimestamp();
            await target.Client.PingAsync(cancellationToken).ConfigureAwait(false);
            trips.Add(target.Time.GetElapsedTime(asked).TotalMilliseconds);
        }

        trips.Sort();
        var median = trips[trips.Count / 2];
        var observed = $"median {median:0.00} ms, p99 {trips[trips.Count * 99 / 100]:0.00} ms of {trips.Count}";
        return median < MostMilliseconds
            ? CheckOutcome.Ok(observed)
            : CheckOutcome.Of(
                observed,
                new Problem(
                    $"PING takes {median:0.0} ms.",
                    "Run it beside the services; take the CPU limit of the pod away; see slow commands: SLOWLOG GET, LATENCY LATEST."
                )
            );
    }

    private static async Task<CheckOutcome> DoesEnoughAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var (left, done) = (Operations, 0);
        var began = target.Time.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => PingAsync())).ConfigureAwait(false);
        var seconds = target.Time.GetElapsedTime(began).TotalSeconds;
        var rate = done / Math.Max(seconds, 0.000_001);
        var observed = $"{rate.ToString("N0", CultureInfo.InvariantCulture)} operations a second";
        return rate > LeastOperations
            ? CheckOutcome.Ok(observed)
            : CheckOutcome.Of(
                observed,
                new Problem(
                    $"it did {observed}.",
                    "Take the CPU limit of the pod away, and see slow commands: SLOWLOG GET, LATENCY LATEST."
                )
            );

        async Task PingAsync()
        {
            while (Interlocked.Decrement(ref left) >= 0 && target.Time.GetElapsedTime(began) < Longest)
            {
                await target.Client.PingAsync(cancellationToken).ConfigureAwait(false);
                Interlocked.Increment(ref done);
            }
        }
    }

    private static async Task<CheckOutcome> AreFewAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        var connected = info.Count("connected_clients") ?? 0;
        var most = info.Count("maxclients") ?? long.MaxValue;
        var observed = $"{connected} of {most}";
        return connected >= most * 0.8
                ? CheckOutcome.Of(
                    observed,
                    new Problem(
                        $"{connected} of {most} connections are taken.",
                        $"Find who opens so many (CLIENT LIST); write: maxclients {Configuration.ConfPlan.MaxClients(target.Settings.Instances)}"
                    )
                )
            : connected >= MostConnections
                ? CheckOutcome.Of(
                    observed,
                    new Problem(
                        $"there are {connected} connections.",
                        "Find who opens so many: CLIENT LIST. A process of Onggi has a handful, however many its callers are.",
                        IsWarning: true
                    )
                )
            : CheckOutcome.Ok(observed);
    }

    private static async Task<CheckOutcome> NobodyStopsAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        var info = await target.InfoAsync(cancellationToken).ConfigureAwait(false);
        string[] commands = ["keys", "flushall", "flushdb", "monitor", "save", "debug"];
        var used = commands
            .Select(command => (Name: command.ToUpperInvariant(), Calls: Calls(info[$"cmdstat_{command}"])))
            .Where(command => command.Calls > 0)
            .Select(command => $"{command.Name} {command.Calls} times")
            .ToList();
        return used.Count == 0
            ? CheckOutcome.Ok("none of them")
            : CheckOutcome.Of(
                string.Join(", ", used),
                new Problem(
                    $"since it started there was {string.Join(", ", used)}.",
                    "Use SCAN, UNLINK and onggi keys, and take the right away: onggi acl apply.",
                    IsWarning: true
                )
            );
    }

    // calls=3,usec=17,…,rejected_calls=0,failed_calls=0; refused ones do not count.
    private static long Calls(string? field) => field is null ? 0 : Server.ServerInfo.Part(field, "calls") ?? 0;
}
