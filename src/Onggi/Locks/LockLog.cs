using Microsoft.Extensions.Logging;

namespace Onggi.Locks;

/// <summary>What locks say. Families are named; the resources never are: their names can be personal.</summary>
internal static partial class LockLog
{
    [LoggerMessage(3000, LogLevel.Warning, "Lost a lease of {Family} (fence {Fence}): {Reason} Work under it must stop.")]
    public static partial void Lost(ILogger logger, string family, Fence fence, string reason);

    [LoggerMessage(
        3001,
        LogLevel.Warning,
        "A lease of {Family} (fence {Fence}) could not be renewed: {Reason} It is tried again until the lease is over."
    )]
    public static partial void RenewalFailed(ILogger logger, string family, Fence fence, string reason);

    [LoggerMessage(
        3002,
        LogLevel.Warning,
        "A lease of {Family} (fence {Fence}) could not be given back: {Reason} It is free when its time is over, in {Left} at most."
    )]
    public static partial void NotReleased(ILogger logger, string family, Fence fence, string reason, TimeSpan left);

    [LoggerMessage(
        3003,
        LogLevel.Warning,
        "Who waits for a lock of {Family} cannot be woken: {Reason} It asks every {Every} instead. Allow the channels {{<prefix>locks:*."
    )]
    public static partial void CannotBeWoken(ILogger logger, string family, string reason, TimeSpan every);

    [LoggerMessage(3004, LogLevel.Error, "What was registered on Lost of a lease of {Family} (fence {Fence}) has thrown.")]
    public static partial void LostHandlerFailed(ILogger logger, Exception exception, string family, Fence fence);

    [LoggerMessage(
        3005,
        LogLevel.Warning,
        "A lock of {Family} that may have been taken by a caller who gave up could not be given back: {Reason} It is free when its time is over."
    )]
    public static partial void LeftBehind(ILogger logger, string family, string reason);
}
