using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Benchmarks;

/// <summary>The client against a raw socket, on one redis-server of its own.</summary>
internal sealed class ClientBench : IBench
{
    private const int KeyCount = 1024;

    private static readonly string[] Keys =
    [
        .. Enumerable.Range(0, KeyCount).Select(i => string.Create(CultureInfo.InvariantCulture, $"key:{i:0000}")),
    ];
    private static readonly string Small = new('v', 64);
    private static readonly string Large = new('v', 1024);
    private static readonly RedisScript Script = new("length", "return redis.call('STRLEN',KEYS[1])");

    public string Name => "client";

    public string Summary => "the client against raw socket loops";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString, run.Stop);
        run.Redis = redis.Server?.Version.ToString();
        run.Notes.AddRange([
            "`get64.c64`: GET of 64 bytes into a `byte[]` by 64 concurrent asynchronous callers, against a blocking loop that sends 64 ready-made commands, reads 64 replies and makes nothing of them; `c256` likewise, `get1k` with 1,024 bytes.",
            "`get64.c1-p50`: the median time of one asynchronous caller, against `SendAsync` and `ReceiveAsync` on a socket.",
            string.Create(
                CultureInfo.InvariantCulture,
                $"`get64.bytes`: bytes allocated per GET by 64 callers, of which {ArrayBytes(Small.Length):0} are the array itself."
            ),
            "Server and client share the processors.",
        ]);
        foreach (var key in Keys)
        {
            await redis.SetAsync(key, Small, cancellationToken: run.Stop);
            await redis.SetAsync("large:" + key, Large, cancellationToken: run.Stop);
        }

        var large = Keys.Select(key => "large:" + key).ToArray();
        var value = System.Text.Encoding.ASCII.GetBytes(Small);
        await redis.EvalAsync(Script, [Keys[0]], [], ReplyParsers.Int64, run.Stop);
        using var raw64 = new RawLoop(server.Port, 64, i => ["GET", Keys[i % KeyCount]]);
        using var raw256 = new RawLoop(server.Port, 256, i => ["GET", Keys[i % KeyCount]]);
        using var raw1 = new RawLoop(server.Port, 1, i => ["GET", Keys[i % KeyCount]]);
        using var rawSet = new RawLoop(server.Port, 64, i => ["SET", Keys[i % KeyCount], Small]);
        using var rawEval = new RawLoop(server.Port, 64, i => ["EVALSHA", Script.Digest, "1", Keys[i % KeyCount]]);
        using var raw1K = new RawLoop(server.Port, 64, i => ["GET", large[i % KeyCount]]);

        ValueTask<byte[]?> Get(int i) => redis.GetAsync(Keys[i % KeyCount]);
        Duel[] duels =
        [
            new("get64.c64", "ops/s", "blocking raw loop, 64 at a time", slice => ThroughputAsync(64, Get, slice), raw64.ThroughputAsync),
            new(
                "get64.c256",
                "ops/s",
                "blocking raw loop, 256 at a time",
                slice => ThroughputAsync(256, Get, slice),
                raw256.ThroughputAsync
            ),
            new("get64.c1-p50", "µs", "raw asynchronous round trip", slice => RoundTripAsync(Get, slice), raw1.RoundTripAsync),
            new(
                "set64.c64",
                "ops/s",
                "blocking raw loop, 64 at a time",
                slice => ThroughputAsync(64, i => redis.SetAsync(Keys[i % KeyCount], value), slice),
                rawSet.ThroughputAsync
            ),
            new(
                "evalsha.c64",
                "ops/s",
                "blocking raw loop, 64 at a time",
                slice => ThroughputAsync(64, i => redis.EvalAsync(Script, [Keys[i % KeyCount]], [], ReplyParsers.Int64), slice),
                rawEval.ThroughputAsync
            ),
            new(
                "get1k.c64",
                "ops/s",
                "blocking raw loop, 64 at a time",
                slice => ThroughputAsync(64, i => redis.GetAsync(large[i % KeyCount]), slice),
                raw1K.ThroughputAsync
            ),
        ];

        var rows = await Duel.RunAsync(duels, run.Quick ? 5 : 9, TimeSpan.FromMilliseconds(run.Quick ? 350 : 900), run.Stop);
        rows.Insert(5, new Row("get64.bytes", "B/op", await BytesAsync(Get, TimeSpan.FromSeconds(run.Quick ? 1 : 3))));
        return rows;
    }

    private static async Task<double> ThroughputAsync<T>(int callers, Func<int, ValueTask<T>> ask, TimeSpan slice)
    {
        var began = Stopwatch.GetTimestamp();
        var asked = await AskAsync(callers, ask, Duel.EndOf(slice));
        return asked / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private static async Task<double> BytesAsync<T>(Func<int, ValueTask<T>> ask, TimeSpan slice)
    {
        var before = GC.GetTotalAllocatedBytes(precise: true);
        var asked = await AskAsync(64, ask, Duel.EndOf(slice));
        return (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)asked;
    }

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

    private static async Task<long> AskAsync<T>(int callers, Func<int, ValueTask<T>> ask, long end)
    {
        var asking = Enumerable
            .Range(0, callers)
            .Select(caller =>
                Task.Run(async () =>
                {
                    var asked = 0;
                    for (; Stopwatch.GetTimestamp() < end; asked++)
                        await ask((caller * 17) + asked);
                    return (long)asked;
                })
            );
        return (await Task.WhenAll(asking)).Sum();
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
}
