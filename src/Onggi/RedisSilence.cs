using Onggi.Client;

namespace Onggi;

/// <summary>Knows when asking Redis would only cost time: there is no connection, or it has answered nothing since a question ran out of time.</summary>
/// <remarks>
/// One slow answer among others that came does not count: only silence does, or a single script that takes long would turn everybody away. While it is silent one caller in a second asks, and pays the time-out; the
/// others go on without Redis at once. What they do then is each feature's own.
/// </remarks>
/// <param name="isKnownDown">Whether there is no connection, as far as is known.</param>
/// <param name="time">Measures the second.</param>
internal sealed class RedisSilence(Func<bool> isKnownDown, TimeProvider time)
{
    private readonly long _pause = time.TimestampFrequency;
    private long _lastAnswer = long.MinValue;

    // When the next caller may try; 0 while Redis is not silent.
    private long _retryAt;

    /// <summary>Whether questions go unanswered.</summary>
    public bool IsSilent => Volatile.Read(ref _retryAt) != 0;

    /// <summary>Whether Redis is gone or silent, as far as is known.</summary>
    public bool IsAway => isKnownDown() || IsSilent;

    /// <summary>When a question leaves that is asked now.</summary>
    public long Now => time.GetTimestamp();

    /// <summary>Whether this caller may ask; of those who come while Redis is silent it is one in a second.</summary>
    public bool MayAsk()
    {
        if (isKnownDown())
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

    /// <summary>A question failed; whether Redis is from now on taken to be silent, and was not before.</summary>
    /// <param name="failure">How.</param>
    /// <param name="asked">When it left.</param>
    public bool Failed(RedisException failure, long asked)
    {
        switch (failure)
        {
            case RedisServerException or RedisReplyException:
                Answered();
                return false;
            case RedisTimeoutException:
                return Waited(asked);
            case RedisConnectionException:
                // No longer a question of patience: the connection says by itself when it is back.
                Volatile.Write(ref _retryAt, 0);
                return false;
            default:
                return false;
        }
    }

    /// <summary>Nothing came to a question for as long as its caller waits; whether Redis is from now on taken to be silent, and was not before.</summary>
    /// <param name="asked">When it left.</param>
    public bool Waited(long asked) =>
        Volatile.Read(ref _lastAnswer) < asked && Interlocked.Exchange(ref _retryAt, time.GetTimestamp() + _pause) == 0;
}
