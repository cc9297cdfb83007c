namespace Onggi.Caching;

/// <summary>By which clock memory tells how long ago it has heard from Redis.</summary>
public enum CacheClock
{
    /// <summary>The system's tick: it costs least to read, some nanoseconds. On Linux it stands still while the machine is suspended, so memory may answer for one <see cref="CacheOptions.MaxStaleness"/> after that.</summary>
    Tick,

    /// <summary>Linux's <c>CLOCK_BOOTTIME</c>, which goes on while the machine is suspended. A hit in memory costs some twenty nanoseconds more.</summary>
    Boottime,
}
