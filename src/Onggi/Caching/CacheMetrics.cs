using System.Diagnostics.Metrics;

namespace Onggi.Caching;

/// <summary>The meter <c>Onggi.Cache</c>.</summary>
/// <remarks>
/// Counts are observed from <see cref="CacheFamily"/>, so that a hit costs one increment whether anybody listens or not:
/// <c>onggi.cache.requests</c> (tags <c>onggi.family</c>, <c>onggi.outcome</c> = memory, redis, miss or error), <c>onggi.cache.loads</c>,
/// <c>onggi.cache.load.failures</c>, <c>onggi.cache.store.failures</c>, <c>onggi.cache.invalidations</c>, <c>onggi.cache.memory.entries</c>,
/// <c>onggi.cache.memory.bytes</c> (<c>By</c>), the histogram <c>onggi.cache.load.duration</c> (<c>s</c>); and of the proof: <c>onggi.cache.staleness</c>
/// (histogram, <c>s</c>), <c>onggi.cache.staleness.worst</c>, <c>onggi.cache.staleness.bound</c>, <c>onggi.cache.proof.age</c>, <c>onggi.cache.proven</c>,
/// <c>onggi.cache.generations</c>, <c>onggi.cache.leases</c>, <c>onggi.cache.fills.refused</c>, <c>onggi.cache.stale.served</c>, <c>onggi.cache.stale.beyond_bound</c>.
/// </remarks>
internal sealed class CacheMetrics
{
    private const string FamilyTag = "onggi.family";
    private const string OutcomeTag = "onggi.outcome";

    private readonly CacheFamilies _families;
    private readonly Histogram<double> _loadDuration;

    public CacheMetrics(
        IMeterFactory factory,
        CacheFamilies families,
        ProvenMemory memory,
        CoherenceLink link,
        LeaseKeeper leases,
        StalenessProbe probe,
        IClock clock
    )
    {
        _families = families;
        var meter = factory.Create("Onggi.Cache");
        meter.CreateObservableCounter("onggi.cache.requests", Requests, "{request}", "Reads of the cache, by what answered them.");
        meter.CreateObservableCounter(
            "onggi.cache.loads",
            () => PerFamily(static counts => counts.Loads),
            "{load}",
            "Values that loaders made."
        );
        meter.CreateObservableCounter(
            "onggi.cache.load.failures",
            () => PerFamily(static counts => counts.LoadFailures),
            "{load}",
            "Loads that ended with an exception."
        );
        meter.CreateObservableCounter(
            "onggi.cache.store.failures",
            () => PerFamily(static counts => counts.StoreFailures),
            "{value}",
            "Values that were not stored although they should have been."
        );
        meter.CreateObservableCounter(
            "onggi.cache.invalidations",
            () => PerFamily(static counts => counts.Invalidations),
            "{entry}",
            "Entries that were invalidated here, or that events told this process to drop."
        );
        meter.CreateObservableGauge("onggi.cache.memory.entries", () => memory.Count, "{entry}", "Entries in this process's memory.");
        meter.CreateObservableGauge("onggi.cache.memory.bytes", () => memory.Bytes, "By", "What they take; an estimate.");
        AddProof(meter, memory, link, leases, probe, clock);
        _loadDuration = meter.CreateHistogram(
            "onggi.cache.load.duration",
            "s",
            "How long loaders take.",
            tags: null,
            new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
            }
        );
    }

    private void AddProof(Meter meter, ProvenMemory memory, CoherenceLink link, LeaseKeeper leases, StalenessProbe probe, IClock clock)
    {
        meter.CreateObservableCounter(
            "onggi.cache.fills.refused",
            () => PerFamily(static counts => counts.RefusedFills),
            "{value}",
            "Loaded values that were not stored because the key was changed meanwhile."
        );
        meter.CreateObservableCounter(
            "onggi.cache.stale.served",
            () => PerFamily(static counts => counts.StaleServed),
            "{value}",
            "Values past their life that were served, as their grace allows."
        );
        meter.CreateObservableGauge(
            "onggi.cache.proven",
            () => memory.Proof is { } proof && clock.Now <= proof.Until ? 1 : 0,
            "{state}",
            "1 while memory may answer."
        );
        meter.CreateObservableGauge(
            "onggi.cache.proof.age",
            () =>
                memory.Proof is { } proof ? Math.Max(0, clock.Now - (proof.Until - link.BoundMs + clock.Resolution)) / 1000.0 : double.NaN,
            "s",
            "How long ago that question was asked whose answer lets memory serve."
        );
        meter.CreateObservableGauge("onggi.cache.staleness.bound", () => link.BoundMs / 1000.0, "s", "MaxStaleness in force.");
        meter.CreateObservableGauge(
            "onggi.cache.staleness.worst",
            () => probe.Worst.TotalSeconds,
            "s",
            "The longest that memory was seen with a value that Redis no longer had."
        );
        meter.CreateObservableCounter(
            "onggi.cache.stale.beyond_bound",
            () => probe.Broken,
            "{value}",
            "How often that was longer than the bound. Alarm above 0."
        );
        meter.CreateObservableCounter("onggi.cache.staleness.checks", () => probe.Checked, "{check}", "Entries compared with Redis.");
        meter.CreateObservableCounter("onggi.cache.generations", () => link.Generation, "{connection}", "Connections for tracked reads.");
        meter.CreateObservableGauge("onggi.cache.leases", () => leases.Count, "{lease}", "Rights to fill that this process holds.");
        var staleness = meter.CreateHistogram(
            "onggi.cache.staleness",
            "s",
            "For how long memory went on with a value that Redis no longer had, of those that were found in a sample.",
            tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] }
        );
        probe.Measured = age => staleness.Record(age.TotalSeconds);
    }

    public void Loaded(CacheFamily family, TimeSpan elapsed)
    {
        if (_loadDuration.Enabled)
            _loadDuration.Record(elapsed.TotalSeconds, new KeyValuePair<string, object?>(FamilyTag, family.Name));
    }

    private IEnumerable<Measurement<long>> Requests()
    {
        foreach (var family in _families.All)
        {
            var counts = family.Snapshot();
            yield return Outcome(counts.MemoryHits, family, "memory");
            yield return Outcome(counts.RedisHits, family, "redis");
            yield return Outcome(counts.Misses, family, "miss");
            yield return Outcome(counts.Errors, family, "error");
        }
    }

    private IEnumerable<Measurement<long>> PerFamily(Func<CacheStatistics, long> count)
    {
        foreach (var family in _families.All)
            yield return new Measurement<long>(count(family.Snapshot()), new KeyValuePair<string, object?>(FamilyTag, family.Name));
    }

    private static Measurement<long> Outcome(long count, CacheFamily family, string outcome) =>
        new(count, new KeyValuePair<string, object?>(FamilyTag, family.Name), new KeyValuePair<string, object?>(OutcomeTag, outcome));
}
