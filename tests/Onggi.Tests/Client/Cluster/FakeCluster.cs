using System.Globalization;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client.Cluster;

/// <summary>Nodes that say what a test wants them to say, and remember what they were asked.</summary>
internal sealed class FakeCluster : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<FakeRedis> _nodes = [];
    private readonly CancellationTokenSource _end = new();
    private readonly int[] _open;
    private readonly List<(int Node, string Command)> _asked = [];

    /// <param name="count">How many nodes.</param>
    public FakeCluster(int count)
    {
        _open = new int[count];
        for (var i = 0; i < count; i++)
        {
            var node = i;
            _nodes.Add(FakeRedis.Start(connection => ServeAsync(connection, node)));
        }

        Slots = () => All(0);
    }

    /// <summary>What CLUSTER SLOTS is answered with; <see cref="Range"/> makes its parts.</summary>
    public Func<string> Slots { get; set; }

    /// <summary>Ends before CLUSTER SLOTS is answered.</summary>
    public Func<Task> BeforeSlots { get; set; } = () => Task.CompletedTask;

    /// <summary>What a node answers to anything else.</summary>
    public Func<int, string[], string?> Answer { get; set; } = (_, _) => "+OK\r\n";

    public int Port(int node) => _nodes[node].Port;

    public RedisClientOptions Options => new() { Host = "127.0.0.1", Port = Port(0) };

    public static string Array(params string[] parts) => $"*{parts.Length}\r\n{string.Concat(parts)}";

    /// <summary>One node has all slots.</summary>
    public string All(int node) => Array(Range(0, 16_383, node));

    public string Range(int first, int last, params int[] nodes) => RangeOf(first, last, nodes.Select(Port).ToArray());

    public static string RangeOf(int first, int last, params int[] ports) =>
        $"*{2 + ports.Length}\r\n:{first}\r\n:{last}\r\n"
        + string.Concat(ports.Select(port => $"*4\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$4\r\nname\r\n*0\r\n"));

    /// <summary>How often a node was asked this; -1 for all nodes together.</summary>
    public int Asked(string command, int node = -1)
    {
        lock (_gate)
            return _asked.Count(asked => asked.Command == command && (node < 0 || asked.Node == node));
    }

    /// <summary>How many connections to a node stand now.</summary>
    public int Open(int node)
    {
        lock (_gate)
            return _open[node];
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        foreach (var node in _nodes)
            await node.DisposeAsync();
        _end.Dispose();
    }

    private async Task ServeAsync(FakeConnection connection, int node)
    {
        lock (_gate)
            _open[node]++;
        try
        {
            await AnswerAsync(connection, node);
        }
        finally
        {
            lock (_gate)
                _open[node]--;
        }
    }

    private async Task AnswerAsync(FakeConnection connection, int node)
    {
        while (true)
        {
            string[] command;
            try
            {
                command = await connection.ReadCommandAsync();
            }
            catch (Exception closed) when (closed is EndOfStreamException or System.Net.Sockets.SocketException)
            {
                return;
            }

            lock (_gate)
                _asked.Add((node, string.Join(' ', command)));
            if (command is ["CLUSTER", "SLOTS"])
                await BeforeSlots().WaitAsync(_end.Token);
            var reply = command switch
            {
                ["HELLO", ..] => FakeConnection.HelloReply().Replace("$10\r\nstandalone", "$7\r\ncluster", StringComparison.Ordinal),
                ["CLIENT", "SETINFO", ..] or ["READONLY"] or ["ASKING"] => "+OK\r\n",
                ["CLUSTER", "SLOTS"] => Slots(),
                _ => Answer(node, command),
            };
            if (reply is not null)
                await connection.SendAsync(reply);
        }
    }

    public string Moved(int slot, int node) => string.Create(CultureInfo.InvariantCulture, $"-MOVED {slot} 127.0.0.1:{Port(node)}\r\n");

    public string Ask(int slot, int node) => string.Create(CultureInfo.InvariantCulture, $"-ASK {slot} 127.0.0.1:{Port(node)}\r\n");
}
