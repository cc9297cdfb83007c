using System.Globalization;
using Onggi.Testing;

namespace Onggi.Benchmarks.Coherence;

/// <summary>What the observations come to: rows with goals, and the worst examples on the standard error.</summary>
internal static class Verdict
{
    // Below this memory would not be what was observed.
    private const double LeastFromMemory = 50;

    public static IReadOnlyList<Row> Of(IReadOnlyList<Fleet> fleets, BenchRun run)
    {
        foreach (var fleet in fleets)
            Tell(fleet);
        var rows = new List<Row>();
        var promised = fleets.Where(fleet => !fleet.Scenario.IsControl).ToList();
        if (promised.Count > 1)
        {
            var (fast, strict) = (Sum(promised, Strength.Fast), Sum(promised, Strength.Strict));
            rows.Add(AtLeastOne("all.reads", "reads", fast.Reads + strict.Reads));
            rows.Add(None("all.strict.stale", "reads", strict.Stale));
            rows.Add(Worst("all.fast.worst", fast));
            rows.Add(None("all.left", "pairs", fast.Left + strict.Left));
        }

        foreach (var scenario in Scenario.All.Where(scenario => run.Wants(scenario.Name)))
        {
            var its = fleets.Where(fleet => fleet.Scenario == scenario).ToList();
            rows.AddRange(scenario.IsControl ? OfControl(scenario, its) : OfScenario(scenario, its));
        }

        return rows;
    }

    public static void Notes(BenchRun run, TimeSpan writes)
    {
        var bound = OnggiSubject.MaxStaleness.TotalMilliseconds;
        run.Notes.AddRange([
            string.Create(
                CultureInfo.InvariantCulture,
                $"Repeat the plan of writes with {Seed.Line}. Written and read for {writes.TotalSeconds:0.0} s; each fleet has a redis-server of its own, {(run.Quick ? "two nodes" : "two nodes or four (each scenario runs with both)")}, {CoherenceBench.ReadersOf(run)} readers and {Schedule.Keys} keys, half of them invalidated fast, half strictly. The nodes of a fleet are processes of their own, each behind a proxy of its own."
            ),
            "Two writes to a key come 1 to 8 ms apart, by any two nodes; a load takes 1 to 20 ms. The source is memory that the processes share, and so is their clock.",
            "`stale`: reads that gave a value older than one whose invalidation had returned before the read began. `worst`: the longest time from that return to the beginning of such a read. `left`: pairs of a node and a key, or of Redis and a key, that still gave the old value after the last write, the last fault and three times the bound. `memory`: reads that the node's own memory answered. `unconfirmed`: invalidations that threw and were made again. `failed`: reads that threw, and reads and invalidations that had not ended five seconds after all was over.",
            string.Create(
                CultureInfo.InvariantCulture,
                $"`fast` promises: nothing older than {bound:0} ms, nothing left. `strict` promises: nothing stale at all, from the moment when the invalidation has returned."
            ),
            "`cut`: what a node hears of changes on is cut for 4 s and cannot be made again, while its commands arrive. `half-open`: connections go silent, nobody is told. `restart`: Redis is killed, is away for a second and starts empty. `stopped`: a node's process is stopped (SIGSTOP). `slow-loader`: now and then a load takes longer than the value's time to live. `flushall`: FLUSHALL, every 0.7 s. `foreign`: other programs write with `SET k` and `UNLINK k {k}:l`; for the strict keys they then wait as long as the strict call does. Each fault happens again and again, the last time across the last write.",
            "`control.naive`: a dictionary, Redis, and notices by Pub/Sub, under the same readers, writers and checker, who must find it out. `control.lease`: values stored under a lease, memory that answers for 500 ms and no longer, processes that are stopped and foreign writers; it keeps both promises by its shape, so the checker must find nothing (its first row counts the strict keys, its `worst` the fast ones). `control.foreign-del`: other programs send a bare `DEL k`; while k is absent nobody can see that, so a load that runs stores the old value. It is what the cache does not promise.",
        ]);
    }

