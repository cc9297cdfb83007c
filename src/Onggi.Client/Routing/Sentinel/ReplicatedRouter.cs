using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing.Sentinel;

/// <summary>All commands to one primary, wherever it is now; those that only read to its replicas, where that is wanted.</summary>
internal sealed class ReplicatedRouter : Router
{
    private readonly PrimarySource _source;
    private readonly RedisNode _primary;
    private readonly Lazy<ReplicaPool> _replicas;
    private readonly bool _prefersReplica;
    private readonly Completions? _completions;

    public ReplicatedRouter(
        PrimarySource source,
        RedisClientOptions options,
        Completions? completions,
        PumpCounters counters,
        ILogger logger,
        TimeProvider time
    )
        : base(options, completions, time)
    {
        (_source, _prefersReplica, _completions) = (source, options.ReadFrom == ReadFrom.PreferReplica, completions);
        _primary = new RedisNode(source, options, counters, logger, time);
        _primary.Commands.Changed = connected => Changed?.Invoke(connected);
        _replicas = new(() =>
            new ReplicaPool(source, address => new RedisNode(new ReplicaServer(address), options, counters, logger, time))
        );
    }

    public override bool IsConnected => _primary.Commands.IsConnected;

    public override bool IsKnownDown => _primary.Commands.IsKnownDown;

    public override int InFlight => _primary.InFlight + (_replicas.IsValueCreated ? _replicas.Value.InFlight : 0);

    public override RedisServerInfo? Server => _primary.Commands.Server;

    public override Task WhenConnectedAsync(CancellationToken cancellationToken)
    {
        if (_prefersReplica)
            _ = _replicas.Value;
        return _primary.Commands.WhenConnectedAsync(cancellationToken);
    }

    public override ServerSource AnyServer => _source;

    /// <summary>On the primary: where it moves, the link follows, and tells of a new connection.</summary>
    public override TrackedLink Track(ITrackingSink sink, TimeSpan? deadAfter, TrackedReads reads) =>
        _primary.Track(sink, deadAfter, reads, _completions);

    /// <summary>Of the primary. A connection ends when the primary is another one; who needs one then takes a new one.</summary>
    public override LeasePool LeasesFor(int slot) => _primary.Leases;

    protected override async ValueTask EndAsync()
    {
        if (_replicas.IsValueCreated)
            await _replicas.Value.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _primary.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _source.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    // From here on PreferReplica means that a replica may have it. It only reads: if its connection is lost, it is asked again.
    protected override CommandTraits TraitsOf(in Command command, CommandOptions options)
    {
        var wanted =
            (options & CommandOptions.PreferReplica) != CommandOptions.None
            || (_prefersReplica && (options & CommandOptions.Primary) == CommandOptions.None);
        var info = CommandTable.Find(in command);
        options = SharedConnection.OptionsOf(in command, info, options);
        return wanted && info.MayReadReplica
            ? new(options | CommandOptions.PreferReplica, KeySlots.NotLooked)
            : new(options & ~CommandOptions.PreferReplica, KeySlots.NotLooked);
    }

    protected override void Dispatch(PendingReply pending)
    {
        if (MayGoToReplica(pending) && _replicas.Value.Next() is { } replica)
        {
            try
            {
                replica.LinkFor(pending).Enqueue(pending);
                return;
            }
            catch (Exception error) when (error is RedisBusyException or ObjectDisposedException)
            {
                // It is full, or leaves just now.
            }
        }

        _primary.LinkFor(pending).Enqueue(pending);
    }

    // A primary that has become a replica. It tells the others who wait on this connection the same, so that they too are asked again: it is left, not cut.
    protected override bool TryElsewhere(PendingReply pending, RedisServerException refused)
    {
        if (!TakeFromReplicas(pending))
            _primary.LinkFor(pending).Leave($"It is no primary any more: {refused.Message}");
        return true;
    }

    protected override void NotNow(PendingReply pending, RedisServerException refused) => TakeFromReplicas(pending);

    private static bool MayGoToReplica(PendingReply pending) =>
        (pending.Traits.Options & CommandOptions.PreferReplica) != CommandOptions.None;

    // A replica that loads, or has lost its primary, can take long: the primary knows it as well.
    private static bool TakeFromReplicas(PendingReply pending)
    {
        if (!MayGoToReplica(pending))
            return false;
        pending.Traits = pending.Traits with { Options = pending.Traits.Options & ~CommandOptions.PreferReplica };
        return true;
    }
}
