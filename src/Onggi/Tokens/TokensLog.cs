using Microsoft.Extensions.Logging;

namespace Onggi.Tokens;

/// <summary>What tokens say. Ids are named, which are no secrets; tokens and what is in them never are.</summary>
internal static partial class TokensLog
{
    [LoggerMessage(5000, LogLevel.Debug, "Refused an access token: {Refusal}.")]
    public static partial void Refused(ILogger logger, TokenRefusal refusal);

    [LoggerMessage(
        5001,
        LogLevel.Warning,
        "A refresh token of family {Family} was used that had been used before: somebody keeps a copy. The family is revoked; its user must sign in again."
    )]
    public static partial void Reused(ILogger logger, string family);

    [LoggerMessage(5002, LogLevel.Debug, "A refresh ended as {Outcome}.")]
    public static partial void NotRefreshed(ILogger logger, RefreshOutcome outcome);

    [LoggerMessage(
        5003,
        LogLevel.Information,
        "Asserted {Count} revocations of this process again, for the link to Redis has changed and a failover could have lost them."
    )]
    public static partial void Reasserted(ILogger logger, int count);

    [LoggerMessage(5004, LogLevel.Warning, "{Count} revocations could not be asserted again: {Reason} They are tried until it succeeds.")]
    public static partial void ReassertionFailed(ILogger logger, int count, string reason);

    [LoggerMessage(
        5005,
        LogLevel.Warning,
        "More than {Capacity} revocations are to be remembered; the oldest are forgotten, and a failover could bring them back. Raise Tokens:RememberedRevocations."
    )]
    public static partial void RemembersTooLittle(ILogger logger, int capacity);

    [LoggerMessage(5006, LogLevel.Warning, "Access tokens are taken without knowing whether they were revoked: {Reason}")]
    public static partial void Unconfirmed(ILogger logger, string reason);

    [LoggerMessage(
        5007,
        LogLevel.Warning,
        "{What} is made, but only {Replicas} of {Wanted} replicas have confirmed it in time: a failover now could lose it."
    )]
    public static partial void NotReplicated(ILogger logger, string what, int replicas, int wanted);
}
