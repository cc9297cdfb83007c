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

    [Fact]
    public async Task A_client_that_makes_its_connections_anew_all_the_time_can_be_disposed()
    {
        // Not one of these disposals may come between the end of a connection and the next one's beginning and wait for ever: nobody reads for blocking callers but they.
        await using var server = FakeRedis.Start(async connection =>
        {
            // Goodbye after the whole greeting, whatever it asks. Not a read: that would be asked again.
            while (await connection.ReadCommandAsync() is var command && command[0] != "INCR")
                await connection.SendAsync(command[0] == "HELLO" ? FakeConnection.HelloReply() : "+OK\r\n");
        });
        for (var round = 0; round < 60; round++)
        {
            var redis = new RedisClient(
                new RedisClientOptions
                {
                    Port = server.Port,
                    ReconnectPause = TimeSpan.FromMilliseconds(1),
                    MaxReconnectPause = TimeSpan.FromMilliseconds(1),
                }
            );
            await Task
                .Factory.StartNew(
                    () => Assert.ThrowsAny<RedisException>(() => redis.Send(["INCR", "k"], ReplyParsers.Int64)),
                    CancellationToken.None,
                    TaskCreationOptions.LongRunning,
                    TaskScheduler.Default
                )
                .WaitAsync(Bound);

            await redis.DisposeAsync().AsTask().WaitAsync(Bound);
        }
    }

    private static RedisClientOptions Options(FakeRedis server) => new() { Port = server.Port, CommandTimeout = Bound };

    private static FakeRedis Breaking() =>
        FakeRedis.Start(connection =>
            connection.ServeAsync(command =>
                command[0] switch
                {
                    "HELLO" => FakeConnection.HelloReply(),
                    "GET" => "$5\r\nfirst\r\nno RESP3\r\n",
                    _ => "+OK\r\n",
                }
            )
        );
}
