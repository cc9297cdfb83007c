using System.Globalization;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Benchmarks.Events;

/// <summary>The process behind <c>hear</c>, which only <c>./bench events</c> starts: it handles events until its input ends, or it is killed.</summary>
internal static class EventWorker
{
    public const string Name = "hear";

    /// <summary>What was done, in its order; where the subscription stands; how many gaps it was told; how many messages a bare subscription heard.</summary>
    public const string Done = "done";
    public const string Gaps = "gaps";
    public const string Bare = "bare";
    private const string Position = "position";

    /// <summary>What the handler does, and its position, in one step.</summary>
    private static readonly RedisScript Work = new(
        "work",
        "redis.call('SET', KEYS[2], ARGV[2]) return redis.call('RPUSH', KEYS[1], ARGV[1])"
    );

    public static async Task<int> RunAsync(string port, string storePort)
    {
        await using var store = await RedisClient.ConnectAsync($"127.0.0.1:{storePort}");
        await using var node = await EventNode.StartAsync(int.Parse(port, CultureInfo.InvariantCulture));
        await using var bare = await node.Redis.SubscribeAsync(EventNode.Channel);
        var counting = CountAsync(store, bare);
        var stood = await store.SendAsync(["GET", Position], ReplyParsers.Text);
        await using var subscription = await node.Events.SubscribeAsync(
            EventNode.Type,
            async (one, stop) =>
                await store.EvalAsync(
                    Work,
                    [Done, Position],
                    [one.Data!.Number, one.Position!.Value.ToString()],
                    ReplyParsers.Ignore,
                    stop
                ),
            new SubscribeOptions
            {
                After = EventPosition.TryParse(stood, out var position) ? position : null,
                OnGap = async (_, stop) => await store.SendAsync(["INCR", Gaps], ReplyParsers.Ignore, stop),
            }
        );
        Console.WriteLine("ready");
        await Task.Run(Console.In.ReadToEnd);
        await bare.DisposeAsync();
        await counting;
        return 0;
    }

    private static async Task CountAsync(RedisClient store, RedisSubscription bare)
    {
        await foreach (var message in bare.ReadAllAsync())
            if (!message.Interrupted)
                await store.SendAsync(["INCR", Bare], ReplyParsers.Ignore);
    }
}
