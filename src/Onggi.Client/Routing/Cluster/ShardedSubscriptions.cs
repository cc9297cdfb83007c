namespace Onggi.Client.Routing.Cluster;

/// <summary>Subscriptions to channels that belong to slots: each is listened to at the primary of its slot, and moves with the slot.</summary>
internal sealed class ShardedSubscriptions : IAsyncDisposable
{
    private readonly ClusterLinks _links;
    private readonly ClusterNodes _nodes;
    private readonly Lock _gate = new();

    // Guarded by the gate: a hub for each node at which something is listened to, and who listens.
    private readonly Dictionary<RedisAddress, SubscriberHub> _hubs = [];
    private readonly List<RedisSubscription> _all = [];
    private bool _ended;

    public ShardedSubscriptions(ClusterLinks links, ClusterNodes nodes)
    {
        (_links, _nodes) = (links, nodes);
        nodes.RoutesChanged += Place;
    }

    /// <summary>Records the wish to listen, and asks the owner of the channel's slot.</summary>
    public RedisSubscription Add(string channel)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_ended, typeof(RedisClient));
            _all.RemoveAll(static subscription => subscription.IsOver);
            var subscription = HubAt(OwnerOf(channel)).Add(channel, SubscriptionKind.Sharded);
            _all.Add(subscription);
            return subscription;
        }
    }

    public async ValueTask DisposeAsync()
    {
        SubscriberHub[] hubs;
        lock (_gate)
        {
            _ended = true;
            hubs = [.. _hubs.Values];
        }

        foreach (var hub in hubs)
            await hub.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    // Where nobody is known to have it, some node is asked, who says who has.
    private RedisAddress OwnerOf(string channel) => _nodes.Routes.PrimaryOf(HashSlot.Of((RedisArg)channel))?.Address ?? _nodes.Any(0);

    private SubscriberHub HubAt(RedisAddress address)
    {
        if (_hubs.TryGetValue(address, out var hub))
            return hub;
        var settings = new LinkSettings(new ClusterServer(address), LinkPurpose.Subscriptions) { Counters = _links.Counters };
        return _hubs[address] = new SubscriberHub(_links.Options, settings, _links.Logger, _links.Time)
        {
            Redirected = (_, error) => OnRedirected(address, error),
        };
    }

    private void OnRedirected(RedisAddress asked, RedisServerException error)
    {
        if (Redirect.TryParse(error.Message, asked, out var to) && to is { Ask: false, To: { } address })
            _nodes.Moved(to.Slot, address);
        _nodes.Refresh();
        Place();
    }

    // Everything to where it belongs now; hubs that nothing is left at are ended.
    private void Place()
    {
        List<SubscriberHub> idle = [];
        lock (_gate)
        {
            if (_ended || _all.Count == 0)
                return;
            _all.RemoveAll(static subscription => subscription.IsOver);
            var used = new HashSet<SubscriberHub>();
            foreach (var subscription in _all)
            {
                var (from, to) = (subscription.Hub, HubAt(OwnerOf(subscription.Name)));
                if (from != to && from.TryGiveAway(subscription.Topic!))
                    to.Adopt(subscription.Topic!);
                used.Add(to);
            }

            foreach (var (address, hub) in _hubs.ToList())
                if (!used.Contains(hub) && _hubs.Remove(address))
                    idle.Add(hub);
        }

        foreach (var hub in idle)
            _ = EndAsync(hub);
    }

    // In a moment: it may be telling its servers that nobody listens any more.
    private async Task EndAsync(SubscriberHub hub)
    {
        await Task.Delay(_links.Options.CommandTimeout, _links.Time).ConfigureAwait(Rt.Capture);
        await hub.DisposeAsync().ConfigureAwait(Rt.Capture);
    }
}
