using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>Those who have the same slots: one primary, and its replicas.</summary>
internal sealed record Shard(RedisAddress Primary, IReadOnlyList<RedisAddress> Replicas);

/// <summary>Which shard has which slot, as one node has told it, or as it has been corrected since. It never changes; there is always a newer one.</summary>
/// <remarks>
/// It is read from <c>CLUSTER SLOTS</c> rather than <c>CLUSTER SHARDS</c>. Slots names the port of the kind of connection over which it is asked (TLS or not) and leaves out replicas
/// that have failed or never synchronised; Shards, which is younger, names all ports and all nodes, of which the reader must find out who can be asked.
/// </remarks>
internal sealed class SlotMap
{
    /// <summary>Nobody has anything: what is known before anybody was asked.</summary>
    public static readonly SlotMap Empty = new([], new ushort[HashSlot.Count]);

    // For each slot the place of its shard, from 1; 0 where nobody has it.
    private readonly ushort[] _owners;
    private readonly Shard[] _shards;

    private SlotMap(Shard[] shards, ushort[] owners)
    {
        _shards = shards;
        _owners = owners;
    }

    /// <summary>All that have slots, or had some.</summary>
    public IReadOnlyList<Shard> Shards => _shards;

    /// <summary>Whether every slot has an owner.</summary>
    public bool IsComplete => FirstGap < 0;

    /// <summary>The first slot that nobody has; -1 when there is none.</summary>
    public int FirstGap => _owners.AsSpan().IndexOf((ushort)0);

    /// <summary>How many slots nobody has.</summary>
    public int Gaps => _owners.AsSpan().Count((ushort)0);

    /// <summary>Who has the slot; <c>null</c> when nobody is known to.</summary>
    public Shard? this[int slot] => _owners[slot] is var owner and > 0 ? _shards[owner - 1] : null;

    /// <summary>The place in <see cref="Shards"/> of the one that has the slot; -1 when nobody is known to.</summary>
    public int PlaceOf(int slot) => _owners[slot] - 1;

    /// <summary>Reads the reply to <c>CLUSTER SLOTS</c>.</summary>
    /// <param name="reply">An array of <c>[first, last, [host, port, id, metadata], replica …]</c>.</param>
    /// <param name="asked">Whom we asked: a node that does not know its own address leaves it out.</param>
    /// <exception cref="RedisReplyException">It is something else.</exception>
    public static SlotMap Parse(Reply reply, RedisAddress asked)
    {
        var shards = new List<Shard>();
        var owners = new ushort[HashSlot.Count];
        if (reply.Type != RespType.Array)
            throw Unreadable(reply);
        foreach (var range in reply.Items)
        {
            if (range.Items.Count < 3 || Number(range.Items[0]) is not { } first || Number(range.Items[1]) is not { } last)
                throw Unreadable(range);
            if (first < 0 || last < first || last >= HashSlot.Count)
                throw Unreadable(range);
            if (Node(range.Items[2], asked) is not { } primary)
                continue;
            List<RedisAddress> replicas = [];
            foreach (var node in range.Items.Skip(3))
                if (Node(node, asked) is { } replica)
                    replicas.Add(replica);
            owners.AsSpan(first, last - first + 1).Fill(Place(shards, primary, replicas));
        }

        return new SlotMap([.. shards], owners);
    }

    /// <summary>The map after we have been told that somebody else has a slot; the same map when that is no news.</summary>
    public SlotMap With(int slot, RedisAddress primary)
    {
        if (this[slot]?.Primary == primary)
            return this;
        var shards = _shards.ToList();
        var owners = _owners.AsSpan().ToArray();
        owners[slot] = Place(shards, primary, []);
        return new SlotMap(shards.Count == _shards.Length ? _shards : [.. shards], owners);
    }

    // The ranges of one primary are one shard.
    private static ushort Place(List<Shard> shards, RedisAddress primary, IReadOnlyList<RedisAddress> replicas)
    {
        var place = shards.FindIndex(shard => shard.Primary == primary);
        if (place < 0)
        {
            place = shards.Count;
            shards.Add(new Shard(primary, replicas));
        }

        return (ushort)(place + 1);
    }

    // Null for a node whose name the one we asked does not know: nobody can connect to it yet.
    private static RedisAddress? Node(Reply node, RedisAddress asked)
    {
        if (node.Items.Count < 2 || Number(node.Items[1]) is not { } port)
            throw Unreadable(node);
        var host = node.Items[0].Text;
        if (string.IsNullOrEmpty(host))
            return new RedisAddress(asked.Host, port);
        if (host != "?")
            return new RedisAddress(host, port);
        // Told to announce host names, and this one has none: its address stands in the metadata.
        return node.Items.Count > 3 && node.Items[3]["ip"]?.Text is { Length: > 0 } address ? new RedisAddress(address, port) : null;
    }

    private static int? Number(Reply item) => item.Type == RespType.Integer && int.TryParse(item.Text, out var number) ? number : null;

    private static RedisReplyException Unreadable(Reply part) => new($"The reply to CLUSTER SLOTS cannot be read: {part}.");
}
