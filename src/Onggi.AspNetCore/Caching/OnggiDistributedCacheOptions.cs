using Microsoft.Extensions.Caching.Distributed;
using Onggi.Client;

namespace Onggi.AspNetCore.Caching;

/// <summary>How <see cref="IDistributedCache"/> and <see cref="IBufferDistributedCache"/> stand on the team's Redis: bytes as they are, each call one round trip, each entry with an end.</summary>
/// <remarks>
/// <para>What a caller sees; the calls without <c>Async</c> block for as long, and need no thread of the pool to go on:</para>
/// <list type="table">
/// <listheader><term>Redis is…</term><description>get, refresh · set · remove</description></listheader>
/// <item><term>slow or hanging</term><description><see cref="RedisTimeoutException"/> after the command time-out; a set or remove may be executed all the same</description></item>
/// <item><term>gone</term><description><see cref="RedisConnectionException"/>, or <see cref="RedisTimeoutException"/> when no connection comes within the command time-out; <see cref="RedisException.Sent"/> says whether it may be executed</description></item>
/// <item><term>full</term><description>as usual, sliding lives are lengthened · <see cref="RedisServerException"/> with code <c>OOM</c>, the old value stays · as usual</description></item>
/// <item><term>restarted empty</term><description>there is nothing · as usual · as usual</description></item>
/// <item><term>failed over</term><description>as gone, then as usual; what the new primary had not received is undone: an old value, an earlier end, an entry that was removed</description></item>
/// <item><term>well, but we were paused</term><description>nothing special: nothing is kept in this process</description></item>
/// <item><term>holding a key of another type</term><description>there is nothing · replaced · removed</description></item>
/// </list>
/// <para>A key that is empty is an <see cref="ArgumentException"/>, and so is a value larger than <c>CacheOptions.MaxValueBytes</c>.</para>
/// </remarks>
public sealed class OnggiDistributedCacheOptions
{
    /// <summary>The family of the catalog that its keys belong to: a cache with one identifier, of nobody else's.</summary>
    /// <remarks>Its time to live is that of entries which name none; no entry is kept for longer than the catalog's rules allow (7 days, 30 minutes for data of users) without being read.</remarks>
    /// <value>Default <c>distributed</c>.</value>
    public string Family { get; set; } = "distributed";
}
