using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.ServerTests.Client;

/// <summary>What the client promises on any server that speaks RESP3. A server's test class says how to reach it.</summary>
public abstract class ClientContract : IAsyncLifetime
{
    private static readonly RedisScript Echo = new("echo", "return {KEYS[1], ARGV[1]}");

    private readonly string _prefix = $"t{Guid.NewGuid():N}:";
    private RedisClient? _redis;

    protected abstract string ConnectionString { get; }

    protected RedisClient Redis => _redis!;

    public async Task InitializeAsync() => _redis = await RedisClient.ConnectAsync(ConnectionString).Within();

    public async Task DisposeAsync() => await Redis.DisposeAsync();

    [Fact]
    public async Task The_server_tells_who_it_is()
    {
        Assert.True(Redis.IsConnected);
        Assert.NotNull(Redis.Server);
        Assert.True(Redis.Server.Version >= new Version(7, 0));
        Assert.Equal("PONG", await Redis.PingAsync());
    }

    [Fact]
    public async Task A_value_comes_back_as_it_was_put()
    {
        Assert.True(await Redis.SetAsync(Key("a"), "값 with \r\n and \0"));

        Assert.Equal("값 with \r\n and \0", await Redis.GetStringAsync(Key("a")));
        Assert.Equal(Encoding.UTF8.GetBytes("값 with \r\n and \0"), await Redis.GetAsync(Key("a")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16_383)]
    [InlineData(65_536)]
    [InlineData(5_000_000)]
    public async Task Bytes_of_any_size_come_back(int size)
    {
        var value = new byte[size];
        new Random(size).NextBytes(value);

        await Redis.SetAsync(Key("b"), value);

        Assert.Equal(value, await Redis.GetAsync(Key("b")));
    }

    [Fact]
    public async Task A_value_of_100_MB_comes_back_while_others_ask()
    {
        var value = new byte[100_000_000];
        new Random(1).NextBytes(value);
        var options = RedisClientOptions.Parse(ConnectionString);
        options.CommandTimeout = Waiting.Bound;
        await using var redis = await RedisClient.ConnectAsync(options).Within();

        var put = redis.SetAsync(Key("big"), value);
        var before = redis.PingAsync();
        Assert.True(await put);
        var got = redis.GetAsync(Key("big"));
        var after = redis.PingAsync();

        Assert.True((await got)!.SequenceEqual(value));
        Assert.Equal("PONG", await before);
        Assert.Equal("PONG", await after);
        await redis.UnlinkAsync([Key("big")]);
    }

    [Fact]
    public async Task What_is_not_there_is_null()
    {
        Assert.Null(await Redis.GetAsync(Key("none")));
        Assert.Null(await Redis.GetStringAsync(Key("none")));
        Assert.False(await Redis.ExistsAsync(Key("none")));
        Assert.Null(await Redis.TimeToLiveAsync(Key("none")));
        Assert.False(await Redis.ExpireAsync(Key("none"), TimeSpan.FromSeconds(1)));
        Assert.Equal(0, await Redis.UnlinkAsync([Key("none")]));
    }

    [Fact]
    public async Task Many_values_come_in_the_order_of_their_keys()
    {
        await Redis.SetAsync(Key("m1"), "one");
        await Redis.SetAsync(Key("m3"), "three");

        var values = await Redis.GetManyAsync([Key("m3"), Key("m2"), Key("m1")]);

        Assert.Equal(["three", null, "one"], values.Select(value => value is null ? null : Encoding.UTF8.GetString(value)));
    }

    [Fact]
    public async Task A_time_to_live_is_set_with_the_value_or_later()
    {
        await Redis.SetAsync(Key("t"), "1", TimeSpan.FromMinutes(5));
        Assert.InRange((await Redis.TimeToLiveAsync(Key("t")))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));

        await Redis.SetAsync(Key("t"), "2");
        Assert.Null(await Redis.TimeToLiveAsync(Key("t")));

        Assert.True(await Redis.ExpireAsync(Key("t"), TimeSpan.FromHours(1)));
        Assert.InRange((await Redis.TimeToLiveAsync(Key("t")))!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task Keys_are_removed_and_counted()
    {
        await Redis.SetAsync(Key("u1"), "1");
        await Redis.SetAsync(Key("u2"), "2");

        Assert.Equal(2, await Redis.UnlinkAsync([Key("u1"), Key("u2"), Key("u3")]));
        Assert.False(await Redis.ExistsAsync(Key("u1")));
    }

    [Fact]
    public async Task A_scan_finds_every_key_of_a_pattern()
    {
        var keys = Enumerable.Range(0, 1500).Select(i => Key($"scan:{i}")).ToHashSet(StringComparer.Ordinal);
        await Task.WhenAll(keys.Select(key => Redis.SetAsync(key, "x").AsTask()));

        var found = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var key in Redis.ScanAsync(Key("scan:*"), count: 100))
            found.Add(key);

        Assert.True(keys.SetEquals(found));
    }

    [Fact]
    public async Task Every_kind_of_argument_is_written()
    {
        var reply = await Redis.ExecuteAsync([
            "EVAL",
            "return ARGV",
            0,
            "text",
            new byte[] { 0x62, 0x00 },
            new ReadOnlyMemory<byte>([0x63]),
            42,
            long.MinValue,
            1.5,
        ]);

        Assert.Equal(["text", "b\0", "c", "42", "-9223372036854775808", "1.5"], reply.Items.Select(item => item.Text));
    }

    [Fact]
    public async Task Every_kind_of_reply_is_read()
    {
        await Redis.ExecuteAsync(["HSET", Key("h"), "f", "1", "g", "2"]);
        await Redis.ExecuteAsync(["ZADD", Key("z"), 1.5, "m"]);
        await Redis.ExecuteAsync(["SADD", Key("s"), "a"]);

        var map = await Redis.ExecuteAsync(["HGETALL", Key("h")]);
        Assert.Equal((RespType.Map, "1", "2"), (map.Type, map["f"]?.Text, map["g"]?.Text));
        Assert.Equal(RespType.Set, (await Redis.ExecuteAsync(["SMEMBERS", Key("s")])).Type);
        Assert.Equal(1.5, await Redis.SendAsync(["ZSCORE", Key("z"), "m"], ReplyParsers.Double));
        Assert.True((await Redis.ExecuteAsync(["ZSCORE", Key("z"), "none"])).IsNull);
        Assert.Equal(3, await Redis.SendAsync(["INCRBY", Key("i"), 3], ReplyParsers.Int64));
        Assert.True(await Redis.SendAsync(["EVAL", "redis.setresp(3) return true", 0], ReplyParsers.Boolean));
        Assert.Contains("redis_version:", await Redis.InfoAsync("server"), StringComparison.Ordinal);
        Assert.Empty((await Redis.ExecuteAsync(["LRANGE", Key("l"), 0, -1])).Items);
    }

    [Fact]
    public async Task An_error_reply_is_an_exception_with_its_code_and_the_connection_goes_on()
    {
        await Redis.SetAsync(Key("e"), "text");

        var type = await Redis.SendAsync(["LPUSH", Key("e"), "x"], ReplyParsers.Int64).FailsWith<long, RedisServerException>();
        var unknown = await Redis.ExecuteAsync(["NONSENSE"]).FailsWith<Reply, RedisServerException>();

        Assert.Equal("WRONGTYPE", type.Code);
        Assert.Equal("ERR", unknown.Code);
        Assert.Equal("text", await Redis.GetStringAsync(Key("e")));
    }

    [Fact]
    public async Task A_reply_of_another_type_is_the_callers_error_and_the_connection_goes_on()
    {
        await Redis.SetAsync(Key("r"), "text");

        var wrong = await Redis.SendAsync(["GET", Key("r")], ReplyParsers.Int64).FailsWith<long, RedisReplyException>();
        var thrown = await Redis
            .SendAsync<int>(["GET", Key("r")], static (ref _) => throw new InvalidOperationException("mine"))
            .FailsWith<int, RedisReplyException>();

        Assert.DoesNotContain("text", wrong.Message, StringComparison.Ordinal);
        Assert.Equal("mine", thrown.InnerException?.Message);
        Assert.Equal("text", await Redis.GetStringAsync(Key("r")));
    }

    [Fact]
    public async Task A_parser_that_reads_too_little_or_nothing_does_not_disturb_others()
    {
        await Redis.ExecuteAsync(["RPUSH", Key("p"), "a", "b", "c"]);
        var nothing = Redis.SendAsync(["LRANGE", Key("p"), 0, -1], static (ref _) => 1);
        var first = Redis.SendAsync(["LRANGE", Key("p"), 0, -1], static (ref reader) => reader.Read() ? reader.ReadString() : null);
        var all = Redis.SendAsync(["LRANGE", Key("p"), 0, -1], ReplyParsers.TextArray);

        Assert.Equal(1, await nothing);
        Assert.Equal("a", await first);
        Assert.Equal((IEnumerable<string?>)["a", "b", "c"], await all);
    }

    [Fact]
    public async Task Ten_thousand_commands_under_way_each_get_their_own_reply()
    {
        var options = RedisClientOptions.Parse(ConnectionString);
        options.MaxInFlight = 16_384;
        options.CommandTimeout = Waiting.Bound;
        await using var redis = await RedisClient.ConnectAsync(options).Within();

        var asked = Enumerable.Range(0, 10_000).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask()).ToArray();

        Assert.Equal(Enumerable.Range(0, 10_000).Select(i => (long)i), await Task.WhenAll(asked).Within());
    }

