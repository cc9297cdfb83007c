using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>A whole reply and broken bytes in one packet: the reply is still its caller's, only then the connection ends.</summary>
public sealed class BrokenAfterReplyTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_caller_who_awaits_gets_the_reply_that_came_before_the_broken_bytes()
    {
        await using var server = Breaking();
        await using var redis = new RedisClient(Options(server));

        Assert.Equal("first", await redis.SendAsync(["GET", "k"], ReplyParsers.Text).AsTask().WaitAsync(Bound));
    }

    [Fact]
    public async Task A_caller_who_blocks_gets_it_too()
    {
        await using var server = Breaking();
        await using var redis = new RedisClient(Options(server));

        // On a thread of its own: were the caller forgotten, it would block for ever.
        var asked = Task.Factory.StartNew(
            () => redis.Send(["GET", "k"], ReplyParsers.Text),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );

        Assert.Equal("first", await asked.WaitAsync(Bound));
    }

    private static RedisClientOptions Options(FakeRedis server) => new() { Port = server.Port };

    private static FakeRedis Breaking() =>
        FakeRedis.Start(connection =>
            connection.ServeAsync(command => command[0] == "HELLO" ? FakeConnection.HelloReply() : "$5\r\nfirst\r\nno RESP3\r\n")
        );
}
