using Microsoft.Extensions.Logging;

namespace Onggi.Caching;

/// <summary>What the cache says. Families are named; keys and values never are.</summary>
internal static partial class CacheLog
{
    [LoggerMessage(
        2000,
        LogLevel.Warning,
        "Redis could not be asked for {Family}: {Reason} Loaders answer instead. {Suppressed} more since the last such line."
    )]
    public static partial void ReadFailed(ILogger logger, string family, string reason, long suppressed);

    [LoggerMessage(
        2001,
        LogLevel.Warning,
        "A value of {Family} in Redis cannot be read as {Type}: {Reason} It counts as a miss; the next load overwrites it. {Suppressed} more since the last such line."
    )]
    public static partial void Unreadable(ILogger logger, string family, string type, string reason, long suppressed);

    [LoggerMessage(
        2002,
        LogLevel.Warning,
        "A value of {Family} was loaded and returned, but not stored: {Reason} {Suppressed} more since the last such line."
    )]
    public static partial void NotStored(ILogger logger, string family, string reason, long suppressed);

    [LoggerMessage(
        2003,
        LogLevel.Warning,
        "Redis has answered nothing for {Timeout}. Until it does, one read per second asks it; the others go to their loaders at once."
    )]
    public static partial void Silent(ILogger logger, TimeSpan timeout);

    [LoggerMessage(2004, LogLevel.Information, "Redis answers again.")]
    public static partial void AnswersAgain(ILogger logger);

    [LoggerMessage(
        2006,
        LogLevel.Error,
        "The event {Type} could not be applied to the cache; entries that it changes may be old until their time to live ends."
    )]
    public static partial void EventNotApplied(ILogger logger, Exception exception, string type);

    [LoggerMessage(2007, LogLevel.Information, "The event {Type} of a publisher without Onggi removed {Count} entries from Redis.")]
    public static partial void ForeignEventApplied(ILogger logger, string type, int count);

    [LoggerMessage(2008, LogLevel.Debug, "A load of {Family} was overtaken by an invalidation: its value is returned, not stored.")]
    public static partial void Overtaken(ILogger logger, string family);

    [LoggerMessage(2009, LogLevel.Information, "Warmed {Name}: {Stored} entries stored, {Failed} failed, in {Elapsed}.")]
    public static partial void Warmed(ILogger logger, string name, long stored, long failed, TimeSpan elapsed);

    [LoggerMessage(2010, LogLevel.Warning, "Warming {Name} went on without {Count} entries of {Family}: {Reason}")]
    public static partial void WarmFailed(ILogger logger, string name, int count, string family, string reason);

    [LoggerMessage(
        2011,
        LogLevel.Warning,
        "The event {Type} does not name all entries that it invalidates; those stay as they are: {Missing} {Suppressed} more such events since the last such line."
    )]
    public static partial void EventIncomplete(ILogger logger, string type, string missing, long suppressed);

    [LoggerMessage(2012, LogLevel.Warning, "Memory is off, every read asks Redis: {Reason}")]
    public static partial void MemoryIsOff(ILogger logger, string reason);

    [LoggerMessage(
        2013,
        LogLevel.Warning,
        "The loader of {Family} failed ({Error}); a value past its life stands in, as the family's grace allows. {Suppressed} more since the last such line."
    )]
    public static partial void ServedStale(ILogger logger, string family, string error, long suppressed);

    [LoggerMessage(
        2015,
        LogLevel.Error,
        "Memory held an old value of {Family} for {Age}, longer than the bound of {Bound}. This breaks a promise of the cache; please report it."
    )]
    public static partial void StaleBeyondBound(ILogger logger, string family, TimeSpan age, TimeSpan bound);

    [LoggerMessage(
        2014,
        LogLevel.Warning,
        "The event cache.invalidated of {Family} could not be published; the entries are removed all the same."
    )]
    public static partial void NoticeFailed(ILogger logger, Exception exception, string family);
}
