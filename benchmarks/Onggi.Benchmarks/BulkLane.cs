using System.Diagnostics;
using Onggi.Client;

namespace Onggi.Benchmarks;

/// <summary>Whether large replies on their own connection keep small ones waiting.</summary>
internal static class BulkLane
{
    private const int Size = 100_000_000;

    public static async Task<Row> MeasureAsync(RedisClient redis, TimeSpan slice, CancellationToken stop)
    {
        await redis.SetAsync("bulk:large", new byte[Size], cancellationToken: stop);
        await redis.SetAsync("bulk:small", new byte[64], cancellationToken: stop);
        var alone = new List<double>();
        var beside = new List<double>();
        for (var turn = 0; turn < 4; turn++)
        {
            await MeasureAsync(redis, alone, slice / 4, stop);
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var large = LoadAsync(redis, enough.Token);
            await MeasureAsync(redis, beside, slice / 4, stop);
            await enough.CancelAsync();
            await large;
        }

        await redis.UnlinkAsync(["bulk:large", "bulk:small"], stop);
        var (with, without) = (P99(beside), P99(alone));
        return new Row("bulk.c1-p99", "µs", with, "the same without large replies", without, "≤ 3.0", with / without <= 3);
    }

    private static async Task LoadAsync(RedisClient redis, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            using var large = await redis.SendAsync(
                ["GET", "bulk:large"],
                ReplyParsers.PooledBytes,
                CommandOptions.Bulk,
                CancellationToken.None
            );
            if (large.Length != Size)
                throw new InvalidDataException("The large value came back with another length.");
        }
    }

    private static async Task MeasureAsync(RedisClient redis, List<double> times, TimeSpan slice, CancellationToken stop)
    {
        var end = Duel.EndOf(slice);
        for (var began = Stopwatch.GetTimestamp(); began < end; began = Stopwatch.GetTimestamp())
        {
            using var value = await redis.GetPooledAsync("bulk:small", stop);
            times.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
        }
    }

    private static double P99(List<double> times)
    {
        times.Sort();
        return times[(int)(times.Count * 0.99)];
    }
}
