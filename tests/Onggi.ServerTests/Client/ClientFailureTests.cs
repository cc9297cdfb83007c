using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Redis slow, gone, restarted; the network cut, silent, slow: what the caller sees.</summary>
public sealed class ClientFailureTests : IAsyncLifetime
{
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task A_hanging_server_is_a_time_out_that_says_maybe()
    {
        await using var redis = await ConnectAsync(timeout: 200);
        Server.Pause();
        var watch = Stopwatch.StartNew();

        var error = await redis.SetAsync("k", "v").FailsWith<bool, RedisTimeoutException>();

        Assert.Equal((Sent.Maybe, true), (error.Sent, error.IsTransient));
        Assert.Contains("SET", error.Message, StringComparison.Ordinal);
        Assert.Contains("200 ms", error.Message, StringComparison.Ordinal);
        Assert.InRange(watch.ElapsedMilliseconds, 150, 5000);
    }

    [Fact]
    public async Task After_a_time_out_the_late_reply_goes_to_nobody_and_the_next_to_its_caller()
    {
        // Short for a call that hangs, long for one that does not on a busy machine.
        await using var redis = await ConnectAsync(timeout: 2000);
        await redis.SetAsync("a", "1");
        Server.Pause();
        await redis.GetStringAsync("a").FailsWith<string?, RedisTimeoutException>();
        var waiting = redis.SendAsync(["ECHO", "second"], ReplyParsers.Text);
        Server.Resume();

        Assert.Equal("second", await waiting.Within());
        for (var i = 0; i < 100; i++)
            Assert.Equal(i, await redis.SendAsync(["ECHO", i], ReplyParsers.Int64));
        Assert.True(redis.IsConnected);
    }

