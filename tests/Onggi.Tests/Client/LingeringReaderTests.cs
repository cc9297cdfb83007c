using System.Text;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Transport;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>A reader that lets its callers go on before it begins the next wait: whatever they do there, others get their replies, and the end of the connection is seen.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class LingeringReaderTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Whoever_asks_while_a_caller_blocks_begins_the_wait_itself()
    {
        // On a busy machine the wait can have been begun before the caller goes on: then nothing is tested, and it is tried anew.
        for (var attempt = 0; attempt < 20; attempt++)
        {
            if (await AsksWhileACallerBlocksAsync())
                return;
        }

        Assert.Fail("The wait was begun first, each time.");
    }

    private static async Task<bool> AsksWhileACallerBlocksAsync()
    {
        // No keeper looks after this one.
        await using var link = new Link();
        using var end = new ManualResetEventSlim();
        var blocked = Task.Run(() => link.RunInCallersCode(() => end.Wait(Bound)));
        try
        {
            await link.InCallersCode.WaitAsync(Bound);
            if (link.Line.IsAwaited)
                return false;

            for (var i = 0; i < 10; i++)
                Assert.Equal("PONG", await link.AskElsewhere("PING").WaitAsync(Bound));
            Assert.Equal(0, link.Counters.TakeOvers);
        }
        finally
        {
            end.Set();
        }

        await blocked.WaitAsync(Bound);
        return true;
    }

    [Fact]
    public async Task A_caller_who_blocks_on_what_it_has_asked_there_gets_its_reply()
    {
        await using var link = new Link();
        Keeper.Add(link.Pump);

        // On a busy machine the wait can have been armed before the caller goes on: then nobody has to take over, and it is tried anew.
        for (var attempt = 0; attempt < 20 && link.Counters.TakeOvers == 0; attempt++)
        {
            string? reply = null;
            await link.RunInCallersCode(() =>
                {
                    var asked = link.Ask("PING");
                    Assert.True(asked.Wait(Bound));
                    reply = asked.Result;
                })
                .WaitAsync(Bound);
            Assert.Equal("PONG", reply);
        }

        Assert.True(link.Counters.TakeOvers > 0);
    }

    [Fact]
    public async Task Nobody_reads_for_a_pump_that_is_about_to_start_reading_itself()
    {
        await using var link = new Link(starts: false);
        var asked = link.Ask("PING");
        Assert.True(link.Line.WaitReadable(TimeSpan.Zero));

        // The link's thread stands still between sending its backlog and reading, and the keeper looks by.
        for (var look = 0; look < 20; look++)
            link.Pump.OnStuck();
        Assert.Equal(0, link.Counters.TakeOvers);
        link.Start();

        Assert.Equal("PONG", await asked.WaitAsync(Bound));
    }

    [Fact]
    public async Task Two_who_read_at_a_time_end_the_connection()
    {
        await using var link = new Link(starts: false);
        var asked = link.Ask("PING");
        using var reading = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        link.Line.OnReceive = () =>
        {
            link.Line.OnReceive = null;
            reading.Set();
            goOn.Wait(Bound);
        };
        var starting = Task.Factory.StartNew(link.Start, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.True(reading.Wait(Bound));

        // What no rule of turns allows.
        var second = Task.Run(link.Start);

        Assert.Equal("Two threads were to read at a time.", (await link.Running.WaitAsync(Bound)).Reason);
        goOn.Set();
        await Task.WhenAll(starting, second).WaitAsync(Bound);
    }

    [Fact]
    public async Task The_end_of_the_connection_is_seen_while_a_caller_blocks()
    {
        await using var link = new Link();
        Keeper.Add(link.Pump);
        using var end = new ManualResetEventSlim();
        var blocked = link.RunInCallersCode(() => end.Wait(Bound));
        try
        {
            await link.InCallersCode.WaitAsync(Bound);

            link.Line.Close();

            Assert.Equal("The server closed the connection.", (await link.Running.WaitAsync(Bound)).Reason);
        }
        finally
        {
            end.Set();
        }

        await blocked.WaitAsync(Bound);
    }

    [Fact]
    public async Task The_end_of_the_connection_is_seen_by_a_reader_that_looks_for_the_next_reply()
    {
        await using var link = new Link();

        await link.RunInCallersCode(() =>
            {
                _ = link.Ask("SILENCE");
                link.Line.Close();
            })
            .WaitAsync(Bound);

        Assert.Equal("The server closed the connection.", (await link.Running.WaitAsync(Bound)).Reason);
    }

    [Fact]
    public async Task Replies_that_are_there_are_found_without_a_wait()
    {
        await using var link = new Link();
        const int Rounds = 500;
        await link.PingAsync(1).WaitAsync(Bound);

        // Where the pool has other work nobody looks; then it is tried anew.
        var waits = int.MaxValue;
        for (var attempt = 0; attempt < 20 && waits > Rounds / 2; attempt++)
        {
            var before = link.Line.Waits;
            await link.PingAsync(Rounds).WaitAsync(Bound);
            waits = link.Line.Waits - before;
        }

        Assert.InRange(waits, 0, Rounds / 2);
    }

    [Fact]
    public async Task Who_is_slow_to_answer_is_looked_for_seldom_and_who_is_silent_not_at_all()
    {
        const int Rounds = 100;
        var time = new ManualTimeProvider();
        await using var link = new Link(time);

        // The clock stands still: after a few vain attempts nobody tries again.
        // Where the pool has other work all the time nobody looks at all; then it is tried anew.
        for (var attempt = 0; attempt < 20 && link.Counters.Polls == 0; attempt++)
            await link.AskSlowlyAsync(Rounds).WaitAsync(Bound);

        var polls = link.Counters.Polls;
        Assert.InRange(polls, 1, Rounds / 4 * 256);
        var (silent, receives) = (link.Ask("SILENCE"), link.Line.Receives);
        await link.Line.WhenAwaited.WaitAsync(Bound);
        Assert.Equal(polls, link.Counters.Polls);
        Assert.InRange(link.Line.Receives - receives, 0, 1);
        link.Line.Answer();
        Assert.Equal("PONG", await silent.WaitAsync(Bound));
    }

    [Fact]
    public void Looking_that_does_not_pay_is_given_up_for_longer_and_longer()
    {
        var time = new ManualTimeProvider();
        var lingering = new Lingering(time);
        var longest = TimeSpan.Zero;
        for (var attempt = 0; attempt < 20; attempt++)
        {
            for (var i = 0; i < 100 && lingering.MayPoll; i++)
                lingering.Polled(found: false, Lingering.LongestPoll);
            Assert.False(lingering.MayPoll);
            var pause = TimeSpan.Zero;
            for (; !lingering.MayPoll; pause += TimeSpan.FromMilliseconds(1))
                time.Advance(TimeSpan.FromMilliseconds(1));
            Assert.True(pause >= longest);
            longest = pause;
        }

        Assert.Equal(TimeSpan.FromMilliseconds(500), longest);
        Assert.True(lingering.MayGoFirst);
    }

    [Fact]
    public void Looking_that_pays_goes_on_although_it_fails_now_and_then()
    {
        var lingering = new Lingering(new ManualTimeProvider());
        for (var i = 0; i < 1_000; i++)
        {
            lingering.Polled(found: i % 10 != 0, TimeSpan.FromMicroseconds(10));
            Assert.True(lingering.MayPoll);
        }
    }

    [Fact]
    public void Callers_that_block_go_on_after_the_wait_is_begun_for_a_while()
    {
        var time = new ManualTimeProvider();
        var lingering = new Lingering(time);

        lingering.TakenOver();

        Assert.False(lingering.MayGoFirst);
        Assert.False(lingering.MayPoll);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(lingering.MayGoFirst);
        Assert.True(lingering.MayPoll);
    }

    // A connection and its reader.
    private sealed class Link : IAsyncDisposable
    {
        private readonly RespConnection _connection = new(new ConnectionLimits());
        private readonly TaskCompletionSource _inCallersCode = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<(string, Exception?)> _running = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Link(TimeProvider? time = null, bool starts = true)
        {
            Pump = new SocketPump(_connection, Line, time ?? TimeProvider.System, Counters);
            _connection.Attach();
            Pump.Flush();
            if (starts)
                Start();
        }

        public void Start() => _ = RunAsync();

        public Line Line { get; } = new();

        public PumpCounters Counters { get; } = new();

        public SocketPump Pump { get; }

        public Task<(string Reason, Exception? Cause)> Running => _running.Task;

        public Task InCallersCode => _inCallersCode.Task;

        public Task<string?> Ask(string command)
        {
            var pending = PendingReply<string?>.Rent(ReplyParsers.Text, command, 0, long.MaxValue);
            pending.Encode(new Command([command]));
            Pump.OnEnqueued(_connection.TryEnqueue(pending));
            return pending.Task.AsTask();
        }

        /// <summary>On a thread that is no reader's.</summary>
        public Task<string?> AskElsewhere(string command) =>
            Task
                .Factory.StartNew(() => Ask(command), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
                .Unwrap();

        /// <summary>Goes on on the reader's thread.</summary>
        public async Task BeginAsync()
        {
            var asked = Ask("SILENCE");
            _ = Task.Run(Line.Answer);
            await asked.ConfigureAwait(false);
        }

        /// <summary>One after the other, each from where the last was answered.</summary>
        public async Task PingAsync(int times)
        {
            await BeginAsync().ConfigureAwait(false);
            for (var i = 0; i < times; i++)
                Assert.Equal("PONG", await Ask("PING").ConfigureAwait(false));
        }

        /// <summary>Likewise; none is answered before somebody waits to be told.</summary>
        public async Task AskSlowlyAsync(int times)
        {
            await BeginAsync().ConfigureAwait(false);
            for (var i = 0; i < times; i++)
            {
                var asked = Ask("SILENCE");
                _ = AnswerAsync();
                Assert.Equal("PONG", await asked.ConfigureAwait(false));
            }

            async Task AnswerAsync()
            {
                await Line.WhenAwaited.ConfigureAwait(false);
                Line.Answer();
            }
        }

        public async Task RunInCallersCode(Action code)
        {
            await BeginAsync().ConfigureAwait(false);
            _inCallersCode.TrySetResult();
            code();
        }

        private async Task RunAsync() => _running.TrySetResult(await Pump.RunAsync(CancellationToken.None));

        public async ValueTask DisposeAsync()
        {
            Keeper.Remove(Pump);
            Pump.Abort("The test is over.");
            await Running.WaitAsync(Bound);
        }
    }

    // Answers at once, but SILENCE only when it is told to.
    private sealed class Line : IReadinessTransport
    {
        private readonly Lock _gate = new();
        private int _replies;
        private bool _ended;
        private TaskCompletionSource<int>? _wait;
        private TaskCompletionSource _awaited = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Waits { get; private set; }

        public int Receives { get; private set; }

        public Action? OnReceive { get; set; }

        public bool IsAwaited
        {
            get
            {
                lock (_gate)
                    return _wait is not null;
            }
        }

        /// <summary>Somebody is to be told of what comes.</summary>
        public Task WhenAwaited
        {
            get
            {
                lock (_gate)
                    return _awaited.Task;
            }
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            var text = Encoding.ASCII.GetString(bytes.Span);
            for (
                var at = text.IndexOf("PING", StringComparison.Ordinal);
                at >= 0;
                at = text.IndexOf("PING", at + 1, StringComparison.Ordinal)
            )
                Answer();
            return ValueTask.CompletedTask;
        }

        public void Answer()
        {
            lock (_gate)
            {
                _replies++;
                Tell();
            }
        }

        public void Close()
        {
            lock (_gate)
            {
                _ended = true;
                Tell();
            }
        }

        public ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                Waits++;
                if (_replies > 0 || _ended)
                    return new ValueTask<int>(0);
                _wait = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
                _awaited.TrySetResult();
                return new ValueTask<int>(_wait.Task);
            }
        }

        public bool WaitReadable(TimeSpan most)
        {
            lock (_gate)
                return _replies > 0 || _ended;
        }

        public int Receive(Span<byte> buffer)
        {
            OnReceive?.Invoke();
            lock (_gate)
            {
                Receives++;
                if (_ended)
                    return 0;
                if (_replies == 0)
                    return -1;
                _replies--;
                "+PONG\r\n"u8.CopyTo(buffer);
                return 7;
            }
        }

        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => throw new NotSupportedException();

        public void Abort() => Close();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private void Tell()
        {
            if (_wait is null)
                return;
            _wait.TrySetResult(0);
            (_wait, _awaited) = (null, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
    }
}
