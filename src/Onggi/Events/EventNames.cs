using System.Collections.Concurrent;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Events;

/// <summary>What the events of a type are called in Redis, and how long they stay readable.</summary>
/// <param name="Head">The hash with the count.</param>
/// <param name="Ring">The stream with the last events, in the slot of the head.</param>
/// <param name="Channel">Where all servers of a cluster hear them.</param>
/// <param name="SlotChannel">Where the servers of the head's slot hear them.</param>
/// <param name="KeptMs">For how long the ring keeps an event at least.</param>
internal sealed record EventPlaces(string Head, string Ring, string Channel, string SlotChannel, long KeptMs);

/// <summary>Where events of a type are in Redis.</summary>
internal sealed class EventNames(Keyspace keyspace, EventOptions options, RedisClient redis)
{
    private readonly ConcurrentDictionary<string, EventPlaces> _places = new(StringComparer.Ordinal);

    /// <summary>Of a type that the catalog knows.</summary>
    public EventPlaces Of(string type) => _places.TryGetValue(type, out var places) ? places : _places.GetOrAdd(type, Make);

    /// <summary>Whether channels belong to slots: as the options say, and on a cluster where they say nothing.</summary>
    /// <exception cref="RedisConnectionException">It is not known yet, and Redis cannot be reached in time.</exception>
    public ValueTask<bool> IsShardedAsync(CancellationToken cancellationToken)
    {
        if (options.Sharded is { } said)
            return new ValueTask<bool>(said);
        return redis.Server is { } server ? new ValueTask<bool>(server.Mode == "cluster") : AskAsync(cancellationToken);
    }

    private async ValueTask<bool> AskAsync(CancellationToken cancellationToken)
    {
        await redis.WhenKnownAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        return redis.Server?.Mode == "cluster";
    }

    private EventPlaces Make(string type)
    {
        var head = $"{keyspace.Prefix}events:head:{type}";
        var kept = (long)keyspace.EventTtlOf(type).TotalMilliseconds;
        return new EventPlaces(head, $"{{{head}}}:ring", keyspace.ChannelOf(type), $"{{{head}}}:ch", kept);
    }
}
