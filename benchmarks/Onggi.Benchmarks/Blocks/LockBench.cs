using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Locks;
using Onggi.Testing;

namespace Onggi.Benchmarks.Blocks;

/// <summary>What locks cost, how fast they are handed over, and what they hold when processes are stopped and killed.</summary>
internal sealed class LockBench : IBench
{
    private const int Callers = 64;
    private const int Waiters = 100;

    public string Name => "locks";

    public string Summary => "locks against their bare scripts and a bare message; 200 contenders under faults";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        run.Notes.AddRange(Notes());
        List<Row> rows = [];
        await using (var node = await BlockNode.StartAsync(server.Port))
        await using (var other = await BlockNode.StartAsync(server.Port))
        {
            run.Redis = node.Redis.Server?.Version.ToString();
            var duels = Duels(node).Where(duel => run.Wants(duel.Name)).ToArray();
            if (duels.Length > 0)
                rows.AddRange(await Duel.RunAsync(duels, run.Quick ? 5 : 11, TimeSpan.FromMilliseconds(run.Quick ? 300 : 700), run.Stop));
            if (run.Wants("handover.busy"))
                rows.Add(await HandOverAsync("handover.busy", node, other, run.Quick ? 400 : 2_000, TimeSpan.Zero, run.Stop));
            if (run.Wants("handover.idle"))
                rows.Add(
                    await HandOverAsync("handover.idle", node, other, run.Quick ? 200 : 1_000, TimeSpan.FromMilliseconds(2), run.Stop)
                );
            if (run.Wants("waiting"))
                rows.AddRange(await WaitingAsync(server, node, other, run.Stop));
        }

