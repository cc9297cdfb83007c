using System.Diagnostics;
using System.Globalization;

namespace Onggi.Testing;

/// <summary>One node of a <see cref="RedisClusterProcesses"/>.</summary>
/// <param name="Server">Its process, to be killed, paused and started again.</param>
/// <param name="Id">Its name in the cluster.</param>
public sealed record RedisClusterNode(RedisServerProcess Server, string Id)
{
    /// <summary>Its port on 127.0.0.1.</summary>
    public int Port => Server.Port;

    /// <summary>One command to this node alone.</summary>
    public Task<string?> CommandAsync(params string[] command) => Server.CommandAsync(command);

    /// <inheritdoc/>
    public override string ToString() => $"127.0.0.1:{Port}";
}

/// <summary>A Redis cluster of real processes on loopback ports, that cannot outlive us. It stands after some 2.5 s: a node of a cluster does not take writes in its first two.</summary>
public sealed class RedisClusterProcesses : IAsyncDisposable
{
    private const int Slots = 16_384;

    // Time for a failover on a busy machine: a second until the loss is noticed, one until a replica may stand, and perhaps a second election.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<RedisClusterNode> _nodes = [];
    private readonly int _primaries;

    private RedisClusterProcesses(int primaries) => _primaries = primaries;

    /// <summary>All nodes: those that were primaries at the beginning, and then their replicas.</summary>
    public IReadOnlyList<RedisClusterNode> Nodes => _nodes;

    /// <summary>Those that were primaries at the beginning, in the order of their slots.</summary>
    public IEnumerable<RedisClusterNode> Primaries => _nodes.Take(_primaries);

    /// <summary>Those that were replicas at the beginning.</summary>
    public IEnumerable<RedisClusterNode> Replicas => _nodes.Skip(_primaries);

    /// <summary>All addresses, as a connection string has them.</summary>
    public string ConnectionString => string.Join(',', _nodes);

