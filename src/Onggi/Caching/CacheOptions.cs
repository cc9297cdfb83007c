using Microsoft.Extensions.Options;

namespace Onggi.Caching;

/// <summary>How this process caches. What belongs to a family (times to live, invalidation) stands in the catalog.</summary>
public sealed class CacheOptions
{
    private readonly HashSet<Type> _immutable = [];

    /// <summary>Whether values that were read from Redis are also kept in this process's memory, as long as it is proven that Redis has not changed them.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool Memory { get; set; } = true;

    /// <summary>How long memory may answer without having heard from Redis: the longest that a change may stay unseen, whatever fails.</summary>
    /// <remarks>The fleet agrees on the largest that any of its processes asks for; a strict invalidation waits for that long.</remarks>
    /// <value>Default 500 ms; from 100 ms to 10 s.</value>
    public TimeSpan MaxStaleness { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>By which clock memory tells how long ago it has heard.</summary>
    /// <remarks>
    /// <see cref="CacheClock.Boottime"/> is for machines that are suspended while they work: laptops, virtual machines that are snapshotted or moved. It is Linux's: elsewhere
    /// the host does not start with it, and says so. No clock helps where a hypervisor stops all clocks of the guest.
    /// </remarks>
    /// <value>Default <see cref="CacheClock.Tick"/>, as every hit reads it.</value>
    public CacheClock Clock { get; set; }

    /// <summary>By how much the clocks of two Redis servers may differ. Families with <see cref="FailoverSafety.Strict"/> take what was written so shortly after a failover for older.</summary>
    /// <value>Default 2 s.</value>
    public TimeSpan ClockSkew { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How many entries of memory are compared with Redis per second, to measure how old memory's answers really are (<c>onggi.cache.staleness</c>). 0 for none.</summary>
    /// <value>Default 5; at most 1,000.</value>
    public int StalenessSamplesPerSecond { get; set; } = 5;

    /// <summary>How long memory keeps a value at most. It ends with the value's life in Redis in any case, and at once when the value is changed.</summary>
    /// <value>Default 10 minutes.</value>
    public TimeSpan MemoryTtl { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>What holds for families that say nothing else.</summary>
    public CacheFamilyOptions Defaults { get; } = new();

    /// <summary>What holds for single families, by their names in the catalog.</summary>
    public IDictionary<string, CacheFamilyOptions> Families { get; } = new Dictionary<string, CacheFamilyOptions>(StringComparer.Ordinal);

    /// <summary>How many entries memory holds at most; those that are not asked for go first.</summary>
    /// <value>Default 100,000.</value>
    public int MemoryMaxEntries { get; set; } = 100_000;

    /// <summary>How many bytes the entries in memory take at most; those that are not asked for go first. An estimate from the size of the JSON.</summary>
    /// <value>Default 64 MiB.</value>
    public long MemoryMaxBytes { get; set; } = 64L << 20;

    /// <summary>The largest JSON, in bytes, that memory keeps; larger ones are read from Redis each time.</summary>
    /// <value>Default 256 KiB.</value>
    public int MemoryMaxValueBytes { get; set; } = 256 << 10;

    /// <summary>
    /// The largest JSON, in bytes, that goes into Redis or is taken from it. A larger value is an <see cref="ArgumentException"/> when it is
    /// set, is returned but not stored when a loader makes it, and is a miss when it stands in Redis.
    /// </summary>
    /// <value>Default 8 MiB.</value>
    public int MaxValueBytes { get; set; } = 8 << 20;

    /// <summary>
    /// Says that nobody changes values of <typeparamref name="T"/> after they were made, so that all callers may be given the same object
    /// from memory. Types that are not known to be immutable are made anew from their JSON for each caller.
    /// </summary>
    /// <remarks>
    /// Known without this: <c>string</c>, the simple value types, enums, types marked <c>[ImmutableObject(true)]</c>, and of the catalog's
    /// value types those whose structure shows it (sealed, with members that nobody can set, of such types): the generator finds them.
    /// </remarks>
    /// <typeparam name="T">The type as the cache key names it.</typeparam>
    /// <returns>These options, to go on.</returns>
    public CacheOptions TreatAsImmutable<T>()
    {
        _immutable.Add(typeof(T));
        return this;
    }

    /// <summary>Sets what holds for one family.</summary>
    /// <param name="name">The family's name in the catalog; a name that it does not have fails the start.</param>
    /// <param name="configure">Sets it.</param>
    /// <returns>These options, to go on.</returns>
    public CacheOptions ForFamily(string name, Action<CacheFamilyOptions> configure)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        if (!Families.TryGetValue(name, out var family))
            Families[name] = family = new CacheFamilyOptions();
        configure(family);
        return this;
    }

    internal bool IsDeclaredImmutable(Type type) => _immutable.Contains(type);
}

/// <summary>Checks <see cref="CacheOptions"/> when the host starts.</summary>
internal sealed class CacheOptionsValidator : IValidateOptions<CacheOptions>
{
    public ValidateOptionsResult Validate(string? name, CacheOptions options)
    {
        var result = new ValidateOptionsResultBuilder();
        Check(options, result);
        return result.Build();
    }

    /// <summary>The same checks, for options that hold these as a part.</summary>
    public static void Check(CacheOptions options, ValidateOptionsResultBuilder result)
    {
        if (options.MemoryTtl <= TimeSpan.Zero)
            result.AddError(
                $"is {options.MemoryTtl}; it must be more than zero. To keep nothing in memory set Memory to false.",
                nameof(CacheOptions.MemoryTtl)
            );
        if (options.MaxStaleness < TimeSpan.FromMilliseconds(100) || options.MaxStaleness > TimeSpan.FromSeconds(10))
        {
            result.AddError(
                $"is {options.MaxStaleness}; it must be from 100 ms to 10 s. Shorter ones would be lost to every pause of a process, longer ones make strict invalidations wait as long.",
                nameof(CacheOptions.MaxStaleness)
            );
        }

        if (!Enum.IsDefined(options.Clock))
            result.AddError(
                $"is {(int)options.Clock}, which is no clock. Take {nameof(CacheClock.Tick)}, the default.",
                nameof(CacheOptions.Clock)
            );
        else if (options.Clock == CacheClock.Boottime && BootClock.WhyNot() is { } reason)
            result.AddError(
                $"is {nameof(CacheClock.Boottime)}, and {reason} Take {nameof(CacheClock.Tick)}, the default.",
                nameof(CacheOptions.Clock)
            );
        if (options.StalenessSamplesPerSecond is < 0 or > 1_000)
            result.AddError("must be from 0, for none, to 1,000.", nameof(CacheOptions.StalenessSamplesPerSecond));
        foreach (var mistake in options.Defaults.Mistakes(nameof(CacheOptions.Defaults), options.Defaults))
            result.AddError(mistake);
        foreach (var (name, family) in options.Families)
        {
            foreach (var mistake in family.Mistakes($"{nameof(CacheOptions.Families)}[\"{name}\"]", options.Defaults))
                result.AddError(mistake);
        }

        if (options.MemoryMaxEntries < 1)
            result.AddError("must be at least 1. To keep nothing in memory set Memory to false.", nameof(CacheOptions.MemoryMaxEntries));
        if (options.MemoryMaxBytes < 1)
            result.AddError("must be at least 1. To keep nothing in memory set Memory to false.", nameof(CacheOptions.MemoryMaxBytes));
        if (options.MemoryMaxValueBytes < 1 || options.MemoryMaxValueBytes > options.MemoryMaxBytes)
        {
            result.AddError(
                $"is {options.MemoryMaxValueBytes}; it must be at least 1 and at most MemoryMaxBytes ({options.MemoryMaxBytes}), or one value would push out all others.",
                nameof(CacheOptions.MemoryMaxValueBytes)
            );
        }

        if (options.MaxValueBytes is < 16 or > 512 << 20)
        {
            result.AddError(
                $"is {options.MaxValueBytes}; it must be from 16 bytes to 512 MiB, the most that Redis takes.",
                nameof(CacheOptions.MaxValueBytes)
            );
        }
    }
}
