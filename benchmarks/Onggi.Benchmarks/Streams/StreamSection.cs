using System.Diagnostics;
using System.Text;
using Onggi.Benchmarks.Blocks;
using Onggi.Client;
using Onggi.Events;
using Onggi.Events.Streams;
using Onggi.Testing;

namespace Onggi.Benchmarks.Streams;

/// <summary>What events cost that are delivered at least once, and that none is lost, stuck or done twice when their processes are killed.</summary>
internal static class StreamSection
{
    private const int Callers = 64;

    public static async Task<IReadOnlyList<Row>> MeasureAsync(BenchRun run)
    {
        run.Notes.AddRange(Notes());
        List<Row> rows = [];
        await using (var server = await RedisServerProcess.StartAsync())
        await using (var node = await StreamNode.StartAsync(server.Port, static options => options.TrimEvery = TimeSpan.FromHours(1)))
        {
            run.Redis = node.Redis.Server?.Version.ToString();
            var duels = Duels(node).Where(duel => run.Wants(duel.Name)).ToArray();
            if (duels.Length > 0)
                rows.AddRange(await Duel.RunAsync(duels, run.Quick ? 5 : 11, TimeSpan.FromMilliseconds(run.Quick ? 300 : 700), run.Stop));
        }

        foreach (var concurrency in (int[])[1, Callers])
            if (run.Wants($"consume.c{concurrency}"))
                rows.Add(await ConsumeAsync(concurrency, run.Quick ? 5_000 : 50_000, run.Stop));
        if (run.Wants("torture"))
            rows.AddRange(await StreamTorture.MeasureAsync(run.Duration ?? TimeSpan.FromSeconds(run.Quick ? 20 : 60), run.Stop));
        return rows;
    }

    private static string[] Notes() =>
        [
            "`append.c64`: `PublishAsync` of an event that is delivered at least once, by 64 callers, against the same script by `EVALSHA` through the same client, its arguments ready. `append.c1`: one caller. Time per operation, elapsed divided by operations; 0.8 × the speed is 1.25 × the time.",
            "`done.c64`, `retry.c64`: messages in hand that are said to be done (with their mark), or to be tried again later, against the same script.",
            "`consume.c1`, `consume.c64`: events that one process handles a second when many wait, one and 64 at a time; the handler does nothing.",
            "`torture`: four processes that are killed with SIGKILL at random, and sometimes stopped for longer than the others wait, or cut off. `lost`: events that no handler got. `again`: events that handlers got more than once. `not.once`: events whose work, done in one step with its mark, was not done exactly once. `stuck`: events that nobody settles.",
        ];

    private static IEnumerable<Duel> Duels(StreamNode node)
    {
        var goal = new Goal(1.25, AtMost: true);
        yield return Append(node, "append.c64", Callers, goal);
        yield return Append(node, "append.c1", 1, goal);

        var keys = new StreamKeys("bench:", "settled");
        var options = new StreamOptions { RetryDelay = TimeSpan.FromDays(1), MaxRetryDelay = TimeSpan.FromDays(1) };
        var store = new StreamStore(node.Redis, keys, StreamNode.Service, "bench", options);
        var scripts = StreamScripts.AsWritten;
        var groupKeys = keys.Of(StreamNode.Service);
        yield return new Duel(
            "done.c64",
            "ns/op",
            "EVALSHA of its script",
            slice => SettleAsync(node, keys, slice, async id => await store.DoneAsync(id, groupKeys.Mark(id), marks: true, default)),
            slice =>
                SettleAsync(
                    node,
                    keys,
                    slice,
                    async id =>
                        await node.Redis.EvalAsync(
                            scripts.Settle,
                            [keys.Stream, groupKeys.Delay, groupKeys.Mark(id), groupKeys.Quarantine],
                            [StreamNode.Service, id, "bench", "done", 300_000],
                            StreamReplies.Settle
                        )
                ),
            goal
        );
        yield return new Duel(
            "retry.c64",
            "ns/op",
            "EVALSHA of its script",
            slice =>
                SettleAsync(node, keys, slice, async id => await store.RetryAsync(id, groupKeys.Mark(id), TimeSpan.FromDays(1), default)),
            slice =>
                SettleAsync(
                    node,
                    keys,
                    slice,
                    async id =>
                        await node.Redis.EvalAsync(
                            scripts.Settle,
                            [keys.Stream, groupKeys.Delay, groupKeys.Mark(id), groupKeys.Quarantine],
                            [StreamNode.Service, id, "bench", "retry", 86_400_000],
                            StreamReplies.Settle
                        )
                ),
            goal
        );
    }

