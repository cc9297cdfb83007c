namespace Onggi.Caching;

/// <summary>How a warm-up or a prefetch goes about its work.</summary>
public sealed class WarmOptions
{
    /// <summary>
    /// How many entries per second are dealt with at most, so that the source and Redis keep room for everybody else. Entries that prefetching finds in Redis count as well.
    /// </summary>
    /// <value>Default <c>null</c>: as fast as Redis takes them, at most 256 (or 4 MiB) on the wire at a time.</value>
    /// <exception cref="ArgumentOutOfRangeException">It is set to less than 1.</exception>
    public int? EntriesPerSecond
    {
        get;
        set
        {
            if (value is { } given)
                ArgumentOutOfRangeException.ThrowIfLessThan(given, 1);
            field = value;
        }
    }

    /// <summary>
    /// For prefetching: whether entries that are there are loaded anew too. Readers have the old value until the new one is stored, which is done under a lease:
    /// what is invalidated after it was read is not stored. So this is how to refresh entries whose source may change meanwhile.
    /// </summary>
    /// <value>Default <c>false</c>: only what is not there is loaded.</value>
    public bool Anew { get; set; }
}
