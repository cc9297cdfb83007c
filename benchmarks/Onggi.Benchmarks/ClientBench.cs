using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Benchmarks;

/// <summary>The client against a raw socket, on one redis-server of its own.</summary>
internal sealed class ClientBench : IBench
{
    private const int KeyCount = 1024;

    // What the callers' own tasks come to, spread over their calls.
    private const double Rounding = 1;

    private static readonly string[] Keys =
    [
        .. Enumerable.Range(0, KeyCount).Select(i => string.Create(CultureInfo.InvariantCulture, $"key:{i:0000}")),
    ];
    private static readonly string Small = new('v', 64);
    private static readonly string Large = new('v', 1024);
    private static readonly string[] LargeKeys = [.. Keys.Select(key => "large:" + key)];
    private static readonly byte[] Value = System.Text.Encoding.ASCII.GetBytes(Small);
    private static readonly RedisScript Script = new("get", "return redis.call('GET',KEYS[1])");

    public string Name => "client";

    public string Summary => "the client against raw socket loops";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString, run.Stop);
        var inlineOptions = RedisClientOptions.Parse(server.ConnectionString);
        inlineOptions.InlineCompletion = true;
        await using var inline = await RedisClient.ConnectAsync(inlineOptions, cancellationToken: run.Stop);
        run.Redis = redis.Server?.Version.ToString();
        run.Notes.AddRange(Notes());
        foreach (var key in Keys)
        {
            await redis.SetAsync(key, Small, cancellationToken: run.Stop);
            await redis.SetAsync("large:" + key, Large, cancellationToken: run.Stop);
        }

        await redis.EvalAsync(Script, [Keys[0]], [], ReplyParsers.PooledBytes, run.Stop);
        using var raw = new RawLoops(server.Port);
        var duels = Throughputs(redis, inline, raw).Concat(RoundTrips(redis, inline, raw)).Where(duel => run.Wants(duel.Name)).ToArray();
        var rows = await Duel.RunAsync(duels, run.Quick ? 5 : 9, TimeSpan.FromMilliseconds(run.Quick ? 300 : 800), run.Stop);
        if (run.Wants("bytes"))
            rows.AddRange(await AllocationsAsync(redis, TimeSpan.FromSeconds(run.Quick ? 1 : 3)));
        if (run.Wants("bulk.c1-p99"))
            rows.AddRange(await BulkLane.MeasureAsync(redis, server.Port, TimeSpan.FromSeconds(run.Quick ? 1.5 : 4), run.Stop));
        if (run.Wants("starvation"))
            rows.AddRange(await Starvation.MeasureAsync(redis, inline, Keys, TimeSpan.FromSeconds(run.Quick ? 3 : 6)));
        return rows;
    }

    private static IEnumerable<Duel> Throughputs(RedisClient redis, RedisClient inline, RawLoops raw)
    {
        ValueTask<byte[]?> Get(int i) => redis.GetAsync(Keys[i % KeyCount]);
        ValueTask<byte[]?> GetInline(int i) => inline.GetAsync(Keys[i % KeyCount]);
        ValueTask<byte[]?> GetLarge(int i) => redis.GetAsync(LargeKeys[i % KeyCount]);
        ValueTask<byte[]?> GetLargeInline(int i) => inline.GetAsync(LargeKeys[i % KeyCount]);
        yield return Faster("get64.c64", 64, Get, raw.Get64, 0.4);
        yield return Faster("get64.c256", 256, Get, raw.Get256, 0.4);
        yield return Faster("get64.c64-inline", 64, GetInline, raw.Get64, 0.6);
        yield return Faster("get64.c256-inline", 256, GetInline, raw.Get256, 0.6);
        yield return Faster("get1k.c64", 64, GetLarge, raw.GetLarge64, 0.4);
        yield return Faster("get1k.c256", 256, GetLarge, raw.GetLarge256, 0.4);
        yield return Faster("get1k.c64-inline", 64, GetLargeInline, raw.GetLarge64, 0.6);
        yield return Faster("set64.c64", 64, i => redis.SetAsync(Keys[i % KeyCount], Value), raw.Set64, null);
        yield return Faster(
            "evalsha.c64",
            64,
            i => redis.EvalAsync(Script, [Keys[i % KeyCount]], [], ReplyParsers.Bytes),
            raw.Eval64,
            null
        );
    }

    private static IEnumerable<Duel> RoundTrips(RedisClient redis, RedisClient inline, RawLoops raw)
    {
        yield return new(
            "get64.c1-p50",
            "µs",
            "raw asynchronous round trip",
            slice => RoundTripAsync(i => redis.GetAsync(Keys[i % KeyCount]), slice),
            raw.Get1.RoundTripAsync,
            new Goal(1.0, AtMost: true)
        );
        yield return new(
            "get64.c1-p50-inline",
            "µs",
            "raw blocking round trip",
            slice => RoundTripAsync(i => inline.GetAsync(Keys[i % KeyCount]), slice),
            raw.Get1.BlockingRoundTripAsync,
            new Goal(2.0, AtMost: true)
        );
        yield return new(
            "get64.sync-p50",
            "µs",
            "raw blocking round trip",
            slice => SyncRoundTripAsync(redis, slice),
            raw.Get1.BlockingRoundTripAsync,
            new Goal(2.0, AtMost: true)
        );
    }

    private static Duel Faster<T>(string name, int callers, Func<int, ValueTask<T>> ask, RawLoop raw, double? least) =>
        new(
            name,
            "ops/s",
            string.Create(CultureInfo.InvariantCulture, $"blocking raw loop, {callers} at a time"),
            slice => ThroughputAsync(callers, ask, slice),
            raw.ThroughputAsync,
            least is { } ratio ? new Goal(ratio, AtMost: false) : null
        );

    private static async Task<IReadOnlyList<Row>> AllocationsAsync(RedisClient redis, TimeSpan slice)
    {
        var array = ArrayBytes(Small.Length);
        return
        [
            Row.AtMost("get64.bytes", "B/op", await BytesAsync(i => redis.GetAsync(Keys[i % KeyCount]), slice), array + Rounding),
            Row.AtMost("get64.bytes-pooled", "B/op", await BytesAsync(GetPooledAsync, slice), Rounding),
            Row.AtMost("set64.bytes", "B/op", await BytesAsync(i => redis.SetAsync(Keys[i % KeyCount], Value), slice), Rounding),
            Row.AtMost("evalsha.bytes", "B/op", await BytesAsync(EvalPooledAsync, slice), Rounding),
        ];

        // The methods that stand around the call must allocate nothing either.
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        async ValueTask<int> GetPooledAsync(int i)
        {
            using var value = await redis.GetPooledAsync(Keys[i % KeyCount]);
            return value.Length;
        }

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        async ValueTask<int> EvalPooledAsync(int i)
        {
            using var value = await redis.EvalAsync(Script, [LargeKeys[i % KeyCount]], [], ReplyParsers.PooledBytes);
            return value.Length;
        }
    }

    private static string[] Notes() =>
        [
            "`get64.c64`: GET of 64 bytes into a `byte[]` by 64 concurrent asynchronous callers, against a blocking loop that sends 64 ready-made commands, reads 64 replies and makes nothing of them; `c256` likewise, `get1k` with 1,024 bytes.",
            "`-inline`: with `InlineCompletion`. `evalsha`: a script that returns the value.",
            "`c1-p50`: the median time of one asynchronous caller; `sync-p50`: of one blocking caller.",
            string.Create(
                CultureInfo.InvariantCulture,
                $"`get64.bytes`: bytes allocated per GET by 64 callers, of which {ArrayBytes(Small.Length):0} are the array itself; `-pooled`: into memory from the pool. Below {Rounding} counts as none: the callers' own tasks are in it."
            ),
            "`bulk.c1-p99`: the 99th percentile of one caller's GET while every second a reply of 100 MB comes in on the connection for large values, against the same without them; `-raw`: two raw sockets in the same situation, which is what Redis and the machine cost without any client.",
            "`starvation`: 64 work items of a thread pool with a minimum of 2 threads, each asking again and again; `sync` by blocking calls, `tasks` by blocking on the task of an asynchronous call. `stall` is the longest single call after the first second.",
            "Server and client share the processors.",
        ];

    private static async Task<double> SyncRoundTripAsync(RedisClient redis, TimeSpan slice) =>
        await Task.Factory.StartNew(
            () =>
            {
                List<double> times = new(1 << 16);
                var end = Duel.EndOf(slice);
                var asked = 0;
                for (var began = Stopwatch.GetTimestamp(); began < end; )
                {
                    redis.Send(["GET", Keys[asked++ % KeyCount]], ReplyParsers.Bytes);
                    var now = Stopwatch.GetTimestamp();
                    times.Add(Stopwatch.GetElapsedTime(began, now).TotalMicroseconds);
                    began = now;
                }

                return Duel.Median(times);
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );

    private static Func<int, long, ValueTask<T>> Spread<T>(Func<int, ValueTask<T>> ask) => (caller, turn) => ask((caller * 17) + (int)turn);

    private static Task<double> ThroughputAsync<T>(int callers, Func<int, ValueTask<T>> ask, TimeSpan slice) =>
        CallerLoops.RateAsync(callers, Spread(ask), slice);

    private static Task<double> BytesAsync<T>(Func<int, ValueTask<T>> ask, TimeSpan slice) =>
        CallerLoops.BytesAsync(64, Spread(ask), slice);

    /// <summary>What one array of that length takes on the heap of this machine.</summary>
    private static double ArrayBytes(int length)
    {
        // Many, kept in an array that is too large for the stack: one that nobody keeps might never be allocated.
        var kept = new byte[1_000][];
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < kept.Length; i++)
            kept[i] = new byte[length];
        var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        GC.KeepAlive(kept);
        return bytes / (double)kept.Length;
    }

    private static async Task<double> RoundTripAsync<T>(Func<int, ValueTask<T>> ask, TimeSpan slice)
    {
        List<double> times = new(1 << 16);
        var end = Duel.EndOf(slice);
        var asked = 0;
        for (var began = Stopwatch.GetTimestamp(); began < end; )
        {
            await ask(asked++);
            var now = Stopwatch.GetTimestamp();
            times.Add(Stopwatch.GetElapsedTime(began, now).TotalMicroseconds);
            began = now;
        }

        return Duel.Median(times);
    }

    // One for each shape, so that each has its own connection and its own ready-made bytes.
    private sealed class RawLoops(int port) : IDisposable
    {
        public RawLoop Get1 { get; } = new(port, 1, i => ["GET", Keys[i % KeyCount]]);

        public RawLoop Get64 { get; } = new(port, 64, i => ["GET", Keys[i % KeyCount]]);

        public RawLoop Get256 { get; } = new(port, 256, i => ["GET", Keys[i % KeyCount]]);

        public RawLoop GetLarge64 { get; } = new(port, 64, i => ["GET", LargeKeys[i % KeyCount]]);

        public RawLoop GetLarge256 { get; } = new(port, 256, i => ["GET", LargeKeys[i % KeyCount]]);

        public RawLoop Set64 { get; } = new(port, 64, i => ["SET", Keys[i % KeyCount], Small]);

        public RawLoop Eval64 { get; } = new(port, 64, i => ["EVALSHA", Script.Digest, "1", Keys[i % KeyCount]]);

        public void Dispose()
        {
            foreach (var loop in new[] { Get1, Get64, Get256, GetLarge64, GetLarge256, Set64, Eval64 })
                loop.Dispose();
        }
    }
}
