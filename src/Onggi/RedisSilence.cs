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
    private long _heard;

    // When the next caller may try; 0 while Redis is not silent.
    private long _retryAt;

    /// <summary>Whether questions go unanswered.</summary>
    public bool IsSilent => Volatile.Read(ref _retryAt) != 0;

    /// <summary>Whether Redis is gone or silent, as far as is known.</summary>
    public bool IsAway => isKnownDown() || IsSilent;

    /// <summary>How much has been heard so far. A question remembers it as it leaves, and if it is still the same when the question has run out of time, nothing came meanwhile.</summary>
    /// <remarks>Not a time, which would be two looks at the clock per question.</remarks>
    public long Heard => Volatile.Read(ref _heard);

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
        // It must never go back: one who is held up between reading and writing it would make an old count come again, and answers that came would pass for none.
        Interlocked.Increment(ref _heard);
        if (IsSilent)
            Volatile.Write(ref _retryAt, 0);
    }

    /// <summary>A question failed; whether Redis is from now on taken to be silent, and was not before.</summary>
    /// <param name="failure">How.</param>
    /// <param name="heard">As it was when the question left.</param>
    public bool Failed(RedisException failure, long heard)
    {
        switch (failure)
        {
            case RedisServerException or RedisReplyException:
                Answered();
                return false;
            case RedisTimeoutException:
                return Waited(heard);
            case RedisConnectionException:
                // No longer a question of patience: the connection says by itself when it is back.
                Volatile.Write(ref _retryAt, 0);
                return false;
            default:
                return false;
        }
    }

    /// <summary>Nothing came to a question for as long as its caller waits; whether Redis is from now on taken to be silent, and was not before.</summary>
    /// <param name="heard">As it was when the question left.</param>
    public bool Waited(long heard) => Heard == heard && Interlocked.Exchange(ref _retryAt, time.GetTimestamp() + _pause) == 0;
}
