using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
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
        _node = new RedisNode(server, options, counters, logger, time);
        _node.Commands.Changed = connected => Changed?.Invoke(connected);
    }

    public override bool IsConnected => _node.Commands.IsConnected;

    public override bool IsKnownDown => _node.Commands.IsKnownDown;

    public override int InFlight => _node.InFlight;

    public override RedisServerInfo? Server => _node.Commands.Server;

    public override Task WhenConnectedAsync(CancellationToken cancellationToken) => _node.Commands.WhenConnectedAsync(cancellationToken);

    public override int Begin(ReadOnlySpan<PendingReply> commands)
    {
        // All at once where they share a connection and there is room: then they go out in one write.
        var link = _node.LinkFor(commands[0]);
        foreach (var pending in commands)
            if (_node.LinkFor(pending) != link)
                return base.Begin(commands);
        return link.TryEnqueueAll(commands) ? commands.Length : base.Begin(commands);
    }

    public override TrackedLink Track(ITrackingSink sink) => _node.Track(sink, _completions);

    public override LeasePool LeasesFor(int slot) => _node.Leases;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _node.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    protected override CommandTraits TraitsOf(in Command command, CommandOptions options) => new(options);

    protected override void Dispatch(PendingReply pending) => _node.LinkFor(pending).Enqueue(pending);
}