    /// <summary>Starts a cluster and waits until all of its nodes know all of it and take commands.</summary>
    /// <param name="primaries">How many share the slots.</param>
    /// <param name="replicas">How many replicas each of them has.</param>
    /// <param name="flags">Further flags of all nodes.</param>
    public static async Task<RedisClusterProcesses> StartAsync(int primaries = 3, int replicas = 1, params string[] flags)
    {
        var cluster = new RedisClusterProcesses(primaries);
        var starting = Enumerable.Range(0, primaries * (1 + replicas)).Select(_ => StartNodeAsync(flags)).ToList();
        try
        {
            foreach (var node in await Task.WhenAll(starting))
                cluster._nodes.Add(node);
            await cluster.JoinAsync(replicas);
            return cluster;
        }
        catch
        {
            await Task.WhenAll(starting).ContinueWith(_ => { }, TaskScheduler.Default);
            foreach (var start in starting.Where(start => start.IsCompletedSuccessfully))
                await (await start).Server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until all nodes that run take commands and say the same about every slot, and their replicas are in step.</summary>
    public async Task WhenOkAsync()
    {
        foreach (var node in _nodes.Where(node => node.Server.IsRunning))
            await UntilAsync(() => IsOkAsync(node), $"{node} is part of a cluster that works");
        await UntilAsync(
            async () =>
            {
                var running = _nodes.Where(node => node.Server.IsRunning).Select(OwnersAsync);
                return (await Task.WhenAll(running)).Distinct(StringComparer.Ordinal).Count() == 1;
            },
            "all nodes say the same about the slots"
        );
    }

    /// <summary>Who has a slot now, as a running node sees it; <c>null</c> when nobody has.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="seenBy">Whom to ask; <c>null</c> for the first that runs.</param>
    public async Task<RedisClusterNode?> OwnerAsync(int slot, RedisClusterNode? seenBy = null)
    {
        seenBy ??= _nodes.First(node => node.Server.IsRunning);
        foreach (var line in await LinesAsync(seenBy))
            if (!line.Flags.Contains("fail", StringComparer.Ordinal) && line.Ranges.Any(range => range.First <= slot && slot <= range.Last))
                return _nodes.Single(node => node.Id == line.Id);
        return null;
    }

    /// <summary>Waits until somebody else has a slot, in the eyes of the new owner itself.</summary>
    public async Task<RedisClusterNode> WhenOwnerIsNotAsync(int slot, RedisClusterNode old)
    {
        RedisClusterNode? found = null;
        await UntilAsync(
            async () =>
            {
                foreach (var node in _nodes.Where(node => node != old && node.Server.IsRunning))
                    if (await OwnerAsync(slot, node) == node)
                        found = node;
                return found is not null;
            },
            $"slot {slot} has an owner other than {old}"
        );
        return found!;
    }

    /// <summary>The moving of a slot, in steps between which a test can do what it likes.</summary>
    public SlotMove Move(int slot, RedisClusterNode from, RedisClusterNode to) => new(this, slot, from, to);

    /// <summary>Ends all nodes.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
            await node.Server.DisposeAsync();
    }

    private static async Task<RedisClusterNode> StartNodeAsync(string[] flags)
    {
        for (var attempt = 1; ; attempt++)
        {
            // The port of the bus is drawn apart: by default it is 10,000 above the other, where outgoing connections take theirs.
            string[] own =
            [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                LoopbackPorts.Free().ToString(CultureInfo.InvariantCulture),
                "--cluster-node-timeout",
                "1000",
                "--cluster-replica-validity-factor",
                "0",
                "--repl-diskless-sync-delay",
                "0",
                "--repl-ping-replica-period",
                "1",
                .. flags,
            ];
            try
            {
                var server = await RedisServerProcess.StartAsync(own);
                return new RedisClusterNode(server, (await server.CommandAsync("CLUSTER", "MYID"))!);
            }
            catch (InvalidOperationException failure)
                when (attempt < 10 && failure.Message.Contains("bind", StringComparison.OrdinalIgnoreCase))
            {
                // Somebody took the port of the bus: draw another.
            }
        }
    }

    private async Task JoinAsync(int replicas)
    {
        for (var i = 0; i < _primaries; i++)
        {
            var (first, last) = (Slots * i / _primaries, Slots * (i + 1) / _primaries - 1);
            await _nodes[i].CommandAsync("CLUSTER", "ADDSLOTSRANGE", $"{first}", $"{last}");
            await _nodes[i].CommandAsync("CLUSTER", "SET-CONFIG-EPOCH", $"{i + 1}");
        }

        // Everybody meets everybody, which is faster than waiting for the gossip.
        foreach (var (i, node) in _nodes.Index())
        foreach (var other in _nodes.Skip(i + 1))
            await node.CommandAsync("CLUSTER", "MEET", "127.0.0.1", $"{other.Port}", await BusAsync(other));
        foreach (var node in _nodes)
            await UntilAsync(async () => await KnowsAllAsync(node), $"{node} knows all nodes");
        foreach (var (i, replica) in _nodes.Skip(_primaries).Index())
            await replica.CommandAsync("CLUSTER", "REPLICATE", _nodes[i / replicas].Id);
        foreach (var replica in Replicas)
            await UntilAsync(
                async () =>
                    (await replica.CommandAsync("INFO", "replication"))!.Contains("master_link_status:up", StringComparison.Ordinal),
                $"{replica} is in step"
            );
        await WhenOkAsync();
    }

    private static async Task<string> BusAsync(RedisClusterNode node) =>
        (await node.CommandAsync("CONFIG", "GET", "cluster-port"))!.Split('\n')[1];

    private async Task<bool> KnowsAllAsync(RedisClusterNode node)
    {
        var lines = await LinesAsync(node);
        return lines.Count == _nodes.Count
            && lines.All(line => line.IsConnected && !line.Flags.Contains("handshake", StringComparer.Ordinal));
    }

    // What CLUSTER SLOTS says too: it leaves out a replica until that one has received something.
    private static async Task<bool> IsOkAsync(RedisClusterNode node)
    {
        if (!(await node.CommandAsync("CLUSTER", "INFO"))!.Contains("cluster_state:ok", StringComparison.Ordinal))
            return false;
        var lines = await LinesAsync(node);
        if (lines.Sum(line => line.Ranges.Sum(range => range.Last - range.First + 1)) != Slots)
            return false;
        var slots = (await node.CommandAsync("CLUSTER", "SLOTS"))!.Split('\n');
        return lines.All(line => line.IsFailed || slots.Contains(line.Id, StringComparer.Ordinal));
    }

    private static async Task<string> OwnersAsync(RedisClusterNode node)
    {
        var owners =
            from line in await LinesAsync(node)
            from range in line.Ranges
            orderby range.First
            select $"{range.First}-{range.Last} {line.Id}";
        return string.Join('\n', owners);
    }

    private static async Task<IReadOnlyList<NodeLine>> LinesAsync(RedisClusterNode node) =>
        [.. (await node.CommandAsync("CLUSTER", "NODES"))!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(NodeLine.Parse)];

    private static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > Patience)
                throw new TimeoutException($"For {Patience.TotalSeconds} s it was not so that {what}.");
            // Nodes tell nobody when they change their minds: ask again.
            await Task.Delay(20);
        }
    }

    // <id> <ip:port@bus> <flags> <master> <ping> <pong> <epoch> <link> <slot> …, where [ marks a slot on its way.
    private sealed record NodeLine(string Id, IReadOnlyList<string> Flags, bool IsConnected, IReadOnlyList<(int First, int Last)> Ranges)
    {
        public bool IsFailed => Flags.Any(flag => flag is "fail" or "fail?" or "noaddr");

        public static NodeLine Parse(string line)
        {
            var words = line.Split(' ');
            var ranges =
                from word in words.Skip(8)
                where word[0] != '['
                let ends = word.Split('-')
                select (Number(ends[0]), Number(ends[^1]));
            return new(words[0], words[2].Split(','), words[7] == "connected", [.. ranges]);
        }

        private static int Number(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);
    }
}

