using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Limits;

/// <summary>Knows when asking Redis would only cost time: there is no connection, or it has answered nothing for as long as a policy waits. Then one caller in a second asks, and pays for it.</summary>
/// <remarks>One slow answer among others that came does not count: only silence does, or a single script that takes long would turn every limit over to its policy's part.</remarks>
internal sealed class LimitWatch(RedisClient redis, TimeProvider time, ILogger logger)
{
    private readonly long _pause = time.TimestampFrequency;

    // When the next caller may try; 0 while all is well.
    private long _retryAt;
    private long _lastAnswer = long.MinValue;
    private long _decidedWithout;

    public bool MayAsk()
    {
        if (redis.IsKnownDown)
            return false;
        var retryAt = Volatile.Read(ref _retryAt);
        if (retryAt == 0)
            return true;
        var now = time.GetTimestamp();
        return now >= retryAt && Interlocked.CompareExchange(ref _retryAt, now + _pause, retryAt) == retryAt;
    }

    public void Answered(string family)
    {
        Volatile.Write(ref _lastAnswer, time.GetTimestamp());
        if (Volatile.Read(ref _retryAt) == 0 && Volatile.Read(ref _decidedWithout) == 0)
            return;
        Volatile.Write(ref _retryAt, 0);
        if (Interlocked.Exchange(ref _decidedWithout, 0) is var count and > 0)
            LimitLog.AnswersAgain(logger, family, count);
    }

    /// <summary>A question has failed, or none was asked.</summary>
    /// <param name="terms">Whose policy decides.</param>
    /// <param name="reason">Why, in a sentence.</param>
    /// <param name="hungSince">When the question left to which nothing came for as long as the policy waits; <c>null</c> for other failures.</param>
    public void DecidedWithout(LimitTerms terms, string reason, long? hungSince)
    {
        if (hungSince is { } asked && Volatile.Read(ref _lastAnswer) < asked)
            Volatile.Write(ref _retryAt, time.GetTimestamp() + _pause);
        if (Interlocked.Increment(ref _decidedWithout) == 1)
            LimitLog.Failing(logger, terms.Family, reason, terms.Policy.FailMode);
    }
}
