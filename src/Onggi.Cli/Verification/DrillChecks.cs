using System.Diagnostics;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Verification;

/// <summary>The plan's test of recovery: all connections are cut at once, and who comes back, and how soon, is seen.</summary>
internal static class DrillChecks
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public static IEnumerable<VerifyCheck> All() =>
        [
            new(
                "ONG028",
                "recovery",
                "Services come back when all connections are cut",
                "each service that was connected is connected again within --patience, and Redis answers",
                "On the day of a failover they stay away until somebody restarts them.",
                CheckSource.Server,
                CutAsync
            )
            {
                Needs = "ONG001",
                Item = "10 recovery",
            },
            new(
                "ONG066",
                "recovery",
                "Redis comes back when it is restarted, and the services with it",
                "another life of the server within --patience, each service connected again, and in production its keys",
                "Nobody knows what a restart does until it happens by itself.",
                CheckSource.Server,
                RestartAsync
            )
            {
                Needs = "ONG001",
                Item = "10 recovery",
            },
        ];

    private static async Task<CheckOutcome> CutAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (!target.Settings.Drill)
            return CheckOutcome.Skip("only with --drill: it cuts all connections, and asks first");
        var before = await target.AskClientsAsync(cancellationToken).ConfigureAwait(false);
        var services = target.Keyspace.Services.Where(service => before.Any(client => client.IsOf(service))).ToList();
        var question =
            $"{target.Client.Options}: {before.Count} connections are cut, of {(services.Count > 0 ? string.Join(", ", services) : "no service that the catalog knows")}. Commands under way fail; nothing is deleted.";
        if (!target.Settings.Yes && !await target.Output.AskAsync(question, "cut", "--yes", cancellationToken).ConfigureAwait(false))
            return CheckOutcome.No();
        var began = target.Time.GetTimestamp();
        // Ours stays: it is what looks on. Subscribers are a class of their own.
        var cut = 0L;
        foreach (var kind in (string[])["normal", "pubsub"])
            cut += await target
                .Client.SendAsync(["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"], ReplyParsers.Int64, cancellationToken)
                .ConfigureAwait(false);
        var back = await WaitAsync(target, services, began, cancellationToken).ConfigureAwait(false);
        var away = services.Where(service => !back.ContainsKey(service)).ToList();
        var said = string.Join(", ", back.Select(pair => $"{pair.Key} after {pair.Value.TotalSeconds:0.0} s"));
        return CheckOutcome.Of(
            $"{cut} connections cut{(services.Count == 0 ? "; no service of the catalog was connected" : $"; back: {(said.Length > 0 ? said : "nobody")}")}",
            away.Count == 0
                ? []
                :
                [
                    new Problem(
                        $"{string.Join(", ", away)} did not come back within {Words.Time(target.Settings.Patience)}.",
                        "Restart them now; then see that their client reconnects (Onggi's does), and that nothing in them gives up for good."
                    ),
                ]
        );
    }

    private static async Task<CheckOutcome> RestartAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (target.Settings.Restart is not { } command)
            return CheckOutcome.Skip("only with --drill and --restart COMMAND");
        var life = (await ServerInfo.ReadAsync(target.Client, cancellationToken).ConfigureAwait(false)).RunId;
        var keys = await KeysAsync(target, cancellationToken).ConfigureAwait(false);
        var before = await target.AskClientsAsync(cancellationToken).ConfigureAwait(false);
        var services = target.Keyspace.Services.Where(service => before.Any(client => client.IsOf(service))).ToList();
        var question = $"{target.Client.Options} is restarted by: {command}. It has {keys} keys and {before.Count} connections.";
        if (!target.Settings.Yes && !await target.Output.AskAsync(question, "restart", "--yes", cancellationToken).ConfigureAwait(false))
            return CheckOutcome.No();
        var began = target.Time.GetTimestamp();
        if (await ShellAsync(command, cancellationToken).ConfigureAwait(false) is not 0 and var code)
            return CheckOutcome.Fail($"{command} ended with exit code {code}.", "Try it by itself in a shell.");
        if (!await IsBackAsync(target, life, began, cancellationToken).ConfigureAwait(false))
            return CheckOutcome.Of(
                "not back",
                new Problem(
                    $"no other life of Redis answered within {Words.Time(target.Settings.Patience)}.",
                    "See its log, and whether the command restarts this Redis at all."
                )
            );
        var after = target.Time.GetElapsedTime(began);
        var left = await KeysAsync(target, cancellationToken).ConfigureAwait(false);
        var back = await WaitAsync(target, services, began, cancellationToken).ConfigureAwait(false);
        var problems = new List<Problem>();
        if (services.Where(service => !back.ContainsKey(service)).ToList() is { Count: > 0 } away)
            problems.Add(
                new Problem(
                    $"{string.Join(", ", away)} did not come back within {Words.Time(target.Settings.Patience)}.",
                    "Restart them now; then see that nothing in them gives up for good."
                )
            );
        if (target.Settings.IsProduction && keys > 0 && left == 0)
            problems.Add(
                new Problem(
                    $"of {keys} keys none was there afterwards.",
                    "Write: appendonly yes; and see that its folder outlives the container."
                )
            );
        return CheckOutcome.Of(
            $"answers after {after.TotalSeconds:0.0} s with {left} of {keys} keys; back: {(back.Count > 0 ? string.Join(", ", back.Keys) : "no service was connected")}",
            problems
        );
    }

    private static async Task<long> KeysAsync(VerifyTarget target, CancellationToken cancellationToken) =>
        await target.Client.SendAsync(["DBSIZE"], ReplyParsers.Int64, cancellationToken).ConfigureAwait(false);

    private static async Task<int> ShellAsync(string command, CancellationToken cancellationToken)
    {
        var start = OperatingSystem.IsWindows()
            ? new ProcessStartInfo("cmd", ["/c", command])
            : new ProcessStartInfo("sh", ["-c", command]);
        // Standard output is the report's.
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start)!;
        await process.StandardOutput.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
        await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        return process.ExitCode;
    }

    private static async Task<bool> IsBackAsync(VerifyTarget target, string life, long began, CancellationToken cancellationToken)
    {
        while (target.Time.GetElapsedTime(began) < target.Settings.Patience)
        {
            try
            {
                var info = await ServerInfo.ReadAsync(target.Client, cancellationToken).ConfigureAwait(false);
                if (info.RunId != life && info["loading"] is (null or "0"))
                    return true;
            }
            catch (RedisException problem) when (problem.IsTransient)
            {
                // It is away, or loading: that is what is waited for.
            }

            await Task.Delay(Pause, target.Time, cancellationToken).ConfigureAwait(false);
        }

        return false;
    }

    private static async Task<SortedDictionary<string, TimeSpan>> WaitAsync(
        VerifyTarget target,
        List<string> services,
        long began,
        CancellationToken cancellationToken
    )
    {
        var back = new SortedDictionary<string, TimeSpan>(StringComparer.Ordinal);
        while (back.Count < services.Count && target.Time.GetElapsedTime(began) < target.Settings.Patience)
        {
            var clients = await target.AskClientsAsync(cancellationToken).ConfigureAwait(false);
            foreach (var service in services.Where(service => clients.Any(client => client.IsOf(service))))
                back.TryAdd(service, target.Time.GetElapsedTime(began));
            if (back.Count < services.Count)
                await Task.Delay(Pause, target.Time, cancellationToken).ConfigureAwait(false);
        }

        return back;
    }
}
