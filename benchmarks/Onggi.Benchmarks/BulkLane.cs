using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Onggi.Client;

namespace Onggi.Benchmarks;

/// <summary>Whether large replies on their own connection keep small ones waiting; and, beside it, what two raw sockets can do at the best on this machine.</summary>
internal static class BulkLane
{
    private const int Size = 100_000_000;
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    public static async Task<IReadOnlyList<Row>> MeasureAsync(RedisClient redis, int port, TimeSpan slice, CancellationToken stop)
    {
        await redis.SetAsync("bulk:large", new byte[Size], cancellationToken: stop);
        await redis.SetAsync("bulk:small", new byte[64], cancellationToken: stop);
        using var raw = new RawPair(port);
        var (ours, theirs) = (new Times(), new Times());
        for (var turn = 0; turn < 3; turn++)
        {
            await ours.MeasureAsync(() => SmallAsync(redis, stop), () => LargeAsync(redis), slice, stop);
            await theirs.MeasureAsync(raw.SmallAsync, raw.LargeAsync, slice, stop);
        }

        await redis.UnlinkAsync(["bulk:large", "bulk:small"], stop);
        return
        [
            ours.ToRow("bulk.c1-p99", "the same without large replies", bound: 3),
            theirs.ToRow("bulk.c1-p99-raw", "two raw sockets: the same without large replies", bound: null),
        ];
    }

    private static async ValueTask SmallAsync(RedisClient redis, CancellationToken stop)
    {
        using var value = await redis.GetPooledAsync("bulk:small", stop);
    }

    private static async Task LargeAsync(RedisClient redis)
    {
        using var large = await redis.SendAsync(["GET", "bulk:large"], ReplyParsers.PooledBytes, CommandOptions.Bulk);
        if (large.Length != Size)
            throw new InvalidDataException("The large value came back with another length.");
    }

    private sealed class Times
    {
        private readonly List<double> _alone = [];
        private readonly List<double> _beside = [];

        public async Task MeasureAsync(Func<ValueTask> small, Func<Task> large, TimeSpan slice, CancellationToken stop)
        {
            await MeasureAsync(small, _alone, slice, stop);
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var loading = LoadAsync(large, enough.Token);
            await MeasureAsync(small, _beside, slice, stop);
            await enough.CancelAsync();
            await loading;
        }

        public Row ToRow(string name, string baseline, double? bound)
        {
            var (with, without) = (P99(_beside), P99(_alone));
            return new Row(
                name,
                "µs",
                with,
                baseline,
                without,
                bound is { } most ? $"≤ {most:0.0}" : null,
                bound is null ? null : with / without <= bound
            );
        }

        private static async Task LoadAsync(Func<Task> large, CancellationToken enough)
        {
            while (!enough.IsCancellationRequested)
            {
                await large();
                await Task.Delay(Between, enough).ContinueWith(static _ => { }, TaskScheduler.Default);
            }
        }

        private static async Task MeasureAsync(Func<ValueTask> small, List<double> times, TimeSpan slice, CancellationToken stop)
        {
            var end = Duel.EndOf(slice);
            for (var began = Stopwatch.GetTimestamp(); began < end; began = Stopwatch.GetTimestamp())
            {
                stop.ThrowIfCancellationRequested();
                await small();
                times.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
            }
        }

        private static double P99(List<double> times)
        {
            times.Sort();
            return times[(int)(times.Count * 0.99)];
        }
    }

    private sealed class RawPair(int port) : IDisposable
    {
        private readonly Socket _small = Connect(port);
        private readonly Socket _large = Connect(port);
        private readonly byte[] _smallReply = new byte[4096];
        private readonly byte[] _largeReply = new byte[256 << 10];

        public async ValueTask SmallAsync()
        {
            await _small.SendAsync(Encoding.ASCII.GetBytes("GET bulk:small\r\n"));
            await _small.ReceiveAsync(_smallReply);
        }

        public async Task LargeAsync()
        {
            await _large.SendAsync(Encoding.ASCII.GetBytes("GET bulk:large\r\n"));
            for (long left = Size + $"${Size}\r\n\r\n".Length; left > 0; )
                left -= await _large.ReceiveAsync(_largeReply);
        }

        public void Dispose()
        {
            _small.Dispose();
            _large.Dispose();
        }

        private static Socket Connect(int port)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Connect(IPAddress.Loopback, port);
            return socket;
        }
    }
}
