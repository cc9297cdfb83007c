using System.Diagnostics.CodeAnalysis;

namespace Onggi.Caching;

/// <summary>Milliseconds since some start; it never goes back. What is stamped and compared in memory is stamped and compared by one such clock.</summary>
internal interface IClock
{
    long Now { get; }

    /// <summary>By how many milliseconds <see cref="Now"/> may lag behind the truth. Whoever sets a bound takes it off that bound.</summary>
    long Resolution { get; }
}

/// <summary>The clock that costs least to read, a few nanoseconds: the tick of the system, 1 to 16 ms apart. It stands still while the machine is suspended.</summary>
internal sealed class CoarseClock : IClock
{
    public long Now
    {
        [SuppressMessage(
            "ApiDesign",
            "RS0030:Do not use banned APIs",
            Justification = "This is the injected clock; the one of TimeProvider costs as much as the rest of a hit."
        )]
        get => Environment.TickCount64;
    }

    // Windows ticks every 15.6 ms; Linux every 1 to 10 ms.
    public long Resolution => 16;
}

/// <summary>The clock of a test or a simulation.</summary>
internal sealed class TimeProviderClock(TimeProvider time) : IClock
{
    private readonly long _start = time.GetTimestamp();

    public long Now => (long)time.GetElapsedTime(_start).TotalMilliseconds;

    public long Resolution => 1;
}
