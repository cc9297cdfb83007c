using System.Diagnostics;
using System.Text;
using Onggi.Client;
using Onggi.Events;
using Onggi.Testing;

namespace Onggi.Benchmarks.Events;

/// <summary>Events at most once, with the ring.</summary>
internal sealed class BusSection : IEventsSection
{
    private const int Callers = 64;
    private const int Missed = 1_000;
    private const int Cuts = 5;

    public IReadOnlyList<string> Notes =>
        [
            "`publish.c64`, `publish.c1`: `PublishAsync` by 64 callers and by one, with the ring, against the same script by `EVALSHA` through the same client, its arguments ready. Time per operation, elapsed divided by operations; 0.8 × the speed is 1.25 × the time. `publish.ring`: the script with a ring against the same without.",
            "`hear.c64`: a handler that counts, while 64 callers of another client publish by the bare script, against a bare subscription to the same channel; from the first call until the last event has come, divided by their number.",
            "`publish.trips`: by the time; a proxy holds back what passes by 50 ms either way.",
            "`recovery.1000`: from the moment when both links of a subscriber, for messages and for commands, are back until the handler has had the 1,000 events that were published meanwhile. `recovery.link`: the same from the moment when the server can be reached again.",
            "`cut`: events published while the subscriber's links are cut off five times, and those that did not come, came twice or in the wrong order; `cut.bare`: those that a bare subscription through the same proxy did not hear.",
        ];

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        List<Row> rows = [];
        await using (var node = await EventNode.StartAsync(server.Port))
        await using (var other = await EventNode.StartAsync(server.Port))
        {
            run.Redis = node.Redis.Server?.Version.ToString();
            var duels = Duels(node, other).Where(duel => run.Wants(duel.Name)).ToArray();
            if (duels.Length > 0)
                rows.AddRange(await Duel.RunAsync(duels, run.Quick ? 5 : 11, TimeSpan.FromMilliseconds(run.Quick ? 300 : 700), run.Stop));
        }

