using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Tokens;

/// <summary>Where tokens are taken unasked while Redis is away: knows when asking would only cost time, and says it once a minute.</summary>
/// <remarks>One slow answer among others that came does not count, only silence does. While it is silent one caller a second asks, and pays the time-out.</remarks>
internal sealed class TokenWatch(RedisClient redis, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan OneLine = TimeSpan.FromMinutes(1);

    private readonly long _pause = time.TimestampFrequency;
    private long _lastAnswer = long.MinValue;
    private long _lastLine = long.MinValue;

    // When the next caller may try; 0 while Redis is not silent.
    private long _retryAt;

    /// <summary>Whether Redis is gone or silent, as far as is known.</summary>
    public bool IsAway => redis.IsKnownDown || Volatile.Read(ref _retryAt) != 0;

    public long Now => time.GetTimestamp();

    public bool MayAsk()
    {
        if (redis.IsKnownDown)
            return false;
        var retryAt = Volatile.Read(ref _retryAt);
        return retryAt == 0
            || (Now is var now && now >= retryAt && Interlocked.CompareExchange(ref _retryAt, now + _pause, retryAt) == retryAt);
    }

    public void Answered()
    {
        Volatile.Write(ref _lastAnswer, Now);
        if (Volatile.Read(ref _retryAt) != 0)
            Volatile.Write(ref _retryAt, 0);
    }

    /// <summary>A question that left at <paramref name="asked"/> failed.</summary>
    public void Failed(RedisException failure, long asked)
    {
        if (failure is RedisServerException or RedisReplyException)
            Answered();
        else if (failure is RedisTimeoutException && Volatile.Read(ref _lastAnswer) < asked)
            Volatile.Write(ref _retryAt, Now + _pause);
    }

    /// <summary>A token is taken unasked.</summary>
    public void SayUnconfirmed(string reason)
    {
        var now = Now;
        var last = Interlocked.Read(ref _lastLine);
        if (
            (last == long.MinValue || time.GetElapsedTime(last, now) > OneLine)
            && Interlocked.CompareExchange(ref _lastLine, now, last) == last
        )
            TokensLog.Unconfirmed(logger, reason);
    }
}
