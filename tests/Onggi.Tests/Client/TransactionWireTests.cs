using System.Text;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>A place that has several replies, among places that have one.</summary>
public sealed class TransactionWireTests
{
    [Fact]
    public async Task A_transaction_takes_its_own_replies_and_leaves_the_others_theirs()
    {
        var connection = Attached();
        var before = Ask(connection, null).AsTask();
        var replies = new TransactionReplies(2);
        var transaction = Ask(connection, replies).AsTask();
        var after = Ask(connection, null).AsTask();

        connection.OnBytes("+before\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+one\r\n+two\r\n+after\r\n"u8);

        Assert.Equal("before", (await before).Text);
        Assert.Equal("[one, two]", (await transaction).ToString());
        Assert.Equal("after", (await after).Text);
        Assert.Null(replies.RefusalOf(0));
    }

    [Fact]
    public async Task A_transaction_that_nobody_waits_for_any_more_still_takes_all_its_replies()
    {
        var connection = Attached();
        using var cancel = new CancellationTokenSource();
        var transaction = Ask(connection, new TransactionReplies(1), cancellationToken: cancel.Token).AsTask();
        var after = Ask(connection, null).AsTask();
        connection.OnBytes("+OK\r\n"u8);

        await cancel.CancelAsync();
        connection.OnBytes("+QUEUED\r\n*1\r\n+one\r\n+after\r\n"u8);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => transaction);
        Assert.Equal("after", (await after).Text);
    }

    [Fact]
    public async Task Refusals_are_remembered_by_command_and_the_first_is_the_cause()
    {
        var connection = Attached();
        var replies = new TransactionReplies(3);
        var transaction = Ask(connection, replies).AsTask();

        connection.OnBytes("+OK\r\n+QUEUED\r\n-LOADING wait\r\n-ERR third\r\n-EXECABORT discarded\r\n"u8);

        var aborted = await Assert.ThrowsAsync<RedisServerException>(() => transaction);
        Assert.Equal(("EXECABORT", Sent.No), (aborted.Code, aborted.Sent));
        Assert.Equal((null, "LOADING", "ERR"), (replies.RefusalOf(0)?.Code, replies.RefusalOf(1)!.Code, replies.RefusalOf(2)!.Code));
        Assert.Equal("LOADING", replies.CauseOf(aborted).Code);
    }

    [Fact]
    public async Task A_slot_that_is_just_moving_is_the_cause_too()
    {
        var connection = Attached();
        var replies = new TransactionReplies(1);
        var transaction = Ask(connection, replies).AsTask();

        connection.OnBytes("+OK\r\n-ASK 1 127.0.0.1:1\r\n-EXECABORT discarded\r\n"u8);

        Assert.Equal("ASK", replies.CauseOf(await Assert.ThrowsAsync<RedisServerException>(() => transaction)).Code);
    }

    [Fact]
    public async Task A_refused_MULTI_is_remembered_and_is_no_cause_to_ask_again()
    {
        var connection = Attached();
        var replies = new TransactionReplies(1);
        var transaction = Ask(connection, replies).AsTask();

        connection.OnBytes("-NOPERM no\r\n+OK\r\n-ERR EXEC without MULTI\r\n"u8);

        var error = await Assert.ThrowsAsync<RedisServerException>(() => transaction);
        Assert.Equal("NOPERM", replies.MultiRefused!.Code);
        Assert.Same(error, replies.CauseOf(error));
    }

    [Fact]
    public async Task Asked_again_on_another_connection_it_counts_from_the_beginning()
    {
        var first = Attached();
        var replies = new TransactionReplies(1);
        var moving = new Moving(Attached());
        var transaction = Ask(first, replies, origin: moving).AsTask();

        first.OnBytes("+OK\r\n-LOADING wait\r\n-EXECABORT discarded\r\n"u8);
        moving.To.OnBytes("+OK\r\n+QUEUED\r\n*1\r\n+one\r\n"u8);

        Assert.Equal("[one]", (await transaction).ToString());
        Assert.Null(replies.RefusalOf(0));
        Assert.Equal("LOADING", moving.Error!.Code);
        Assert.Equal((0, 0), (first.InFlight, moving.To.InFlight));
    }

    [Fact]
    public async Task A_connection_that_ends_halfway_fails_the_whole_and_says_maybe()
    {
        var connection = Attached();
        var transaction = Ask(connection, new TransactionReplies(1)).AsTask();
        Assert.True(connection.TakeOutput(out var bytes));
        Assert.Equal("*1\r\n$4\r\nTEST\r\n", Encoding.ASCII.GetString(bytes.Span));
        connection.OnBytes("+OK\r\n+QUEUED\r\n"u8);

        connection.EndReading();
        connection.Close("Cut.", null);

        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => transaction)).Sent);
        Assert.Equal(0, connection.InFlight);
    }

    private static ValueTask<Reply> Ask(
        RespConnection connection,
        TransactionReplies? replies,
        CommandOrigin? origin = null,
        CancellationToken cancellationToken = default
    )
    {
        var pending = PendingReply<Reply>.Rent(ReplyParsers.Reply, "TEST", asked: 0, deadline: long.MaxValue, origin);
        pending.Encode(new Command(["TEST"]));
        pending.Transaction = replies;
        connection.TryEnqueue(pending);
        var task = pending.Task;
        pending.CancelOn(cancellationToken);
        return task;
    }

    private static RespConnection Attached()
    {
        var connection = new RespConnection(new ConnectionLimits());
        connection.Attach();
        return connection;
    }

    private sealed class Moving(RespConnection to) : CommandOrigin
    {
        public RespConnection To { get; } = to;

        public RedisServerException? Error { get; private set; }

        public override void Completed(PendingReply pending, Exception? error) { }

        public override bool TryAgain(PendingReply pending, RedisException error)
        {
            Error = (RedisServerException)error;
            pending.Hold();
            return To.TryEnqueue(pending) == Enqueued.Alone;
        }
    }
}
