using System.Diagnostics;
using Onggi.Client;

namespace Onggi.Benchmarks;

/// <summary>How far calls get while every thread of the pool blocks in one.</summary>
internal static class Starvation
{
    private const int Callers = 64;
    private static readonly TimeSpan Warm = TimeSpan.FromSeconds(1);

    public static async Task<IReadOnlyList<Row>> MeasureAsync(RedisClient redis, RedisClient inline, string[] keys, TimeSpan slice)
    {
        ThreadPool.GetMinThreads(out var workers, out var ports);
        ThreadPool.SetMinThreads(2, 2);
        try
        {
            var sync = await RunAsync(i => redis.Send(["GET", keys[i % keys.Length]], ReplyParsers.Bytes), slice);
            var tasks = await RunAsync(i => redis.GetAsync(keys[i % keys.Length]).AsTask().GetAwaiter().GetResult(), slice);
            var tasksInline = await RunAsync(i => inline.GetAsync(keys[i % keys.Length]).AsTask().GetAwaiter().GetResult(), slice);
            return
            [
                Row.AtLeast("starvation.sync", "ops/s", sync.PerSecond, 20_000),
                Row.AtMost("starvation.sync-stall", "ms", sync.LongestMilliseconds, 100),
                new("starvation.tasks", "ops/s", tasks.PerSecond),
                new("starvation.tasks-inline", "ops/s", tasksInline.PerSecond),
            ];
        }
        finally
        {
            ThreadPool.SetMinThreads(workers, ports);
        }
    }

    private static async Task<(double PerSecond, double LongestMilliseconds)> RunAsync(Action<int> ask, TimeSpan slice)
    {
        var warmUntil = Duel.EndOf(Warm);
        var end = Duel.EndOf(Warm + slice);
        var callers = Enumerable.Range(0, Callers).Select(caller => Task.Run(() => Call(ask, caller, warmUntil, end))).ToArray();
        var results = await Task.WhenAll(callers);
        return (results.Sum(result => result.Calls) / slice.TotalSeconds, results.Max(result => result.Longest.TotalMilliseconds));
    }

    // Counts only what was asked when warm.
    private static (long Calls, TimeSpan Longest) Call(Action<int> ask, int caller, long warmUntil, long end)
    {
        var (calls, longest) = (0L, TimeSpan.Zero);
        for (var began = Stopwatch.GetTimestamp(); began < end; )
        {
            ask((int)((caller + began) & int.MaxValue));
            var now = Stopwatch.GetTimestamp();
            if (began >= warmUntil)
            {
                calls++;
                var took = Stopwatch.GetElapsedTime(began, now);
                longest = took > longest ? took : longest;
            }

            began = now;
        }

        return (calls, longest);
    }
}
