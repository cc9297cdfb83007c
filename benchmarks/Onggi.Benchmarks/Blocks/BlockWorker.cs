using System.Diagnostics;
using System.Globalization;
using Onggi.Benchmarks.Coherence;
using Onggi.Client;
using Onggi.Limits;
using Onggi.Locks;

namespace Onggi.Benchmarks.Blocks;

/// <summary>The processes behind <c>contend</c>, <c>hold</c> and <c>spend</c>, which only <c>./bench locks</c> and <c>./bench limits</c> start. They end when their input ends.</summary>
internal static class BlockWorker
{
    public const string Contend = "contend";
    public const string Spend = "spend";
    public const string Hold = "hold";

    /// <summary>Contenders for one lock, who act on a resource that keeps a ledger: it compares fences.</summary>
    public static async Task<int> ContendAsync(string port, string ledgerPort, string contenders)
    {
        await using var node = await BlockNode.StartAsync(Number(port), commandTimeout: TimeSpan.FromSeconds(3));
        await using var ledger = await RedisClient.ConnectAsync($"127.0.0.1:{ledgerPort}");
        Console.WriteLine("ready");
        using var stop = new CancellationTokenSource();
        var working = Enumerable
            .Range(0, Number(contenders))
            .Select(_ => Task.Run(() => ContendAsync(node.Locks, ledger, stop.Token)))
            .ToArray();
        await Task.Run(Console.In.ReadToEnd);
        await stop.CancelAsync();
        await Task.WhenAll(working);
        return 0;
    }

    /// <summary>Holds locks until it was stopped for longer than they last; says what it took for held then, what came through of what it did first, and when the last of them was told that it is lost.</summary>
    public static async Task<int> HoldAsync(string port, string leases)
    {
        await using var node = await BlockNode.StartAsync(Number(port));
        var held = await Task.WhenAll(
            Enumerable.Range(0, Number(leases)).Select(async i => await node.Locks.AcquireAsync(BlockNode.Brief(i)))
        );
        var acting = held.Select((lease, i) => ActWhenStoppedAsync(node.Locks, lease, i)).ToArray();
        Console.WriteLine("ready");
        var acted = await Task.WhenAll(acting);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{acted.Count(one => one.Held)} {acted.Count(one => one.Accepted)} {acted.Max(one => one.Lost.ToUnixTimeMilliseconds())}"
            )
        );
        await Task.Run(Console.In.ReadToEnd);
        return 0;
    }

    /// <summary>Callers of one limit, by a clock that goes wrong; says at the end how often they were let in.</summary>
    public static async Task<int> SpendAsync(string port, string hours, string callers)
    {
        await using var node = await BlockNode.StartAsync(Number(port), TimeSpan.FromHours(Number(hours)));
        await node.Limits.TakeAsync(BlockNode.Limit("tight", 1));
        Console.WriteLine("ready");
        await Task.Run(Console.In.ReadLine);
        using var stop = new CancellationTokenSource();
        var spending = Enumerable.Range(0, Number(callers)).Select(_ => Task.Run(() => SpendAsync(node.Limits, stop.Token))).ToArray();
        await Task.Run(Console.In.ReadLine);
        await stop.CancelAsync();
        var counts = await Task.WhenAll(spending);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{counts.Sum(one => one.Allowed)} {counts.Sum(one => one.Asked)}"));
        return 0;
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static async Task ContendAsync(OnggiLocks locks, RedisClient ledger, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (await locks.TryAcquireAsync(BlockNode.Brief(0), TimeSpan.FromSeconds(10), stop) is not { } lease)
                    continue;
                await using (lease)
                {
                    await LockTorture.ActAsync(ledger, lease);
                    // Every tenth works for longer, so that a pause falls into its work, and does not look whether it may go on.
                    var careless = lease.Fence.Value % 10 == 0;
                    await Task.Delay(TimeSpan.FromMilliseconds(careless ? 200 : 2), CancellationToken.None);
                    if (careless || lease.IsHeld)
                        await LockTorture.ActAsync(ledger, lease);
                }
            }
            catch (Exception failure) when (failure is RedisException or OperationCanceledException)
            {
                // Connections are cut while we ask.
            }
        }
    }

    private static async Task<(bool Held, bool Accepted, DateTimeOffset Lost)> ActWhenStoppedAsync(
        OnggiLocks locks,
        LockLease lease,
        int id
    )
    {
        var lost = LockLosses.LostAsync(lease);
        for (var last = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(last) < TimeSpan.FromSeconds(1); await Task.Delay(5))
            last = Stopwatch.GetTimestamp();
        var held = lease.IsHeld;
        var accepted = await locks.Guard.CheckAsync(BlockNode.Brief(id).Entry, lease.Fence);
        return (held, accepted, await lost);
    }

    private static async Task<(long Allowed, long Asked)> SpendAsync(OnggiLimits limits, CancellationToken stop)
    {
        var (allowed, asked) = (0L, 0L);
        while (!stop.IsCancellationRequested)
        {
            var decision = await limits.TakeAsync(BlockNode.Limit("tight", 0), cancellationToken: CancellationToken.None);
            asked++;
            if (decision.Allowed)
                allowed++;
            else
                await Task.Delay(decision.RetryAfter, CancellationToken.None);
        }

        return (allowed, asked);
    }

    /// <summary>One of these processes.</summary>
    internal sealed class Handle : IAsyncDisposable
    {
        private readonly Process _process;

        private Handle(Process process) => _process = process;

        public static async Task<Handle> StartAsync(params string[] arguments)
        {
            var handle = new Handle(OwnProcess.Start(arguments));
            if (await handle.HearAsync() != "ready")
                throw new InvalidOperationException("A worker's process did not get ready; what it said stands above.");
            return handle;
        }

        public Task<string?> HearAsync() => _process.StandardOutput.ReadLineAsync();

        public async Task SayAsync(string line)
        {
            await _process.StandardInput.WriteLineAsync(line);
            await _process.StandardInput.FlushAsync();
        }

        /// <summary>Stops the process (SIGSTOP) until the result is disposed.</summary>
        public Pause Pause() => Coherence.Pause.Begin(_process.Id);

        public async Task KillAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        public async ValueTask DisposeAsync()
        {
            if (!_process.HasExited)
            {
                try
                {
                    _process.StandardInput.Close();
                    using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
                    await _process.WaitForExitAsync(patience.Token);
                }
                catch (Exception late) when (late is OperationCanceledException or IOException)
                {
                    await KillAsync();
                }
            }

            _process.Dispose();
        }
    }
}
