using Onggi.Client.Diagnostics;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>The nodes of a cluster, and what is known of who has which slot.</summary>
internal sealed class ClusterNodes : IAsyncDisposable
{
    // How long one node may think before another one is asked too.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    // The map is asked for by itself so often: while all is well, and while something is missing.
    private static readonly TimeSpan Whole = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Broken = TimeSpan.FromMilliseconds(500);

    private const int MostAsked = 4;

    private readonly ClusterLinks _links;
    private readonly Refresher _refresher;
    private readonly Lock _gate = new();
    private readonly Lock _telling = new();

    // Guarded by the gate.
    private readonly Dictionary<RedisAddress, ClusterNode> _nodes = [];
    private readonly Dictionary<int, RedisAddress> _corrections = [];
    private readonly HashSet<Task> _ending = [];

    private readonly CancellationTokenSource _watching = new();
    private readonly Random _random = new();
    private TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile Routes _routes;
    private volatile bool _isConnected;
    private volatile bool _stopped;

    public ClusterNodes(ClusterLinks links)
    {
        _links = links;
        _routes = new Routes(SlotMap.Empty, At);
        _refresher = new Refresher(links.Time, RefreshAsync);
    }

    /// <summary>Runs on every change of <see cref="IsConnected"/>, in order.</summary>
    public Action<bool>? Changed { get; init; }

    /// <summary>Runs when it may be somebody else who has a slot.</summary>
    public Action? RoutesChanged { get; set; }

    public Routes Routes => _routes;

    /// <summary>Every slot has an owner that is connected.</summary>
    public bool IsConnected => _isConnected;

    /// <summary>No node is connected, and one has been tried in vain.</summary>
    public bool IsKnownDown
    {
        get
        {
            if (_isConnected)
                return false;
            var all = All();
            return !all.Exists(static node => node.IsConnected) && all.Exists(static node => node.IsKnownDown);
        }
    }

    public int InFlight => All().Sum(static node => node.InFlight);

    public RedisServerInfo? Server =>
        All().Select(static node => node.Connected?.Server).FirstOrDefault(static server => server is not null);

    /// <summary>Asks for the slot map, soon.</summary>
    public void Refresh() => _refresher.Request();

    /// <summary>The node at an address; it is made where there is none, and connects when it is needed.</summary>
    public ClusterNode At(RedisAddress address)
    {
        lock (_gate)
        {
            if (_nodes.TryGetValue(address, out var node))
                return node;
            ObjectDisposedException.ThrowIf(_stopped, typeof(RedisClient));
            return _nodes[address] = new ClusterNode(address, _links, OnChanged);
        }
    }

    /// <summary>A node has told us who has a slot.</summary>
    public void Moved(int slot, RedisAddress to)
    {
        lock (_gate)
        {
            // A map that is being asked for right now may be older than this.
            _corrections[slot] = to;
            if (_stopped || _routes.Map.With(slot, to) is var map && map == _routes.Map)
                return;
            Use(map);
        }

        Tell();
    }

    /// <summary>Some node that can be connected to; one after another for attempts that fail.</summary>
    public RedisAddress Any(int attempt)
    {
        var all = All().Where(static node => node.Connected is not null).Select(static node => node.Address).ToList();
        var known = all.Count > 0 ? all : _links.Options.Seeds;
        return known[(int)((uint)attempt % (uint)known.Count)];
    }

