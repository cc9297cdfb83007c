using Microsoft.Extensions.Logging;

namespace Onggi.Events;

/// <summary>What the event bus says, ids 7000 to 7099. Types and ids only: payloads and metadata can be personal.</summary>
internal static partial class EventsLog
{
    [LoggerMessage(7000, LogLevel.Information, "Listening to events of type {Type} on channel {Channel}.")]
    public static partial void FeedOpened(ILogger logger, string type, string channel);

    [LoggerMessage(
        7001,
        LogLevel.Warning,
        "Not listening to events of type {Type} yet: Redis has not confirmed it in time. It begins by itself when Redis does; until then such events do not arrive here."
    )]
    public static partial void FeedWaiting(ILogger logger, string type);

    [LoggerMessage(7011, LogLevel.Error, "Reading events of type {Type} failed; trying again in a moment.")]
    public static partial void FeedFailed(ILogger logger, string type, Exception exception);

    [LoggerMessage(
        7002,
        LogLevel.Error,
        "Redis refuses to let us listen to events of type {Type} on channel {Channel}: {Reason} Give this user the channel (ACL SETUSER … &{Channel}); until then copies in memory are not dropped by such events."
    )]
    public static partial void FeedRefused(ILogger logger, string type, string channel, string reason);

    [LoggerMessage(
        7003,
        LogLevel.Warning,
        "Events of type {Type}, perhaps of others too, can have been missed: the link to Redis was lost and is back, or this process read too slowly. What was kept in memory on their word is dropped."
    )]
    public static partial void Interrupted(ILogger logger, string type);

    [LoggerMessage(7004, LogLevel.Warning, "Dropped an event that arrived on the channel of {Type}: {Problem}. Correct its publisher.")]
    public static partial void Unreadable(ILogger logger, string type, string problem);

    [LoggerMessage(
        7005,
        LogLevel.Error,
        "The payload of event {Id} of type {Type} from {Source} is not what a handler reads ({Payload}): the handler did not get it. Publisher and subscriber must agree on the payload in the catalog."
    )]
    public static partial void PayloadUnreadable(
        ILogger logger,
        string type,
        string id,
        string source,
        string payload,
        Exception exception
    );

    [LoggerMessage(7006, LogLevel.Error, "A handler failed on event {Id} of type {Type}; it will not get this event again.")]
    public static partial void HandlerFailed(ILogger logger, string type, string id, Exception exception);

    [LoggerMessage(
        7007,
        LogLevel.Warning,
        "A handler of {Handles} does not keep up: its queue of {Length} is full. What does not fit, {Dropped} events so far, is read from Redis when its turn comes, if Redis still has it then; events of programs without Onggi are lost."
    )]
    public static partial void HandlerTooSlow(ILogger logger, string handles, int length, long dropped);

    [LoggerMessage(
        7008,
        LogLevel.Warning,
        "A handler of {Handles} did not return within {Timeout} after it was cancelled; it is left behind."
    )]
    public static partial void HandlerLeftBehind(ILogger logger, string handles, TimeSpan timeout);

    [LoggerMessage(
        7009,
        LogLevel.Error,
        "A feature of Onggi failed on event {Id} of type {Type}. This is a mistake in Onggi; other features and handlers got the event."
    )]
    public static partial void FeatureFailed(ILogger logger, string type, string id, Exception exception);

    [LoggerMessage(7010, LogLevel.Warning, "The notice {Type} was not published: {Reason} What it tells of has happened all the same.")]
    public static partial void NoticeNotPublished(ILogger logger, string type, string reason);

    [LoggerMessage(
        7012,
        LogLevel.Warning,
        "A handler of {Type} has missed events that Redis does not have for it any more: from {From} to {To} ({Reason})."
    )]
    public static partial void Gap(ILogger logger, string type, long from, long? to, string reason);

    [LoggerMessage(
        7013,
        LogLevel.Warning,
        "Could not ask Redis for events of type {Type} that were missed: {Reason} Handlers go on with what arrives, and are told of a gap. They need to read the keys events:head:* in both forms (ACL SETUSER … %R~)."
    )]
    public static partial void ReplayNotPossible(ILogger logger, string type, string reason);

    [LoggerMessage(7014, LogLevel.Error, "A handler of gaps failed, type {Type}.")]
    public static partial void GapHandlerFailed(ILogger logger, string type, Exception exception);

    [LoggerMessage(
        7015,
        LogLevel.Warning,
        "Redis published an event of type {Type} but did not keep it for those who are cut off: it is full. {Count} events so far. Who misses one is told of a gap."
    )]
    public static partial void NotKept(ILogger logger, string type, long count);

    [LoggerMessage(
        7016,
        LogLevel.Error,
        "A mistake in Onggi: an event of type {Type} was not handed over, or what was missed of it was not looked for. The subscription goes on."
    )]
    public static partial void SubscriptionFailed(ILogger logger, string type, Exception exception);

    [LoggerMessage(
        7017,
        LogLevel.Error,
        "A mistake in Onggi: the count of events of type {Type} could not be looked at. It is tried again."
    )]
    public static partial void WatchFailed(ILogger logger, string type, Exception exception);
}
