using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Servers that no redis-server is: a script says every byte.</summary>
public sealed class ClientWireTests
{
    [Fact]
    public async Task The_greeting_goes_out_whole_before_anything_is_answered()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.ExpectBytesAsync(
                "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n$7\r\nSETNAME\r\n$1\r\nn\r\n"
            );
            await connection.ExpectBytesAsync("*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$5\r\nonggi\r\n");
            await connection.ExpectBytesAsync("*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n0.1.0\r\n");
            await connection.ExpectBytesAsync("*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
            await connection.SendAsync(FakeConnection.HelloReply("7.2.4") + FakeConnection.SetInfoReplies + "+OK\r\n");
            await connection.ExpectAsync("GET", "k");
            await connection.SendAsync("$1\r\nv\r\n");
            await connection.UntilClosedAsync();
        });

        await using var redis = await RedisClient
            .ConnectAsync(fake.ConnectionString + ",user=u,password=p,name=n,defaultDatabase=2")
            .Within();

        Assert.Equal("v", await redis.GetStringAsync("k").Within());
        Assert.Equal(new RedisServerInfo("redis", new Version(7, 2, 4), "standalone", "master"), redis.Server);
    }

    [Theory]
    [InlineData("redis", "6.2.14", "7.0")]
    [InlineData("redis", "2.8.0", "7.0")]
    [InlineData("valkey", "7.1.0", "7.2")]
    [InlineData("redis", "not a version", "7.0")]
    public async Task A_server_that_is_too_old_is_refused_at_once_in_words(string product, string version, string least)
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync(version, product);
            await connection.UntilClosedAsync();
        });

        var error = await Connecting(fake, 60_000).FailsWith<RedisConnectionException>();

        Assert.Contains(least, error.Message, StringComparison.Ordinal);
        Assert.Contains("Onggi needs", error.Message, StringComparison.Ordinal);
        Assert.False(error.IsTransient);
    }

    [Theory]
    [InlineData("-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n", "does not know HELLO")]
    [InlineData("-NOPROTO unsupported protocol version\r\n", "does not speak RESP3")]
    [InlineData("-NOPERM this user has no permissions to run the 'hello' command\r\n", "+hello")]
    public async Task A_refusal_of_the_greeting_is_explained(string reply, string says)
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.ReadCommandAsync();
            await connection.SendAsync(reply);
            await connection.UntilClosedAsync();
        });

        var error = await Connecting(fake, 60_000).FailsWith<RedisConnectionException>();

        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.False(error.IsTransient);
    }

    [Fact]
    public async Task A_server_that_is_loading_is_tried_again_until_it_is_ready()
    {
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.ReadCommandAsync();
                await connection.SendAsync("-LOADING Redis is loading the dataset in memory\r\n");
                await connection.UntilClosedAsync();
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.UntilClosedAsync();
            }
        );

        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        Assert.True(redis.IsConnected);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2p1\r\n")]
    [InlineData("\0\0\0\0\0\0\0\0")]
    public async Task What_is_not_Redis_is_said_not_to_be(string bytes)
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.ReadCommandAsync();
            await connection.SendAsync(bytes);
            await connection.UntilClosedAsync();
        });

        var error = await Connecting(fake, 2_000).FailsWith<RedisConnectionException>();

        Assert.Contains("not Redis", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_says_nothing_is_a_time_out_of_connecting()
    {
        await using var fake = FakeRedis.Start(connection => connection.UntilClosedAsync());

        var error = await Connecting(fake, 300).FailsWith<RedisConnectionException>();

        Assert.Contains("300 ms", error.Message, StringComparison.Ordinal);
        Assert.True(error.IsTransient);
    }

    [Fact]
    public async Task A_server_that_hangs_up_during_the_greeting_is_tried_again()
    {
        await using var fake = FakeRedis.Start(
            connection => connection.ReadCommandAsync(),
            async connection =>
            {
                await connection.HelloAsync();
                await connection.UntilClosedAsync();
            }
        );

        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        Assert.True(redis.IsConnected);
    }

    [Fact]
    public async Task Garbage_between_replies_fails_those_who_wait_and_a_new_connection_follows()
    {
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ReadCommandAsync();
                await connection.ReadCommandAsync();
                await connection.SendAsync("+first\r\nthis is not RESP\r\n");
                await connection.UntilClosedAsync();
            },
            Echoing
        );
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        var first = redis.SendAsync(["ECHO", "1"], ReplyParsers.Text);
        var second = redis.SendAsync(["SET", "k", "2"], ReplyParsers.Text);

        Assert.Equal("first", await first.Within());
        var error = await second.FailsWith<string?, RedisConnectionException>();
        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.Contains("not RESP3", error.Message, StringComparison.Ordinal);
        Assert.Equal("3", await redis.SendAsync(["ECHO", "3"], ReplyParsers.Text).Within());
    }

    [Fact]
    public async Task A_reply_that_nobody_asked_for_ends_the_connection()
    {
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ReadCommandAsync();
                await connection.SendAsync("+1\r\n+more than asked\r\n");
                await connection.UntilClosedAsync();
            },
            Echoing
        );
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();
        var lost = redis.Change(connected: false);

        Assert.Equal("1", await redis.SendAsync(["ECHO", "1"], ReplyParsers.Text).Within());
        await lost;

        Assert.Equal("2", await redis.SendAsync(["ECHO", "2"], ReplyParsers.Text).Within());
    }

    [Fact]
    public async Task A_cut_between_two_replies_fails_only_the_second()
    {
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ReadCommandAsync();
                await connection.ReadCommandAsync();
                await connection.SendAsync("$5\r\nfirst\r\n$6\r\nsec");
                connection.HalfClose();
                await connection.UntilClosedAsync();
            },
            Echoing
        );
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        var first = redis.SendAsync(["ECHO", "1"], ReplyParsers.Text);
        var second = redis.SendAsync(["SET", "k", "2"], ReplyParsers.Text);

        Assert.Equal("first", await first.Within());
        Assert.Equal(Sent.Maybe, (await second.FailsWith<string?, RedisConnectionException>()).Sent);
    }

    [Fact]
    public async Task Pushes_between_replies_and_unknown_ones_disturb_nobody()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ReadCommandAsync();
            await connection.SendAsync(">2\r\n+unknown\r\n*1\r\n:1\r\n+1\r\n>1\r\n+x\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n>0\r\n");
            await connection.ReadCommandAsync();
            await connection.SendAsync("|1\r\n+ttl\r\n:3600\r\n+2\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
            await Echoing(connection, greet: false);
        });
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        Assert.Equal("1", await redis.SendAsync(["ECHO", "1"], ReplyParsers.Text).Within());
        Assert.Equal("2", await redis.SendAsync(["ECHO", "2"], ReplyParsers.Text).Within());
        Assert.Equal("3", await redis.SendAsync(["ECHO", "3"], ReplyParsers.Text).Within());
        Assert.Equal(1, fake.Connections);
    }

    [Theory]
    [InlineData(">1\r\n$7\r\nmessage\r\n")]
    [InlineData(">2\r\n$7\r\nmessage\r\n$1\r\nc\r\n")]
    [InlineData(">3\r\n$7\r\nmessage\r\n*0\r\n$1\r\nm\r\n")]
    [InlineData(">3\r\n$7\r\nmessage\r\n_\r\n_\r\n")]
    [InlineData(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n%1\r\n+a\r\n+b\r\n")]
    [InlineData(">4\r\n$8\r\npmessage\r\n$1\r\nc\r\n_\r\n_\r\n")]
    [InlineData(">2\r\n*1\r\n+message\r\n$1\r\nc\r\n")]
    public async Task A_malformed_message_is_passed_over(string malformed)
    {
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.UntilClosedAsync();
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ExpectAsync("SUBSCRIBE", "c");
                await connection.SendAsync(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" + malformed);
                await connection.SendAsync(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ngood\r\n");
                await connection.UntilClosedAsync();
            },
            connection => connection.UntilClosedAsync()
        );
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();
        await using var subscription = await redis.SubscribeAsync("c").Within();

        // It may reach the reader as an empty message; it must not reach him as another's, nor end what follows.
        List<RedisMessage> messages = [];
        while (messages.Count == 0 || (messages.Count < 3 && ClientContract.Text(messages[^1]) != "good"))
            messages.AddRange(await ClientContract.Take(subscription, 1));

        Assert.Equal("good", ClientContract.Text(messages[^1]));
        Assert.Equal(2, fake.Connections);
    }

    [Fact]
    public async Task A_server_that_hangs_up_right_after_the_greeting_is_not_hammered()
    {
        await using var fake = FakeRedis.Start(connection => connection.HelloAsync());
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString + ",commandTimeout=1000").Within();

        // Its time-out is the bound of the test: commands can be lost with a connection, or wait for the next one.
        var error = await Record.ExceptionAsync(() => redis.PingAsync().AsTask().Within());
        while (error is RedisConnectionException)
            error = await Record.ExceptionAsync(() => redis.PingAsync().AsTask().Within());

        Assert.InRange(fake.Connections, 1, 60);
    }

    [Fact]
    public async Task A_long_error_and_an_error_in_bulk_form_reach_the_caller_whole()
    {
        var text = "ERR " + new string('e', 20_000);
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ReadCommandAsync();
            await connection.SendAsync($"-{text}\r\n");
            await connection.ReadCommandAsync();
            await connection.SendAsync($"!{text.Length}\r\n{text}\r\n");
            await connection.UntilClosedAsync();
        });
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        Assert.Equal(text, (await redis.ExecuteAsync(["A"]).FailsWith<Reply, RedisServerException>()).Message);
        Assert.Equal(text, (await redis.ExecuteAsync(["B"]).FailsWith<Reply, RedisServerException>()).Message);
    }

    [Fact]
    public async Task A_header_that_announces_what_never_comes_is_a_time_out()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ReadCommandAsync();
            await connection.SendAsync("$500000000\r\nabc");
            await connection.UntilClosedAsync();
        });
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString + ",commandTimeout=200").Within();
        await redis.GetAsync("k").FailsWith<byte[]?, RedisTimeoutException>();
    }

    [Fact]
    public async Task A_subscription_that_is_answered_with_a_plain_reply_ends_the_connection()
    {
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.UntilClosedAsync();
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ServeAsync(_ => "+OK\r\n");
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ServeAsync(command => $">3\r\n$9\r\nsubscribe\r\n${command[1].Length}\r\n{command[1]}\r\n:1\r\n");
            }
        );
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        await using var subscription = await redis.SubscribeAsync("c").Within();

        Assert.Equal(3, fake.Connections);
    }

    [Fact]
    public async Task A_subscription_that_is_refused_after_a_reconnect_is_asked_for_again()
    {
        var cut = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var fake = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ServeAsync(_ => "+OK\r\n");
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ReadCommandAsync();
                await connection.SendAsync(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
                await cut.Task;
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ReadCommandAsync();
                await connection.SendAsync("-NOPERM this user has no permissions to access one of the channels\r\n");
                await connection.ReadCommandAsync();
                await connection.SendAsync(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
                await connection.SendAsync(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
                await connection.UntilClosedAsync();
            }
        );
        var options = RedisClientOptions.Parse(fake.ConnectionString);
        options.PauseAfterRefusal = TimeSpan.FromMilliseconds(20);
        await using var redis = await RedisClient.ConnectAsync(options).AsTask().Within();
        await using var subscription = await redis.SubscribeAsync("c").Within();

        cut.SetResult();

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await foreach (var message in subscription.ReadAllAsync(patience.Token))
        {
            if (message.Interrupted)
                continue;
            Assert.Equal("hi"u8.ToArray(), message.Payload.ToArray());
            break;
        }

        await subscription.WhenActiveAsync(patience.Token);
    }

    [Fact]
    public async Task A_script_that_the_server_does_not_know_is_sent_whole_once()
    {
        var script = new RedisScript("one", "return 1");
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ExpectAsync("EVALSHA", script.Digest, "1", "k", "a");
            await connection.SendAsync("-NOSCRIPT No matching script. Please use EVAL.\r\n");
            await connection.ExpectAsync("EVAL", "return 1", "1", "k", "a");
            await connection.SendAsync("-NOSCRIPT still not\r\n");
            await connection.ExpectAsync("PING");
            await connection.SendAsync("+PONG\r\n");
            await connection.UntilClosedAsync();
        });
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        var error = await redis.EvalAsync(script, ["k"], ["a"], ReplyParsers.Int64).FailsWith<long, RedisServerException>();

        Assert.Equal("NOSCRIPT", error.Code);
        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task Commands_given_while_others_wait_are_sent_together()
    {
        var release = new TaskCompletionSource();
        var together = 0;
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ExpectAsync("ECHO", "0");
            await release.Task;
            await connection.SendAsync("+0\r\n");
            for (var i = 1; i <= 100; i++)
            {
                await connection.ExpectAsync("ECHO", $"{i}");
                together++;
            }

            for (var i = 1; i <= 100; i++)
                await connection.SendAsync($"+{i}\r\n");
            await connection.UntilClosedAsync();
        });
        await using var redis = await RedisClient.ConnectAsync(fake.ConnectionString).Within();

        var asked = Enumerable.Range(0, 101).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Text).AsTask()).ToArray();
        release.SetResult();

        Assert.Equal(Enumerable.Range(0, 101).Select(i => $"{i}"), await Task.WhenAll(asked).Within());
        Assert.Equal(100, together);
    }

    private static Task Echoing(FakeConnection connection) => Echoing(connection, greet: true);

    private static async Task Echoing(FakeConnection connection, bool greet)
    {
        if (greet)
            await connection.HelloAsync();
        await connection.ServeAsync(command => $"+{command[^1]}\r\n");
    }

    private static Task<RedisClient> Connecting(FakeRedis fake, int timeout) =>
        RedisClient.ConnectAsync(fake.ConnectionString + $",connectTimeout={timeout}").AsTask();
}
