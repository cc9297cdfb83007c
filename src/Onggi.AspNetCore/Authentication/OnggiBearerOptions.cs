using Microsoft.AspNetCore.Authentication;
using Onggi.Tokens;

namespace Onggi.AspNetCore;

/// <summary>Names of the scheme that <c>AddOnggiBearer</c> adds.</summary>
public static class OnggiBearerDefaults
{
    /// <summary>The scheme's name where no other is given: <c>Onggi</c>.</summary>
    public const string AuthenticationScheme = "Onggi";
}

/// <summary>Whether the session that a token names (<c>sid</c>) must live.</summary>
public enum SessionCheck
{
    /// <summary>It is not looked at: a token is good until it ends or is revoked.</summary>
    Ignore,

    /// <summary>Where a token of ours names one, it must live. Asked in the same flush as the token, and its life is lengthened.</summary>
    WhenNamed,

    /// <summary>As <see cref="WhenNamed"/>, and a token that names none, or is of another issuer, is refused.</summary>
    Required,
}

/// <summary>How bearer tokens are taken. Who issues them and how they are judged, <see cref="TokenOptions"/> says.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>A request with…</term><description>is answered, where the endpoint wants somebody signed in</description></listheader>
/// <item><term>no token</term><description>401, <c>WWW-Authenticate: Bearer</c></description></item>
/// <item><term>a token that is refused, whatever the reason</term><description>401, <c>Bearer error="invalid_token"</c></description></item>
/// <item><term>a header that is out of order</term><description>400, <c>Bearer error="invalid_request"</c></description></item>
/// <item><term>a token, while Redis is slow or gone</term><description>503 with <c>Retry-After</c>: nobody knows whether it was revoked, and a new one would not help. With <see cref="TokenOptions.AcceptUnconfirmed"/> it is taken</description></item>
/// <item><term>a token whose user may not</term><description>403, <c>Bearer error="insufficient_scope"</c></description></item>
/// </list>
/// <para>Endpoints that want nobody signed in are served to all of them, as to somebody unknown.</para>
/// </remarks>
public sealed class OnggiBearerOptions : AuthenticationSchemeOptions
{
    /// <summary>Whether the session that a token names must live. It needs a family of sessions in the catalog, and the right to write it: a look lengthens a life.</summary>
    /// <value>Default <see cref="SessionCheck.Ignore"/>.</value>
    public SessionCheck Session { get; set; } = SessionCheck.Ignore;

    /// <summary>Whether the session's roles and data come with it.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool WithSessionData { get; set; }

    /// <summary>Whether this scheme answers 503 also where <see cref="TokenOptions.AcceptUnconfirmed"/> would take a token unasked: for what moves money.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool RequireConfirmed { get; set; }

    /// <summary>The realm in <c>WWW-Authenticate</c>.</summary>
    /// <value>Default <c>null</c>: none.</value>
    public string? Realm { get; set; }

    /// <summary>What the application does when a token has come, when it was found in order, and when somebody is sent away.</summary>
    public new OnggiBearerEvents Events
    {
        get => (OnggiBearerEvents)base.Events!;
        set => base.Events = value;
    }
}
