using Onggi.Client;
using Onggi.Client.Transport;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>A line that takes a large value part by part, each in a time shorter than it takes to be called dead.</summary>
public sealed class SlowUploadTests
{
    [Fact]
    public async Task A_large_value_on_its_way_out_is_not_silence()
    {
        var time = new ManualTimeProvider();
        var line = new SlowLine();
        var options = new RedisClientOptions
        {
            Transports = line,
            CommandTimeout = TimeSpan.FromHours(1),
            DeadAfter = TimeSpan.FromSeconds(5),
        };
        await using var redis = new RedisClient(options, time: time);

        var set = redis.SetAsync("k", new byte[2 << 20]).AsTask();
        for (var part = 0; part < 9; part++)
        {
            await line.AskedToSendAsync();
            time.Advance(TimeSpan.FromSeconds(3));
            line.Sent();
        }

        Assert.True(await set.WaitAsync(TimeSpan.FromSeconds(20)));

        // The value went over the connection for large ones, and that one was not given up.
        Assert.Equal(1, line.Connections);
    }

    private sealed class SlowLine : ITransportFactory, ITransport
    {
        private readonly SemaphoreSlim _asked = new(0);
        private readonly SemaphoreSlim _sent = new(0);
        private readonly SemaphoreSlim _arrived = new(0);
        private readonly Queue<byte[]> _replies = new();
        private long _bytes;
        private volatile bool _ended;

        public int Connections { get; private set; }

        public async Task AskedToSendAsync() => Assert.True(await _asked.WaitAsync(TimeSpan.FromSeconds(20)), "Nothing more was sent.");

        public void Sent() => _sent.Release();

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
        {
            Connections++;
            return new(this);
        }

        public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            if (bytes.Span.IndexOf("HELLO"u8) >= 0)
            {
                Answer("%2\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+OK\r\n+OK\r\n"u8.ToArray());
                return;
            }

            _asked.Release();
            await _sent.WaitAsync(cancellationToken);
            _bytes += bytes.Length;
            if (_bytes > 2 << 20)
                Answer("+OK\r\n"u8.ToArray());
        }

        public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            await _arrived.WaitAsync(cancellationToken);
            if (_ended)
                return 0;
            byte[] reply;
            lock (_replies)
                reply = _replies.Dequeue();
            reply.CopyTo(buffer);
            return reply.Length;
        }

        public void Abort()
        {
            _ended = true;
            _arrived.Release();
        }

        public ValueTask DisposeAsync()
        {
            Abort();
            return ValueTask.CompletedTask;
        }

        private void Answer(byte[] reply)
        {
            lock (_replies)
                _replies.Enqueue(reply);
            _arrived.Release();
        }
    }
}