        if (run.Wants("trips"))
            rows.AddRange(await TripsAsync(server.Port));
        if (run.Wants("lost"))
            rows.AddRange([
                await LockLosses.OfLinkAsync(server.Port, run.Quick ? 50 : 200),
                await LockLosses.OfRedisAsync(run.Quick ? 50 : 200, run.Stop),
                .. await LockLosses.OfHolderAsync(run.Quick ? 20 : 50, run.Stop),
            ]);
        if (run.Wants("torture"))
            rows.AddRange(await LockTorture.MeasureAsync(run.Duration ?? TimeSpan.FromSeconds(run.Quick ? 15 : 60), run.Stop));
        return rows;
    }

    private static string[] Notes() =>
        [
            "`cycle`: `TryAcquireAsync` and `DisposeAsync` of a free lock, two round trips, against the same two scripts by `EVALSHA` through the same client, their arguments ready. `c64`: 64 callers with a lock each; `c1`: one. `busy`: `TryAcquireAsync` of a lock that another holds. `guard`: `FenceGuard.CheckAsync`. Time per operation, elapsed divided by operations; 0.8 × the speed is 1.25 × the time.",
            "`handover`: from the call that gives a lock back until who waits for it in another node has it, against a message of PUBLISH to a subscriber of another client, from the call until it is read. In turns. `busy`: each right after the one before; `idle`: each after two milliseconds in which nothing happens, so that threads have gone to sleep on both sides.",
            "`waiting.1` … `waiting.3`: commands that the server executed in each of three seconds while 100 callers of two nodes waited for one lock (all others of the nodes included; the one that counts left out).",
            "`trips`: by the time; a proxy holds back what passes by 50 ms either way.",
            LockLosses.Note,
            "`torture`: 200 contenders in four processes; one of these is stopped for longer than the lease, or killed and started anew, or cut off, all the time. A resource on another server compares fences and writes down every act. `overlaps`: acts let through of a holder under whose fence another has acted, or after a later one had acted; `control`: what the same judge finds in a made-up ledger with two such acts. `refused`: acts of holders that were too late; without the fence they would have been made.",
        ];

    private static IEnumerable<Duel> Duels(BlockNode node)
    {
        var wires = Enumerable.Range(0, Callers).Select(i => $"bench:locks:long:{i}").ToArray();
        var held = node.Locks.TryAcquireAsync(BlockNode.Long(1_000)).AsTask().GetAwaiter().GetResult();
        GC.KeepAlive(held);
        async ValueTask Cycle(int i)
        {
            await using var lease = await node.Locks.TryAcquireAsync(BlockNode.Long(i));
        }

        async ValueTask Bare(int i)
        {
            await node.Redis.EvalAsync(
                LockScripts.Acquire,
                [wires[i], $"{{{wires[i]}}}:fence"],
                ["bare", 30_000, 86_400_000],
                LockScripts.AcquireAnswer
            );
            await node.Redis.EvalAsync(LockScripts.Release, [wires[i]], ["bare", $"{{{wires[i]}}}:wake"], ReplyParsers.Int64);
        }

        async ValueTask Busy(int i) => await node.Locks.TryAcquireAsync(BlockNode.Long(1_000));

        async ValueTask BareBusy(int i) =>
            await node.Redis.EvalAsync(
                LockScripts.Acquire,
                ["bench:locks:long:1000", "{bench:locks:long:1000}:fence"],
                ["bare", 30_000, 86_400_000],
                LockScripts.AcquireAnswer
            );

        var fence = new Fence(1_000);
        async ValueTask Guard(int i) => await node.Locks.Guard.CheckAsync(BlockNode.Long(i).Entry, fence);

        async ValueTask BareGuard(int i) =>
            await node.Redis.EvalAsync(
                LockScripts.Guard,
                [$"{{{wires[i]}}}:guard", wires[i], $"{{{wires[i]}}}:l"],
                [1_000, 86_400_000, "check", "", 0],
                ReplyParsers.Int64
            );

        var goal = new Goal(1.25, AtMost: true);
        yield return DuelOf("cycle.c64", "EVALSHA of its scripts", Callers, Cycle, Bare, goal);
        yield return DuelOf("cycle.c1", "EVALSHA of its scripts", 1, Cycle, Bare, goal);
        yield return DuelOf("busy.c64", "EVALSHA of its script", Callers, Busy, BareBusy, goal);
        yield return DuelOf("guard.c64", "EVALSHA of its script", Callers, Guard, BareGuard, goal);
    }

    internal static Duel DuelOf(
        string name,
        string baseline,
        int callers,
        Func<int, ValueTask> ours,
        Func<int, ValueTask> theirs,
        Goal? goal
    ) =>
        new(
            name,
            "ns/op",
            baseline,
            slice => CallerLoops.TimeAsync(callers, ours, slice),
            slice => CallerLoops.TimeAsync(callers, theirs, slice),
            goal
        );

    private static async Task<Row> HandOverAsync(
        string name,
        BlockNode one,
        BlockNode other,
        int turns,
        TimeSpan idle,
        CancellationToken stop
    )
    {
        await using var publisher = await RedisClient.ConnectAsync(one.Redis.Options.ToString(), stop);
        await using var subscriber = await RedisClient.ConnectAsync(one.Redis.Options.ToString(), stop);
        await using var subscription = await subscriber.SubscribeAsync("handover", stop);
        var messages = subscription.ReadAllAsync(stop).GetAsyncEnumerator(stop);
        List<double> ours = [];
        List<double> theirs = [];
        var key = BlockNode.Long(2_000);
        for (var turn = -50; turn < turns; turn++)
        {
            stop.ThrowIfCancellationRequested();
            var lease = await one.Locks.AcquireAsync(key, cancellationToken: stop);
            var waiting = other.Locks.AcquireAsync(key, cancellationToken: stop).AsTask();
            // It has asked, and does nothing more until it is woken.
            while (!other.Locks.IsAsleep(key))
                await Task.Yield();
            await Task.Delay(idle, stop);
            var began = Stopwatch.GetTimestamp();
            var releasing = lease.DisposeAsync();
            var next = await waiting;
            var took = Stopwatch.GetElapsedTime(began).TotalMicroseconds;
            await releasing;
            await next.DisposeAsync();

            await Task.Delay(idle, stop);
            began = Stopwatch.GetTimestamp();
            var publishing = publisher.SendAsync(["PUBLISH", "handover", "1"], ReplyParsers.Int64, stop);
            await messages.MoveNextAsync();
            var message = Stopwatch.GetElapsedTime(began).TotalMicroseconds;
            await publishing;
            if (turn < 0)
                continue;
            ours.Add(took);
            theirs.Add(message);
        }

        var (mine, bare) = (Duel.Median(ours), Duel.Median(theirs));
        var goal = new Goal(3.0, AtMost: true);
        return new Row(name, "µs", mine, "a message of PUBLISH", bare, goal.Text, goal.IsMet(mine / bare));
    }

    private static async Task<List<Row>> WaitingAsync(RedisServerProcess server, BlockNode one, BlockNode other, CancellationToken stop)
    {
        var key = BlockNode.Long(3_000);
        await using var lease = await one.Locks.AcquireAsync(key, cancellationToken: stop);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var waiting = Enumerable
            .Range(0, Waiters)
            .Select(async i => await (i % 2 == 0 ? one : other).Locks.AcquireAsync(key, cancellationToken: end.Token))
            .ToArray();
        await Task.Delay(TimeSpan.FromSeconds(1), stop);
        List<Row> rows = [];
        for (var second = 1; second <= 3; second++)
        {
            var before = await CommandsAsync(server);
            await Task.Delay(TimeSpan.FromSeconds(1), stop);
            // The INFO that counted first is in the second count.
            rows.Add(Row.AtMost($"waiting.{second}", "commands", await CommandsAsync(server) - before - 1, 20));
        }

        await end.CancelAsync();
        await Task.WhenAll(waiting).ContinueWith(static _ => { }, TaskScheduler.Default);
        return rows;
    }

    private static async Task<double> CommandsAsync(RedisServerProcess server) =>
        double.Parse(
            (await server.CommandAsync("INFO", "stats"))!.Split("total_commands_processed:")[1].Split('\r')[0],
            CultureInfo.InvariantCulture
        );

    private static async Task<List<Row>> TripsAsync(int port)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var node = await BlockNode.StartAsync(proxy.Port);
        await (await node.Locks.AcquireAsync(BlockNode.Long(4_000))).DisposeAsync();
        proxy.Delay = TimeSpan.FromMilliseconds(50);
        List<double> acquires = [];
        List<double> releases = [];
        for (var i = 0; i < 5; i++)
        {
            var began = Stopwatch.GetTimestamp();
            var lease = await node.Locks.AcquireAsync(BlockNode.Long(4_000));
            acquires.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            began = Stopwatch.GetTimestamp();
            await lease.DisposeAsync();
            releases.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        return
        [
            Row.AtMost("acquire.trips", "round trips", Math.Floor(acquires.Min() / 100), 1),
            Row.AtMost("release.trips", "round trips", Math.Floor(releases.Min() / 100), 1),
        ];
    }
}
