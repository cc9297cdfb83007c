using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;

namespace Onggi.AspNetCore.Sessions;

/// <summary>Puts another id into the cookie than the one that ASP.NET holds on to: its handler, once it has read an id in a request, writes that one again at a sign-in.</summary>
internal sealed class RenamedTickets(ISecureDataFormat<AuthenticationTicket> inner, IHttpContextAccessor accessor)
    : ISecureDataFormat<AuthenticationTicket>
{
    /// <summary>Notes that an id was replaced in this request.</summary>
    public static void Rename(HttpContext context, string key, string newKey) => context.Items[new Renaming(key)] = newKey;

    /// <summary>The id that has replaced one in this request; <c>null</c> for none.</summary>
    public static string? NewKeyOf(HttpContext context, string key) => context.Items[new Renaming(key)] as string;

    public string Protect(AuthenticationTicket data) => inner.Protect(Renamed(data));

    public string Protect(AuthenticationTicket data, string? purpose) => inner.Protect(Renamed(data), purpose);

    public AuthenticationTicket? Unprotect(string? protectedText) => inner.Unprotect(protectedText);

    public AuthenticationTicket? Unprotect(string? protectedText, string? purpose) => inner.Unprotect(protectedText, purpose);

    private AuthenticationTicket Renamed(AuthenticationTicket ticket)
    {
        if (accessor.HttpContext is not { } context || ticket.Principal.Identity is not ClaimsIdentity { Claims: var claims } identity)
            return ticket;
        var held = claims.ToList();
        if (held is not [var only] || NewKeyOf(context, only.Value) is not { } newKey)
            return ticket;
        var renamed = new ClaimsIdentity([new Claim(only.Type, newKey, only.ValueType, only.Issuer)], identity.AuthenticationType);
        return new AuthenticationTicket(new ClaimsPrincipal(renamed), ticket.Properties, ticket.AuthenticationScheme);
    }

    private sealed record Renaming(string Key);
}
