using System.Diagnostics.Metrics;

namespace Onggi.Caching;

/// <summary>The meter <c>Onggi.Cache</c>.</summary>
/// <remarks>
/// Counts are observed from <see cref="CacheFamily"/>, so that a hit costs one increment whether anybody listens or not:
/// <c>onggi.cache.requests</c> (tags <c>onggi.family</c>, <c>onggi.outcome</c> = memory, redis, miss or error), <c>onggi.cache.loads</c>,
/// <c>onggi.cache.load.failures</c>, <c>onggi.cache.store.failures</c>, <c>onggi.cache.invalidations</c>, <c>onggi.cache.memory.entries</c>,
/// <c>onggi.cache.memory.bytes</c> (<c>By</c>), and the histogram <c>onggi.cache.load.duration</c> (<c>s</c>).
/// </remarks>
internal sealed class CacheMetrics
{
    private const string FamilyTag = "onggi.family";
    private const string OutcomeTag = "onggi.outcome";

    private readonly CacheFamilies _families;
    private readonly Histogram<double> _loadDuration;

    public CacheMetrics(IMeterFactory factory, CacheFamilies families, ProvenMemory memory, CoherenceLink link, IClock clock)
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