    private static IEnumerable<Row> OfScenario(Scenario scenario, IReadOnlyList<Fleet> fleets)
    {
        var (fast, strict) = (Sum(fleets, Strength.Fast), Sum(fleets, Strength.Strict));
        foreach (var (strength, seen) in ((string, Observed)[])[("fast", fast), ("strict", strict)])
        {
            var name = $"{scenario.Name}.{strength}";
            yield return AtLeastOne($"{name}.reads", "reads", seen.Reads);
            yield return scenario.Name == "plain"
                ? Row.AtLeast($"{name}.memory", "%", FromMemory(seen), LeastFromMemory)
                : new Row($"{name}.memory", "%", FromMemory(seen));
            yield return strength == "strict" ? None($"{name}.stale", "reads", seen.Stale) : new Row($"{name}.stale", "reads", seen.Stale);
            yield return strength == "fast" ? Worst($"{name}.worst", seen) : new Row($"{name}.worst", "ms", seen.WorstMs);
            yield return None($"{name}.left", "pairs", seen.Left);
            yield return AtLeastOne($"{name}.writes", "writes", seen.Writes);
        }

        yield return new Row($"{scenario.Name}.unconfirmed", "calls", fast.Unconfirmed + strict.Unconfirmed);
        yield return None($"{scenario.Name}.failed", "calls", fast.Failed + strict.Failed);
    }

    private static IEnumerable<Row> OfControl(Scenario scenario, IReadOnlyList<Fleet> fleets)
    {
        var (fast, strict) = (Sum(fleets, Strength.Fast), Sum(fleets, Strength.Strict));
        var seen = new Observed();
        seen.Add(fast);
        seen.Add(strict);
        yield return scenario.Subject switch
        {
            Subject.Naive => AtLeastOne(scenario.Name, "stale reads", seen.Stale),
            Subject.Lease => None(scenario.Name, "stale reads", strict.Stale),
            _ => new Row(scenario.Name, "stale reads", seen.Stale),
        };
        yield return AtLeastOne($"{scenario.Name}.reads", "reads", seen.Reads);
        yield return new Row($"{scenario.Name}.memory", "%", FromMemory(seen));
        yield return scenario.Subject == Subject.Lease
            ? Worst($"{scenario.Name}.worst", fast)
            : new Row($"{scenario.Name}.worst", "ms", seen.WorstMs);
        var left = $"{scenario.Name}.left";
        yield return scenario.Subject switch
        {
            Subject.Naive when scenario.Faults is not null => AtLeastOne(left, "pairs", seen.Left),
            Subject.Lease => None(left, "pairs", seen.Left),
            _ => new Row(left, "pairs", seen.Left),
        };
    }

    private static Row AtLeastOne(string name, string unit, double value) => new(name, unit, value, Goal: "> 0", Pass: value > 0);

    private static Row None(string name, string unit, double value) => new(name, unit, value, Goal: "= 0", Pass: value == 0);

    private static Row Worst(string name, Observed seen) =>
        Row.AtMost(name, "ms", seen.WorstMs, OnggiSubject.MaxStaleness.TotalMilliseconds);

    private static double FromMemory(Observed seen) => seen.Reads == 0 ? 0 : 100.0 * seen.MemoryHits / seen.Reads;

    private static Observed Sum(IEnumerable<Fleet> fleets, Strength strength)
    {
        var sum = new Observed();
        foreach (var fleet in fleets)
            sum.Add(fleet.Sum(strength));
        return sum;
    }

    private static void Tell(Fleet fleet)
    {
        var (fast, strict) = (fleet.Sum(Strength.Fast), fleet.Sum(Strength.Strict));
        BenchRun.Say(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{fleet.Scenario.Name}, {fleet.Nodes} nodes: fast {Words(fast)}; strict {Words(strict)}"
            )
        );
        if (!fleet.Scenario.IsControl || fleet.Scenario.Subject == Subject.Lease)
            foreach (var example in fleet.Reports.SelectMany(report => report.Examples).Take(4))
                BenchRun.Say($"    {example}");
    }

    private static string Words(Observed seen) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{seen.Reads:#,0} reads ({FromMemory(seen):0} % memory), {seen.Writes} writes, {seen.Stale} stale, worst {seen.WorstMs:0.0} ms, {seen.Left} left, {seen.Unconfirmed} unconfirmed, {seen.Failed} failed"
        );
}
