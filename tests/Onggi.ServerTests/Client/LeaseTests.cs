using System.Globalization;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Connections of one caller's own: what blocks, what is cancelled, and what goes back to the pool.</summary>
public sealed class LeaseTests : IAsyncLifetime
{
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task A_blocking_command_waits_longer_than_others_may_and_holds_up_nobody_else()
    {
        await using var redis = await ConnectAsync(options => options.CommandTimeout = options.DeadAfter = TimeSpan.FromMilliseconds(150));
        await using var lease = await redis.LeaseAsync().Within();

        var popping = lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, TimeSpan.FromSeconds(15)).AsTask();
        await BlockedAsync(1);
        for (var i = 0; i < 20; i++)
        {
            // Many times the time-out of other commands, and of silence.
            await Task.Delay(20);
            await redis.SetAsync("others", i).Within();
        }

        await Server.CommandAsync("RPUSH", "queue", "x");

        Assert.Equal("x", (await popping.Within())[1]);
        Assert.True(lease.IsUsable);
    }

    [Fact]
    public async Task A_cancelled_pop_takes_nothing_that_is_pushed_later()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync().Within();
        using var cancel = new CancellationTokenSource();
        var popping = lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, Timeout.InfiniteTimeSpan, cancel.Token).AsTask();
        await BlockedAsync(1);

        await cancel.CancelAsync();

        var cancelled = await popping.FailsWith<OperationCanceledException>();
        Assert.Equal(cancel.Token, cancelled.CancellationToken);
        Assert.Equal(Sent.Maybe, cancelled.Data[nameof(Sent)]);
        await BlockedAsync(0);
        Assert.Equal("1", await Server.CommandAsync("RPUSH", "queue", "x"));
        Assert.Equal("1", await Server.CommandAsync("LLEN", "queue"));
        await OverAsync(lease);
    }

    [Fact]
    public async Task A_pop_over_its_time_takes_nothing_that_is_pushed_later()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync().Within();

        var error = await lease
            .SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, TimeSpan.FromMilliseconds(100))
            .FailsWith<string?[], RedisTimeoutException>();

        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.Contains("100 ms", error.Message, StringComparison.Ordinal);
        await BlockedAsync(0);
        await Server.CommandAsync("RPUSH", "queue", "x");
        Assert.Equal("1", await Server.CommandAsync("LLEN", "queue"));
        await OverAsync(lease);
    }

    [Fact]
    public async Task A_lost_lease_is_over_and_sends_nothing_on_another_connection()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync().Within();
        await lease.SendAsync(["MULTI"], ReplyParsers.Ignore).Within();
        var popping = lease.SendAsync(["SET", "half", "done"], ReplyParsers.Ignore);
        await popping.Within();

        await Server.CommandAsync("CLIENT", "KILL", "TYPE", "normal");
        await OverAsync(lease);

        Assert.Null(await Server.CommandAsync("GET", "half"));
    }

    [Fact]
    public async Task A_watched_transaction_by_hand_is_refused_when_the_key_has_changed()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync().Within();

        await lease.SendAsync(["WATCH", "k"], ReplyParsers.Ignore).Within();
        await redis.SetAsync("k", "changed");
        await lease.SendAsync(["MULTI"], ReplyParsers.Ignore).Within();
        await lease.SendAsync(["SET", "k", "mine"], ReplyParsers.Ignore).Within();

        Assert.True((await lease.SendAsync(["EXEC"], ReplyParsers.Reply).Within()).IsNull);
        Assert.Equal("changed", await redis.GetStringAsync("k"));
    }

    [Fact]
    public async Task WAIT_counts_for_the_writes_of_its_own_connection()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync().Within();
        await lease.SendAsync(["SET", "k", "v"], ReplyParsers.Ignore).Within();

        Assert.Equal(0, await lease.SendAsync(["WAIT", 0, 100], ReplyParsers.Int64, TimeSpan.FromSeconds(5)).Within());
    }

    [Fact]
    public async Task A_clean_connection_is_used_again_and_an_open_watch_or_transaction_is_ended_first()
    {
        await using var redis = await ConnectAsync();
        var first = await IdAsync(redis, lease => lease.SendAsync(["WATCH", "k"], ReplyParsers.Ignore).Within());
        var second = await IdAsync(redis, lease => lease.SendAsync(["MULTI"], ReplyParsers.Ignore).Within());
        var third = await IdAsync(redis, _ => Task.CompletedTask);

        Assert.Equal((first, first), (second, third));
    }

    [Theory]
    [InlineData("SELECT", "1")]
    [InlineData("CLIENT", "TRACKING", "ON")]
    [InlineData("client", "no-evict", "off")]
    public async Task A_changed_connection_is_closed_instead_of_used_again(params string[] command)
    {
        await using var redis = await ConnectAsync();
        var first = await IdAsync(
            redis,
            lease => lease.SendAsync([.. command.Select(word => (RedisArg)word)], ReplyParsers.Ignore).Within()
        );
        var second = await IdAsync(redis, _ => Task.CompletedTask);

        Assert.NotEqual(first, second);
    }

    [Fact]
    public async Task A_lease_with_a_call_under_way_is_closed()
    {
        await using var redis = await ConnectAsync();
        var lease = await redis.LeaseAsync().Within();
        var popping = lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, Timeout.InfiniteTimeSpan).AsTask();
        await BlockedAsync(1);

        await lease.DisposeAsync();

        Assert.Equal(Sent.Maybe, (await popping.FailsWith<RedisConnectionException>()).Sent);
        await BlockedAsync(0);
    }

    [Fact]
    public async Task One_lease_more_than_there_may_be_waits_for_one_that_comes_back()
    {
        await using var redis = await ConnectAsync(options =>
            (options.MaxLeases, options.ConnectTimeout) = (2, TimeSpan.FromMilliseconds(300))
        );
        await using var first = await redis.LeaseAsync().Within();
        var second = await redis.LeaseAsync().Within();

        Assert.Equal(Sent.No, (await redis.LeaseAsync().FailsWith<RedisLease, RedisBusyException>()).Sent);
        var third = redis.LeaseAsync();
        await second.DisposeAsync();

        await (await third.Within()).DisposeAsync();
    }

    [Fact]
    public async Task A_lease_that_cannot_connect_gives_its_place_back()
    {
        await using var redis = await ConnectAsync(options =>
            (options.MaxLeases, options.ConnectTimeout) = (1, TimeSpan.FromMilliseconds(200))
        );
        await Server.StopAsync();

        await redis.LeaseAsync().FailsWith<RedisLease, RedisConnectionException>();
        await redis.LeaseAsync().FailsWith<RedisLease, RedisConnectionException>();
        await Server.RestartAsync();

        await using var lease = await LeaseEventuallyAsync(redis);
        Assert.True(lease.IsUsable);
    }

    [Fact]
    public async Task Idle_connections_are_closed_after_a_while()
    {
        await using var redis = await ConnectAsync(options => options.LeaseIdle = TimeSpan.FromMilliseconds(50));
        await IdAsync(redis, _ => Task.CompletedTask);

        // The client's own connection, and the one that counts.
        await Eventually(async () => await ClientsAsync() <= 2);
    }

    [Fact]
    public async Task Disposing_the_client_ends_its_leases()
    {
        var redis = await ConnectAsync();
        var lease = await redis.LeaseAsync().Within();
        var popping = lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, Timeout.InfiniteTimeSpan).AsTask();
        await BlockedAsync(1);

        await redis.DisposeAsync();

        await popping.FailsWith<RedisConnectionException>();
        Assert.False(lease.IsUsable);
        await lease.DisposeAsync();
        await redis.LeaseAsync().FailsWith<RedisLease, ObjectDisposedException>();
    }

    [Theory]
    [InlineData("BLPOP", "queue", "0")]
    [InlineData("blmove", "a", "b", "LEFT", "RIGHT", "0")]
    [InlineData("XREAD", "BLOCK", "0", "STREAMS", "s", "$")]
    [InlineData("WAIT", "1", "0")]
    [InlineData("WATCH", "k")]
    [InlineData("MULTI")]
    public async Task What_would_hold_up_or_change_a_shared_connection_is_refused_in_words(params string[] command)
    {
        await using var redis = await ConnectAsync();
        RedisArg[] args = [.. command.Select(word => (RedisArg)word)];

        var refused = await Assert.ThrowsAsync<ArgumentException>(async () => await redis.ExecuteAsync(args));
        Assert.Throws<ArgumentException>(() => redis.Send(args, ReplyParsers.Ignore));

        Assert.Contains("LeaseAsync", refused.Message, StringComparison.Ordinal);
        Assert.Equal("PONG", await redis.PingAsync());
    }

    [Fact]
    public async Task A_read_of_a_stream_that_does_not_block_is_no_such_thing()
    {
        await using var redis = await ConnectAsync();

        Assert.True((await redis.ExecuteAsync(["XREAD", "COUNT", 1, "STREAMS", "block", 0]).Within()).IsNull);
    }

    [Fact]
    public async Task The_longest_time_is_no_time_out_and_a_key_may_choose_the_server()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync("queue").Within();
        var popping = lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, TimeSpan.MaxValue).AsTask();
        await BlockedAsync(1);

        await Server.CommandAsync("RPUSH", "queue", "x");

        Assert.Equal("x", (await popping.Within())[1]);
    }

    [Fact]
    public async Task A_lease_refuses_what_is_not_answered_by_a_reply()
    {
        await using var redis = await ConnectAsync();
        await using var lease = await redis.LeaseAsync().Within();

        await Assert.ThrowsAsync<ArgumentException>(async () => await lease.SendAsync(["SUBSCRIBE", "c"], ReplyParsers.Ignore));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () =>
            await lease.SendAsync(["PING"], ReplyParsers.Ignore, TimeSpan.Zero)
        );
    }

    // The connection's number in the server, after doing something with it and giving it back.
    private static async Task<long> IdAsync(RedisClient redis, Func<RedisLease, Task> use)
    {
        await using var lease = await redis.LeaseAsync().Within();
        var id = await lease.SendAsync(["CLIENT", "ID"], ReplyParsers.Int64).Within();
        await use(lease);
        return id;
    }

    private static async Task OverAsync(RedisLease lease)
    {
        await Eventually(() => Task.FromResult(!lease.IsUsable));
        var error = await lease.SendAsync(["PING"], ReplyParsers.Ignore).FailsWith<bool, RedisConnectionException>();
        Assert.Equal(Sent.No, error.Sent);
    }

    private static async Task<RedisLease> LeaseEventuallyAsync(RedisClient redis)
    {
        while (true)
            try
            {
                return await redis.LeaseAsync().Within();
            }
            catch (RedisConnectionException)
            {
                // Still starting.
            }
    }

    private static async Task Eventually(Func<Task<bool>> condition)
    {
        var bound = Task.Delay(Waiting.Bound);
        while (!await condition())
        {
            Assert.False(bound.IsCompleted, "It did not happen in time.");
            await Task.Delay(1);
        }
    }

    private Task BlockedAsync(int count) =>
        Eventually(async () =>
            (await Server.CommandAsync("INFO", "clients"))!.Contains(
                string.Create(CultureInfo.InvariantCulture, $"blocked_clients:{count}\r"),
                StringComparison.Ordinal
            )
        );

    private async Task<int> ClientsAsync() =>
        (await Server.CommandAsync("CLIENT", "LIST"))!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    private async Task<RedisClient> ConnectAsync(Action<RedisClientOptions>? configure = null)
    {
        var options = RedisClientOptions.Parse(Server.ConnectionString);
        configure?.Invoke(options);
        return await RedisClient.ConnectAsync(options);
    }
}
