using Microsoft.Extensions.Logging;

namespace Onggi.Client.Diagnostics;

/// <summary>What the client tells its operator (ids 1000–1099).</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "Connected to {Product} {Version} at {Host}:{Port} for {Purpose}")]
    public static partial void Connected(ILogger logger, string host, int port, string product, Version version, string purpose);

    [LoggerMessage(
        1001,
        LogLevel.Warning,
        "Lost the connection to Redis at {Host}:{Port} for {Purpose}: {Reason} What waited on it has failed; connecting again"
    )]
    public static partial void Lost(ILogger logger, string host, int port, string purpose, string reason);

    [LoggerMessage(1002, LogLevel.Warning, "Attempt {Attempt} to connect to Redis at {Host}:{Port} failed: {Reason} Trying again")]
    public static partial void ConnectFailed(ILogger logger, string host, int port, int attempt, string reason);

    [LoggerMessage(1004, LogLevel.Error, "A handler of ConnectionChanged threw; the connection goes on")]
    public static partial void HandlerFailed(ILogger logger, Exception error);

    [LoggerMessage(1005, LogLevel.Error, "Checking time-outs failed; the next check follows")]
    public static partial void TickFailed(ILogger logger, Exception error);

    [LoggerMessage(1040, LogLevel.Error, "Asking the cluster who has which slot failed; it is asked again")]
    public static partial void MapFailed(ILogger logger, Exception error);

    [LoggerMessage(1003, LogLevel.Error, "Redis refused the subscription to {Channel}: {Reason} It is asked for again every 5 s")]
    public static partial void SubscriptionRefused(ILogger logger, string channel, string reason);

    [LoggerMessage(1010, LogLevel.Debug, "Authenticated the connection to Redis at {Server} anew as user '{User}'")]
    public static partial void Renewed(ILogger logger, RedisAddress server, string user);

    [LoggerMessage(
        1011,
        LogLevel.Warning,
        "Could not authenticate the connection to Redis at {Server} anew: {Reason} It goes on with the credentials that expire at {Expires:u}; trying again"
    )]
    public static partial void NotRenewed(ILogger logger, RedisAddress server, string reason, DateTimeOffset expires);

    [LoggerMessage(1020, LogLevel.Warning, "{Service} is at {Address} now; going there")]
    public static partial void PrimaryMoved(ILogger logger, string service, RedisAddress address);

    [LoggerMessage(
        1021,
        LogLevel.Warning,
        "The Sentinel at {Address} does not let us listen ({Reason}), so a failover is noticed only when the old master is silent or gone. Give its user the channels +switch-master, +slave, +sdown, -sdown, +slave-reconf-done and +sentinel"
    )]
    public static partial void SentinelSilent(ILogger logger, RedisAddress address, string reason);
}
