using System.Diagnostics;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Benchmarks.L2;

/// <summary>How many round trips a caller waits for.</summary>
/// <remarks>
/// Counted by their cost: a proxy holds back what goes either way for so long that nothing else matters. What is sent without waiting for a reply costs nothing, whatever it is; each wait costs two
/// delays. Other delays can only make it more, so the shortest of several runs is exact.
/// </remarks>
internal static class RoundTrips
{
    private const int Runs = 5;
    private const int Many = 150;

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(50);

    // There and back.
    private static readonly TimeSpan Trip = 2 * Delay;

    public static async Task<IReadOnlyList<Row>> MeasureAsync(int port, CancellationToken stop)
    {
        await using var proxy = FaultProxy.Start(port);
        await using var node = await L2Node.StartAsync(proxy.Port);
        await node.Cache.InvalidateManyAsync(L2Node.Lease, CancellationToken.None);
        await node.Cache.InvalidateManyAsync(L2Node.Kept, CancellationToken.None);
        // Scripts are known to the server after they were used once.
        await LoadAsync(node, 0);
        await LoadManyAsync(node, 0);
        proxy.Delay = Delay;

        var load = new List<double>();
        var remove = new List<double>();
        var many = new List<double>();
        var hit = new List<double>();
        for (var run = 1; run <= Runs; run++)
        {
            stop.ThrowIfCancellationRequested();
            var key = run;
            load.Add(await TimeAsync(() => LoadAsync(node, key)));
            hit.Add(await TimeAsync(async () => await node.Cache.GetAsync(L2Node.Lease[key])));
            remove.Add(await TimeAsync(async () => await node.Cache.InvalidateAsync(L2Node.Lease[key], CancellationToken.None)));
            many.Add(await TimeAsync(() => LoadManyAsync(node, run)));
        }

        return [Row("hit.trips", hit, 1), Row("miss.trips", load, 2), Row("invalidate.trips", remove, 1), Row("many.trips", many, 2)];
    }

    private static Row Row(string name, List<double> times, int goal)
    {
        BenchRun.Say($"{name}: {string.Join(" ", times.Select(time => $"{time:0.0}"))} ms, {Trip.TotalMilliseconds:0} ms a trip");
        return Benchmarks.Row.AtMost(name, "round trips", Math.Floor(times.Min() / Trip.TotalMilliseconds), goal);
    }

    private static async Task<double> TimeAsync(Func<Task> act)
    {
        var began = Stopwatch.GetTimestamp();
        await act();
        return Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    }

    private static async Task LoadAsync(L2Node node, int key)
    {
        var loaded = false;
        await node.Cache.GetOrLoadAsync(
            L2Node.Lease[key],
            _ =>
            {
                loaded = true;
                return new((string?)"value");
            }
        );
        if (!loaded)
            throw new InvalidOperationException("It was to be a miss.");
    }

    private static async Task LoadManyAsync(L2Node node, int run)
    {
        var loaded = 0;
        await node.Cache.GetOrLoadManyAsync(
            L2Node.Kept.AsSpan(run * Many, Many).ToArray(),
            (missing, _) =>
            {
                loaded = missing.Count;
                return new(missing.ToDictionary(key => key, _ => (string?)"value"));
            }
        );
        if (loaded != Many)
            throw new InvalidOperationException("They were to be misses.");
    }
}
