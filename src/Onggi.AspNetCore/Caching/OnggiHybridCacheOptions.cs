using Microsoft.Extensions.Caching.Hybrid;
using Onggi.Caching;
using Onggi.Client;

namespace Onggi.AspNetCore.Caching;

/// <summary>How <see cref="HybridCache"/> stands on <see cref="OnggiCache"/>: one load per key in the whole fleet, memory only while it is proven, no stale value stored after a removal.</summary>
/// <remarks>
/// <para>What a caller sees:</para>
/// <list type="table">
/// <listheader><term>Redis is…</term><description>get or create · set · remove</description></listheader>
/// <item><term>slow or hanging</term><description>the factory's value after at most one command time-out for asking and one for storing; later ones at once · <see cref="RedisTimeoutException"/> · <see cref="InvalidationUnconfirmedException"/></description></item>
/// <item><term>gone</term><description>the factory's value at once, stored nowhere · <see cref="RedisConnectionException"/> · <see cref="InvalidationUnconfirmedException"/> after the command time-out</description></item>
/// <item><term>full</term><description>the factory's value, not stored · <see cref="RedisServerException"/> · as usual</description></item>
/// <item><term>restarted empty</term><description>memory is emptied; the factory runs again · as usual · as usual</description></item>
/// <item><term>failed over</term><description>as gone, then as usual; a removal that the new primary had not received comes undone until the entry's time to live ends</description></item>
/// <item><term>well, but we were paused</term><description>memory is silent until it has heard from Redis again</description></item>
/// </list>
/// <para>Tags are not there yet: whoever gives some, and <c>RemoveByTagAsync</c>, get a <see cref="NotSupportedException"/>. A key that is empty is an <see cref="ArgumentException"/>.</para>
/// </remarks>
public sealed class OnggiHybridCacheOptions
{
    /// <summary>The family of the catalog that its keys belong to: a cache with one identifier, of nobody else's.</summary>
    /// <value>Default <c>hybrid</c>.</value>
    public string Family { get; set; } = "hybrid";

    /// <summary>What holds for calls that say nothing else.</summary>
    /// <value>Default <c>null</c>: the family's times in the catalog.</value>
    public HybridCacheEntryOptions? DefaultEntryOptions { get; set; }
}
