using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>Each command to the node that has its keys.</summary>
/// <remarks>
/// Where that is stands in a slot map. It may be wrong at any time: a node that does not have a slot says who has it (MOVED), which corrects the map at once and lets it be asked for
/// anew; a node that is about to give one away sends single commands on (ASK), which changes nothing. A command for which nobody can be asked waits, with pauses, and is asked as soon
/// as somebody can.
/// </remarks>
internal sealed class ClusterRouter : Router
{
    // So often a command follows nodes that send it on before it pauses: they may not agree yet.
    private const int MostRedirects = 5;

    private readonly ClusterNodes _nodes;
    private readonly int _choice = new Random().Next();
    private int _turn;

    public ClusterRouter(ClusterLinks links, Completions? completions)
        : base(links.Options, completions, links.Time)
    {
        _nodes = new ClusterNodes(links) { Changed = connected => Changed?.Invoke(connected) };
        AnyServer = new AnyNode(_nodes);
        Sharded = new ShardedSubscriptions(links, _nodes);
        _nodes.RoutesChanged += Hurry;
    }

    public override bool IsConnected => _nodes.IsConnected;

    public override bool IsKnownDown => _nodes.IsKnownDown;

    public override int InFlight => _nodes.InFlight;

    public override RedisServerInfo? Server => _nodes.Server;

    public override ServerSource AnyServer { get; }

    /// <summary>Channels that belong to slots.</summary>
    public ShardedSubscriptions Sharded { get; }

    public override Task WhenConnectedAsync(CancellationToken cancellationToken) => _nodes.WhenConnectedAsync(cancellationToken);

    public override KeyWalk NewWalk() => new ClusterWalk(() => _nodes.Routes);

    /// <exception cref="RedisConnectionException">Nobody is known to have the slot.</exception>
    public override LeasePool LeasesFor(int slot)
    {
        var routes = _nodes.Routes;
        var node = slot >= 0 ? routes.PrimaryOf(slot) : routes.Any(_choice);
        if (node is not null)
            return node.AsPrimary.Leases;
        _nodes.Refresh();
        throw new RedisConnectionException(
            slot >= 0 ? $"Nobody is known to have slot {slot}." : "No node of the cluster is connected.",
            Sent.No
        );
    }

