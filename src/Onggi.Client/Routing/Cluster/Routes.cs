namespace Onggi.Client.Routing.Cluster;

/// <summary>A slot map with the nodes it speaks of. It never changes; there is always a newer one.</summary>
internal sealed class Routes
{
    private readonly ClusterNode[] _primaries;
    private readonly ClusterNode[][] _replicas;

    /// <param name="map">Who has what.</param>
    /// <param name="nodeAt">Finds or makes the node at an address.</param>
    public Routes(SlotMap map, Func<RedisAddress, ClusterNode> nodeAt)
    {
        Map = map;
        _primaries = [.. map.Shards.Select(shard => nodeAt(shard.Primary))];
        _replicas = [.. map.Shards.Select(shard => shard.Replicas.Select(nodeAt).ToArray())];
        var slots = new int[_primaries.Length];
        Array.Fill(slots, -1);
        for (var slot = HashSlot.Count - 1; slot >= 0; slot--)
            if (map.PlaceOf(slot) is var place and >= 0)
                slots[place] = slot;
        Owners = [.. _primaries.Zip(slots).Where(pair => pair.Second >= 0)];
    }

    public SlotMap Map { get; }

    /// <summary>The primaries that have slots, each with its first one.</summary>
    public IReadOnlyList<(ClusterNode Node, int Slot)> Owners { get; }

    /// <summary>Every slot has an owner, and we are connected to all of them.</summary>
    public bool AllConnected => Map.IsComplete && Owners.All(static owner => owner.Node.IsConnected);

    public IEnumerable<ClusterNode> Nodes => _primaries.Concat(_replicas.SelectMany(static nodes => nodes));

    /// <summary>Who has the slot; <c>null</c> when nobody is known to.</summary>
    public ClusterNode? PrimaryOf(int slot) => Map.PlaceOf(slot) is var place and >= 0 ? _primaries[place] : null;

    /// <summary>A replica of whoever has the slot: one that is connected, else one that may be; <c>null</c> when there is none.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="random">Where to begin to look.</param>
    public ClusterNode? ReplicaOf(int slot, int random)
    {
        if (Map.PlaceOf(slot) is not (var place and >= 0))
            return null;
        var replicas = _replicas[place];
        ClusterNode? hopeful = null;
        for (var i = 0; i < replicas.Length; i++)
        {
            var replica = replicas[(int)((uint)(random + i) % (uint)replicas.Length)];
            if (replica.IsReplicaConnected)
                return replica;
            if (!replica.IsReplicaKnownDown)
                hopeful ??= replica;
        }

        return hopeful;
    }

    /// <summary>A primary for a command without keys: always the same while it is connected, so that such commands keep their order.</summary>
    /// <param name="choice">Which one is preferred; clients differ in it.</param>
    public ClusterNode? Any(int choice)
    {
        ClusterNode? hopeful = null;
        for (var i = 0; i < Owners.Count; i++)
        {
            var node = Owners[(int)((uint)(choice + i) % (uint)Owners.Count)].Node;
            if (node.IsConnected)
                return node;
            if (!node.IsKnownDown)
                hopeful ??= node;
        }

        return hopeful;
    }
}
