using Microsoft.Extensions.Logging;

namespace Onggi.Limits;

/// <summary>What limits say. Families are named; subjects never are.</summary>
internal static partial class LimitLog
{
    [LoggerMessage(
        4000,
        LogLevel.Warning,
        "Redis could not be asked for the limit {Family}: {Reason} Until it answers, its policy says {FailMode}."
    )]
    public static partial void Failing(ILogger logger, string family, string reason, FailMode failMode);

    [LoggerMessage(4001, LogLevel.Information, "Redis answers again for the limit {Family}; {Count} decisions were made without it.")]
    public static partial void AnswersAgain(ILogger logger, string family, long count);

    [LoggerMessage(
        4002,
        LogLevel.Warning,
        "A place of the limit {Family} could not be given back: {Reason} It is free when its time is over."
    )]
    public static partial void PlaceNotGivenBack(ILogger logger, string family, string reason);

    [LoggerMessage(4003, LogLevel.Warning, "A place of the limit {Family} was lost while it was used: {Reason} Another may have taken it.")]
    public static partial void PlaceLost(ILogger logger, string family, string reason);
}