        if (run.Wants("trips"))
            rows.Add(await TripsAsync(server.Port));
        if (run.Wants("recovery"))
            rows.AddRange(await RecoveryAsync(server.Port, run.Quick ? 5 : 21, run.Stop));
        if (run.Wants("cut"))
            rows.AddRange(await CutAsync(server.Port, run.Quick ? 2_000 : 20_000, run.Stop));
        return rows;
    }

    private static IEnumerable<Duel> Duels(EventNode node, EventNode other)
    {
        var goal = new Goal(1.25, AtMost: true);
        async ValueTask Ours(int caller) => await node.Events.PublishAsync(EventNode.Type, EventNode.Data);
        yield return DuelOf("publish.c64", Callers, Ours, Bare(node, ring: true), goal);
        yield return DuelOf("publish.c1", 1, Ours, Bare(node, ring: true), goal);
        yield return DuelOf("publish.ring", Callers, Bare(node, ring: true), Bare(node, ring: false), null) with
        {
            Baseline = "without a ring",
        };
        yield return new Duel(
            "hear.c64",
            "ns/event",
            "bare subscription",
            slice => HearAsync(node, other, slice),
            slice => HearBareAsync(node, other, slice)
        );
    }

    private static Duel DuelOf(string name, int callers, Func<int, ValueTask> ours, Func<int, ValueTask> theirs, Goal? goal) =>
        new(
            name,
            "ns/op",
            "EVALSHA of its script",
            slice => CallerLoops.TimeAsync(callers, ours, slice),
            slice => CallerLoops.TimeAsync(callers, theirs, slice),
            goal
        );

    private static Func<int, ValueTask> Bare(EventNode node, bool ring)
    {
        var id = "019aa7c4-0000-7000-8000-000000000000";
        var envelope = Encoding.UTF8.GetBytes(
            $$$"""{"id":"{{{id}}}","type":"bill.happened","source":"node","time":"2026-11-21T09:30:00.25Z","metadata":{},"data":{"line":"010-1234-5678","what":"the bill was paid","number":42}}"""
        );
        RedisArg[] args = [EventNode.Channel, "PUBLISH", id, envelope, id, ring ? 10_000 : 0, 4 * 1024 * 1024, 60_000];
        return async _ => await node.Redis.EvalAsync(EventPublisher.Script, [EventNode.Head, EventNode.Ring], args, EventPublisher.Answer);
    }

    private static async Task<double> HearAsync(EventNode node, EventNode other, TimeSpan slice)
    {
        var heard = 0L;
        await using var subscription = await node.Events.SubscribeAsync(
            EventNode.Type,
            (_, _) =>
            {
                Interlocked.Increment(ref heard);
                return ValueTask.CompletedTask;
            }
        );
        return await PublishAndWaitAsync(other, slice, () => Interlocked.Read(ref heard));
    }

    private static async Task<double> HearBareAsync(EventNode node, EventNode other, TimeSpan slice)
    {
        var heard = 0L;
        var options = RedisClientOptions.Parse($"127.0.0.1:{node.Redis.Options.Port}");
        options.SubscriptionBuffer = 1_000_000;
        await using var redis = await RedisClient.ConnectAsync(options);
        await using var subscription = await redis.SubscribeAsync(EventNode.Channel);
        _ = Task.Run(async () =>
        {
            await foreach (var _ in subscription.ReadAllAsync())
                Interlocked.Increment(ref heard);
        });
        return await PublishAndWaitAsync(other, slice, () => Interlocked.Read(ref heard));
    }

    private static async Task<double> PublishAndWaitAsync(EventNode other, TimeSpan slice, Func<long> heard)
    {
        var publish = Bare(other, ring: true);
        var published = 0L;
        var began = Stopwatch.GetTimestamp();
        await CallerLoops.TimeAsync(
            Callers,
            async caller =>
            {
                await publish(caller);
                Interlocked.Increment(ref published);
            },
            slice
        );
        while (heard() < published)
            await Task.Yield();
        return Stopwatch.GetElapsedTime(began).TotalNanoseconds / published;
    }

    private static async Task<Row> TripsAsync(int port)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var node = await EventNode.StartAsync(proxy.Port);
        await node.Events.PublishAsync(EventNode.Type, EventNode.Data);
        proxy.Delay = TimeSpan.FromMilliseconds(50);
        List<double> times = [];
        for (var i = 0; i < 5; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await node.Events.PublishAsync(EventNode.Type, EventNode.Data);
            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        return Row.AtMost("publish.trips", "round trips", Math.Floor(times.Min() / 100), 1);
    }

    private static async Task<List<Row>> RecoveryAsync(int port, int rounds, CancellationToken stop)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var publisher = await EventNode.StartAsync(port);
        await using var subscriber = await EventNode.StartAsync(proxy.Port);
        var (heard, back) = (0L, 0L);
        using var told = subscriber.Events.OnInterrupted(() => Interlocked.Exchange(ref back, Stopwatch.GetTimestamp()));
        subscriber.Redis.ConnectionChanged += _ => Interlocked.Exchange(ref back, Stopwatch.GetTimestamp());
        await using var subscription = await subscriber.Events.SubscribeAsync(
            EventNode.Type,
            (_, _) =>
            {
                Interlocked.Increment(ref heard);
                return ValueTask.CompletedTask;
            },
            stop
        );
        List<double> fromLink = [];
        List<double> fromServer = [];
        for (var round = 0; round < rounds; round++)
        {
            await proxy.RefuseAsync();
            proxy.CutAll();
            var goal = Interlocked.Read(ref heard) + Missed;
            for (var i = 0; i < Missed; i++)
                await publisher.Events.PublishAsync(EventNode.Type, EventNode.Data, cancellationToken: stop);
            var began = Stopwatch.GetTimestamp();
            proxy.Accept();
            while (Interlocked.Read(ref heard) < goal)
                await Task.Delay(1, stop);
            fromLink.Add(Stopwatch.GetElapsedTime(Interlocked.Read(ref back)).TotalMilliseconds);
            fromServer.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        return [Row.AtMost("recovery.1000", "ms", Duel.Median(fromLink), 250), new Row("recovery.link", "ms", Duel.Median(fromServer))];
    }

    private static async Task<List<Row>> CutAsync(int port, int count, CancellationToken stop)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var publisher = await EventNode.StartAsync(port);
        await using var subscriber = await EventNode.StartAsync(proxy.Port);
        await using var redis = await RedisClient.ConnectAsync($"127.0.0.1:{proxy.Port}", stop);
        await using var bare = await redis.SubscribeAsync(EventNode.Channel, stop);
        var (heard, wrong, last, bareHeard) = (0L, 0L, 0L, 0L);
        _ = Task.Run(
            async () =>
            {
                await foreach (var message in bare.ReadAllAsync(stop))
                    if (!message.Interrupted)
                        Interlocked.Increment(ref bareHeard);
            },
            stop
        );
        await using var subscription = await subscriber.Events.SubscribeAsync(
            EventNode.Type,
            (one, _) =>
            {
                var number = one.Data!.Number;
                if (number != Interlocked.Exchange(ref last, number) + 1)
                    Interlocked.Increment(ref wrong);
                Interlocked.Increment(ref heard);
                return ValueTask.CompletedTask;
            },
            stop
        );
        for (var number = 1; number <= count; number++)
        {
            await publisher.Events.PublishAsync(EventNode.Type, EventNode.Data with { Number = number }, cancellationToken: stop);
            if (number % (count / Cuts) == count / Cuts / 2)
                proxy.CutAll();
        }

        var patience = Stopwatch.GetTimestamp();
        while (Interlocked.Read(ref last) < count && Stopwatch.GetElapsedTime(patience) < TimeSpan.FromSeconds(30))
            await Task.Delay(5, stop);
        return
        [
            new Row("cut.published", "events", count),
            Row.AtMost("cut.lost", "events", count - Interlocked.Read(ref heard), 0),
            Row.AtMost("cut.wrong", "events", Interlocked.Read(ref wrong), 0),
            new Row("cut.bare", "events lost", count - Interlocked.Read(ref bareHeard)),
        ];
    }
}
