using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

public sealed class PendingReplyTests
{
    private static readonly ReplyParser<Mark> Parser = static (ref _) => default;

    [Fact]
    public async Task A_late_look_at_a_recycled_place_settles_nothing()
    {
        var connection = Attached();
        var pending = PendingReply<Mark>.Rent(Parser, "PING", asked: 0, deadline: 0);
        pending.Encode(new Command(["PING"]));
        connection.TryEnqueue(pending);
        var task = pending.Task;
        connection.OnBytes("+PONG\r\n"u8);
        await task;

        // Both owners have let go, and the deadline of the past use has long passed.
        Assert.False(pending.TryFail(pending.Word, new RedisTimeoutException("too late", Sent.Maybe)));

        var again = PendingReply<Mark>.Rent(Parser, "PING", asked: 0, deadline: long.MaxValue);
        Assert.Same(pending, again);
        again.Encode(new Command(["PING"]));
        connection.TryEnqueue(again);
        var second = again.Task;
        connection.OnBytes("+PONG\r\n"u8);
        await second;
    }

    [Fact]
    public async Task A_call_cancelled_in_the_backlog_was_never_sent_and_says_so()
    {
        var connection = new RespConnection(new ConnectionLimits());
        using var cancel = new CancellationTokenSource();
        var pending = PendingReply<byte[]?>.Rent(ReplyParsers.Bytes, "GET", 0, long.MaxValue);
        pending.Encode(new Command(["GET", "k"]));
        connection.TryEnqueue(pending);
        var task = pending.Task;
        pending.CancelOn(cancel.Token);

        await cancel.CancelAsync();
        connection.Attach();

        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(() => task.AsTask());
        Assert.Equal(Sent.No, cancelled.Data[nameof(Sent)]);
        Assert.False(connection.TakeOutput(out _));
    }

    [Fact]
    public async Task A_call_cancelled_on_its_way_says_maybe()
    {
        var connection = Attached();
        using var cancel = new CancellationTokenSource();
        var pending = PendingReply<byte[]?>.Rent(ReplyParsers.Bytes, "GET", 0, long.MaxValue);
        pending.Encode(new Command(["GET", "k"]));
        connection.TryEnqueue(pending);
        var task = pending.Task;
        pending.CancelOn(cancel.Token);

        await cancel.CancelAsync();

        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(() => task.AsTask());
        Assert.Equal(Sent.Maybe, cancelled.Data[nameof(Sent)]);
    }

    [Fact]
    public void A_command_over_the_buffer_is_refused_before_it_is_written()
    {
        var value = new byte[50_000_000];
        var pending = PendingReply<byte[]?>.Rent(ReplyParsers.Bytes, "SET", 0, long.MaxValue);

        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<RedisBusyException>(() => pending.Encode(new Command(["SET", "k", value]), most: 1000));

        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1_000_000);
    }

    private static RespConnection Attached()
    {
        var connection = new RespConnection(new ConnectionLimits());
        connection.Attach();
        connection.TakeOutput(out _);
        return connection;
    }

    // A type of this class's own, so that no other test takes its objects from the pool.
    private readonly struct Mark;
}
