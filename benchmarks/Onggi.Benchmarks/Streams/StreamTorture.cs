using System.Diagnostics;
using System.Globalization;
using Onggi.Benchmarks.Blocks;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Benchmarks.Streams;

/// <summary>Four processes that handle events and are killed, stopped for longer than others wait, and cut off; and a count of what was handed out and what was done.</summary>
internal static class StreamTorture
{
    private const int Processes = 4;

    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(60);

    public static async Task<IReadOnlyList<Row>> MeasureAsync(TimeSpan duration, CancellationToken stop)
    {
        var random = Seed.For("stream torture");
        BenchRun.Say(Seed.Line);
        await using var server = await RedisServerProcess.StartAsync();
        var proxies = Enumerable.Range(0, Processes).Select(_ => FaultProxy.Start(server.Port)).ToArray();
        var workers = await Task.WhenAll(proxies.Select(StartAsync));
        await using var node = await StreamNode.StartAsync(server.Port);
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var publishing = PublishAsync(node, enough.Token);
        var (kills, others) = (0, 0);
        long published;
        long stuck;
        try
        {
            for (var watch = Stopwatch.StartNew(); watch.Elapsed < duration; )
            {
                await Task.Delay(random.Next(100, 500), stop);
                var one = random.Next(Processes);
                switch (random.Next(5))
                {
                    case 0:
                        others++;
                        // Longer than the others wait.
                        await using (workers[one].Pause())
                            await Task.Delay(random.Next(1_200, 2_000), stop);
                        break;
                    case 1:
                        others++;
                        proxies[one].CutAll();
                        break;
                    default:
                        kills++;
                        await workers[one].KillAsync();
                        await workers[one].DisposeAsync();
                        workers[one] = await StartAsync(proxies[one], one);
                        break;
                }
            }

            await enough.CancelAsync();
            published = await publishing;
            stuck = await LeftAsync(node, published, stop);
        }
        finally
        {
            foreach (var worker in workers)
                await worker.DisposeAsync();
            foreach (var proxy in proxies)
                await proxy.DisposeAsync();
        }

        BenchRun.Say($"{kills} kills, {others} pauses and cuts");
        var handed = await CountsAsync(node.Redis, StreamWorker.Handed);
        var done = await CountsAsync(node.Redis, StreamWorker.Done);
        var quarantined = (await node.Events.Streams.QuarantineAsync(StreamNode.Type, most: 1000, cancellationToken: stop)).Count;
        return
        [
            Row.AtLeast("torture.kills", "kills", kills, 3),
            Row.AtLeast("torture.published", "events", published, 100),
            Row.AtMost("torture.lost", "events", Enumerable.Range(0, (int)published).Count(i => !handed.ContainsKey(i)), 0),
            // So that it is seen to be the mark that lets work be done once.
            Row.AtLeast("torture.again", "events", handed.Values.Count(static count => count > 1), 1),
            Row.AtMost("torture.not.once", "events", Enumerable.Range(0, (int)published).Count(i => done.GetValueOrDefault(i) != 1), 0),
            Row.AtMost("torture.stuck", "events", stuck, 0),
            Row.AtMost("torture.quarantined", "events", quarantined, 0),
        ];
    }

    private static Task<BlockWorker.Handle> StartAsync(FaultProxy proxy, int number) =>
        BlockWorker.Handle.StartAsync(StreamWorker.Name, Text(proxy.Port), $"worker-{Text(number)}");

    private static async Task<long> PublishAsync(StreamNode node, CancellationToken enough)
    {
        var published = 0L;
        for (; !enough.IsCancellationRequested; published++)
        {
            await node.Events.PublishAsync(StreamNode.Placed, new Job(published), cancellationToken: CancellationToken.None);
            // About as many as the processes can handle when one of them is away.
            if (published % 5 == 0)
                await Task.Delay(5, CancellationToken.None);
        }

        return published;
    }

    /// <summary>Waits until everything is settled; how much is not when that has taken too long.</summary>
    private static async Task<long> LeftAsync(StreamNode node, long published, CancellationToken stop)
    {
        for (var watch = Stopwatch.StartNew(); ; )
        {
            var group = (await node.Events.Streams.GroupsAsync(StreamNode.Type, stop)).Single();
            var left = group.Pending + (group.Waiting ?? published);
            if (left == 0 || watch.Elapsed > Settling)
                return left;
            await Task.Delay(100, stop);
        }
    }

    private static async Task<Dictionary<long, long>> CountsAsync(RedisClient redis, string key)
    {
        var pairs = await redis.SendAsync(["HGETALL", key], ReplyParsers.TextArray, CommandOptions.Bulk);
        return pairs.Chunk(2).ToDictionary(static pair => Number(pair[0]!), static pair => Number(pair[1]!));
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
