using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Onggi.Client;
using Onggi.Sessions;

namespace Onggi.AspNetCore;

/// <summary>How the tickets of a cookie scheme stand in sessions. How long they live, and how many a user may have, the catalog says.</summary>
/// <remarks>
/// <para>The cookie holds the session's id, sealed by ASP.NET; the ticket lies in the session, sealed by data protection for this one session. Each request is one round trip, which validates and lengthens the session's life.</para>
/// <list type="table">
/// <listheader><term>Redis is…</term><description>a visitor with a cookie</description></listheader>
/// <item><term>slow or gone</term><description>is not known: <see cref="OnggiUnavailableException"/>, which <c>UseExceptionHandler</c> answers with 503. Or nobody, with <see cref="AnonymousWhileAway"/>. Signing in and out fail with <see cref="RedisException"/></description></item>
/// <item><term>full</term><description>is known as usual; signing in fails; a lengthened ticket is not saved, so it ends earlier</description></item>
/// <item><term>restarted empty</term><description>is nobody: signs in again</description></item>
/// <item><term>failed over</term><description>as <see cref="SessionOptions.Replicas"/> says</description></item>
/// </list>
/// </remarks>
public sealed class OnggiTicketStoreOptions
{
    /// <summary>Whose a ticket is: the same text for the same person at every sign-in, the one that <see cref="OnggiSignIn.SignOutEverywhereAsync"/> gets.</summary>
    /// <value>Default: the claim <c>sub</c>, else the name identifier, else the name.</value>
    public Func<ClaimsPrincipal, string?> User { get; set; } =
        static principal =>
            principal.FindFirst("sub")?.Value ?? principal.FindFirst(ClaimTypes.NameIdentifier)?.Value ?? principal.Identity?.Name;

    /// <summary>Where a visitor signs in, in words that he knows again in a list.</summary>
    /// <value>Default: browser and system of the <c>User-Agent</c>, such as "Firefox on Linux".</value>
    public Func<HttpContext, string> Device { get; set; } =
        static context => Sessions.DeviceName.Of(context.Request.Headers.UserAgent.ToString());

    /// <summary>How many sessions a user may have; with the policy to reject, a sign-in above it fails with <see cref="TooManySessionsException"/>.</summary>
    /// <value>Default <c>null</c>: as the options of sessions or the catalog say.</value>
    public SessionLimit? Limit { get; set; }

    /// <summary>Whether a visitor with a cookie is served as nobody while Redis is away, instead of being sent away with 503. Pages that want somebody signed in then send him to sign in, which fails too.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool AnonymousWhileAway { get; set; }
}

/// <summary>Whether a visitor is signed in could not be asked. <c>UseExceptionHandler</c> answers 503 with <c>Retry-After</c>.</summary>
public sealed class OnggiUnavailableException : Exception
{
    internal OnggiUnavailableException(RedisException inner)
        : base("Whether the visitor is signed in could not be asked of Redis. It is for the visitor to try again.", inner) { }
}

/// <summary>A sign-in was refused: its user has as many sessions as there may be, and the policy is to reject.</summary>
public sealed class TooManySessionsException : Exception
{
    internal TooManySessionsException(int live)
        : base($"The user has {live} sessions, as many as there may be. End one, or let the policy end the oldest.") => Live = live;

    /// <summary>How many there are.</summary>
    public int Live { get; }
}
