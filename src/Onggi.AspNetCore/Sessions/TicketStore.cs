using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore.Authentication;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Sessions;

namespace Onggi.AspNetCore.Sessions;

/// <summary>Keeps the tickets of a cookie scheme in sessions.</summary>
/// <remarks>
/// <para>ASP.NET calls <c>RenewAsync</c> for two things: to save a ticket whose life it has lengthened, and at a sign-in of somebody who shows a cookie. They are told apart by a note that a retrieved ticket carries: version and user.
/// With it, it is saved under that version, and never brings back what has ended. Without, it is a sign-in: the old session ends and another one begins, whose id goes into the cookie (<see cref="RenamedTickets"/>), so that an id which
/// somebody planted is worth nothing.</para>
/// <para>What is sealed names the session's handle, so a ticket that is copied into another session in Redis opens nothing.</para>
/// </remarks>
internal sealed class TicketStore(
    string scheme,
    OnggiTicketStoreOptions options,
    OnggiSessions sessions,
    IDataProtector protector,
    ILogger<TicketStore> logger,
    TimeProvider time
) : ITicketStore
{
    /// <summary>What a retrieved ticket carries: <c>version user</c>.</summary>
    private const string Note = ".onggi.session";

    private readonly LogThrottle _throttle = new(time);

    public Task<string> StoreAsync(AuthenticationTicket ticket) => StoreAsync(ticket, null, CancellationToken.None);

    public Task<string> StoreAsync(AuthenticationTicket ticket, CancellationToken cancellationToken) =>
        StoreAsync(ticket, null, cancellationToken);

    public async Task<string> StoreAsync(AuthenticationTicket ticket, HttpContext? httpContext, CancellationToken cancellationToken)
    {
        ticket.Properties.Items.Remove(Note);
        var login = await sessions.CreateAsync(
            UserOf(ticket),
            new SessionDetails
            {
                Roles = RolesOf(ticket.Principal),
                Device = httpContext is null ? "" : options.Device(httpContext),
                Limit = options.Limit,
                DataFor = handle => Seal(handle, ticket),
            },
            cancellationToken
        );
        return login.IsCreated ? login.Id.Reveal() : throw new TooManySessionsException(login.Live);
    }

    public Task RenewAsync(string key, AuthenticationTicket ticket) => RenewAsync(key, ticket, null, CancellationToken.None);

    public Task RenewAsync(string key, AuthenticationTicket ticket, CancellationToken cancellationToken) =>
        RenewAsync(key, ticket, null, cancellationToken);

    public Task RenewAsync(string key, AuthenticationTicket ticket, HttpContext? httpContext, CancellationToken cancellationToken)
    {
        if (!SessionId.TryParse(key, out var id))
            return Task.CompletedTask;
        return TryReadNote(ticket, out var version, out var user) && user == UserOf(ticket) || WebMutants.KeepIdAtSignIn
            ? SaveAsync(id, version, ticket, httpContext, cancellationToken)
            : BeginAnewAsync(key, id, ticket, httpContext, cancellationToken);
    }

    public Task<AuthenticationTicket?> RetrieveAsync(string key) => RetrieveAsync(key, CancellationToken.None);

    public Task<AuthenticationTicket?> RetrieveAsync(string key, HttpContext httpContext, CancellationToken cancellationToken) =>
        RetrieveAsync(key, cancellationToken);

    public async Task<AuthenticationTicket?> RetrieveAsync(string key, CancellationToken cancellationToken)
    {
        if (!SessionId.TryParse(key, out var id))
            return null;
        try
        {
            if (await sessions.ValidateAsync(id, withData: true, cancellationToken) is not { } session)
                return null;
            if (Unseal(sessions.HandleOf(id), session) is not { } ticket)
                return null;
            ticket.Properties.Items[Note] = $"{session.Version.ToString(CultureInfo.InvariantCulture)} {session.User}";
            return ticket;
        }
        catch (RedisException failure)
        {
            if (_throttle.MayLog(out var suppressed))
                TicketLog.Unknown(logger, scheme, failure.Message, suppressed);
            return options.AnonymousWhileAway ? null : throw new OnggiUnavailableException(failure);
        }
    }

    public Task RemoveAsync(string key) => RemoveAsync(key, CancellationToken.None);

    public Task RemoveAsync(string key, HttpContext httpContext, CancellationToken cancellationToken) =>
        RemoveAsync(key, cancellationToken);

    public async Task RemoveAsync(string key, CancellationToken cancellationToken)
    {
        if (SessionId.TryParse(key, out var id))
            await sessions.RevokeAsync(id, cancellationToken: cancellationToken);
    }

    private async Task SaveAsync(
        SessionId id,
        long version,
        AuthenticationTicket ticket,
        HttpContext? httpContext,
        CancellationToken cancellationToken
    )
    {
        var handle = sessions.HandleOf(id);
        try
        {
            var saved = await sessions.SaveAsync(id, version, Seal(handle, ticket), RolesOf(ticket.Principal), cancellationToken);
            if (saved.IsSaved)
            {
                WriteNote(ticket, saved.Version);
                return;
            }

            TicketLog.NotSaved(logger, handle, saved.Outcome);
            // mutant: who was signed out while a request of his was under way is signed in again by its end.
            if (WebMutants.RecreateOnRenew && saved.Outcome == SessionSaveOutcome.Gone)
                await BeginAnewAsync(id.Reveal(), id, ticket, httpContext, cancellationToken);
        }
        catch (RedisException failure)
        {
            // The request itself was served, and its ticket lives on as it stands.
            TicketLog.NotRenewed(logger, handle, failure.Message);
        }
    }

    private async Task BeginAnewAsync(
        string key,
        SessionId id,
        AuthenticationTicket ticket,
        HttpContext? httpContext,
        CancellationToken cancellationToken
    )
    {
        if (httpContext is null)
            throw new InvalidOperationException(
                "A sign-in over another one needs the request, since its cookie gets another id. Call HttpContext.SignOutAsync first."
            );
        // Of two sign-ins in one request, the second ends what the first began.
        var shown = RenamedTickets.NewKeyOf(httpContext, key) is { } newer && SessionId.TryParse(newer, out var newest) ? newest : id;
        await sessions.RevokeAsync(shown, "signed_in_again", cancellationToken);
        RenamedTickets.Rename(httpContext, key, await StoreAsync(ticket, httpContext, cancellationToken));
    }

    private ReadOnlyMemory<byte> Seal(string handle, AuthenticationTicket ticket)
    {
        var head = Encoding.ASCII.GetBytes(handle);
        return protector.Protect([.. head, .. TicketSerializer.Default.Serialize(ticket)]);
    }

    private AuthenticationTicket? Unseal(string handle, Session session)
    {
        try
        {
            var plain = protector.Unprotect(session.Data.ToArray()).AsSpan();
            var isOurs = plain.Length > handle.Length && Encoding.ASCII.GetString(plain[..handle.Length]) == handle;
            if (isOurs || WebMutants.AnybodysTicket)
                return TicketSerializer.Default.Deserialize(plain[handle.Length..].ToArray());
        }
        catch (Exception unreadable) when (unreadable is CryptographicException or EndOfStreamException or IOException)
        {
            // Said below.
        }

        TicketLog.NoTicket(logger, session.Handle, scheme);
        return null;
    }

    private string UserOf(AuthenticationTicket ticket) =>
        options.User(ticket.Principal) is { Length: > 0 } user
            ? user
            : throw new InvalidOperationException(
                $"Nobody knows whose ticket this is: the principal of scheme {scheme} has neither the claim sub nor a name identifier nor a name. Give it one, or set options.User of AddOnggiTicketStore."
            );

    private static string[] RolesOf(ClaimsPrincipal principal) =>
        [
            .. principal
                .Identities.SelectMany(static identity => identity.FindAll(identity.RoleClaimType))
                .Select(static claim => claim.Value)
                .Distinct(StringComparer.Ordinal),
        ];

    private static bool TryReadNote(AuthenticationTicket ticket, out long version, out string user)
    {
        (version, user) = (0, "");
        if (
            !ticket.Properties.Items.TryGetValue(Note, out var note) || note?.IndexOf(' ', StringComparison.Ordinal) is not (> 0 and var at)
        )
            return false;
        user = note[(at + 1)..];
        return long.TryParse(note.AsSpan(0, at), CultureInfo.InvariantCulture, out version);
    }

    private void WriteNote(AuthenticationTicket ticket, long version) =>
        ticket.Properties.Items[Note] = $"{version.ToString(CultureInfo.InvariantCulture)} {UserOf(ticket)}";
}
