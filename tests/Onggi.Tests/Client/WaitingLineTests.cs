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
        line.FailAll(_ => new RedisConnectionException("It is over.", Sent.Maybe));
        await later.DisposeAsync();

        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => queuedTask.AsTask())).Sent);
        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => waitingTask.AsTask())).Sent);
        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => againTask.AsTask())).Sent);
    }

    private static (PendingReply<Mark>, ValueTask<Mark>) Ask()
    {
        var pending = PendingReply<Mark>.Rent(Parser, "PING", asked: 0, deadline: long.MaxValue);
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

    private readonly struct Mark;
}
