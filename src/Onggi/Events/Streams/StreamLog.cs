using Microsoft.Extensions.Logging;

namespace Onggi.Events.Streams;

/// <summary>What streams say, ids 7050 to 7079. Types, groups and ids only: payloads and metadata can be personal.</summary>
internal static partial class StreamLog
{
    [LoggerMessage(7050, LogLevel.Information, "Reading events of type {Type} for group {Group} as {Consumer}.")]
    public static partial void Reading(ILogger logger, string type, string group, string consumer);

    [LoggerMessage(
        7051,
        LogLevel.Warning,
        "Group {Group} of {Type} was not there (any more) and is made again, from the beginning of the stream: Redis was emptied, or the group dropped while it is in use."
    )]
    public static partial void GroupMadeAgain(ILogger logger, string type, string group);

    [LoggerMessage(
        7052,
        LogLevel.Error,
        "Redis refuses to let group {Group} read events of type {Type}: {Reason} They wait in the stream; it is tried again."
    )]
    public static partial void Refused(ILogger logger, string type, string group, string reason);

    [LoggerMessage(
        7053,
        LogLevel.Warning,
        "Events of type {Type} cannot be read for group {Group}: {Reason} They wait in the stream; it is tried again."
    )]
    public static partial void CannotRead(ILogger logger, string type, string group, string reason, Exception? exception);

    [LoggerMessage(
        7054,
        LogLevel.Warning,
        "A handler of group {Group} failed on event {Id} of type {Type}, attempt {Attempt}; it gets it again in {Delay}."
    )]
    public static partial void WillRetry(
        ILogger logger,
        string type,
        string group,
        string id,
        int attempt,
        TimeSpan delay,
        Exception? exception
    );

    [LoggerMessage(
        7055,
        LogLevel.Error,
        "Event {Id} of type {Type} is in the quarantine of group {Group}: {Reason}, after attempt {Attempt}. Nobody handles it until it is driven back."
    )]
    public static partial void Quarantined(
        ILogger logger,
        string type,
        string group,
        string id,
        string reason,
        int attempt,
        Exception? exception
    );

    [LoggerMessage(
        7056,
        LogLevel.Warning,
        "What became of event {Id} of type {Type} could not be said to Redis: {Reason} Group {Group} may get it again."
    )]
    public static partial void NotSettled(ILogger logger, string type, string group, string id, string reason);

    [LoggerMessage(
        7057,
        LogLevel.Warning,
        "Event {Id} of type {Type} is another process's of group {Group} now: this one was silent for too long. Its handler is told to stop."
    )]
    public static partial void TakenOver(ILogger logger, string type, string group, string id);

    [LoggerMessage(
        7058,
        LogLevel.Error,
        "{Count} events of type {Type} were removed from the stream before group {Group} had settled them. Nothing in Onggi does that: look for XTRIM, XDEL or MAXLEN elsewhere."
    )]
    public static partial void Gone(ILogger logger, string type, string group, long count);

    [LoggerMessage(
        7059,
        LogLevel.Warning,
        "Group {Group} has not settled an event of type {Type} for {Age}; {Pending} are in hand and {Waiting} wait. The stream keeps all since then. If the group is gone for good, drop it."
    )]
    public static partial void GroupLags(ILogger logger, string type, string group, TimeSpan age, long pending, long? waiting);

    [LoggerMessage(
        7060,
        LogLevel.Warning,
        "A handler of {Type} did not return within {Timeout} after it was cancelled; it is left behind."
    )]
    public static partial void HandlerLeftBehind(ILogger logger, string type, TimeSpan timeout);

    [LoggerMessage(7061, LogLevel.Warning, "Streams cannot be trimmed: {Reason} It is tried again.")]
    public static partial void CannotTrim(ILogger logger, string reason, Exception? exception);

    [LoggerMessage(
        7062,
        LogLevel.Warning,
        "Not reading events of type {Type} for group {Group} yet: Redis has not answered in time. It begins by itself when Redis does; they wait in the stream."
    )]
    public static partial void Waiting(ILogger logger, string type, string group);

    [LoggerMessage(7063, LogLevel.Information, "Group {Group} of {Type} begins again behind {Id}.")]
    public static partial void Replayed(ILogger logger, string type, string group, string id);

    [LoggerMessage(7064, LogLevel.Information, "{Count} events of type {Type} were driven back from the quarantine of group {Group}.")]
    public static partial void Redriven(ILogger logger, string type, string group, long count);

    [LoggerMessage(
        7065,
        LogLevel.Error,
        "A mistake in Onggi: event {Id} of type {Type} was neither handled nor given back; another process takes it over."
    )]
    public static partial void WorkFailed(ILogger logger, string type, string id, Exception exception);

    [LoggerMessage(7066, LogLevel.Error, "What a handler of {Type} has registered on its token has thrown, event {Id}.")]
    public static partial void StopFailed(ILogger logger, string type, string id, Exception exception);
}
