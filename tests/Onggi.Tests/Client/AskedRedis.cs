using System.Threading.Channels;
using Onggi.Client;
using Onggi.Testing;
using FakeConnection = Onggi.Testing.FakeConnection;

namespace Onggi.Tests.Client;

/// <summary>A Redis that hands each command to the test, which answers it when it likes.</summary>
public sealed class AskedRedis : IAsyncDisposable
{
    /// <summary>How long a test waits for what has to come.</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    private readonly Channel<(string[] Command, FakeConnection From)> _asked = Channel.CreateUnbounded<(string[], FakeConnection)>();
    private readonly FakeRedis _server;

    private AskedRedis() =>
        _server = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            while (true)
                _asked.Writer.TryWrite((await connection.ReadCommandAsync(), connection));
        });

    public string ConnectionString => _server.ConnectionString;

    public static AskedRedis Start() => new();

    /// <summary>Connects the client. What a new connection sets off has been set off when this returns.</summary>
    public async Task ConnectAsync(RedisClient redis)
    {
        var connected = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        redis.ConnectionChanged += _ => connected.TrySetResult();
        var pinging = redis.PingAsync().AsTask();
        await AnswerAsync("+PONG\r\n");
        await pinging.WaitAsync(Bound);
        await connected.Task.WaitAsync(Bound);
    }

    /// <summary>The next command, and where its answer goes.</summary>
    public Task<(string[] Command, FakeConnection From)> NextAsync() => _asked.Reader.ReadAsync().AsTask().WaitAsync(Bound);

    /// <summary>The next command, if it is here already.</summary>
    public bool TryNext(out (string[] Command, FakeConnection From) next) => _asked.Reader.TryRead(out next);

    /// <summary>Answers the next command, and says which it was.</summary>
    public async Task<string[]> AnswerAsync(string reply)
    {
        var (command, from) = await NextAsync();
        await from.SendAsync(reply);
        return command;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
