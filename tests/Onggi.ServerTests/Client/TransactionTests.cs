using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>MULTI … EXEC as one thing: all or nothing, and each command is told what has become of it.</summary>
public sealed class TransactionTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private static readonly RedisScript Read = new("read", "return redis.call('GET', KEYS[1])");

    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task Results_come_back_by_command_and_one_that_fails_in_execution_fails_alone()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        var transaction = redis.CreateTransaction();
        var set = transaction.Add(["SET", "tx:a", "1"], ReplyParsers.Boolean);
        var wrong = transaction.Add(["LPUSH", "tx:a", "x"], ReplyParsers.Int64);
        var unread = transaction.Add(["HSET", "tx:h", "f", "v"], ReplyParsers.BytesArray);
        var all = transaction.Add(["HGETALL", "tx:h"], static (ref reader) => reader.Count);
        var get = transaction.Add(Read, ["tx:a"], [], ReplyParsers.Text);

        await transaction.ExecuteAsync().Within();

        Assert.Equal((true, 2, "1"), (set.Value, all.Value, get.Value));
        Assert.Equal("WRONGTYPE", ((RedisServerException)wrong.Error!).Code);
        Assert.IsType<RedisReplyException>(unread.Error);
        await transaction.ExecuteAsync().FailsWith<InvalidOperationException>();
        Assert.Throws<InvalidOperationException>(() => transaction.Add(["PING"], ReplyParsers.Ignore));
    }

    [Fact]
    public async Task A_command_that_is_refused_keeps_all_from_being_executed_and_says_why()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        var transaction = redis.CreateTransaction();
        var good = transaction.Add(["SET", "tx:refused", "1"], ReplyParsers.Boolean);
        var bad = transaction.Add(["SET", "tx:refused"], ReplyParsers.Boolean);

        var error = await transaction.ExecuteAsync().FailsWith<RedisServerException>();

        Assert.Equal(("EXECABORT", Sent.No), (error.Code, error.Sent));
        Assert.Same(error, good.Error);
        Assert.Contains("wrong number of arguments", bad.Error!.Message, StringComparison.Ordinal);
        Assert.Null(await Server.CommandAsync("GET", "tx:refused"));
    }

    [Fact]
    public async Task Nobody_comes_in_between()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => AddAsync(redis)));

        static async Task AddAsync(RedisClient redis)
        {
            for (var i = 0; i < 100; i++)
            {
                var transaction = redis.CreateTransaction();
                var first = transaction.Add(["INCR", "tx:counter"], ReplyParsers.Int64);
                var second = transaction.Add(["INCR", "tx:counter"], ReplyParsers.Int64);
                var plain = redis.SendAsync(["INCR", "tx:counter"], ReplyParsers.Int64).AsTask();
                await transaction.ExecuteAsync().Within();
                await plain.Within();

                Assert.Equal(first.Value + 1, second.Value);
            }
        }
    }

    [Fact]
    public async Task Without_commands_nothing_is_sent()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        await redis.CreateTransaction().ExecuteAsync().Within();

        var cancelled = redis.CreateTransaction();
        var item = cancelled.Add(["SET", "tx:never", "1"], ReplyParsers.Boolean);
        var error = await cancelled.ExecuteAsync(new CancellationToken(true)).FailsWith<OperationCanceledException>();

        Assert.Equal((Sent.No, BatchOutcome.NotSent), ((Sent)error.Data[nameof(Sent)]!, item.Outcome));
    }

    [Fact]
    public async Task A_thousand_commands_are_one_transaction()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        var value = new byte[1000];
        var transaction = redis.CreateTransaction();
        var items = Enumerable.Range(0, 1000).Select(i => transaction.Add(["SET", $"tx:many:{i}", value], ReplyParsers.Boolean)).ToArray();

        await transaction.ExecuteAsync().Within();

        Assert.All(items, item => Assert.True(item.Value));
    }

    [Fact]
    public async Task A_user_without_the_right_to_MULTI_is_told_that_there_was_no_transaction()
    {
        await Server.CommandAsync("ACL", "SETUSER", "nomulti", "on", ">secret", "+@all", "-multi", "~*");
        await using var redis = await RedisClient.ConnectAsync($"{Server.ConnectionString},user=nomulti,password=secret");
        var transaction = redis.CreateTransaction();
        var item = transaction.Add(["SET", "tx:nomulti", "1"], ReplyParsers.Boolean);

        var error = await transaction.ExecuteAsync().FailsWith<RedisReplyException>();

        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.Contains("without a transaction", error.Message, StringComparison.Ordinal);
        Assert.Same(error, item.Error);
    }

    [Fact]
    public async Task A_transaction_that_meets_a_loading_server_is_asked_again_as_a_whole()
    {
        var asked = 0;
        await using var server = FakeRedis.Start(async connection =>
        {
            await connection.ServeAsync(command =>
                command switch
                {
                    ["HELLO", ..] => FakeConnection.HelloReply(),
                    ["MULTI"] when ++asked > 0 => "+OK\r\n",
                    ["SET", ..] => asked == 1 ? "-LOADING Redis is loading the dataset in memory\r\n" : "+QUEUED\r\n",
                    ["EXEC"] => asked == 1 ? "-EXECABORT Transaction discarded because of previous errors.\r\n" : "*1\r\n+OK\r\n",
                    _ => "-ERR unknown\r\n",
                }
            );
        });
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString));
        var transaction = redis.CreateTransaction();
        var item = transaction.Add(["SET", "k", "1"], ReplyParsers.Boolean);

        await transaction.ExecuteAsync().Within();

        Assert.True(item.Value);
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task A_cut_in_the_middle_fails_the_whole()
    {
        await using var server = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ExpectAsync("MULTI");
            await connection.SendAsync("+OK\r\n+QUEUED\r\n");
            await connection.ExpectAsync("SET", "k", "1");
            connection.Cut();
        });
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString));
        var transaction = redis.CreateTransaction();
        var item = transaction.Add(["SET", "k", "1"], ReplyParsers.Boolean);

        var error = await transaction.ExecuteAsync().FailsWith<RedisConnectionException>();

        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.Same(error, item.Error);
    }
}
