using Onggi.Client;
using Onggi.Client.Transport;

namespace Onggi.Tests.Client;

/// <summary>A thread pool that never comes to it: nobody is told that something can be received.</summary>
public sealed class StarvedPoolTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Replies_are_read_although_the_pool_never_hears_of_them()
    {
        await using var redis = new RedisClient(new RedisClientOptions { Transports = new StarvedLine() });

        for (var i = 0; i < 50; i++)
            Assert.Equal("PONG", await redis.PingAsync().AsTask().WaitAsync(Bound));
    }

    [Fact]
    public async Task A_caller_who_blocks_on_the_thread_that_helps_keeps_nobody_from_their_replies()
    {
        await using var redis = new RedisClient(new RedisClientOptions { Transports = new StarvedLine() });
        using var end = new ManualResetEventSlim();
        var blocked = BlockAsync(redis, end);

        try
        {
            for (var i = 0; i < 50; i++)
                Assert.Equal("PONG", await redis.PingAsync().AsTask().WaitAsync(Bound));
            Assert.False(blocked.IsCompleted);
        }
        finally
        {
            end.Set();
        }

        await blocked.WaitAsync(Bound);
    }

    private static async Task BlockAsync(RedisClient redis, ManualResetEventSlim end)
    {
        await redis.PingAsync().ConfigureAwait(false);
        end.Wait();
    }

    private sealed class StarvedLine : ITransportFactory, IReadinessTransport
    {
        private readonly object _gate = new();
        private readonly Queue<byte[]> _replies = new();
        private readonly TaskCompletionSource<int> _never = new();
        private bool _ended;

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken) => new(this);

        public ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken) => new(_never.Task);

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                if (bytes.Span.IndexOf("HELLO"u8) >= 0)
                    _replies.Enqueue("%2\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+OK\r\n+OK\r\n"u8.ToArray());
                for (var at = bytes.Span.IndexOf("PING"u8); at >= 0; at = bytes.Span.IndexOf("PING"u8))
                {
                    _replies.Enqueue("+PONG\r\n"u8.ToArray());
                    bytes = bytes[(at + 4)..];
                }

                Monitor.PulseAll(_gate);
            }

            return ValueTask.CompletedTask;
        }

        public bool WaitReadable(TimeSpan most)
        {
            lock (_gate)
            {
                if (_replies.Count == 0 && !_ended && most > TimeSpan.Zero)
                    Monitor.Wait(_gate, most);
                return _replies.Count > 0 || _ended;
            }
        }

        public int Receive(Span<byte> buffer)
        {
            lock (_gate)
            {
                if (!_replies.TryDequeue(out var reply))
                    return _ended ? 0 : -1;
                reply.CopyTo(buffer);
                return reply.Length;
            }
        }

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => new(Receive(buffer.Span));

        public void Abort()
        {
            lock (_gate)
            {
                _ended = true;
                Monitor.PulseAll(_gate);
            }
        }

        public ValueTask DisposeAsync()
        {
            Abort();
            return ValueTask.CompletedTask;
        }
    }
}
