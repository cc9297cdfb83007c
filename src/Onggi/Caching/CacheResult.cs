namespace Onggi.Caching;

/// <summary>What a read of the cache found, and where. The default is a miss.</summary>
/// <typeparam name="T">The type of the value.</typeparam>
public readonly record struct CacheResult<T>
{
    internal CacheResult(T? value, CacheTier tier, bool isStale = false)
    {
        IsStale = isStale;
        Found = true;
        Value = value;
        Tier = tier;
    }

    /// <summary>Whether there is an answer: a value, or the stored knowledge that the thing does not exist (JSON <c>null</c>).</summary>
    public bool Found { get; }

    /// <summary>The value; <c>null</c> after a miss, and when the answer is "does not exist".</summary>
    public T? Value { get; }

    /// <summary>Where the answer came from; <see cref="CacheTier.None"/> after a miss.</summary>
    public CacheTier Tier { get; }

    /// <summary>Whether the value is past its life, and is served because the family's grace allows it. It was not invalidated.</summary>
    public bool IsStale { get; }

    /// <summary>Whether there is a value: an answer that is not "does not exist".</summary>
    public bool HasValue => Found && Value is not null;
}
