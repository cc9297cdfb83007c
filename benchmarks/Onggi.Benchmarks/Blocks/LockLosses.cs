using System.Diagnostics;
using System.Globalization;
using Onggi.Locks;
using Onggi.Testing;

namespace Onggi.Benchmarks.Blocks;

/// <summary>When <c>Lost</c> fires: while the link swallows everything, while Redis itself stands still, and while the holder does.</summary>
internal static class LockLosses
{
    // The margin of the leases of a second.
    private const double MarginMs = 100;

    // Longer than the lease, and than a loaded machine makes anybody wait.
    private static readonly TimeSpan Stopped = TimeSpan.FromSeconds(2);

    public static string Note =>
        "`lost`: leases of a second. `lost.early`: their link swallows everything; `lost.redis`: Redis is stopped (SIGSTOP). How much earlier than the end, by the server's own clock, `Lost` fired; the least of all. The margin is 100 ms. `lost.holder`: the process that holds them is stopped for two seconds, and others have taken the locks and acted meanwhile. `held`: leases that were still taken for held by the first look after it went on. `accepted`: guarded writes, the first thing that was done then, without a look, that came through. `late`: from the moment when it went on until the last `Lost` had fired.";

    public static async Task<Row> OfLinkAsync(int port, int leases)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var node = await BlockNode.StartAsync(proxy.Port);
        var held = await HoldAsync(node, leases);
        var lost = held.Select(LostAsync).ToArray();
        proxy.BlackHoleAll();
        await proxy.RefuseAsync();
        var ends = await EndsAsync(port, leases);
        return Least("lost.early", await Task.WhenAll(lost), ends);
    }

    public static async Task<Row> OfRedisAsync(int leases, CancellationToken stop)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await BlockNode.StartAsync(server.Port);
        var held = await HoldAsync(node, leases);
        var lost = held.Select(LostAsync).ToArray();
        // All are renewed at about the same time: after that there are some hundred milliseconds in which their ends stay as they are.
        List<long> ends;
        do
        {
            ends = await EndsAsync(server.Port, leases);
            await Task.Delay(30, stop);
        } while (!ends.SequenceEqual(await EndsAsync(server.Port, leases)));
        server.Pause();
        try
        {
            return Least("lost.redis", await Task.WhenAll(lost), ends);
        }
        finally
        {
            server.Resume();
        }
    }

    public static async Task<IReadOnlyList<Row>> OfHolderAsync(int leases, CancellationToken stop)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await BlockNode.StartAsync(server.Port);
        await using var worker = await BlockWorker.Handle.StartAsync(BlockWorker.Hold, Text(server.Port), Text(leases));
        DateTimeOffset wentOn;
        await using (worker.Pause())
        {
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < leases; i++)
            {
                var next = await node.Locks.AcquireAsync(BlockNode.Brief(i), cancellationToken: stop);
                await node.Locks.Guard.CheckAsync(BlockNode.Brief(i).Entry, next.Fence, stop);
            }

            if (Stopped - Stopwatch.GetElapsedTime(began) is { Ticks: > 0 } rest)
                await Task.Delay(rest, stop);
            wentOn = TimeProvider.System.GetUtcNow();
        }

        var said = (await worker.HearAsync() ?? "")
            .Split(' ')
            .Select(static word => long.Parse(word, CultureInfo.InvariantCulture))
            .ToArray();
        return
        [
            Row.AtMost("lost.holder.held", "leases", said[0], 0),
            Row.AtMost("lost.holder.accepted", "writes", said[1], 0),
            new Row("lost.holder.late", "ms", said[2] - wentOn.ToUnixTimeMilliseconds()),
        ];
    }

    /// <summary>When it fires.</summary>
    public static async Task<DateTimeOffset> LostAsync(LockLease lease)
    {
        var fired = new TaskCompletionSource<DateTimeOffset>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lease.Lost.Register(() => fired.TrySetResult(TimeProvider.System.GetUtcNow()));
        return await fired.Task;
    }

    private static Task<LockLease[]> HoldAsync(BlockNode node, int leases) =>
        Task.WhenAll(Enumerable.Range(0, leases).Select(async i => await node.Locks.AcquireAsync(BlockNode.Brief(i))));

    /// <summary>When they end in Redis, by its own clock, in one step.</summary>
    private static async Task<List<long>> EndsAsync(int port, int leases)
    {
        using var door = await RawRedis.ConnectAsync(port);
        var ends = await door.CommandAsync(
            "EVAL",
            "local ends = {} for i = 0, ARGV[1] - 1 do ends[#ends + 1] = string.format('%.0f', redis.call('PEXPIRETIME', 'bench:locks:brief:' .. i)) end return table.concat(ends, ' ')",
            "0",
            Text(leases)
        );
        return [.. ends!.Split(' ').Select(static end => long.Parse(end, CultureInfo.InvariantCulture))];
    }

    private static Row Least(string name, DateTimeOffset[] times, List<long> ends) =>
        Row.AtLeast(
            name,
            "ms",
            times.Zip(ends, static (time, end) => (DateTimeOffset.FromUnixTimeMilliseconds(end) - time).TotalMilliseconds).Min(),
            MarginMs
        );

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
