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
    private volatile Router? _successor;

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

    public override async Task WhenConnectedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _node.Commands.WhenConnectedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisConnectionException or ObjectDisposedException && _successor is { } successor)
        {
            await successor.WhenConnectedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }

    /// <summary>The server is not one but one of several: everything that has not been sent goes to the router that knows them all, and so does whatever is asked from now on.</summary>
    public void HandOver(Router successor)
    {
        _successor = successor;

        // Its end hands back what waits. Not awaited: its own loop is what calls us.
        _ = _node.DisposeAsync().AsTask();
    }

    public override bool TryAgain(PendingReply pending, RedisException error)
    {
        if (_successor is not { } successor)
            return base.TryAgain(pending, error);
        return error is RedisConnectionException { Sent: Sent.No } && pending.Traits.Slot == KeySlots.NotLooked
            ? successor.TakeUnsent(pending, error)
            : successor.TryAgain(pending, error);
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _node.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    protected override CommandTraits TraitsOf(in Command command, CommandOptions options) =>
        new(SharedConnection.OptionsOf(in command, CommandTable.Find(in command), options), KeySlots.NotLooked);

    protected override void Dispatch(PendingReply pending)
    {
        if (_successor is { } known)
        {
            known.Take(pending);
            return;
        }

        try
        {
            _node.LinkFor(pending).Enqueue(pending);
        }
        catch (ObjectDisposedException) when (_successor is { } successor)
        {
            successor.Take(pending);
        }
    }
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
