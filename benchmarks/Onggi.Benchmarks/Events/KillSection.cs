using System.Globalization;
using Onggi.Benchmarks.Blocks;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Benchmarks.Events;

/// <summary>A subscriber that is a process of its own: it is cut off, and killed and started anew, while events are published.</summary>
internal sealed class KillSection : IEventsSection
{
    private const int Kills = 5;
    private const int WhileDead = 200;

    // A ring keeps some thousand events: more than it has is not what is measured here.
    private const int MostAhead = 2_000;
    private const int LookEvery = 250;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public IReadOnlyList<string> Notes =>
        [
            "`killed`: events published while a subscriber, a process of its own, is killed (SIGKILL) and started anew, and cut off, five times each. It keeps the position of the last event in the same step as what it does, and goes on behind it. `lost`, `wrong`: what it did not do, did twice or in the wrong order. `bare`: what a bare subscription in the same process, through the same proxy, did not hear.",
        ];

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        if (!run.Wants("killed"))
            return [];
        var count = run.Quick ? 5_000 : 20_000;
        await using var server = await RedisServerProcess.StartAsync();
        // What the subscriber does stands on another server: the one it hears from may be asked for its commands alone.
        await using var store = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var publisher = await EventNode.StartAsync(server.Port);
        await using var redis = await RedisClient.ConnectAsync(store.ConnectionString, run.Stop);
        var worker = await StartAsync(proxy, store);
        try
        {
            for (var number = 1; number <= count; number++)
            {
                await PublishAsync(publisher, number, run.Stop);
                await NotTooFarAheadAsync(redis, number, run.Stop);
                switch (number % (count / Kills))
                {
                    case var at when at == count / Kills / 4:
                        proxy.CutAll();
                        break;
                    case var at when at == count / Kills / 2:
                        // In the middle of its work: it has begun, and has not heard all.
                        await worker.KillAsync();
                        await worker.DisposeAsync();
                        for (var i = 0; i < WhileDead; i++)
                            await PublishAsync(publisher, ++number, run.Stop);
                        worker = await StartAsync(proxy, store);
                        break;
                }
            }

            await LastAsync(redis, count, run.Stop);
        }
        finally
        {
            await worker.DisposeAsync();
        }

        var done = await redis.SendAsync(["LRANGE", EventWorker.Done, 0, -1], ReplyParsers.TextArray, CommandOptions.Bulk, run.Stop);
        var numbers = done.Select(static text => int.Parse(text!, CultureInfo.InvariantCulture)).ToArray();
        var gaps = await CountAsync(redis, EventWorker.Gaps, run.Stop);
        var bare = await CountAsync(redis, EventWorker.Bare, run.Stop);
        return
        [
            new Row("killed.published", "events", count),
            Row.AtMost("killed.lost", "events", count - numbers.Distinct().Count(), 0),
            Row.AtMost("killed.wrong", "events", numbers.Where((number, at) => number != at + 1).Count(), 0),
            Row.AtMost("killed.gaps", "gaps", gaps, 0),
            // So that it is seen what there was to lose.
            Row.AtLeast("killed.bare", "events lost", count - bare, WhileDead * Kills),
        ];
    }

    private static Task<BlockWorker.Handle> StartAsync(FaultProxy proxy, RedisServerProcess store) =>
        BlockWorker.Handle.StartAsync(EventWorker.Name, Text(proxy.Port), Text(store.Port));

    private static async Task PublishAsync(EventNode publisher, int number, CancellationToken stop) =>
        await publisher.Events.PublishAsync(EventNode.Type, EventNode.Data with { Number = number }, cancellationToken: stop);

    private static async Task NotTooFarAheadAsync(RedisClient redis, int number, CancellationToken stop)
    {
        if (number % LookEvery != 0)
            return;
        while (await redis.SendAsync(["LLEN", EventWorker.Done], ReplyParsers.Int64, stop) < number - MostAhead)
            await Task.Delay(5, stop);
    }

    /// <summary>Ends when the last event was handled; or after a time in which it should have been.</summary>
    private static async Task LastAsync(RedisClient redis, int count, CancellationToken stop)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (
            await redis.SendAsync(["LINDEX", EventWorker.Done, -1], ReplyParsers.Text, stop) != Text(count)
            && TimeProvider.System.GetElapsedTime(began) < Patience
        )
            await Task.Delay(10, stop);
    }

    private static async Task<long> CountAsync(RedisClient redis, string key, CancellationToken stop) =>
        await redis.SendAsync(["GET", key], ReplyParsers.Text, stop) is { } text ? long.Parse(text, CultureInfo.InvariantCulture) : 0;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
