using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>A transaction whose connection is lost before it was answered: it may be done twice only when all of its commands may.</summary>
public sealed class TransactionRetryTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("GET", "INCR")]
    [InlineData("INCR", "GET")]
    [InlineData("GET", "SET")]
    public async Task One_that_writes_is_never_executed_twice(string first, string second)
    {
        var asked = 0;
        await using var server = CutOnce(() => Interlocked.Increment(ref asked));
        await using var redis = Client(server);

        var error = await Assert.ThrowsAsync<RedisConnectionException>(() => ExecuteAsync(redis, first, second));

        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.Equal("PONG", await redis.PingAsync().AsTask().WaitAsync(Bound));
        Assert.Equal(0, asked);
    }

    [Fact]
    public async Task One_that_only_reads_is_asked_again()
    {
        var asked = 0;
        await using var server = CutOnce(() => Interlocked.Increment(ref asked));
        await using var redis = Client(server);

        await ExecuteAsync(redis, "GET", "STRLEN");

        Assert.Equal(1, asked);
    }

    private static Task ExecuteAsync(RedisClient redis, string first, string second)
    {
        var transaction = redis.CreateTransaction();
        foreach (var name in (string[])[first, second])
            transaction.Add(name == "SET" ? [name, "k", "v"] : [name, "k"], ReplyParsers.Reply);
        return transaction.ExecuteAsync().AsTask().WaitAsync(Bound);
    }

    // The first connection is cut when it has read MULTI.
    private static FakeRedis CutOnce(Action multi) =>
        FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                while ((await connection.ReadCommandAsync())[0] != "MULTI") { }
                connection.Cut();
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ServeAsync(command =>
                {
                    if (command[0] == "MULTI")
                        multi();
                    return command[0] switch
                    {
                        "MULTI" => "+OK\r\n",
                        "EXEC" => "*2\r\n:1\r\n:1\r\n",
                        "PING" => "+PONG\r\n",
                        _ => "+QUEUED\r\n",
                    };
                });
            }
        );

    private static RedisClient Client(FakeRedis server) => new(new RedisClientOptions { Port = server.Port, CommandTimeout = Bound });
}
