using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Client;

namespace Onggi.AspNetCore.Authentication;

/// <summary>Says that callers cannot be known because Redis cannot be asked: once a second, however many callers there are.</summary>
internal sealed partial class BearerOutages(ILogger<BearerOutages> logger, TimeProvider time)
{
    private readonly LogThrottle _throttle = new(time);

    public void Tell(RedisException failure)
    {
        if (_throttle.MayLog(out var suppressed))
            LogUnknown(logger, failure.Message, suppressed);
    }

    [LoggerMessage(
        8300,
        LogLevel.Warning,
        "It could not be asked whether a caller is still signed in: {Reason} ({Suppressed} more since the last such line.)"
    )]
    private static partial void LogUnknown(ILogger logger, string reason, long suppressed);
}
