namespace Onggi.Caching;

/// <summary>Where a value came from.</summary>
public enum CacheTier
{
    /// <summary>From nowhere: there is no entry, or Redis could not be asked.</summary>
    None,

    /// <summary>This process's own memory: no round trip.</summary>
    Memory,

    /// <summary>Redis: one round trip.</summary>
    Redis,

    /// <summary>The loader: the source behind the cache was asked.</summary>
    Loader,
}
