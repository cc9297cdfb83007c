using System.Text;
using Onggi.Client;
using Onggi.Client.Transport;

namespace Onggi.Tests.Client;

/// <summary>A network that answers before it is asked to wait: everything ends on the thread that began it.</summary>
public sealed class LinkStartTests
{
    [Fact]
    public async Task A_link_that_connects_without_waiting_is_one_link_all_the_same()
    {
        var network = new InstantNetwork();
        await using var redis = new RedisClient(new RedisClientOptions { Transports = network });

        // Each asks for a connection of its own if starting is not done once: the subscription is sent while the first one is being told of.
        await using var first = redis.Subscribe("a");
        await using var second = redis.Subscribe("b");
        await first.WhenActiveAsync().WaitAsync(TimeSpan.FromSeconds(20));
        await second.WhenActiveAsync().WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(1, network.Connections);
    }

    [Fact]
    public async Task A_handler_that_throws_ends_neither_the_link_nor_the_waiting_of_others()
    {
        var network = new InstantNetwork();
        await using var redis = new RedisClient(new RedisClientOptions { Transports = network });
        redis.ConnectionChanged += _ => throw new InvalidOperationException("not my day");

        Assert.Equal("PONG", await redis.PingAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        var silent = redis.SendAsync(["SILENCE"], ReplyParsers.Text).AsTask();
        network.Last!.Abort();

        var lost = await Assert.ThrowsAsync<RedisConnectionException>(() => silent.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(Sent.Maybe, lost.Sent);
        Assert.Equal("PONG", await redis.PingAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task A_Redis_that_was_never_there_is_known_to_be_down_once_an_attempt_has_failed()
    {
        var options = new RedisClientOptions { Transports = new RefusingNetwork(), ConnectTimeout = TimeSpan.FromMilliseconds(200) };
        await using var redis = new RedisClient(options);
        Assert.False(redis.IsKnownDown);

        await Assert.ThrowsAsync<RedisConnectionException>(() => redis.ConnectAsync().AsTask());

        Assert.True(redis.IsKnownDown);
    }

    private sealed class RefusingNetwork : ITransportFactory
    {
        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken) =>
            ValueTask.FromException<ITransport>(new IOException("refused"));
    }

    private sealed class InstantNetwork : ITransportFactory
    {
        private int _connections;

        public InstantRedis? Last { get; private set; }

        public int Connections => _connections;

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _connections);
            return new ValueTask<ITransport>(Last = new InstantRedis());
        }
    }

    // Greets, answers PING, confirms every SUBSCRIBE, and is silent to all else.
    private sealed class InstantRedis : ITransport
    {
        private readonly Lock _gate = new();
        private readonly Queue<byte[]> _replies = new();
        private TaskCompletionSource? _waiting;
        private bool _ended;

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            var text = Encoding.UTF8.GetString(bytes.Span);
            lock (_gate)
            {
                if (text.Contains("HELLO", StringComparison.Ordinal))
                    _replies.Enqueue("%2\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+OK\r\n+OK\r\n"u8.ToArray());
                var lines = text.Split("\r\n");
                for (var i = 0; i < lines.Length; i++)
                    if (lines[i] == "PING")
                        _replies.Enqueue("+PONG\r\n"u8.ToArray());
                    else if (lines[i] == "SUBSCRIBE")
                        _replies.Enqueue(Encoding.UTF8.GetBytes($">3\r\n+subscribe\r\n+{lines[i + 2]}\r\n:1\r\n"));
                _waiting?.TrySetResult();
            }

            return ValueTask.CompletedTask;
        }

        public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            while (true)
            {
                Task waiting;
                lock (_gate)
                {
                    if (_ended)
                        return 0;
                    if (_replies.TryDequeue(out var reply))
                    {
                        reply.CopyTo(buffer);
                        return reply.Length;
                    }

                    _waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    waiting = _waiting.Task;
                }

                await waiting.WaitAsync(cancellationToken);
            }
        }

        public void Abort()
        {
            lock (_gate)
            {
                _ended = true;
                _waiting?.TrySetResult();
            }
        }

        public ValueTask DisposeAsync()
        {
            Abort();
            return ValueTask.CompletedTask;
        }
    }
}
