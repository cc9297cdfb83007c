using System.Collections.Concurrent;
using System.Text;
using Onggi.Testing;

namespace Onggi.Tests.Client.Sentinel;

/// <summary>A Sentinel that says what a test wants it to say.</summary>
internal sealed class FakeSentinel : IAsyncDisposable
{
    private readonly FakeRedis _server;
    private readonly ConcurrentDictionary<FakeConnection, bool> _listening = new();
    private volatile int _masterPort;
    private volatile int _epoch = 1;
    private int _looks;

    public FakeSentinel(int masterPort, string? refusesToListen = null)
    {
        _masterPort = masterPort;
        _server = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(command =>
            {
                if (command[0] != "SUBSCRIBE")
                    return Answer(command);
                if (refusesToListen is not null)
                    return $"-{refusesToListen}\r\n";
                _listening[connection] = true;
                return $">3\r\n$9\r\nsubscribe\r\n{Bulk(command[1])}:1\r\n";
            });
            _listening.TryRemove(connection, out _);
        });
    }

    public int Port => _server.Port;

    public int Connections => _server.Connections;

    /// <summary>Whom it names; 0 when it does not know the name.</summary>
    public int MasterPort
    {
        get => _masterPort;
        set => _masterPort = value;
    }

    /// <summary>How often it was asked for all that it knows of the master.</summary>
    public int Looks => _looks;

    public string Id { get; init; } = "a";

    /// <summary>The configuration's epoch.</summary>
    public int Epoch
    {
        get => _epoch;
        set => _epoch = value;
    }

    /// <summary>Other Sentinels that it knows: port and id.</summary>
    public IReadOnlyList<(int Port, string Id)> Others { get; set; } = [];

    /// <summary>Those who listen.</summary>
    public int Listeners => _listening.Count;

    /// <summary>Tells those who listen.</summary>
    public async Task TellAsync(string channel, string text)
    {
        foreach (var connection in _listening.Keys)
            await connection.SendAsync($">3\r\n$7\r\nmessage\r\n{Bulk(channel)}{Bulk(text)}");
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private string? Answer(string[] command)
    {
        switch (command)
        {
            case ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _]:
                return _masterPort == 0 ? "_\r\n" : $"*2\r\n{Bulk("127.0.0.1")}{Bulk($"{_masterPort}")}";
            case ["SENTINEL", "MASTER", _]:
                Interlocked.Increment(ref _looks);
                return Server(_masterPort, ("config-epoch", $"{Epoch}"));
            case ["SENTINEL", "SENTINELS", _]:
                return $"*{Others.Count}\r\n{string.Concat(Others.Select(other => Server(other.Port, ("runid", other.Id))))}";
            case ["SENTINEL", "MYID"]:
                return Bulk(Id);
            case ["SENTINEL", ..]:
                return "*0\r\n";
            case ["PING"]:
                return "+PONG\r\n";
            default:
                return $"-ERR unknown command '{command[0]}'\r\n";
        }
    }

    private static string Server(int port, (string Name, string Value) fact) =>
        $"%3\r\n{Bulk("ip")}{Bulk("127.0.0.1")}{Bulk("port")}{Bulk($"{port}")}{Bulk(fact.Name)}{Bulk(fact.Value)}";

    private static string Bulk(string text) => $"${Encoding.UTF8.GetByteCount(text)}\r\n{text}\r\n";
}

/// <summary>A server that greets with a role and answers every command with its own port.</summary>
internal sealed class FakeServer : IAsyncDisposable
{
    private readonly FakeRedis _server;
    private readonly ConcurrentQueue<string> _commands = new();

    public FakeServer(string role = "master", Func<string[], string?>? answer = null)
    {
        Role = role;
        _server = FakeRedis.Start(async connection =>
        {
            if (Role == "hanging")
            {
                await connection.UntilClosedAsync();
                return;
            }

            await connection.ReadCommandAsync();
            var hello = FakeConnection.HelloReply();
            await connection.SendAsync(
                Role == "master" ? hello : hello.Replace("$6\r\nmaster", $"${Role.Length}\r\n{Role}", StringComparison.Ordinal)
            );
            await connection.ServeAsync(command =>
            {
                // Part of the greeting.
                if (command[0] == "CLIENT")
                    return "+OK\r\n";
                _commands.Enqueue(command[0]);
                return answer is null ? $":{Port}\r\n" : answer(command);
            });
        });
    }

    public int Port => _server.Port;

    public int Connections => _server.Connections;

    /// <summary>What it says that it is; <c>hanging</c> says nothing.</summary>
    public string Role { get; set; }

    public IReadOnlyCollection<string> Commands => _commands;

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
