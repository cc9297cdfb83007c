using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>A place that holds two commands, among places that hold one.</summary>
public sealed class PairWireTests
{
    [Fact]
    public async Task A_pair_takes_both_replies_in_order_and_leaves_the_others_theirs()
    {
        var connection = Attached();
        var before = Ask(connection, null).AsTask();
        var read = new Value();
        var pair = Ask(connection, read).AsTask();
        var after = Ask(connection, null).AsTask();

        connection.OnBytes("+before\r\n$5\r\nvalue\r\n"u8);
        Assert.Equal("value", read.Text);
        Assert.False(pair.IsCompleted);
        connection.OnBytes("+second\r\n+after\r\n"u8);

        Assert.Equal(("before", "second", "after"), (await before, await pair, await after));
    }

    [Theory]
    [InlineData("-WRONGTYPE not a string\r\n+second\r\n", "WRONGTYPE")]
    [InlineData("-WRONGTYPE not a string\r\n-ERR second\r\n", "WRONGTYPE")]
    [InlineData("$5\r\nvalue\r\n-ERR second\r\n", "ERR")]
    public async Task Where_either_is_refused_the_whole_is_by_the_first_refusal(string replies, string code)
    {
        var connection = Attached();
        var pair = Ask(connection, new Value()).AsTask();
        var after = Ask(connection, null).AsTask();

        connection.OnBytes(System.Text.Encoding.ASCII.GetBytes(replies + "+after\r\n"));

        Assert.Equal(code, (await Assert.ThrowsAsync<RedisServerException>(() => pair)).Code);
        Assert.Equal("after", await after);
    }

    [Fact]
    public async Task A_first_reply_that_cannot_be_read_fails_the_whole_and_the_connection_goes_on()
    {
        var connection = Attached();
        var pair = Ask(connection, new Value { Throws = true }).AsTask();
        var after = Ask(connection, null).AsTask();

        connection.OnBytes("$5\r\nvalue\r\n+second\r\n+after\r\n"u8);

        await Assert.ThrowsAsync<RedisReplyException>(() => pair);
        Assert.Equal("after", await after);
    }

    [Fact]
    public async Task A_pair_that_nobody_waits_for_any_more_still_takes_both_replies_and_reads_neither()
    {
        var connection = Attached();
        using var cancel = new CancellationTokenSource();
        var read = new Value();
        var pair = Ask(connection, read, cancellationToken: cancel.Token).AsTask();
        var after = Ask(connection, null).AsTask();

        await cancel.CancelAsync();
        connection.OnBytes("$5\r\nvalue\r\n+second\r\n+after\r\n"u8);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pair);
        Assert.Null(read.Text);
        Assert.Equal("after", await after);
    }

    [Fact]
    public async Task Both_are_asked_again_on_the_next_connection_when_one_ends_between_the_replies()
    {
        var next = Attached();
        var connection = Attached();
        var read = new Value();
        var pair = Ask(connection, read, new Moving(next)).AsTask();
        connection.OnBytes("$3\r\nold\r\n"u8);
        Assert.Equal("old", read.Text);

        connection.EndReading();
        connection.Close("Cut.", null);
        next.OnBytes("$3\r\nnew\r\n+second\r\n"u8);

        Assert.Equal("second", await pair);
        Assert.Equal("new", read.Text);
    }

    private static ValueTask<string?> Ask(
        RespConnection connection,
        FirstReply? first,
        CommandOrigin? origin = null,
        CancellationToken cancellationToken = default
    )
    {
        var pending = PendingReply<string?>.Rent(ReplyParsers.Text, "TEST", asked: 0, deadline: long.MaxValue, origin);
        pending.Encode(new Command(["TEST"]));
        if (first is not null)
            pending.EncodeMore(new Command(["MORE"]));
        pending.First = first;
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

    private sealed class Value : FirstReply
    {
        public bool Throws { get; init; }

        public string? Text { get; private set; }

        protected override void Take(ref RespReader reader) =>
            Text = Throws ? throw new InvalidOperationException("Not so.") : reader.ReadString();
    }

    private sealed class Moving(RespConnection to) : CommandOrigin
    {
        public override void Completed(PendingReply pending, Exception? error) { }

        public override bool TryAgain(PendingReply pending, RedisException error)
        {
            pending.Hold();
            to.TryEnqueue(pending);
            return true;
        }
    }
}