    private static Duel Append(StreamNode node, string name, int callers, Goal goal)
    {
        var keys = new StreamKeys("bench:", StreamNode.Type);
        var epoch = Guid.CreateVersion7().ToString();
        var envelope = EventEnvelope.Write(
            epoch,
            StreamNode.Type,
            StreamNode.Service,
            DateTimeOffset.UtcNow,
            null,
            Encoding.UTF8.GetBytes("""{"number":1234}""")
        );
        return LockBench.DuelOf(
            name,
            "EVALSHA of its script",
            callers,
            async _ => await node.Events.PublishAsync(StreamNode.Placed, new Job(1234)),
            async _ =>
                await node.Redis.EvalAsync(
                    StreamScripts.AsWritten.Append,
                    [keys.Stream, keys.Head],
                    [epoch, envelope],
                    StreamReplies.Append
                ),
            goal
        );
    }

    /// <summary>Nanoseconds for each of some messages that are in hand; making them is not counted.</summary>
    private static async Task<double> SettleAsync(StreamNode node, StreamKeys keys, TimeSpan slice, Func<string, Task> settle)
    {
        var count = (int)(slice.TotalSeconds * 20_000);
        await node.Redis.SendAsync(["DEL", keys.Stream], ReplyParsers.Ignore);
        await node.Redis.SendAsync(["XGROUP", "CREATE", keys.Stream, StreamNode.Service, "0", "MKSTREAM"], ReplyParsers.Ignore);
        await ManyAsync(count, async _ => await node.Redis.SendAsync(["XADD", keys.Stream, "*", "event", "{}"], ReplyParsers.Ignore));
        var entries = await node.Redis.SendAsync(
            ["XREADGROUP", "GROUP", StreamNode.Service, "bench", "COUNT", count, "STREAMS", keys.Stream, ">"],
            StreamReplies.Read
        );
        var next = -1;
        var began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(CallAsync)));
        return Stopwatch.GetElapsedTime(began).TotalNanoseconds / entries.Length;

        async Task CallAsync()
        {
            while (Interlocked.Increment(ref next) is var i && i < entries.Length)
                await settle(entries[i].Id);
        }
    }

    // Fewer at a time than may wait for replies.
    private static async Task ManyAsync(int count, Func<int, Task> make)
    {
        foreach (var some in Enumerable.Range(0, count).Chunk(1_000))
            await Task.WhenAll(some.Select(make));
    }

    private static async Task<Row> ConsumeAsync(int concurrency, int count, CancellationToken stop)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await StreamNode.StartAsync(server.Port, options => options.Concurrency = concurrency);
        await ManyAsync(count, async i => await node.Events.PublishAsync(StreamNode.Placed, new Job(i), cancellationToken: stop));
        var left = count;
        var all = new TaskCompletionSource();
        var began = Stopwatch.GetTimestamp();
        await using var subscription = await node.Events.SubscribeAsync(
            StreamNode.Placed,
            (_, _) =>
            {
                if (Interlocked.Decrement(ref left) == 0)
                    all.TrySetResult();
                return ValueTask.CompletedTask;
            },
            stop
        );
        await all.Task.WaitAsync(TimeSpan.FromMinutes(2), stop);
        return new Row($"consume.c{concurrency}", "events/s", count / Stopwatch.GetElapsedTime(began).TotalSeconds);
    }
}

/// <summary>The section by itself.</summary>
internal sealed class StreamBench : IBench
{
    public string Name => "streams";

    public string Summary => "events at least once against their bare scripts; processes that are killed while they handle them";

    public Task<IReadOnlyList<Row>> RunAsync(BenchRun run) => StreamSection.MeasureAsync(run);
}
