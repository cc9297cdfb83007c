using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>All commands to one server.</summary>
internal sealed class SingleRouter : Router
{
    private readonly RedisNode _node;

    public SingleRouter(
        ServerSource server,
        RedisClientOptions options,
        Completions? completions,
        PumpCounters counters,
        ILogger logger,
        TimeProvider time
    )
        : base(options, completions, time)
    {
        AnyServer = server;
        _node = new RedisNode(server, options, counters, logger, time);
        _node.Commands.Changed = connected => Changed?.Invoke(connected);
    }

    public override bool IsConnected => _node.Commands.IsConnected;

    public override bool IsKnownDown => _node.Commands.IsKnownDown;

    public override int InFlight => _node.InFlight;

    public override RedisServerInfo? Server => _node.Commands.Server;

    public override ServerSource AnyServer { get; }

    public override Task WhenConnectedAsync(CancellationToken cancellationToken) => _node.Commands.WhenConnectedAsync(cancellationToken);

    protected override ValueTask EndAsync() => _node.DisposeAsync();

    protected override CommandTraits TraitsOf(in Command command, CommandOptions options) =>
        new(SharedConnection.OptionsOf(in command, CommandTable.Find(in command), options), KeySlots.NotLooked);

    protected override void Dispatch(PendingReply pending) => _node.LinkFor(pending).Enqueue(pending);
}

/// <summary>A server by itself; tells when it turns out to be one of a cluster.</summary>
/// <param name="address">Where it is.</param>
/// <param name="found">Runs when it says that it belongs to a cluster.</param>
internal sealed class PlainServer(RedisAddress address, Action found) : ServerSource
{
    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => new(address);

    public override RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server)
    {
        if (server.Mode != "cluster")
            return null;
        found();
        return new RedisConnectionException($"{address} is one node of a cluster; connecting to all of them.", Sent.No);
    }

    public override string ToString() => address.ToString();
}
