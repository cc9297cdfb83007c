namespace Onggi.Client.Routing.Sentinel;

/// <summary>Connections to the replicas that are fit to answer, in turn.</summary>
internal sealed class ReplicaPool : IAsyncDisposable
{
    private readonly PrimarySource _source;
    private readonly Func<RedisAddress, RedisNode> _connect;
    private readonly Lock _gate = new();
    private volatile RedisNode[] _nodes = [];
    private List<Task> _leaving = [];
    private int _turn;
    private bool _disposed;

    public ReplicaPool(PrimarySource source, Func<RedisAddress, RedisNode> connect)
    {
        (_source, _connect) = (source, connect);
        _source.ReplicasChanged += Update;
        _source.Start();
        Update();
    }

    public int InFlight => _nodes.Sum(node => node.InFlight);

    /// <summary>The next one that is connected; <c>null</c> when none is.</summary>
    public RedisNode? Next()
    {
        var nodes = _nodes;
        for (var i = 0; i < nodes.Length; i++)
            if (nodes[(uint)Interlocked.Increment(ref _turn) % (uint)nodes.Length] is var node && node.Commands.IsConnected)
                return node;
        return null;
    }

    public async ValueTask DisposeAsync()
    {
        _source.ReplicasChanged -= Update;
        lock (_gate)
        {
            _disposed = true;
            _leaving.AddRange(_nodes.Select(LeaveAsync));
            _nodes = [];
        }

        await Task.WhenAll(_leaving).ConfigureAwait(Rt.Capture);
    }

    private void Update()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            var wanted = _source.Replicas;
            var kept = _nodes.Where(node => wanted.Contains(AddressOf(node))).ToList();
            var left = _nodes.Except(kept).ToList();
            foreach (var address in wanted.Except(kept.Select(AddressOf)))
            {
                var node = _connect(address);
                node.Commands.Start();
                kept.Add(node);
            }

            // First out of the turn, then ended: what it has not answered is asked elsewhere.
            _nodes = [.. kept];
            _leaving = [.. _leaving.Where(task => !task.IsCompleted), .. left.Select(LeaveAsync)];
        }
    }

    private static RedisAddress AddressOf(RedisNode node) => ((ReplicaServer)node.Server).Address;

    private static async Task LeaveAsync(RedisNode node)
    {
        // Not under the gate of whoever decided it.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await node.DisposeAsync().ConfigureAwait(Rt.Capture);
    }
}

/// <summary>A server that is to be a replica.</summary>
internal sealed class ReplicaServer(RedisAddress address) : ServerSource
{
    public RedisAddress Address => address;

    public override ValueTask<RedisAddress> FindAsync(CancellationToken cancellationToken) => new(address);

    // One that was started by itself has no data, or old data.
    public override RedisConnectionException? Refuse(RedisAddress address, RedisServerInfo server) =>
        server.Role == "master" ? new RedisConnectionException($"{address} is no replica any more.", Sent.No) : null;

    public override string ToString() => $"the replica {address}";
}
