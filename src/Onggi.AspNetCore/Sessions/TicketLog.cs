using Microsoft.Extensions.Logging;
using Onggi.Sessions;

namespace Onggi.AspNetCore.Sessions;

/// <summary>What the ticket store says. Handles only: ids are secrets, users are personal.</summary>
internal static partial class TicketLog
{
    [LoggerMessage(
        8400,
        LogLevel.Warning,
        "Whether visitors of scheme {Scheme} are signed in could not be asked: {Reason} ({Suppressed} more since the last such line.)"
    )]
    public static partial void Unknown(ILogger logger, string scheme, string reason, long suppressed);

    [LoggerMessage(
        8401,
        LogLevel.Debug,
        "The ticket of session {Handle} was not saved: {Outcome}. It has ended, or another request was first; nothing is brought back."
    )]
    public static partial void NotSaved(ILogger logger, string handle, SessionSaveOutcome outcome);

    [LoggerMessage(8402, LogLevel.Warning, "The ticket of session {Handle} could not be renewed: {Reason} It lives on as it stands.")]
    public static partial void NotRenewed(ILogger logger, string handle, string reason);

    [LoggerMessage(
        8403,
        LogLevel.Warning,
        "Session {Handle} holds no ticket of scheme {Scheme} that can be opened: the key ring is another one, or the ticket was not written for this session. Its visitor is nobody."
    )]
    public static partial void NoTicket(ILogger logger, string handle, string scheme);

    [LoggerMessage(
        8404,
        LogLevel.Information,
        "A late commit of a web session was dropped: the session was cleared, or ended, since the request had read it."
    )]
    public static partial void Dropped(ILogger logger);
}
