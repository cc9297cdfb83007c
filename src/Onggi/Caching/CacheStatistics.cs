namespace Onggi.Caching;

/// <summary>Counts since this process started, of one family or of all. The same numbers are on the meter <c>Onggi.Cache</c>.</summary>
public sealed record CacheStatistics
{
    /// <summary>Reads that memory answered.</summary>
    public long MemoryHits { get; init; }

    /// <summary>Reads that Redis answered.</summary>
    public long RedisHits { get; init; }

    /// <summary>Reads for which Redis had no usable value.</summary>
    public long Misses { get; init; }

    /// <summary>Reads for which Redis could not be asked.</summary>
    public long Errors { get; init; }

    /// <summary>Values that loaders made; one batch load counts each of its keys.</summary>
    public long Loads { get; init; }

    /// <summary>Loads that ended with an exception; one batch load counts each of its keys.</summary>
    public long LoadFailures { get; init; }

    /// <summary>Values that were not stored although they should have been: Redis refused or was away, or they were too large or not JSON.</summary>
    public long StoreFailures { get; init; }

    /// <summary>Values past their life that were served because a loader failed, was slow, or was not waited for.</summary>
    public long StaleServed { get; init; }

    /// <summary>Loaded values that were not stored because the key was invalidated or written while the loader ran.</summary>
    public long RefusedFills { get; init; }

    /// <summary>Entries that were invalidated by this process, or that events told it to drop.</summary>
    public long Invalidations { get; init; }

    /// <summary>Entries in memory now, of all families.</summary>
    public long MemoryEntries { get; init; }

    /// <summary>What the entries in memory take now, of all families, in bytes; an estimate.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>All reads.</summary>
    public long Reads => MemoryHits + RedisHits + Misses + Errors;

    /// <summary>The part of the reads that memory or Redis answered, 0 to 1; 0 while nothing was read.</summary>
    public double HitRatio => Reads == 0 ? 0 : (double)(MemoryHits + RedisHits) / Reads;

    internal CacheStatistics Plus(CacheStatistics other) =>
        new()
        {
            MemoryHits = MemoryHits + other.MemoryHits,
            RedisHits = RedisHits + other.RedisHits,
            Misses = Misses + other.Misses,
            Errors = Errors + other.Errors,
            Loads = Loads + other.Loads,
            LoadFailures = LoadFailures + other.LoadFailures,
            StoreFailures = StoreFailures + other.StoreFailures,
            Invalidations = Invalidations + other.Invalidations,
            StaleServed = StaleServed + other.StaleServed,
            RefusedFills = RefusedFills + other.RefusedFills,
        };
}
