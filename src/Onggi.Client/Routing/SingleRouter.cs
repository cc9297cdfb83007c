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
    private readonly Completions? _completions;

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
        _completions = completions;
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

    public override int Begin(ReadOnlySpan<PendingReply> commands)
    {
        // All at once where they share a connection and there is room: then they go out in one write.
        try
        {
            var link = _node.LinkFor(commands[0]);
            foreach (var pending in commands)
                if (_node.LinkFor(pending) != link)
                    return base.Begin(commands);
            if (link.TryEnqueueAll(commands))
                return commands.Length;
        }
        catch (ObjectDisposedException)
        {
            // Ended, or replaced by another router, which takes them one by one.
        }

        return base.Begin(commands);
    }

    public override TrackedLink Track(ITrackingSink sink, TimeSpan? deadAfter, TrackedReads reads) =>
        _node.Track(sink, deadAfter, reads, _completions);

    public override LeasePool LeasesFor(int slot) => _node.Leases;

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