    public async Task WhenConnectedAsync(CancellationToken cancellationToken)
    {
        Task connected;
        lock (_gate)
            connected = _connected.Task;
        Refresh();
        if (_routes.Map == SlotMap.Empty)
            _ = WatchSeedsAsync();
        try
        {
            await connected.WaitAsync(Timeout, _links.Time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException)
        {
            throw new RedisConnectionException(
                $"Could not connect to the whole cluster within {Timeout.TotalSeconds:0.#} s. {WhatIsMissing()}",
                Sent.No
            );
        }
    }

    /// <summary>From here on there is no node any more.</summary>
    public void Stop() => _stopped = true;

    public async ValueTask DisposeAsync()
    {
        Stop();
        await _watching.CancelAsync().ConfigureAwait(Rt.Capture);
        await _refresher.DisposeAsync().ConfigureAwait(Rt.Capture);
        foreach (var node in All())
            await node.EndAsync().ConfigureAwait(Rt.Capture);
        Task[] ending;
        lock (_gate)
        {
            ending = [.. _ending];
            _connected.TrySetException(new RedisConnectionException("The client was disposed.", Sent.No, isTransient: false));
            _ = _connected.Task.Exception;
        }

        await Task.WhenAll(ending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private TimeSpan Timeout => _links.Options.ConnectTimeout;

    private List<ClusterNode> All()
    {
        lock (_gate)
            return [.. _nodes.Values];
    }

    // Under the gate.
    private void Use(SlotMap map)
    {
        var routes = new Routes(map, At);
        _routes = routes;
        foreach (var (node, _) in routes.Owners)
            node.AsPrimary.Commands.Start();
    }

    private void OnChanged(ClusterNode node, bool connected)
    {
        // Whoever was lost may have a successor, and whoever is back may be somebody else.
        Refresh();
        Tell();
    }

    // One at a time, so that nobody hears two changes in the wrong order.
    private void Tell()
    {
        if (!_stopped)
            RoutesChanged?.Invoke();
        lock (_telling)
        {
            var connected = _routes.AllConnected;
            if (connected == _isConnected || _stopped)
                return;
            _isConnected = connected;
            lock (_gate)
            {
                if (connected)
                    _connected.TrySetResult();
                else
                    _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            try
            {
                Changed?.Invoke(connected);
            }
            catch (Exception error)
            {
                Log.HandlerFailed(_links.Logger, error);
            }
        }
    }

    private async Task<(TimeSpan Pause, bool Asked)> RefreshAsync(CancellationToken stop)
    {
        try
        {
            lock (_gate)
                _corrections.Clear();
            if (!All().Exists(static node => node.Connected is not null))
            {
                // Whoever is connected first is asked.
                StartSeeds();
                return (Broken, false);
            }

            var map = await AskAsync(stop).ConfigureAwait(Rt.Capture);
            if (map is not null)
                Take(map);
            Tell();
            return (_isConnected && map is { IsComplete: true } ? Whole : Broken, true);
        }
        catch (Exception error) when (!stop.IsCancellationRequested)
        {
            Log.MapFailed(_links.Logger, error);
            return (Broken, true);
        }
    }

    private void Take(SlotMap map)
    {
        lock (_gate)
        {
            if (_stopped)
                return;
            foreach (var (slot, address) in _corrections)
                map = map.With(slot, address);
            Use(map);
            var named = _routes.Nodes.ToHashSet();
            foreach (var node in _nodes.Values.ToList())
            {
                // One map can be that of a node which has not heard of it yet.
                node.Missing = named.Contains(node) ? 0 : node.Missing + 1;
                if (node.Missing < 2)
                    continue;
                _nodes.Remove(node.Address);
                var ending = EndAsync(node);
                _ending.RemoveWhere(static task => task.IsCompleted);
                _ending.Add(ending);
            }
        }
    }

    // What is under way there is waited for.
    private async Task EndAsync(ClusterNode node)
    {
        await Task.Yield();
        node.HandBack();
        var began = _links.Time.GetTimestamp();
        while (node.InFlight > 0 && !_stopped && _links.Time.GetElapsedTime(began) < _links.Options.CommandTimeout)
            await Task.Delay(Patience, _links.Time).ConfigureAwait(Rt.Capture);
        await node.EndAsync().ConfigureAwait(Rt.Capture);
    }

    // Those who are connected, in any order; one that hesitates does not keep us waiting, for it may hang.
    private async Task<SlotMap?> AskAsync(CancellationToken stop)
    {
        var connected = All().Where(static node => node.Connected is not null).ToArray();
        _random.Shuffle(connected);
        var question = new MapQuestion(_links.Time, stop);
        foreach (var node in connected.Take(MostAsked))
        {
            if (node.Connected is not { } link)
                continue;
            question.Ask(link, node.Address);
            await question.WaitAsync(Patience).ConfigureAwait(Rt.Capture);
            if (question.Best is { IsComplete: true })
                break;
        }

        while (question.IsOpen && question.Best is not { IsComplete: true })
            await question.WaitAsync(_links.Options.CommandTimeout).ConfigureAwait(Rt.Capture);
        if (question.Best is not { IsComplete: true })
            StartSeeds();
        return question.Best;
    }

    private void StartSeeds()
    {
        foreach (var seed in _links.Options.Seeds)
            At(seed).AsPrimary.Commands.Start();
    }

    // When all that we were told to begin with refuse us, those who wait to be connected learn it at once.
    private async Task WatchSeedsAsync()
    {
        RedisConnectionException? refusal = null;
        try
        {
            var seeds = _links.Options.Seeds.Select(seed => At(seed).AsPrimary.Commands.WhenConnectedAsync(_watching.Token)).ToList();
            foreach (var seed in seeds)
            {
                await seed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (seed.IsCompletedSuccessfully)
                    return;
                refusal = seed.Exception?.InnerException as RedisConnectionException is { IsTransient: false } final ? final : refusal;
            }
        }
        catch (ObjectDisposedException)
        {
            return;
        }

        if (refusal is null)
            return;
        lock (_gate)
        {
            _connected.TrySetException(refusal);
            _ = _connected.Task.Exception;
            _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    private string WhatIsMissing()
    {
        var routes = _routes;
        var down = routes.Owners.Where(static owner => !owner.Node.IsConnected).Select(static owner => owner.Node).ToList();
        if (down.Count > 0)
            return $"There is no connection to {string.Join(", ", down)}. {down[0].AsPrimary.Commands.LastError}";
        if (routes.Map != SlotMap.Empty && !routes.Map.IsComplete)
            return $"{routes.Map.Gaps} slots have no owner, the first is {routes.Map.FirstGap}.";
        return At(_links.Options.Seeds[0]).AsPrimary.Commands.LastError;
    }
}
