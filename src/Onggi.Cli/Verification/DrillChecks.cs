using Onggi.Client;

namespace Onggi.Cli.Verification;

/// <summary>The plan's test of recovery: all connections are cut at once, and who comes back, and how soon, is seen.</summary>
internal static class DrillChecks
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public static VerifyCheck Create() =>
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
        };

    private static async Task<CheckOutcome> CutAsync(VerifyTarget target, CancellationToken cancellationToken)
    {
        if (!target.Settings.Drill)
            return CheckOutcome.Skip("only with --drill: it cuts all connections, and asks first");
        var before = await target.AskClientsAsync(cancellationToken).ConfigureAwait(false);
        var services = target.Keyspace.Services.Where(service => before.Any(client => client.IsOf(service))).ToList();
        var question =
            $"{target.Client.Options}: {before.Count} connections are cut, of {(services.Count > 0 ? string.Join(", ", services) : "no service that the catalog knows")}. Commands under way fail; nothing is deleted.";
        if (!target.Settings.Yes && !await target.Output.AskAsync(question, "cut", "--yes", cancellationToken).ConfigureAwait(false))
            return CheckOutcome.Skip("not done: the answer was no");
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
