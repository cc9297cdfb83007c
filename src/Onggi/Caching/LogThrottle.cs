namespace Onggi.Caching;

/// <summary>Lets one line a second through, so that an outage fills no disk, and counts the rest.</summary>
internal sealed class LogThrottle(TimeProvider time)
{
    private readonly long _pause = time.TimestampFrequency;
    private long _next = long.MinValue;
    private long _suppressed;

    /// <summary>Whether to write now; <paramref name="suppressed"/> is how many were not written since the last one.</summary>
    public bool MayLog(out long suppressed)
    {
        suppressed = 0;
        var now = time.GetTimestamp();
        var next = Volatile.Read(ref _next);
        if (now < next || Interlocked.CompareExchange(ref _next, now + _pause, next) != next)
        {
            Interlocked.Increment(ref _suppressed);
            return false;
        }

        suppressed = Interlocked.Exchange(ref _suppressed, 0);
        return true;
    }
}
