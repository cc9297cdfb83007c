using Microsoft.Extensions.Logging;

namespace Onggi.Client.Diagnostics;

/// <summary>What the client tells its operator (ids 1000–1099).</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "Connected to {Product} {Version} at {Host}:{Port}")]
    public static partial void Connected(ILogger logger, string host, int port, string product, Version version);

    [LoggerMessage(
        1001,
        LogLevel.Warning,
        "Lost the connection to Redis at {Host}:{Port}: {Reason} Commands that waited have failed; connecting again"
    )]
    public static partial void Lost(ILogger logger, string host, int port, string reason);

    [LoggerMessage(1002, LogLevel.Warning, "Attempt {Attempt} to connect to Redis at {Host}:{Port} failed: {Reason} Trying again")]
    public static partial void ConnectFailed(ILogger logger, string host, int port, int attempt, string reason);

    [LoggerMessage(1003, LogLevel.Error, "Redis refused the subscription to {Channel}: {Reason} Nothing will be heard from it")]
    public static partial void SubscriptionRefused(ILogger logger, string channel, string reason);
}
