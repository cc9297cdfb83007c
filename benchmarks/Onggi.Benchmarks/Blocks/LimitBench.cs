using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Limits;
using Onggi.Testing;

namespace Onggi.Benchmarks.Blocks;

/// <summary>What limits cost, and that they hold for many processes with wrong clocks.</summary>
internal sealed class LimitBench : IBench
{
    private const int Callers = 64;
    private const int Processes = 4;
    private const int CallersOfProcess = 125;

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    public string Name => "limits";

    public string Summary => "limits against their bare script; 500 callers of four processes whose clocks are hours apart";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        run.Notes.AddRange(Notes());
        List<Row> rows = [];
        await using (var node = await BlockNode.StartAsync(server.Port))
        {
            run.Redis = node.Redis.Server?.Version.ToString();
            var duels = Duels(node).Where(duel => run.Wants(duel.Name)).ToArray();
            if (duels.Length > 0)
                rows.AddRange(await Duel.RunAsync(duels, run.Quick ? 5 : 11, TimeSpan.FromMilliseconds(run.Quick ? 300 : 700), run.Stop));
        }

        if (run.Wants("trips"))
            rows.Add(await TripsAsync(server.Port));
        if (run.Wants("retry"))
            rows.Add(await RetryAsync(server.Port, run.Quick ? 10 : 50));
        if (run.Wants("processes"))
            rows.AddRange(await ProcessesAsync(server, run.Duration ?? TimeSpan.FromSeconds(run.Quick ? 5 : 30), run.Stop));
        if (run.Wants("hung"))
            rows.AddRange(await HungAsync());
        return rows;
    }

    private static string[] Notes() =>
        [
            "`even.c64`, `window.c64`, `both.c64`, `peek.c64`: `TakeAsync` under an even flow, a sliding window, a flow and a window of a day together, and `PeekAsync`, by 64 callers with a subject each, against the same script by `EVALSHA` through the same client, its arguments ready. `even.c1`: one caller. Time per operation, elapsed divided by operations; 0.8 × the speed is 1.25 × the time.",
            "`denied.c64`: `TakeAsync` of subjects that are denied, which this process remembers, against the script.",
            "`take.trips`: by the time; a proxy holds back what passes by 50 ms either way.",
            "`retry.early`: of callers who were denied at 10 a second and came back after `RetryAfter` and not before, the part that was denied again.",
            "`processes.over`: permits given to 500 callers of four processes, whose clocks are an hour apart each, beyond what the policy allows in that time by the server's clock: 10, and 10 each second.",
            "`hung.open`, `hung.closed`, `hung.local`: how long the first caller waits for the policy's decision when Redis hangs; the time-out is 250 ms. `hung.next`: the callers after it, each.",
        ];

    private static IEnumerable<Duel> Duels(BlockNode node)
    {
        var goal = new Goal(1.25, AtMost: true);
        yield return Take(node, "even.c64", "even", Callers, goal, LimitRule.Even(1_000_000, Second, 1_000_000));
        yield return Take(node, "even.c1", "even", 1, goal, LimitRule.Even(1_000_000, Second, 1_000_000));
        yield return Take(node, "window.c64", "window", Callers, goal, LimitRule.Sliding(1_000_000, Second));
        yield return Take(
            node,
            "both.c64",
            "both",
            Callers,
            goal,
            LimitRule.Even(1_000_000, Second, 1_000_000),
            LimitRule.Fixed(1_000_000_000, TimeSpan.FromDays(1))
        );
        var bare = Bare(node, "even", "peek", LimitRule.Even(1_000_000, Second, 1_000_000));
        yield return LockBench.DuelOf(
            "peek.c64",
            "EVALSHA of its script",
            Callers,
            async i => await node.Limits.PeekAsync(BlockNode.Limit("even", i)),
            bare,
            goal
        );
        yield return LockBench.DuelOf(
            "denied.c64",
            "EVALSHA of its script",
            Callers,
            async i => await node.Limits.TakeAsync(BlockNode.Limit("tight", i), 10),
            Bare(node, "tight", "take", LimitRule.Even(10, Second)),
            null
        );
    }

    private static Duel Take(BlockNode node, string name, string family, int callers, Goal goal, params LimitRule[] rules) =>
        LockBench.DuelOf(
            name,
            "EVALSHA of its script",
            callers,
            async i => await node.Limits.TakeAsync(BlockNode.Limit(family, i)),
            Bare(node, family, "take", rules),
            goal
        );

    private static Func<int, ValueTask> Bare(BlockNode node, string family, string mode, params LimitRule[] rules)
    {
        var wires = Enumerable.Range(0, Callers).Select(i => $"bench:rate_limit:{family}:{i}").ToArray();
        RedisArg[] args =
        [
            mode,
            1,
            "",
            60_000,
            .. rules.SelectMany(static rule => new RedisArg[] { rule.Name, rule.Kind.ToString(), rule.Permits, rule.PeriodUs, rule.Burst }),
        ];
        return async i => await node.Redis.EvalAsync(LimitScripts.Take, [wires[i]], args, LimitScripts.TakeAnswer);
    }

    private static async Task<Row> TripsAsync(int port)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var node = await BlockNode.StartAsync(proxy.Port);
        await node.Limits.TakeAsync(BlockNode.Limit("both", 9_000));
        proxy.Delay = TimeSpan.FromMilliseconds(50);
        List<double> times = [];
        for (var i = 0; i < 5; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await node.Limits.TakeAsync(BlockNode.Limit("both", 9_000));
            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        return Row.AtMost("take.trips", "round trips", Math.Floor(times.Min() / 100), 1);
    }

    private static async Task<Row> RetryAsync(int port, int rounds)
    {
        await using var node = await BlockNode.StartAsync(port);
        var early = 0;
        for (var round = 0; round < rounds; round++)
        {
            var key = BlockNode.Limit("tight", 10_000 + round);
            var decision = await node.Limits.TakeAsync(key, 10);
            while (decision.Allowed)
                decision = await node.Limits.TakeAsync(key);
            // The timer counts whole milliseconds; the rest is waited for.
            var came = Stopwatch.GetTimestamp();
            await Task.Delay(decision.RetryAfter);
            while (Stopwatch.GetElapsedTime(came) < decision.RetryAfter)
                await Task.Yield();
            early += (await node.Limits.TakeAsync(key)).Allowed ? 0 : 1;
        }

        return Row.AtMost("retry.early", "of all", (double)early / rounds, 0);
    }

    private static async Task<List<Row>> ProcessesAsync(RedisServerProcess server, TimeSpan duration, CancellationToken stop)
    {
        var workers = await Task.WhenAll(
            Enumerable
                .Range(0, Processes)
                .Select(hour => BlockWorker.Handle.StartAsync(BlockWorker.Spend, Text(server.Port), Text(hour - 1), Text(CallersOfProcess)))
        );
        try
        {
            var began = await TimeAsync(server);
            foreach (var worker in workers)
                await worker.SayAsync("begin");
            await Task.Delay(duration, stop);
            foreach (var worker in workers)
                await worker.SayAsync("end");
            var answers = await Task.WhenAll(workers.Select(static worker => worker.HearAsync()));
            var seconds = await TimeAsync(server) - began;
            var counts = answers.Select(static answer => answer!.Split(' ').Select(Number).ToArray()).ToArray();
            var allowed = counts.Sum(static count => count[0]);
            return
            [
                new Row("processes.asked", "calls", counts.Sum(static count => count[1])),
                Row.AtLeast("processes.allowed", "calls", allowed, 10 * duration.TotalSeconds),
                Row.AtMost("processes.over", "calls", Math.Max(0, allowed - 10 - Math.Floor(10 * seconds)), 0),
            ];
        }
        finally
        {
            foreach (var worker in workers)
                await worker.DisposeAsync();
        }
    }

    private static async Task<List<Row>> HungAsync()
    {
        await using var server = await RedisServerProcess.StartAsync();
        List<Row> rows = [];
        List<double> next = [];
        foreach (var family in (string[])["open", "closed", "local"])
        {
            await using var node = await BlockNode.StartAsync(server.Port);
            await node.Limits.TakeAsync(BlockNode.Limit(family, 0));
            server.Pause();
            var began = Stopwatch.GetTimestamp();
            await node.Limits.TakeAsync(BlockNode.Limit(family, 1));
            rows.Add(Row.AtMost($"hung.{family}", "ms", Stopwatch.GetElapsedTime(began).TotalMilliseconds, 500));
            began = Stopwatch.GetTimestamp();
            for (var i = 0; i < 100; i++)
                await node.Limits.TakeAsync(BlockNode.Limit(family, 2 + i));
            next.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds / 100);
            server.Resume();
            await node.Redis.SendAsync(["PING"], ReplyParsers.Ignore, CommandOptions.Idempotent, CancellationToken.None);
        }

        return [.. rows, Row.AtMost("hung.next", "ms", next.Max(), 10)];
    }

    private static async Task<double> TimeAsync(RedisServerProcess server)
    {
        var parts = (await server.CommandAsync("TIME"))!.Split('\n');
        return Number(parts[0]) + (Number(parts[1]) / 1e6);
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