/// <summary>A slot on its way from one primary to another, as <c>redis-cli --cluster reshard</c> moves it: <see cref="BeginAsync"/>, <see cref="MoveKeysAsync"/> as often as needed, <see cref="FinishAsync"/>.</summary>
public sealed class SlotMove
{
    private readonly RedisClusterProcesses _cluster;
    private readonly string _slot;

    internal SlotMove(RedisClusterProcesses cluster, int slot, RedisClusterNode from, RedisClusterNode to)
    {
        _cluster = cluster;
        _slot = slot.ToString(CultureInfo.InvariantCulture);
        From = from;
        To = to;
    }

    /// <summary>Who has the slot until the end.</summary>
    public RedisClusterNode From { get; }

    /// <summary>Who has it then.</summary>
    public RedisClusterNode To { get; }

    /// <summary>All steps.</summary>
    public async Task RunAsync()
    {
        await BeginAsync();
        await MoveKeysAsync();
        await FinishAsync();
    }

    /// <summary>From now on the old owner answers ASK for keys that it does not have.</summary>
    public async Task BeginAsync()
    {
        await To.CommandAsync("CLUSTER", "SETSLOT", _slot, "IMPORTING", From.Id);
        await From.CommandAsync("CLUSTER", "SETSLOT", _slot, "MIGRATING", To.Id);
    }

    /// <summary>Takes keys over.</summary>
    /// <param name="most">How many at the most.</param>
    /// <returns>How many they were.</returns>
    public async Task<int> MoveKeysAsync(int most = int.MaxValue)
    {
        var moved = 0;
        while (moved < most)
        {
            var found = await From.CommandAsync("CLUSTER", "GETKEYSINSLOT", _slot, $"{Math.Min(100, most - moved)}");
            if (string.IsNullOrEmpty(found))
                break;
            var keys = found.Split('\n');
            await From.CommandAsync(["MIGRATE", "127.0.0.1", $"{To.Port}", "", "0", "5000", "KEYS", .. keys]);
            moved += keys.Length;
        }

        return moved;
    }

    /// <summary>Gives the slot to the new owner: it is told first, so that at no time nobody has it. The others learn it at once instead of by gossip.</summary>
    public async Task FinishAsync()
    {
        await To.CommandAsync("CLUSTER", "SETSLOT", _slot, "NODE", To.Id);
        await From.CommandAsync("CLUSTER", "SETSLOT", _slot, "NODE", To.Id);
        foreach (var node in _cluster.Primaries.Where(node => node != To && node != From && node.Server.IsRunning))
            await node.CommandAsync("CLUSTER", "SETSLOT", _slot, "NODE", To.Id);
    }
}
