using Microsoft.Extensions.Logging;

namespace Onggi.Tokens;

/// <summary>Says that tokens are taken unasked while Redis is away, once a minute.</summary>
internal sealed class TokenWatch(TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan OneLine = TimeSpan.FromMinutes(1);

    private long _lastLine = long.MinValue;

    /// <summary>A token is taken unasked.</summary>
    public void SayUnconfirmed(string reason)
    {
        var now = time.GetTimestamp();
        var last = Interlocked.Read(ref _lastLine);
        if (
            (last == long.MinValue || time.GetElapsedTime(last, now) > OneLine)
            && Interlocked.CompareExchange(ref _lastLine, now, last) == last
        )
            TokensLog.Unconfirmed(logger, reason);
    }
}
