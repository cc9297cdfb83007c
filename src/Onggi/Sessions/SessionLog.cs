using Microsoft.Extensions.Logging;

namespace Onggi.Sessions;

/// <summary>What sessions say, ids 6000 to 6099. Handles only: ids are secrets, users are personal.</summary>
internal static partial class SessionLog
{
    [LoggerMessage(
        6000,
        LogLevel.Warning,
        "{Count} session events could not be published: {Reason} They stand in Redis and are published again, marked as repeats."
    )]
    public static partial void NotPublished(ILogger logger, int count, string reason, Exception? exception);

    [LoggerMessage(
        6001,
        LogLevel.Warning,
        "Sessions past their deadline are not looked for: {Reason} They are dead all the same; that they ended is told when Redis answers again."
    )]
    public static partial void SweepFails(ILogger logger, string reason, Exception? exception);

    [LoggerMessage(6002, LogLevel.Information, "Sessions past their deadline are looked for again.")]
    public static partial void SweepsAgain(ILogger logger);

    [LoggerMessage(
        6003,
        LogLevel.Warning,
        "{Count} sessions that this process had ended were alive again, and are ended once more: a failover had lost it. See SessionOptions.Replicas."
    )]
    public static partial void CameBack(ILogger logger, int count);

    [LoggerMessage(
        6004,
        LogLevel.Warning,
        "{Count} revocations could not be made or asserted again: {Reason} It is tried until it succeeds."
    )]
    public static partial void NotRepeated(ILogger logger, int count, string reason);

    [LoggerMessage(6005, LogLevel.Debug, "Session {Handle} began.")]
    public static partial void Created(ILogger logger, string handle);

    [LoggerMessage(6006, LogLevel.Information, "A login was refused: its user has {Live} sessions, as many as there may be.")]
    public static partial void Rejected(ILogger logger, int live);

    [LoggerMessage(
        6007,
        LogLevel.Warning,
        "Session {Handle} is changed, but only {Replicas} of {Wanted} replicas have confirmed it in time: a failover now could lose it."
    )]
    public static partial void NotReplicated(ILogger logger, string handle, int replicas, int wanted);

    [LoggerMessage(6008, LogLevel.Information, "{Count} revocations that had failed are made.")]
    public static partial void EndedLate(ILogger logger, int count);

    [LoggerMessage(
        6009,
        LogLevel.Warning,
        "More than {Capacity} ended sessions are to be remembered; the oldest are forgotten: a failover could bring them back, and what failed of them is tried no more."
    )]
    public static partial void RemembersTooLittle(ILogger logger, int capacity);
}
