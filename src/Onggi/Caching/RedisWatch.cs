using Onggi.Client;

namespace Onggi.Caching;

/// <summary>Knows when asking Redis would only cost time: there is no connection, or it has answered nothing since a question ran out of time.</summary>
/// <remarks>
/// One slow answer among others that came does not count: only silence does. While it is silent, one caller per second asks and pays the
/// time-out; the others go on without Redis at once.
/// </remarks>
internal sealed class RedisWatch(ICacheStore store, TimeProvider time)
{
    private readonly long _pause = time.TimestampFrequency;
    private long _lastAnswer = long.MinValue;

    // When the next caller may try; 0 while Redis is not silent.
    private long _retryAt;

    public bool IsSilent => Volatile.Read(ref _retryAt) != 0;

    public bool MayAsk()
    {
        if (store.IsKnownDown)
            return false;
        var retryAt = Volatile.Read(ref _retryAt);
        if (retryAt == 0)
            return true;
        var now = time.GetTimestamp();
        return now >= retryAt && Interlocked.CompareExchange(ref _retryAt, now + _pause, retryAt) == retryAt;
    }

    /// <summary>An answer came, be it an error: Redis is alive.</summary>
    public void Answered()
    {
        Volatile.Write(ref _lastAnswer, time.GetTimestamp());
        if (IsSilent)
            Volatile.Write(ref _retryAt, 0);
    }

    /// <summary>A question that left at <paramref name="asked"/> failed; whether Redis is from now on taken to be silent.</summary>
    public bool Failed(RedisException error, long asked)
    {
        switch (error)
        {
            case RedisServerException or RedisReplyException:
                Answered();
                return false;
            case RedisTimeoutException when Volatile.Read(ref _lastAnswer) < asked:
                return Interlocked.Exchange(ref _retryAt, time.GetTimestamp() + _pause) == 0;
            case RedisConnectionException:
                // No longer a question of patience: the connection says by itself when it is back.
                Volatile.Write(ref _retryAt, 0);
                return false;
            default:
                return false;
        }
    }
}
