using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Locks;
using Onggi.Testing;

namespace Onggi.Benchmarks.Blocks;

/// <summary>Two hundred contenders in four processes, which are stopped for longer than a lease, killed, and cut off; and a resource that keeps a ledger.</summary>
internal static class LockTorture
{
    private const int Processes = 4;
    private const int Contenders = 50;
    private const string Ledger = "ledger";

    /// <summary>The resource: it lets an act through unless a later fence was here, and writes down all that came, let through or not.</summary>
    private static readonly RedisScript Act = new(
        "act",
        """
        local seen = tonumber(redis.call('GET', KEYS[1] .. ':seen') or 0)
        local through = tonumber(ARGV[1]) >= seen and 1 or 0
        if through == 1 then redis.call('SET', KEYS[1] .. ':seen', ARGV[1]) end
        redis.call('RPUSH', KEYS[1], ARGV[1] .. ':' .. through .. ':' .. ARGV[2])
        return through
        """
    );

    public static ValueTask<long> ActAsync(RedisClient ledger, LockLease lease) =>
        ledger.EvalAsync(Act, [Ledger], [lease.Fence.Value, lease.Owner], ReplyParsers.Int64);

    public static async Task<IReadOnlyList<Row>> MeasureAsync(TimeSpan duration, CancellationToken stop)
    {
        var random = Seed.For("lock torture");
        BenchRun.Say(Seed.Line);
        await using var server = await RedisServerProcess.StartAsync();
        await using var ledgerServer = await RedisServerProcess.StartAsync();
        var proxies = Enumerable.Range(0, Processes).Select(_ => FaultProxy.Start(server.Port)).ToArray();
        var workers = await Task.WhenAll(proxies.Select(proxy => StartAsync(proxy, ledgerServer)));
        var (pauses, kills, cuts) = (0, 0, 0);
        try
        {
            for (var watch = Stopwatch.StartNew(); watch.Elapsed < duration; )
            {
                await Task.Delay(random.Next(100, 500), stop);
                var one = random.Next(Processes);
                switch (random.Next(4))
                {
                    case 0 or 1:
                        pauses++;
                        // Longer than the lease of a second, so that the lock goes to another.
                        await using (workers[one].Pause())
                            await Task.Delay(random.Next(1_200, 2_500), stop);
                        break;
                    case 2:
                        cuts++;
                        proxies[one].CutAll();
                        break;
                    default:
                        kills++;
                        await workers[one].KillAsync();
                        await workers[one].DisposeAsync();
                        workers[one] = await StartAsync(proxies[one], ledgerServer);
                        break;
                }
            }
        }
        finally
        {
            foreach (var worker in workers)
                await worker.DisposeAsync();
            foreach (var proxy in proxies)
                await proxy.DisposeAsync();
        }

        BenchRun.Say($"{pauses} pauses, {kills} kills, {cuts} cuts");
        return Judge(await ReadAsync(ledgerServer), pauses + kills + cuts);
    }

    private static Task<BlockWorker.Handle> StartAsync(FaultProxy proxy, RedisServerProcess ledger) =>
        BlockWorker.Handle.StartAsync(BlockWorker.Contend, Text(proxy.Port), Text(ledger.Port), Text(Contenders));

    private static async Task<Acted[]> ReadAsync(RedisServerProcess server)
    {
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        var lines = await redis.SendAsync(["LRANGE", Ledger, 0, -1], ReplyParsers.TextArray, CommandOptions.Bulk);
        return
        [
            .. lines.Select(static line =>
            {
                var parts = line!.Split(':', 3);
                return new Acted(long.Parse(parts[0], CultureInfo.InvariantCulture), parts[1] == "1", parts[2]);
            }),
        ];
    }

    // A second owner of one fence, and an old fence that comes again: so that the judge is seen to see.
    private static readonly Acted[] TwoAtATime = [new(1, true, "a"), new(1, true, "b"), new(2, true, "c"), new(1, true, "a")];

    /// <summary>Acts that were let through under a fence with which another holder has acted, or after a later one: two who act at a time.</summary>
    internal static int Overlaps(IEnumerable<Acted> acts)
    {
        var (overlaps, last) = (0, long.MinValue);
        var owners = new Dictionary<long, string>();
        foreach (var act in acts.Where(static act => act.Through))
        {
            owners.TryAdd(act.Fence, act.Owner);
            if (act.Fence < last || owners[act.Fence] != act.Owner)
                overlaps++;
            last = Math.Max(last, act.Fence);
        }

        return overlaps;
    }

    private static Row[] Judge(Acted[] acts, int faults)
    {
        var through = acts.Where(static act => act.Through).Select(static act => act.Fence).ToArray();
        return
        [
            new Row("torture.faults", "faults", faults),
            new Row("torture.acts", "acts", acts.Length),
            Row.AtLeast("torture.holders", "holders", through.Distinct().Count(), 20),
            Row.AtMost("torture.overlaps", "acts", Overlaps(acts), 0),
            Row.AtLeast("torture.control", "acts", Overlaps(TwoAtATime), 2),
            new Row("torture.refused", "acts", acts.Length - through.Length),
        ];
    }

    /// <summary>A line of the ledger.</summary>
    internal sealed record Acted(long Fence, bool Through, string Owner);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