    [Fact]
    public async Task Cancelled_calls_end_at_once_with_their_token_and_do_not_shift_later_replies()
    {
        await using var redis = await ConnectAsync();
        using var cancelling = new CancellationTokenSource();
        Server.Pause();
        var asked = Enumerable
            .Range(0, 1000)
            .Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64, i % 3 == 0 ? cancelling.Token : CancellationToken.None).AsTask())
            .ToArray();

        await cancelling.CancelAsync();
        var error = await asked[0].FailsWith<OperationCanceledException>();
        Server.Resume();

        Assert.Equal(cancelling.Token, error.CancellationToken);
        Assert.Equal(Sent.Maybe, error.Data["Sent"]);
        for (var i = 0; i < asked.Length; i++)
            if (i % 3 == 0)
                await asked[i].FailsWith<OperationCanceledException>();
            else
                Assert.Equal(i, await asked[i].Within());
        Assert.Equal("later", await redis.SendAsync(["ECHO", "later"], ReplyParsers.Text).Within());
    }

    [Fact]
    public async Task A_call_whose_token_is_cancelled_already_is_not_sent_and_says_so()
    {
        await using var redis = await ConnectAsync();
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        var error = await redis.SetAsync("never", "x", cancellationToken: cancelled.Token).FailsWith<bool, OperationCanceledException>();

        Assert.Equal(Sent.No, error.Data["Sent"]);
        Assert.Equal(cancelled.Token, error.CancellationToken);
        Assert.Null(await redis.GetAsync("never"));
    }

    [Fact]
    public async Task When_the_server_dies_all_who_wait_are_told_at_once_that_it_may_have_been_executed()
    {
        await using var redis = await ConnectAsync(timeout: 60_000);
        Server.Pause();
        var asked = Enumerable.Range(0, 500).Select(i => redis.SetAsync($"k{i}", "v").AsTask()).ToArray();

        await Server.KillAsync();

        foreach (var call in asked)
        {
            var error = await call.FailsWith<RedisConnectionException>();
            Assert.True(error.IsTransient);
        }

        // The first of them had left for certain: it was alone and was sent at once.
        Assert.Equal(Sent.Maybe, ((RedisException)asked[0].Exception!.InnerException!).Sent);
    }

    [Fact]
    public async Task The_client_comes_back_by_itself_when_the_server_does()
    {
        await using var redis = await ConnectAsync(timeout: 15_000);
        var lost = redis.Change(connected: false);
        await Server.KillAsync();
        await lost;
        Assert.False(redis.IsConnected);
        var waiting = Enumerable.Range(0, 100).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask()).ToArray();

        await Server.RestartAsync();

        Assert.Equal(Enumerable.Range(0, 100).Select(i => (long)i), await Task.WhenAll(waiting).Within());
        Assert.True(redis.IsConnected);
    }

    [Fact]
    public async Task It_comes_back_every_time()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(proxy.ConnectionString, timeout: 15_000);
        for (var i = 0; i < 50; i++)
        {
            var lost = redis.Change(connected: false);
            proxy.CutAll();
            await lost;
            Assert.Equal(i, await redis.SendAsync(["ECHO", i], ReplyParsers.Int64).Within());
        }
    }

    [Fact]
    public async Task While_there_is_no_connection_a_bounded_number_waits_and_times_out_as_not_sent()
    {
        await using var redis = await ConnectAsync(timeout: 500, change: options => options.MaxBacklog = 10);
        var lost = redis.Change(connected: false);
        await Server.KillAsync();
        await lost;

        var waiting = Enumerable.Range(0, 10).Select(i => redis.SetAsync($"b{i}", "v").AsTask()).ToArray();
        var refused = await redis.SetAsync("b10", "v").FailsWith<bool, RedisBusyException>();

        Assert.Equal(Sent.No, refused.Sent);
        Assert.Contains("10 commands", refused.Message, StringComparison.Ordinal);
        foreach (var call in waiting)
        {
            var error = await call.FailsWith<RedisTimeoutException>();
            Assert.Equal(Sent.No, error.Sent);
            Assert.Contains($"127.0.0.1:{Server.Port}", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_timed_out_before_there_was_a_connection_is_never_executed()
    {
        await using var redis = await ConnectAsync(timeout: 300);
        var lost = redis.Change(connected: false);
        await Server.KillAsync();
        await lost;
        var error = await redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).FailsWith<long, RedisTimeoutException>();
        Assert.Equal(Sent.No, error.Sent);

        await Server.RestartAsync();
        await redis.ConnectAsync().Within();

        Assert.Equal(1, await redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).Within());
    }

    [Fact]
    public async Task Without_a_backlog_a_command_is_refused_at_once_while_there_is_no_connection()
    {
        await using var redis = await ConnectAsync(timeout: 60_000, change: options => options.MaxBacklog = 0);
        var lost = redis.Change(connected: false);
        await Server.KillAsync();
        await lost;

        Assert.Equal(Sent.No, (await redis.PingAsync().FailsWith<string?, RedisBusyException>()).Sent);
    }

    [Fact]
    public async Task More_commands_under_way_than_allowed_are_refused_not_queued()
    {
        await using var redis = await ConnectAsync(
            timeout: 15_000,
            change: options =>
            {
                options.MaxInFlight = 64;
                options.MaxBacklog = 64;
            }
        );
        Server.Pause();
        var asked = Enumerable.Range(0, 64).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask()).ToArray();

        var error = await redis.PingAsync().FailsWith<string?, RedisBusyException>();
        Server.Resume();

        Assert.Contains("64", error.Message, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(0, 64).Select(i => (long)i), await Task.WhenAll(asked).Within());
        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task A_value_over_the_buffers_limit_is_refused_and_the_next_command_works()
    {
        await using var redis = await ConnectAsync(change: options => options.MaxBufferedBytes = 1 << 20);

        var error = await redis.SetAsync("big", new byte[2 << 20]).FailsWith<bool, RedisBusyException>();

        Assert.Equal(Sent.No, error.Sent);
        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task A_full_server_says_OOM()
    {
        await using var redis = await ConnectAsync();
        await Server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var error = await redis.SetAsync("k", "v").FailsWith<bool, RedisServerException>();

        Assert.Equal(("OOM", Sent.No, true), (error.Code, error.Sent, error.IsTransient));
    }

    [Fact]
    public async Task Nobody_there_is_said_with_address_and_reason()
    {
        var port = Server.Port;
        await Server.StopAsync();

        var error = await Connecting($"127.0.0.1:{port},connectTimeout=300").FailsWith<RedisConnectionException>();

        Assert.Equal((Sent.No, true), (error.Sent, error.IsTransient));
        Assert.Contains($"127.0.0.1:{port}", error.Message, StringComparison.Ordinal);
        Assert.Contains("refused", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_host_that_does_not_exist_is_said_by_name()
    {
        var error = await Connecting("no-such-host.invalid:6379,connectTimeout=1000").FailsWith<RedisConnectionException>();

        Assert.Contains("no-such-host.invalid:6379", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_accepts_and_hangs_is_said_to_be_silent()
    {
        Server.Pause();

        var error = await Connecting(Server.ConnectionString + ",connectTimeout=300").FailsWith<RedisConnectionException>();

        Assert.Contains("300 ms", error.Message, StringComparison.Ordinal);
        Assert.True(error.IsTransient);
    }

    [Fact]
    public async Task A_silent_connection_is_given_up_and_replaced()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(
            proxy.ConnectionString,
            timeout: 500,
            change: options => options.DeadAfter = TimeSpan.FromSeconds(1)
        );
        await redis.PingAsync().Within();
        var lost = redis.Change(connected: false);
        proxy.BlackHoleAll();

        await redis.PingAsync().FailsWith<string?, RedisTimeoutException>();
        await lost;

        await redis.ConnectAsync().Within();
        Assert.Equal("PONG", await redis.PingAsync().Within());
        Assert.Equal(2, proxy.Accepted);
    }

    [Fact]
    public async Task An_idle_connection_that_went_silent_is_found_out_without_a_caller()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(
            proxy.ConnectionString,
            timeout: 500,
            change: options =>
            {
                options.KeepAlive = TimeSpan.FromMilliseconds(300);
                options.DeadAfter = TimeSpan.FromMilliseconds(600);
            }
        );
        var lost = redis.Change(connected: false);
        proxy.BlackHoleAll();

        await lost;
        await redis.ConnectAsync().Within();
    }

    [Fact]
    public async Task A_goodbye_of_the_server_ends_the_connection_and_a_new_one_follows()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(proxy.ConnectionString, timeout: 15_000);
        var lost = redis.Change(connected: false);

        proxy.HalfCloseToClient();
        await lost;

        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Theory]
    [InlineData(ProxyDirection.ToServer)]
    [InlineData(ProxyDirection.ToClient)]
    public async Task A_cut_in_the_middle_of_a_frame_gives_nobody_a_wrong_reply(ProxyDirection direction)
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(proxy.ConnectionString, timeout: 15_000);
        for (var bytes = 1; bytes < 120; bytes += 2)
        {
            var lost = redis.Change(connected: false);
            proxy.CutAfter(direction, bytes);
            var asked = Enumerable
                .Range(0, 20)
                .Select(i => redis.SendAsync(["ECHO", $"{bytes}:{i}"], ReplyParsers.Text).AsTask())
                .ToArray();
            await lost;
            for (var i = 0; i < asked.Length; i++)
            {
                try
                {
                    Assert.Equal($"{bytes}:{i}", await asked[i].Within());
                }
                catch (RedisConnectionException error)
                {
                    Assert.True(error.IsTransient);
                }
            }

            await redis.ConnectAsync().Within();
        }
    }

    [Fact]
    public async Task Replies_that_arrive_byte_by_byte_are_the_same()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(proxy.ConnectionString, timeout: 15_000);
        proxy.MaxChunk = 1;
        var value = new string('v', 3000);

        await redis.SetAsync("k", value).Within();
        var asked = Enumerable.Range(0, 200).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask()).ToArray();

        Assert.Equal(value, await redis.GetStringAsync("k").Within());
        Assert.Equal(Enumerable.Range(0, 200).Select(i => (long)i), await Task.WhenAll(asked).Within());
    }

    [Fact]
    public async Task A_large_reply_over_a_slow_line_is_not_taken_for_silence()
    {
        // Twice as long under way as silence may last, and never silent for longer than a busy machine stalls.
        await Server.CommandAsync("SET", "big", new string('x', 8_000_000));
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await ConnectAsync(
            proxy.ConnectionString,
            timeout: 15_000,
            change: options => options.DeadAfter = TimeSpan.FromSeconds(2)
        );
        proxy.BytesPerSecondToClient = 2_000_000;

        Assert.Equal(8_000_000, (await redis.GetAsync("big").Within())!.Length);
        Assert.Equal(1, proxy.Accepted);
    }

    [Fact]
    public async Task A_subscription_survives_the_end_of_its_connection_and_says_what_it_may_have_missed()
    {
        await using var redis = await ConnectAsync(timeout: 15_000);
        await using var subscription = await redis.SubscribeAsync("news").Within();
        await using var pattern = await redis.SubscribePatternAsync("n*").Within();
        await Server.CommandAsync("PUBLISH", "news", "before");
        foreach (var reader in (RedisSubscription[])[subscription, pattern])
            Assert.Equal("before", ClientContract.Text((await ClientContract.Take(reader, 1))[0]));

        await Server.CommandAsync("CLIENT", "KILL", "TYPE", "pubsub");
        foreach (var reader in (RedisSubscription[])[subscription, pattern])
            Assert.True((await ClientContract.Take(reader, 1))[0].Interrupted);
        Assert.Equal("2", await Server.CommandAsync("PUBLISH", "news", "after"));

        foreach (var reader in (RedisSubscription[])[subscription, pattern])
            Assert.Equal("after", ClientContract.Text((await ClientContract.Take(reader, 1))[0]));
    }

    [Fact]
    public async Task A_subscription_survives_a_restart_of_the_server()
    {
        await using var redis = await ConnectAsync(timeout: 15_000);
        await using var subscription = await redis.SubscribeAsync("news").Within();

        for (var i = 0; i < 3; i++)
        {
            await Server.RestartAsync(kill: true);
            Assert.True((await ClientContract.Take(subscription, 1))[0].Interrupted);
            Assert.Equal("1", await Server.CommandAsync("PUBLISH", "news", $"{i}"));
            Assert.Equal($"{i}", ClientContract.Text((await ClientContract.Take(subscription, 1))[0]));
        }
    }

    [Fact]
    public async Task A_killed_connection_of_commands_leaves_subscriptions_alone()
    {
        await using var redis = await ConnectAsync(timeout: 15_000);
        await using var subscription = await redis.SubscribeAsync("news").Within();
        var lost = redis.Change(connected: false);

        await Server.CommandAsync("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        await lost;
        await redis.PublishAsync("news", "still here").Within();

        var message = (await ClientContract.Take(subscription, 1))[0];
        Assert.Equal(("still here", false), (ClientContract.Text(message), message.Interrupted));
    }

    [Fact]
    public async Task Disposing_ends_everything_that_waits()
    {
        var redis = await ConnectAsync(timeout: 60_000);
        var subscription = await redis.SubscribeAsync("news").Within();
        Server.Pause();
        var asked = Enumerable.Range(0, 50).Select(_ => redis.PingAsync().AsTask()).ToArray();
        var reading = ReadToEndAsync(subscription);

        await redis.DisposeAsync().Within();

        foreach (var call in asked)
            await call.FailsWith<RedisConnectionException>();
        await reading.Within();
        await redis.PingAsync().FailsWith<string?, ObjectDisposedException>();

        static async Task ReadToEndAsync(RedisSubscription subscription)
        {
            await foreach (var _ in subscription.ReadAllAsync())
                Assert.Fail("Nothing was published.");
        }
    }

    [Fact]
    public async Task A_client_that_never_connected_ends_too()
    {
        var port = Server.Port;
        await Server.StopAsync();
        var redis = new RedisClient(RedisClientOptions.Parse($"127.0.0.1:{port},commandTimeout=60000"));
        var asked = redis.PingAsync().AsTask();

        await redis.DisposeAsync().Within();

        Assert.Equal(Sent.No, (await asked.FailsWith<RedisConnectionException>()).Sent);
    }

    [Fact]
    public async Task Connecting_stops_when_its_token_is_cancelled()
    {
        Server.Pause();
        using var cancelling = new CancellationTokenSource();
        var connecting = RedisClient.ConnectAsync(Server.ConnectionString + ",connectTimeout=60000", cancelling.Token).AsTask();

        await cancelling.CancelAsync();

        await ((Task)connecting).FailsWith<OperationCanceledException>();
    }

    private static Task<RedisClient> Connecting(string connectionString) => RedisClient.ConnectAsync(connectionString).AsTask();

    private Task<RedisClient> ConnectAsync(int timeout = 2000, Action<RedisClientOptions>? change = null) =>
        ConnectAsync(Server.ConnectionString, timeout, change);

    private static Task<RedisClient> ConnectAsync(string connectionString, int timeout, Action<RedisClientOptions>? change = null)
    {
        var options = RedisClientOptions.Parse(connectionString);
        options.CommandTimeout = TimeSpan.FromMilliseconds(timeout);
        options.DeadAfter = TimeSpan.FromSeconds(30);
        options.MaxReconnectPause = TimeSpan.FromMilliseconds(100);
        change?.Invoke(options);
        return RedisClient.ConnectAsync(options).Within();
    }
}
