using Microsoft.Extensions.Options;

namespace Onggi.Caching;

/// <summary>How this process caches. What belongs to a family (times to live, invalidation) stands in the catalog.</summary>
public sealed class CacheOptions
{
    private readonly HashSet<Type> _immutable = [];

    /// <summary>Whether values that were read from Redis are also kept in this process's memory for a moment.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool Memory { get; set; } = true;

    /// <summary>How long memory may answer for Redis, counted from before Redis was asked. This is also the longest that a change may stay unseen when no event tells of it.</summary>
    /// <value>Default 1 s, which is the most.</value>
    public TimeSpan MemoryTtl { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How many entries memory holds at most; the oldest go first.</summary>
    /// <value>Default 100,000.</value>
    public int MemoryMaxEntries { get; set; } = 100_000;

    /// <summary>How many bytes the entries in memory take at most; the oldest go first. An estimate from the size of the JSON.</summary>
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
        if (options.MemoryTtl <= TimeSpan.Zero || options.MemoryTtl > TimeSpan.FromSeconds(1))
        {
            result.AddError(
                $"is {options.MemoryTtl}; it must be more than zero and at most 1 s, because that long a change may stay unseen. To keep nothing in memory set Memory to false.",
                nameof(CacheOptions.MemoryTtl)
            );
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