    protected override async ValueTask EndAsync()
    {
        _nodes.Stop();
        await Sharded.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _nodes.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    protected override CommandTraits TraitsOf(in Command command, CommandOptions options)
    {
        var info = CommandTable.Find(in command);
        options = SharedConnection.OptionsOf(in command, info, options);
        var slot = KeySlots.Of(in command, info);
        if (slot == KeySlots.Several && info.Join == ReplyJoin.None)
            throw KeySlots.Refusal(in command, info);
        if (slot == KeySlots.None && info.Keys.HasNone && NodeWide.JoinOf(info) != ReplyJoin.None)
            slot = KeySlots.Several;
        if (!MayReadReplica(info, options))
            options &= ~CommandOptions.PreferReplica;
        else if (Options.ReadFrom == ReadFrom.PreferReplica)
            options |= CommandOptions.PreferReplica;
        return new CommandTraits(options, slot);
    }

    protected override void Dispatch(PendingReply pending)
    {
        if (pending.Preamble == Preamble.Asking)
            pending.Preamble = null;
        if (pending.Traits.Slot == KeySlots.NotLooked && !TryLook(pending))
            return;
        var slot = pending.Traits.Slot;
        if (slot == KeySlots.Several)
        {
            DispatchParts(pending);
            return;
        }

        var routes = _nodes.Routes;
        if (slot >= 0 && (pending.Traits.Options & CommandOptions.PreferReplica) != CommandOptions.None)
        {
            // Retried, it goes to the next one.
            if (routes.ReplicaOf(slot, Interlocked.Increment(ref _turn)) is { } replica)
            {
                Give(replica, replica.AsReplica, pending);
                return;
            }
        }

        if ((slot >= 0 ? routes.PrimaryOf(slot) : routes.Any(_choice)) is { } primary)
            Give(primary, primary.AsPrimary, pending);
        else
            WaitForMap(pending, slot >= 0 ? $"Nobody is known to have slot {slot}." : "No node of the cluster is connected.");
    }

    protected override KeySplit? SplitOf(in Command command)
    {
        var info = CommandTable.Find(in command);
        if (!info.Keys.HasNone)
            return KeySlots.Of(in command, info) == KeySlots.Several ? KeySplit.Of(in command, info) : null;
        return command.Script is null && _nodes.Routes.Map.IsComplete ? SplitToAll(command.Args, info) : null;
    }

    protected override bool TryRedirect(PendingReply pending, RedisServerException redirect)
    {
        if (pending.Target is not ClusterNode asked || !Redirect.TryParse(redirect.Message, asked.Address, out var to))
            return false;
        if (!to.Ask || to.To is null)
            _nodes.Refresh();

        // ASKING holds for one command, not for a transaction: that waits until the slot has moved.
        if (to.To is not { } address || (to.Ask && pending.Transaction is not null))
            return Later(pending, redirect);

        // Of a command that we do not know, the node knows better where its keys are. And whoever has the slot answers for it.
        pending.Traits = pending.Traits with
        {
            Slot = to.Slot,
            Options = pending.Traits.Options & ~CommandOptions.PreferReplica,
        };
        if (!to.Ask)
            _nodes.Moved(to.Slot, address);
        if (pending.Retries >= MostRedirects)
            return Later(pending, redirect);
        return to.Ask ? AskAt(_nodes.At(address), pending, redirect) : Now(pending, redirect);
    }

    // It has been a primary, and is none any more: who is it now?
    protected override bool TryElsewhere(PendingReply pending, RedisServerException refused)
    {
        _nodes.Refresh();
        return true;
    }

    protected override void NotNow(PendingReply pending, RedisServerException refused)
    {
        // What one replica cannot answer now, the primary can.
        pending.Traits = pending.Traits with
        {
            Options = pending.Traits.Options & ~CommandOptions.PreferReplica,
        };
        if (refused.Code is "CLUSTERDOWN" or "MASTERDOWN")
            _nodes.Refresh();
    }

    private static bool MayReadReplica(CommandInfo info, CommandOptions options) =>
        info.MayReadReplica && (options & CommandOptions.Primary) == CommandOptions.None;

    private bool AskAt(ClusterNode node, PendingReply pending, RedisServerException redirect)
    {
        if (pending.Preamble is not null)
            return Later(pending, redirect);
        pending.Retries++;
        pending.Refused = redirect;
        pending.Hold();
        pending.Preamble = Preamble.Asking;
        try
        {
            Give(node, node.AsPrimary, pending);
            return true;
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            pending.Release();
            return Later(pending, redirect);
        }
    }

    private void Give(ClusterNode node, RedisNode side, PendingReply pending)
    {
        var link = side.LinkFor(pending);
        if (link.IsKnownDown)
        {
            WaitForMap(pending, $"There is no connection to {node}. {link.LastError}");
            return;
        }

        pending.Target = node;
        link.Enqueue(pending);
    }

    private void WaitForMap(PendingReply pending, string why)
    {
        _nodes.Refresh();
        Wait(pending, new RedisConnectionException(why, Sent.No));
    }

    private void DispatchParts(PendingReply whole)
    {
        var words = FrameWords.Read(whole.Frame);
        var command = new Command(words);
        var info = CommandTable.Find(in command);
        if (!_nodes.Routes.Map.IsComplete && info.Keys.HasNone)
        {
            WaitForMap(whole, $"Not all nodes are known; slot {_nodes.Routes.Map.FirstGap} has no owner.");
            return;
        }

        var split = info.Keys.HasNone ? SplitToAll(words, info)! : KeySplit.Of(in command, info);
        new SplitCall(this, whole, split).Begin(Time.GetTimestamp(), Options.MaxBufferedBytes);
    }

    private KeySplit? SplitToAll(ReadOnlySpan<RedisArg> words, CommandInfo info) =>
        NodeWide.JoinOf(info) is var join and not ReplyJoin.None
            ? KeySplit.ToAll(words, join, _nodes.Routes.Owners.Select(static owner => owner.Slot))
            : null;

    // It was asked before we knew that there are slots. False when it turns out that it cannot be asked; then it has ended.
    private bool TryLook(PendingReply pending)
    {
        if (pending.Transaction is not null)
        {
            pending.TryFail(
                pending.Word,
                new RedisConnectionException("The servers have just turned out to be a cluster. Make the transaction again.", Sent.No)
            );
            pending.Release();
            return false;
        }

        try
        {
            var command = new Command(FrameWords.Read(pending.Frame));
            pending.Traits = TraitsOf(in command, pending.Traits.Options) with { Blocks = pending.Traits.Blocks };
            return true;
        }
        catch (ArgumentException refusal)
        {
            pending.TryFail(pending.Word, refusal);
            pending.Release();
            return false;
        }
    }

    // Any node hears what is published anywhere.
    private sealed class AnyNode(ClusterNodes nodes) : ServerSource
    {
        private int _attempts = new Random().Next();

        public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => new(nodes.Any(_attempts++));

        public override string ToString() => "the cluster";
    }
}
