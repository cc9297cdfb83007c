using Microsoft.Extensions.Logging;

namespace Onggi.Limits;

/// <summary>Knows whether Redis is worth asking, and says when policies begin to decide without it and when it answers again.</summary>
/// <remarks>Silence is what its caller's patience says: nothing at all for as long as a policy waits.</remarks>
internal sealed class LimitWatch(RedisSilence silence, ILogger logger)
{
    private long _decidedWithout;

    public bool MayAsk() => silence.MayAsk();

    /// <inheritdoc cref="RedisSilence.Heard"/>
    public long Heard => silence.Heard;

    public void Answered(string family)
    {
        silence.Answered();
        if (Volatile.Read(ref _decidedWithout) != 0 && Interlocked.Exchange(ref _decidedWithout, 0) is var count and > 0)
            LimitLog.AnswersAgain(logger, family, count);
    }

    /// <summary>A question has failed, or none was asked.</summary>
    /// <param name="terms">Whose policy decides.</param>
    /// <param name="reason">Why, in a sentence.</param>
    /// <param name="heard">What had been heard when the question left to which nothing came for as long as the policy waits; <c>null</c> for other failures.</param>
    public void DecidedWithout(LimitTerms terms, string reason, long? heard)
    {
        if (heard is { } before)
            silence.Waited(before);
        if (Interlocked.Increment(ref _decidedWithout) == 1)
            LimitLog.Failing(logger, terms.Family, reason, terms.Policy.FailMode);
    }
}
