using System.Text;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Transport;

namespace Onggi.Tests.Client;

/// <summary>Callers that block where they go on: they keep neither the link from seeing its connection end, nor others from going on.</summary>
public sealed class CallersThatBlockTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    public static TheoryData<bool> Pumps => [false, true];

    [Theory]
    [MemberData(nameof(Pumps))]
    public async Task A_caller_who_goes_on_while_the_link_begins_may_dispose_of_the_client_and_wait_for_it(bool readiness)
    {
        var network = new Network(readiness);
        var redis = new RedisClient(new RedisClientOptions { Transports = network });

        await DisposeWhenAnsweredAsync(redis).WaitAsync(Bound);
    }

    [Theory]
    [MemberData(nameof(Pumps))]
    public async Task A_caller_who_blocks_while_the_link_begins_does_not_hide_the_end_of_its_connection(bool readiness)
    {
        var network = new Network(readiness);
        await using var redis = new RedisClient(new RedisClientOptions { Transports = network, CommandTimeout = TimeSpan.FromMinutes(5) });
        using var end = new ManualResetEventSlim();
        var blocked = BlockWhenAnsweredAsync(redis, end);
        try
        {
            await network.Answered.WaitAsync(Bound);
            var silent = redis.SendAsync(["SILENCE"], ReplyParsers.Text).AsTask();
            network.Last!.Abort();

            await Assert.ThrowsAsync<RedisConnectionException>(() => silent.WaitAsync(Bound));
        }
        finally
        {
            end.Set();
        }

        await blocked.WaitAsync(Bound);
    }

    [Fact]
    public async Task In_a_stream_that_never_pauses_callers_go_on_all_the_same()
    {
        var connection = new RespConnection(new ConnectionLimits());
        var pending = PendingReply<string?>.Rent(ReplyParsers.Text, "PING", 0, long.MaxValue);
        pending.Encode(new Command(["PING"]));
        connection.Attach();
        connection.TryEnqueue(pending);
        var asked = pending.Task.AsTask();
        var stream = new EndlessStream();
        var pump = new SocketPump(connection, stream, TimeProvider.System, new PumpCounters());

        var running = Task.Factory.StartNew(
            () => pump.RunAsync(CancellationToken.None),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
        try
        {
            Assert.Equal("PONG", await asked.WaitAsync(Bound));
        }
        finally
        {
            pump.Abort("The test is over.");
        }

        await running.Unwrap().WaitAsync(Bound);
    }

    [Fact]
    public async Task Who_waits_behind_a_caller_that_blocks_goes_on_although_the_pool_has_no_thread_left()
    {
        const int Blockers = 400;
        var connection = new RespConnection(new ConnectionLimits());
        connection.Attach();
        var stream = new OneAnswer("+PONG\r\n+PONG\r\n");
        var pump = new SocketPump(connection, stream, TimeProvider.System, new PumpCounters());
        var (first, second) = (Ask(connection), Ask(connection));

        // Nothing that is disposed of: the last of those who block come to it when the test is over.
        var end = new Gate();
        using var behind = new ManualResetEventSlim();
        var blocked = BlockAsync();
        var went = GoAsync();
        Keeper.Add(pump);
        var running = pump.RunAsync(CancellationToken.None);
        try
        {
            // The caller in front fills the pool and then blocks until the one behind it has gone on.
            stream.Arrive();
            Assert.True(await Task.Factory.StartNew(() => behind.Wait(Bound / 2), TaskCreationOptions.LongRunning));
        }
        finally
        {
            end.Open();
            behind.Set();
            pump.Abort("The test is over.");
            Keeper.Remove(pump);
        }

        await Task.WhenAll(running, blocked, went).WaitAsync(Bound);

        async Task BlockAsync()
        {
            await first.ConfigureAwait(false);
            for (var i = 0; i < Blockers; i++)
                ThreadPool.UnsafeQueueUserWorkItem(static end => ((Gate)end!).Wait(), end);
            behind.Wait(Bound);
        }

        async Task GoAsync()
        {
            await second.ConfigureAwait(false);
            behind.Set();
        }
    }

    private static Task<string?> Ask(RespConnection connection)
    {
        var pending = PendingReply<string?>.Rent(ReplyParsers.Text, "PING", 0, long.MaxValue);
        pending.Encode(new Command(["PING"]));
        connection.TryEnqueue(pending);
        return pending.Task.AsTask();
    }

    private static async Task DisposeWhenAnsweredAsync(RedisClient redis)
    {
        await redis.PingAsync().ConfigureAwait(false);
        Assert.True(redis.DisposeAsync().AsTask().Wait(Bound / 2), "Disposing waited for the caller who waits for it.");
    }

    private static async Task BlockWhenAnsweredAsync(RedisClient redis, ManualResetEventSlim end)
    {
        await redis.PingAsync().ConfigureAwait(false);
        end.Wait(Bound);
    }

    // Not a task: for those who wait for one the pool makes threads at once.
    private sealed class Gate
    {
        private readonly object _signal = new();
        private bool _open;

        public void Open()
        {
            lock (_signal)
            {
                _open = true;
                Monitor.PulseAll(_signal);
            }
        }

        public void Wait()
        {
            lock (_signal)
                if (!_open)
                    Monitor.Wait(_signal, Bound);
        }
    }

    private sealed class Network(bool readiness) : ITransportFactory
    {
        private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Answered => _answered.Task;

        public QuickRedis? Last { get; private set; }

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken) =>
            new(Last = readiness ? new ReadyRedis(_answered) : new QuickRedis(_answered));
    }

    // What it answers is there before anybody looks.
    private class QuickRedis(TaskCompletionSource answered) : ITransport
    {
        private readonly Lock _gate = new();
        private readonly Queue<byte[]> _replies = new();
        private TaskCompletionSource<int> _arrival = NewArrival();
        private bool _ended;

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            var text = Encoding.UTF8.GetString(bytes.Span);
            lock (_gate)
            {
                if (text.Contains("HELLO", StringComparison.Ordinal))
                    _replies.Enqueue("%2\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+OK\r\n+OK\r\n"u8.ToArray());
                if (text.Contains("PING", StringComparison.Ordinal))
                    _replies.Enqueue("+PONG\r\n"u8.ToArray());
                if (_replies.Count > 0)
                    _arrival.TrySetResult(0);
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                if (_replies.Count > 0 || _ended)
                    return new ValueTask<int>(0);
                _arrival = NewArrival();
                return new ValueTask<int>(_arrival.Task.WaitAsync(cancellationToken));
            }
        }

        public bool WaitReadable(TimeSpan most)
        {
            lock (_gate)
                return _replies.Count > 0 || _ended;
        }

        public int Receive(Span<byte> buffer)
        {
            lock (_gate)
            {
                if (_ended)
                    return 0;
                if (!_replies.TryDequeue(out var reply))
                    return -1;
                reply.CopyTo(buffer);
                if (reply[1] == (byte)'P')
                    answered.TrySetResult();
                return reply.Length;
            }
        }

        public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            while (true)
            {
                var count = Receive(buffer.Span);
                if (count >= 0)
                    return count;
                await WhenReadableAsync(cancellationToken);
            }
        }

        public void Abort()
        {
            lock (_gate)
            {
                _ended = true;
                _arrival.TrySetResult(0);
            }
        }

        public ValueTask DisposeAsync()
        {
            Abort();
            return ValueTask.CompletedTask;
        }

        private static TaskCompletionSource<int> NewArrival() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class ReadyRedis(TaskCompletionSource answered) : QuickRedis(answered), IReadinessTransport;

    // A reply, and then pushes without end: something is always there.
    private sealed class EndlessStream : ITransport, IReadinessTransport
    {
        private int _reads;
        private volatile bool _ended;

        public ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken) => new(0);

        public bool WaitReadable(TimeSpan most) => true;

        public int Receive(Span<byte> buffer)
        {
            if (_ended)
                return 0;
            var bytes = _reads++ == 0 ? "+PONG\r\n"u8 : ">1\r\n+news\r\n"u8;
            bytes.CopyTo(buffer);
            return bytes.Length;
        }

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => new(Receive(buffer.Span));

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public void Abort() => _ended = true;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    // Silent until the answer arrives, and after it.
    private sealed class OneAnswer(string answer) : IReadinessTransport
    {
        private readonly TaskCompletionSource<int> _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<int> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _taken;

        public void Arrive() => _arrived.TrySetResult(0);

        public ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken) =>
            new(Volatile.Read(ref _taken) == 0 ? _arrived.Task : _ended.Task);

        public bool WaitReadable(TimeSpan most) => _ended.Task.IsCompleted || (_arrived.Task.IsCompleted && Volatile.Read(ref _taken) == 0);

        public int Receive(Span<byte> buffer)
        {
            if (_ended.Task.IsCompleted)
                return 0;
            if (!_arrived.Task.IsCompleted || Interlocked.Exchange(ref _taken, 1) != 0)
                return -1;
            return Encoding.UTF8.GetBytes(answer, buffer);
        }

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => new(Receive(buffer.Span));

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public void Abort() => _ended.TrySetResult(0);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
