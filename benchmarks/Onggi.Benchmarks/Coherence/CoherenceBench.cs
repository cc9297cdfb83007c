using System.Diagnostics;
using System.Globalization;
using Onggi.Testing;

namespace Onggi.Benchmarks.Coherence;

/// <summary>Does any read give what was invalidated? Fleets of real processes on real servers, hurt in every way we know, and a checker that believes only what callers saw.</summary>
internal sealed class CoherenceBench : IBench
{
    private static readonly TimeSpan DefaultBudget = TimeSpan.FromSeconds(50);
    private static readonly TimeSpan QuickBudget = TimeSpan.FromSeconds(12);
    private static readonly TimeSpan ShortestRun = TimeSpan.FromSeconds(2);

    // After the last invalidation has returned and the last fault is over: what is stale beyond this stays stale.
    private static readonly TimeSpan Settle = OnggiSubject.MaxStaleness * 3;

    // The last look, and the end of the processes; on a busy machine it takes that long.
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(4);

    /// <summary>How many readers a fleet has.</summary>
    public static int ReadersOf(BenchRun run) => run.Quick ? 32 : 64;

    public string Name => "coherence";

    public string Summary => "does any read give what was invalidated before it began?";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        var began = Stopwatch.GetTimestamp();
        var budget = run.Duration ?? (run.Quick ? QuickBudget : DefaultBudget);
        BenchRun.Say(string.Create(CultureInfo.InvariantCulture, $"{Seed.Line}; {budget.TotalSeconds:0.#} s in all"));
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(run.Stop);
        bound.CancelAfter((budget * 2) + Farewell);
        try
        {
            return await RunAsync(run, budget, began, bound.Token);
        }
        catch (OperationCanceledException late) when (!run.Stop.IsCancellationRequested)
        {
            throw new InvalidOperationException("It did not end within twice its time: something waits for ever.", late);
        }
    }

    private static async Task<IReadOnlyList<Row>> RunAsync(BenchRun run, TimeSpan budget, long began, CancellationToken stop)
    {
        await using var arena = await Arena.StartAsync(run, budget, stop);
        run.Redis = await arena.RedisVersionAsync();
        var ending = FaultClock.Overhang + Farewell;
        var writes = budget - Stopwatch.GetElapsedTime(began) - Settle - (run.Quick ? ending / 2 : ending);
        writes = writes > ShortestRun ? writes : ShortestRun;
        BenchRun.Say(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{arena.Fleets.Count} fleets are up after {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s; writing for {writes.TotalSeconds:0.0} s"
            )
        );
        await arena.RunAsync(writes, stop);
        BenchRun.Say("all writes are acknowledged and all faults are over; a last look follows");
        await Task.Delay(Settle, stop);
        await arena.FinishAsync(stop);
        Verdict.Notes(run, writes);
        return Verdict.Of(arena.Fleets, run);
    }

    /// <summary>All fleets, and the processes that their nodes live in.</summary>
    private sealed class Arena : IAsyncDisposable
    {
        private readonly List<Fleet> _fleets = [];
        private readonly List<WorkerProcess> _workers = [];
        private readonly TimeSpan _longest;

        private Arena(TimeSpan longest) => _longest = longest;

        public List<Fleet> Fleets => _fleets;

        public static async Task<Arena> StartAsync(BenchRun run, TimeSpan longest, CancellationToken stop)
        {
            var arena = new Arena(longest);
            try
            {
                await arena.StartAsync(run, stop);
                return arena;
            }
            catch
            {
                await arena.DisposeAsync();
                throw;
            }
        }

        public async Task<string> RedisVersionAsync() =>
            (await _fleets[0].Server.CommandAsync("INFO", "server"))!
                .Split('\n')
                .First(line => line.StartsWith("redis_version:", StringComparison.Ordinal))
                .Split(':')[1]
                .Trim();

        /// <summary>Reads, writes and faults; ends when every write is acknowledged and every fault is over.</summary>
        public async Task RunAsync(TimeSpan writes, CancellationToken stop)
        {
            var start = new Start(Stopwatch.GetTimestamp(), writes.TotalMilliseconds);
            await Task.WhenAll(_workers.Select(worker => worker.BeginAsync(start, stop)));
            var clock = new FaultClock(writes, stop);
            await Task.WhenAll([
                .. _workers.Select(worker => worker.WhenWrittenAsync(stop)),
                .. _fleets.Select(fleet => fleet.WriteAsStrangersAsync(Seed.Value, writes, _longest, stop)),
                .. _fleets.Select(fleet => fleet.Scenario.Faults?.Invoke(fleet, clock) ?? Task.CompletedTask),
            ]);
        }

        public async Task FinishAsync(CancellationToken stop)
        {
            foreach (var reports in await Task.WhenAll(_workers.Select(worker => worker.FinishAsync(stop))))
            foreach (var report in reports)
                _fleets.Single(fleet => fleet.Number == report.Fleet).Reports.Add(report);
            await Task.WhenAll(_fleets.Select(fleet => fleet.LookIntoRedisAsync(stop)));
        }

        public async ValueTask DisposeAsync()
        {
            await Task.WhenAll(_workers.Select(worker => worker.DisposeAsync().AsTask()));
            await Task.WhenAll(_fleets.Select(fleet => fleet.DisposeAsync().AsTask()));
        }

        private async Task StartAsync(BenchRun run, CancellationToken stop)
        {
            var wanted = Scenario.All.Where(scenario => run.Wants(scenario.Name)).ToList();
            if (wanted.Count == 0)
                throw new InvalidOperationException($"No scenario's name holds '{run.Only}'.");
            var sizes =
                from scenario in wanted
                from nodes in (int[])(run.Quick || scenario.IsControl ? [2] : [2, 4])
                select (scenario, nodes);
            await Task.WhenAll(sizes.Select((size, number) => AddAsync(number, size.scenario, size.nodes, stop)));
            _fleets.Sort(static (one, other) => one.Number.CompareTo(other.Number));
            await Task.WhenAll(Share().Select(share => PrepareAsync(share, CoherenceBench.ReadersOf(run), stop)));
        }

        private async Task AddAsync(int number, Scenario scenario, int nodes, CancellationToken stop)
        {
            var fleet = await Fleet.StartAsync(number, scenario, nodes, _longest, stop);
            lock (_fleets)
                _fleets.Add(fleet);
        }

        // Processes are dear. The nodes of one fleet are in different ones always; those of different fleets share one where no process is stopped.
        private IEnumerable<List<(Fleet Fleet, int Node)>> Share()
        {
            var shared = _fleets.Where(fleet => !fleet.Scenario.IsAlone).ToList();
            for (var node = 0; node < shared.Select(fleet => fleet.Nodes).DefaultIfEmpty().Max(); node++)
                yield return [.. shared.Where(fleet => fleet.Nodes > node).Select(fleet => (fleet, node))];
            foreach (var alone in _fleets.Where(fleet => fleet.Scenario.IsAlone))
                for (var node = 0; node < alone.Nodes; node++)
                    yield return [(alone, node)];
        }

        private async Task PrepareAsync(List<(Fleet Fleet, int Node)> share, int readers, CancellationToken stop)
        {
            var worker = WorkerProcess.Start();
            lock (_workers)
            {
                _workers.Add(worker);
                foreach (var (fleet, _) in share)
                    fleet.Workers = [.. fleet.Workers, worker];
            }

            var plans = share.ConvertAll(place => place.Fleet.PlanOf(place.Node));
            await worker.PrepareAsync(new WorkerPlan(Seed.Value, _longest.TotalMilliseconds, readers, plans), stop);
        }
    }
}
