using Microsoft.Extensions.Logging;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing.Cluster;

/// <summary>What all connections to the nodes of a cluster have in common.</summary>
internal sealed record ClusterLinks(RedisClientOptions Options, PumpCounters Counters, ILogger Logger, TimeProvider Time);

/// <summary>One node, and the connections to it: one set for what it has to say as a primary, and one for reads that it may answer as a replica.</summary>
/// <remarks>They are apart because of READONLY: a primary that has become a replica must send us on, rather than answer with what may be old.</remarks>
internal sealed class ClusterNode
{
    private readonly Lazy<RedisNode> _primary;
    private readonly Lazy<RedisNode> _replica;

    /// <param name="address">Where it is.</param>
    /// <param name="links">What its connections are made with.</param>
    /// <param name="changed">Runs when a connection to it begins or ends.</param>
    public ClusterNode(RedisAddress address, ClusterLinks links, Action<ClusterNode, bool> changed)
    {
        Address = address;
        _primary = new(() => NewNode([]));
        _replica = new(() =>
            NewNode([
                ["READONLY"],
            ])
        );

        RedisNode NewNode(RedisArg[][] setup)
        {
            var server = new ClusterServer(address);
            var node = new RedisNode(server, links.Options, links.Counters, links.Logger, links.Time, setup, handsBack: true);
            node.Commands.Changed = connected => changed(this, connected);
            return node;
        }
    }

    public RedisAddress Address { get; }

    /// <summary>How many slot maps in a row have not named it.</summary>
    public int Missing { get; set; }

    public RedisNode AsPrimary => _primary.Value;

    public RedisNode AsReplica => _replica.Value;

    /// <summary>Whether commands flow to it as a primary.</summary>
    public bool IsConnected => _primary.IsValueCreated && _primary.Value.Commands.IsConnected;

    /// <summary>It has been tried as a primary, in vain.</summary>
    public bool IsKnownDown => _primary.IsValueCreated && _primary.Value.Commands.IsKnownDown;

    /// <summary>It has been tried as a replica, in vain.</summary>
    public bool IsReplicaKnownDown => _replica.IsValueCreated && _replica.Value.Commands.IsKnownDown;

    public bool IsReplicaConnected => _replica.IsValueCreated && _replica.Value.Commands.IsConnected;

    /// <summary>A connection over which it can be asked about the cluster; <c>null</c> when there is none.</summary>
    public RedisLink? Connected =>
        IsConnected ? _primary.Value.Commands
        : IsReplicaConnected ? _replica.Value.Commands
        : null;

    public int InFlight => Sum(static node => node.InFlight);

    /// <summary>Hands back what waits for a connection to it.</summary>
    public void HandBack()
    {
        Sum(static node =>
        {
            node.HandBack();
            return 0;
        });
    }

    public async ValueTask EndAsync()
    {
        if (_primary.IsValueCreated)
            await _primary.Value.DisposeAsync().ConfigureAwait(Rt.Capture);
        if (_replica.IsValueCreated)
            await _replica.Value.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    /// <inheritdoc/>
    public override string ToString() => Address.ToString();

    private int Sum(Func<RedisNode, int> count) =>
        (_primary.IsValueCreated ? count(_primary.Value) : 0) + (_replica.IsValueCreated ? count(_replica.Value) : 0);
}

/// <summary>A node of a cluster; what answers there and belongs to none is refused.</summary>
internal sealed class ClusterServer(RedisAddress address) : ServerSource
{
    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => new(address);

    public override RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server) =>
        server.Mode == "cluster"
            ? null
            : new RedisConnectionException(
                $"{address} does not belong to a cluster (it says that it is {server.Mode}). Several servers are named only for a cluster, and for Sentinels with SentinelService.",
                Sent.No,
                isTransient: false
            );

    public override string ToString() => address.ToString();
}
