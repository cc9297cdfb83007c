using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi.Sessions;

namespace Onggi.AspNetCore.Sessions;

/// <summary>Gives a cookie scheme its ticket store.</summary>
internal sealed class TicketStoreSetup(
    string scheme,
    OnggiTicketStoreOptions options,
    OnggiSessions sessions,
    IDataProtectionProvider protection,
    IHttpContextAccessor accessor,
    ILogger<TicketStore> logger,
    TimeProvider time
) : IPostConfigureOptions<CookieAuthenticationOptions>
{
    private const string Purpose = "Onggi.AspNetCore.Sessions.TicketStore.v1";

    /// <exception cref="InvalidOperationException">The catalog has no sessions.</exception>
    public void PostConfigure(string? name, CookieAuthenticationOptions cookies)
    {
        if (name != scheme)
            return;
        if (!sessions.IsConfigured)
            throw new InvalidOperationException(
                $"AddOnggiTicketStore(\"{scheme}\"): the catalog has no family of kind session that this service uses. Add to \"families\" in keyspace.json: \"session\": {{ \"key\": \"auth:session:{{sessionId}}\", \"kind\": \"session\", \"owner\": \"auth\", \"idle\": \"30m\", \"absolute\": \"24h\" }}."
            );
        var provider = cookies.DataProtectionProvider ?? protection;
        cookies.SessionStore = new TicketStore(scheme, options, sessions, provider.CreateProtector(Purpose, scheme), logger, time);
        // As ASP.NET makes it, where this comes before.
        cookies.TicketDataFormat ??= new TicketDataFormat(
            provider.CreateProtector("Microsoft.AspNetCore.Authentication.Cookies.CookieAuthenticationMiddleware", scheme, "v2")
        );
        cookies.TicketDataFormat = new RenamedTickets(cookies.TicketDataFormat, accessor);
    }
}