    [Fact]
    public async Task Callers_on_many_threads_each_get_their_own_reply()
    {
        await Task.WhenAll(
                Enumerable
                    .Range(0, 16)
                    .Select(caller =>
                        Task.Run(async () =>
                        {
                            for (var i = 0; i < 500; i++)
                                Assert.Equal($"{caller}:{i}", await Redis.SendAsync(["ECHO", $"{caller}:{i}"], ReplyParsers.Text));
                        })
                    )
            )
            .Within();
    }

    [Fact]
    public async Task A_command_that_cannot_be_written_fails_alone()
    {
        var before = Redis.SendAsync(["ECHO", "before"], ReplyParsers.Text);
        var broken = Redis.SetAsync(Key("x"), "\ud800");
        var empty = Redis.ExecuteAsync([]);
        var after = Redis.SendAsync(["ECHO", "after"], ReplyParsers.Text);

        await broken.FailsWith<bool, ArgumentException>();
        await empty.FailsWith<Reply, ArgumentException>();
        Assert.Equal(("before", "after"), (await before, await after));
    }

    [Fact]
    public async Task A_script_runs_and_runs_again_after_the_server_forgot_it()
    {
        Assert.Equal((IEnumerable<string?>)[Key("k"), "1"], await Redis.EvalAsync(Echo, [Key("k")], ["1"], ReplyParsers.TextArray));
        Assert.Equal((IEnumerable<string?>)[Key("k"), "2"], await Redis.EvalAsync(Echo, [Key("k")], ["2"], ReplyParsers.TextArray));
        await Redis.ExecuteAsync(["SCRIPT", "FLUSH"]);

        var many = await Task.WhenAll(
            Enumerable.Range(0, 50).Select(i => Redis.EvalAsync(Echo, [Key("k")], [i], ReplyParsers.TextArray).AsTask())
        );

        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"{i}"), many.Select(reply => reply[1]));
    }

    [Fact]
    public async Task A_script_that_fails_says_so_and_is_not_run_twice()
    {
        var script = new RedisScript("count", "redis.call('INCR', KEYS[1]) return redis.error_reply('NOPE no')");

        var first = await Redis.EvalAsync(script, [Key("c")], [], ReplyParsers.Int64).FailsWith<long, RedisServerException>();
        var second = await Redis.EvalAsync(script, [Key("c")], [], ReplyParsers.Int64).FailsWith<long, RedisServerException>();

        Assert.Equal(("NOPE", "NOPE"), (first.Code, second.Code));
        Assert.Equal("2", await Redis.GetStringAsync(Key("c")));
    }

    [Fact]
    public async Task Published_messages_arrive_in_order()
    {
        await using var subscription = await Redis.SubscribeAsync(Key("ch")).Within();
        for (var i = 0; i < 1000; i++)
            Assert.Equal(1, await Redis.PublishAsync(Key("ch"), i));

        var messages = await Take(subscription, 1000);

        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"{i}"), messages.Select(Text));
        Assert.All(messages, message => Assert.Equal((Key("ch"), false), (message.Channel, message.Interrupted)));
    }

    [Fact]
    public async Task A_channel_that_belongs_to_a_slot_is_heard_like_any_other()
    {
        await using var subscription = await Redis.SubscribeShardedAsync(Key("s")).Within();
        for (var i = 0; i < 100; i++)
            Assert.Equal(1, await Redis.PublishShardedAsync(Key("s"), i));

        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), (await Take(subscription, 100)).Select(Text));
        await subscription.DisposeAsync();
        Assert.Equal(0, await Redis.PublishShardedAsync(Key("s"), "nobody"));
    }

    [Fact]
    public async Task A_pattern_hears_all_channels_that_match_and_tells_which()
    {
        await using var subscription = await Redis.SubscribePatternAsync(Key("p:*")).Within();
        await Redis.PublishAsync(Key("p:1"), "one");
        await Redis.PublishAsync(Key("q:1"), "not mine");
        await Redis.PublishAsync(Key("p:2"), "two");

        var messages = await Take(subscription, 2);

        Assert.Equal([(Key("p:1"), "one"), (Key("p:2"), "two")], messages.Select(message => (message.Channel, Text(message))));
    }

    [Fact]
    public async Task Two_readers_of_a_channel_both_hear_and_one_may_leave()
    {
        var first = await Redis.SubscribeAsync(Key("two")).Within();
        await using var second = await Redis.SubscribeAsync(Key("two")).Within();
        await Redis.PublishAsync(Key("two"), "a");
        Assert.Equal("a", Text((await Take(first, 1))[0]));
        Assert.Equal("a", Text((await Take(second, 1))[0]));

        await first.DisposeAsync();
        Assert.Equal(1, await Redis.PublishAsync(Key("two"), "b"));

        Assert.Equal("b", Text((await Take(second, 1))[0]));
        await foreach (var _ in first.ReadAllAsync())
            Assert.Fail("A disposed subscription ends.");
    }

    [Fact]
    public async Task The_last_reader_that_leaves_unsubscribes()
    {
        var subscription = await Redis.SubscribeAsync(Key("last")).Within();
        await subscription.DisposeAsync();

        Assert.Equal(0, await Redis.PublishAsync(Key("last"), "nobody"));
    }

    [Fact]
    public async Task Who_subscribes_while_another_leaves_is_still_heard()
    {
        for (var round = 0; round < 4000; round++)
        {
            var leaving = await Redis.SubscribeAsync(Key("race")).Within();
            using var start = new Barrier(2);
            var left = Task.Run(async () =>
            {
                start.SignalAndWait();
                await leaving.DisposeAsync();
            });
            var came = Task.Run(async () =>
            {
                start.SignalAndWait();
                return await Redis.SubscribeAsync(Key("race"));
            });
            await using var staying = await came.Within();
            await left.Within();

            Assert.Equal((round, 1), (round, await Redis.PublishAsync(Key("race"), round)));
        }
    }

    [Fact]
    public async Task A_reader_that_is_too_slow_is_told_that_it_missed_messages()
    {
        var options = RedisClientOptions.Parse(ConnectionString);
        options.SubscriptionBuffer = 8;
        await using var redis = await RedisClient.ConnectAsync(options).Within();
        await using var slow = await redis.SubscribeAsync(Key("slow")).Within();
        await using var done = await redis.SubscribeAsync(Key("done")).Within();
        for (var i = 0; i < 100; i++)
            await redis.PublishAsync(Key("slow"), i);
        await redis.PublishAsync(Key("done"), "");
        await Take(done, 1);

        var messages = await Take(slow, 9);

        Assert.True(messages[0].Interrupted);
        Assert.Equal(Enumerable.Range(92, 8).Select(i => $"{i}"), messages.Skip(1).Select(Text));
    }

    protected string Key(string name) => _prefix + name;

    internal static string Text(RedisMessage message) => Encoding.UTF8.GetString(message.Payload.Span);

    internal static async Task<List<RedisMessage>> Take(RedisSubscription subscription, int count)
    {
        List<RedisMessage> messages = [];
        using var patience = new CancellationTokenSource(Waiting.Bound);
        await foreach (var message in subscription.ReadAllAsync(patience.Token))
        {
            messages.Add(message);
            if (messages.Count == count)
                break;
        }

        return messages;
    }
}
