using System.Globalization;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Benchmarks.Streams;

/// <summary>The process behind <c>work-stream</c>, which only <c>./bench streams</c> starts: it handles events until its input ends, or it is killed.</summary>
internal static class StreamWorker
{
    public const string Name = "work-stream";

    /// <summary>How often each event was handed to a handler, and how often its work was done.</summary>
    public const string Handed = "handed";
    public const string Done = "done";

    /// <summary>The work and its mark in one step.</summary>
    private static readonly RedisScript Work = new(
        "work",
        "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then redis.call('HINCRBY', KEYS[2], ARGV[3], 1) end return 1"
    );

    public static async Task<int> RunAsync(string port, string instance)
    {
        await using var node = await StreamNode.StartAsync(
            int.Parse(port, CultureInfo.InvariantCulture),
            options =>
            {
                options.Instance = instance;
                options.Concurrency = 8;
                options.ClaimAfter = TimeSpan.FromSeconds(1);
                options.RetryDelay = TimeSpan.FromMilliseconds(50);
                options.MaxAttempts = 100;
            },
            TimeSpan.FromSeconds(3)
        );
        await using var subscription = await node.Events.SubscribeAsync(
            StreamNode.Placed,
            (one, stop) => HandleAsync(node.Redis, one, stop)
        );
        Console.WriteLine("ready");
        await Task.Run(Console.In.ReadToEnd);
        return 0;
    }

    private static async ValueTask HandleAsync(RedisClient redis, Event<Job> one, CancellationToken stop)
    {
        var delivery = one.Delivery!;
        await redis.SendAsync(["HINCRBY", Handed, one.Data!.Number, 1], ReplyParsers.Ignore, stop);
        // There is time to be killed in before the work, and between the work and its settlement; and every tenth fails after its work, the first time.
        await Task.Delay(20, stop);
        await redis.EvalAsync(
            Work,
            [delivery.MarkKey, Done],
            [delivery.MarkValue, (long)delivery.MarkLife.TotalMilliseconds, one.Data.Number],
            ReplyParsers.Ignore,
            stop
        );
        await Task.Delay(5, stop);
        if (one.Data.Number % 10 == 0 && delivery.Attempt == 1)
            throw new InvalidOperationException("After the work.");
    }
}
