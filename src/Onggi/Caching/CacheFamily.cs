using System.Collections.Concurrent;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>One family as the cache sees it: its rules from the catalog, and its counts.</summary>
internal sealed class CacheFamily(FamilySettings settings, FamilyPolicy policy, TimeProvider time)
{
    // A hit in memory takes some twenty nanoseconds; an interlocked increment would be a third of that, and far more where processors share it.
    private readonly StripedCount _memoryHits = new();
    private const double HitsFrom = 0.8;

    private object? _kind;
    private double _hitWeight;
    private volatile bool _hasChosenLives;
    private long _redisHits;
    private long _misses;
    private long _errors;
    private long _loads;
    private long _loadFailures;
    private long _storeFailures;
    private long _invalidations;
    private long _stale;
    private long _refusedFills;

    public FamilySettings Settings { get; } = settings;

    public string Name => Settings.Family.Name;

    /// <summary>How this process caches it.</summary>
    public FamilyPolicy Policy { get; } = policy;

    /// <summary>Whether values of the family may be kept in this process's memory.</summary>
    public bool KeepsInMemory => Policy.Memory;

    /// <summary>Whether a plain read finds the entry so often that it is cheaper than the script: the last reads of Redis, weighed.</summary>
    public bool MostlyHits => Volatile.Read(ref _hitWeight) >= HitsFrom;

    /// <summary>Whether a loader or a caller here has chosen a time to live: then what is left of one does not tell how much of it is over.</summary>
    public bool HasChosenLives
    {
        get => _hasChosenLives;
        set => _hasChosenLives = value;
    }

    /// <summary>Lets one complaint about unreadable values a second through.</summary>
    public LogThrottle Unreadable { get; } = new(time);

    /// <summary>What its entries with objects of this type have in common. One object as long as callers name the family by one.</summary>
    public EntryKind<T> KindOf<T>(KeyFamily keyFamily)
    {
        if (Volatile.Read(ref _kind) is EntryKind<T> known && ReferenceEquals(known.KeyFamily, keyFamily))
            return known;
        var made = new EntryKind<T>(this, keyFamily);
        Volatile.Write(ref _kind, made);
        return made;
    }

    public void CountMemoryHit() => _memoryHits.Increment();

    public void CountRedisHit()
    {
        Interlocked.Increment(ref _redisHits);
        Weigh(1);
    }

    public void CountMiss()
    {
        Interlocked.Increment(ref _misses);
        Weigh(0);
    }

    // A moving average over the last sixty reads or so. Two that count at once may lose one: it is only a weight.
    private void Weigh(int hit)
    {
        var weight = Volatile.Read(ref _hitWeight);
        Volatile.Write(ref _hitWeight, weight + ((hit - weight) / 64));
    }

    public void CountError() => Interlocked.Increment(ref _errors);

    public void CountLoad() => Interlocked.Increment(ref _loads);

    public void CountLoadFailure() => Interlocked.Increment(ref _loadFailures);

    public void CountStoreFailure() => Interlocked.Increment(ref _storeFailures);

    public void CountStale() => Interlocked.Increment(ref _stale);

    public void CountRefusedFill() => Interlocked.Increment(ref _refusedFills);

    public void CountInvalidation() => Interlocked.Increment(ref _invalidations);

    public CacheStatistics Snapshot() =>
        new()
        {
            MemoryHits = _memoryHits.Sum,
            RedisHits = Volatile.Read(ref _redisHits),
            Misses = Volatile.Read(ref _misses),
            Errors = Volatile.Read(ref _errors),
            Loads = Volatile.Read(ref _loads),
            LoadFailures = Volatile.Read(ref _loadFailures),
            StoreFailures = Volatile.Read(ref _storeFailures),
            Invalidations = Volatile.Read(ref _invalidations),
            StaleServed = Volatile.Read(ref _stale),
            RefusedFills = Volatile.Read(ref _refusedFills),
        };
}

/// <summary>The families that were used so far.</summary>
internal sealed class CacheFamilies(Keyspace keyspace, CacheOptions options, TimeProvider time)
{
    private readonly ConcurrentDictionary<KeyFamily, CacheFamily> _families = new();

    public ICollection<CacheFamily> All => _families.Values;

    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    public CacheFamily Of(string name) =>
        keyspace.Families.FirstOrDefault(settings => settings.Family.Name == name) is { } known
            ? Of(known.Family)
            : throw new KeyNotFoundException(
                $"The catalog has no family \"{name}\"; it has {string.Join(", ", keyspace.Families.Select(static settings => settings.Family.Name))}."
            );

    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    public CacheFamily Of(KeyFamily family) =>
        _families.TryGetValue(family, out var known)
            ? known
            : _families.GetOrAdd(
                family,
                static (key, own) => new CacheFamily(own.Keyspace.SettingsOf(key), new FamilyPolicy(own.Options, key.Name), own.Time),
                (Keyspace: keyspace, Options: options, Time: time)
            );
}

/// <summary>A key with all that is needed to ask Redis for it. Made only when memory has no answer.</summary>
/// <param name="Key">The key as the caller gave it.</param>
/// <param name="WireName">Its name in Redis.</param>
/// <param name="Family">Its family's rules and counts.</param>
/// <param name="Codec">How its value becomes JSON and back.</param>
/// <typeparam name="T">The type of the value.</typeparam>
internal readonly record struct CacheEntry<T>(CacheKey<T> Key, string WireName, CacheFamily Family, CacheCodec<T> Codec);
