using Microsoft.AspNetCore.OutputCaching;
using Onggi.Client;

namespace Onggi.AspNetCore.Caching;

/// <summary>How the output cache stores responses in the team's Redis, with tags: when <see cref="IOutputCacheStore.EvictByTagAsync"/> has returned, no response that was begun before is stored under the tag.</summary>
/// <remarks>
/// <para>A response that was begun before the eviction and is ready after it is not stored: when its request looked for it in vain, the server's time was noted with the request. On a cluster
/// it can be seen for the two round trips until it is taken back, and what was begun within the clocks' skew after an eviction is not stored either.</para>
/// <para>What the output cache sees, and what its middleware makes of it:</para>
/// <list type="table">
/// <listheader><term>Redis is…</term><description>read · store · evict</description></listheader>
/// <item><term>slow or hanging</term><description><see cref="RedisTimeoutException"/> after the command time-out: the middleware logs it and makes the response · it logs it; the response is out already · <see cref="RedisTimeoutException"/> to who evicts: some may be left, call it again</description></item>
/// <item><term>gone</term><description>the same with <see cref="RedisConnectionException"/></description></item>
/// <item><term>full</term><description>as usual · <see cref="RedisServerException"/>, logged, not stored · as usual</description></item>
/// <item><term>restarted empty</term><description>responses are made anew · as usual · as usual</description></item>
/// <item><term>failed over</term><description>as gone, then as usual; an eviction that the new primary had not received comes undone until the responses end</description></item>
/// <item><term>well, but we were paused</term><description>nothing special: nothing is kept in this process. A response that took longer than five minutes is stored only if it has no tags.</description></item>
/// <item><term>holding a key of another type</term><description>the response is made anew · it is replaced</description></item>
/// </list>
/// <para>Reading is one round trip; storing one (on a cluster two, and one more per further tag); evicting two for each 256 responses.</para>
/// </remarks>
public sealed class OnggiOutputCacheOptions
{
    /// <summary>The family of the catalog that its keys belong to: a cache with one identifier, of nobody else's.</summary>
    /// <remarks>No response is kept for longer than the catalog's rules allow (7 days, 30 minutes for data of users), whatever the policy says.</remarks>
    /// <value>Default <c>output</c>.</value>
    public string Family { get; set; } = "output";
}
