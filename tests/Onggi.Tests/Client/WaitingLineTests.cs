using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>Commands that stand in a line before they have their place: what becomes of them when the place is gone, or when their caller gives up right then.</summary>
public sealed class WaitingLineTests
{
    private static readonly ReplyParser<Mark> Parser = static (ref _) => default;

    [Fact]
    public async Task Those_in_line_for_a_connection_that_is_over_fail_each_for_themselves()
    {
        var over = false;
        var line = new WaitingLine(_ => over ? throw new RedisConnectionException("It is over.", Sent.No) : false);
        var (first, firstTask) = Ask();
        line.Add(first);
        over = true;

        // Were the news for the first thrown at the second, its caller would let go of an object that still stands in the line.
        var (second, secondTask) = Ask();
        line.Add(second);

        Assert.True(line.IsEmpty);
        await Assert.ThrowsAsync<RedisConnectionException>(() => firstTask.AsTask());
        await Assert.ThrowsAsync<RedisConnectionException>(() => secondTask.AsTask());
    }

    [Fact]
    public async Task A_call_cancelled_while_it_leaves_the_line_is_not_sent_when_it_was_told_so()
    {
        var connection = Attached();
        using var cancel = new CancellationTokenSource();
        var room = false;
        var line = new WaitingLine(pending =>
        {
            if (!room)
                return false;
            cancel.Cancel();
            return connection.TryEnqueue(pending) is Enqueued.Alone or Enqueued.AmongOthers;
        });
        var (pending, task) = Ask();
        line.Add(pending);
        pending.CancelOn(cancel.Token);

        room = true;
        line.Advance();

        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(() => task.AsTask());
        Assert.Equal(Sent.No, cancelled.Data[nameof(Sent)]);
        Assert.False(connection.TakeOutput(out _));
        Assert.Equal(0, connection.InFlight);
    }

    [Fact]
    public async Task A_call_cancelled_while_it_is_asked_again_is_not_sent_when_it_was_told_so()
    {
        var time = new ManualTimeProvider();
        var connection = Attached();
        using var cancel = new CancellationTokenSource();
        await using var line = new RetryLine(
            time,
            pending =>
            {
                cancel.Cancel();
                connection.TryEnqueue(pending);
            }
        );
        var (pending, task) = Ask();
        pending.CancelOn(cancel.Token);
        Assert.True(line.TryAdd(pending));

        for (var i = 0; i < 100; i++)
            time.Advance(TimeSpan.FromMilliseconds(5));

        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(() => task.AsTask());
        Assert.Equal(Sent.No, cancelled.Data[nameof(Sent)]);
        Assert.False(connection.TakeOutput(out _));
    }

    [Fact]
    public async Task What_may_have_been_executed_once_never_ends_as_not_sent()
    {
        var detached = new RespConnection(new ConnectionLimits());
        var (queued, queuedTask) = Ask();
        queued.MaybeExecuted = true;
        detached.TryEnqueue(queued);
        var line = new WaitingLine(_ => false);
        var (waiting, waitingTask) = Ask();
        waiting.MaybeExecuted = true;
        line.Add(waiting);
        var later = new RetryLine(TimeProvider.System, static _ => { });
        var (again, againTask) = Ask();
        again.MaybeExecuted = true;
        Assert.True(later.TryAdd(again));

        detached.Close("It is over.", null);
        line.EndAll("It is over.");
        await later.DisposeAsync();

        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => queuedTask.AsTask())).Sent);
        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => waitingTask.AsTask())).Sent);
        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => againTask.AsTask())).Sent);
    }

    [Fact]
    public async Task Whatever_goes_wrong_in_asking_one_again_those_behind_it_hear_of_the_end()
    {
        var detached = new RespConnection(new ConnectionLimits());
        var (first, firstTask) = Ask(new Broken());
        var (second, secondTask) = Ask();
        detached.TryEnqueue(first);
        detached.TryEnqueue(second);
        var line = new WaitingLine(_ => false);
        var (third, thirdTask) = Ask(new Broken());
        var (fourth, fourthTask) = Ask();
        line.Add(third);
        line.Add(fourth);

        detached.Close("It is over.", null);
        line.EndAll("It is over.");

        foreach (var task in (ValueTask<Mark>[])[firstTask, secondTask, thirdTask, fourthTask])
            Assert.Equal(Sent.No, (await Assert.ThrowsAsync<RedisConnectionException>(() => task.AsTask())).Sent);
    }

    [Fact]
    public async Task Whatever_goes_wrong_in_asking_one_again_later_is_its_callers_error_and_the_next_is_asked()
    {
        var time = new ManualTimeProvider();
        var dispatched = new List<PendingReply>();
        await using var line = new RetryLine(
            time,
            pending =>
            {
                dispatched.Add(pending);
                if (dispatched.Count == 1)
                    throw new InvalidOperationException("broken");
            }
        );
        var (first, firstTask) = Ask();
        Assert.True(line.TryAdd(first));
        Pass();
        var (second, _) = Ask();
        Assert.True(line.TryAdd(second));
        Pass();

        Assert.Equal([first, second], dispatched);
        await Assert.ThrowsAsync<InvalidOperationException>(() => firstTask.AsTask());

        void Pass()
        {
            for (var i = 0; i < 100; i++)
                time.Advance(TimeSpan.FromMilliseconds(5));
        }
    }

    [Fact]
    public async Task Those_in_a_line_that_ends_are_asked_for_elsewhere_when_their_origin_knows_somebody()
    {
        var connection = Attached();
        var line = new WaitingLine(_ => false);
        var (pending, task) = Ask(new Elsewhere(connection));
        line.Add(pending);

        line.EndAll("It is over.");
        connection.OnBytes("+PONG\r\n"u8);

        await task;
        Assert.Equal(0, connection.InFlight);
    }

    [Fact]
    public async Task Who_gets_into_a_line_while_it_ends_is_asked_for_elsewhere_too()
    {
        var connection = Attached();
        var line = new WaitingLine(_ => throw new ObjectDisposedException("the link"));
        var (pending, task) = Ask(new Elsewhere(connection));
        var (nobody, nobodysTask) = Ask();

        line.Add(pending);
        line.Add(nobody);
        connection.OnBytes("+PONG\r\n"u8);

        await task;
        Assert.Equal(Sent.No, (await Assert.ThrowsAsync<RedisConnectionException>(() => nobodysTask.AsTask())).Sent);
        Assert.Equal((0, true), (connection.InFlight, line.IsEmpty));
    }

    private static (PendingReply<Mark>, ValueTask<Mark>) Ask(CommandOrigin? origin = null)
    {
        var pending = PendingReply<Mark>.Rent(Parser, "PING", asked: 0, deadline: long.MaxValue, origin);
        pending.Encode(new Command(["PING"]));
        return (pending, pending.Task);
    }

    private static RespConnection Attached()
    {
        var connection = new RespConnection(new ConnectionLimits());
        connection.Attach();
        connection.TakeOutput(out _);
        return connection;
    }

    private sealed class Broken : CommandOrigin
    {
        public override void Completed(PendingReply pending, Exception? error) { }

        public override bool TryAgain(PendingReply pending, RedisException error) => throw new InvalidOperationException("broken");
    }

    private sealed class Elsewhere(RespConnection connection) : CommandOrigin
    {
        public override void Completed(PendingReply pending, Exception? error) { }

        public override bool TryAgain(PendingReply pending, RedisException error)
        {
            pending.Hold();
            return connection.TryEnqueue(pending) == Enqueued.Alone;
        }
    }

    private readonly struct Mark;
}
