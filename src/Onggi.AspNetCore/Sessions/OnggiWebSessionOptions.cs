using Onggi.Client;

namespace Onggi.AspNetCore;

/// <summary>How <c>HttpContext.Session</c> stands on the team's Redis. Cookie and idle time are ASP.NET's <c>SessionOptions</c>.</summary>
/// <remarks>
/// <para>As ASP.NET's own, with one difference: a request that ends late does not bring back a session that was cleared meanwhile, and does not write into the one that began after it.</para>
/// <list type="table">
/// <listheader><term>Redis is…</term><description>load · commit</description></listheader>
/// <item><term>slow or gone</term><description><c>LoadAsync</c> and <c>CommitAsync</c> throw <see cref="RedisException"/>; read without loading, the session is empty, and <c>IsAvailable</c> is <c>false</c> · ASP.NET's middleware logs, and nothing is saved</description></item>
/// <item><term>full</term><description>as usual · not saved; a session that was cleared is removed all the same</description></item>
/// <item><term>restarted empty, failed over</term><description>empty, or an older one · what had read it before is dropped</description></item>
/// </list>
/// </remarks>
public sealed class OnggiWebSessionOptions
{
    /// <summary>The family of the catalog that its keys belong to: a cache with one identifier, of nobody else's.</summary>
    /// <value>Default <c>web_session</c>.</value>
    public string Family { get; set; } = "web_session";
}
