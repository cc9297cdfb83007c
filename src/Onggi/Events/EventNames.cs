using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Events;

/// <summary>What the events of a type are called in Redis, and how long they stay readable.</summary>
internal sealed class EventNames(Keyspace keyspace, EventOptions options, RedisClient redis)
{
    /// <summary>The hash with the count.</summary>
    public string Head(string type) => $"{keyspace.Prefix}events:head:{type}";

    /// <summary>The stream with the last events, in the slot of the head.</summary>
    public string Ring(string type) => $"{{{Head(type)}}}:ring";

    /// <summary>For how long the ring keeps an event at least.</summary>
    public TimeSpan KeptFor(string type) => keyspace.EventTtlOf(type);

    /// <summary>Where it is published; known only when it is known whether there is one server or a cluster.</summary>
    public string Channel(string type, bool sharded) => sharded ? $"{{{Head(type)}}}:ch" : keyspace.ChannelOf(type);

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
}
