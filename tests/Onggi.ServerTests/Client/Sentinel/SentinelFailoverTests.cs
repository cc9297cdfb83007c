using System.Diagnostics;
using System.Text;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>The master dies, hangs or is replaced while callers write: what they see, and what is true of it.</summary>
public sealed class SentinelFailoverTests
{
    [Theory]
    [InlineData(16)]
    [InlineData(64)]
    public async Task A_killed_master_is_replaced_within_a_second_of_the_election_and_nothing_is_reported_as_done_that_was_not(int writers)
    {
        await using var all = await SentinelProcesses.StartAsync();
        await using var redis = await ConnectAsync(all);
        await using var ledger = new Ledger(redis, writers);
        await ledger.NextAsync(entry => entry.Reply == 1);
        var switched = all.NextAsync("+switch-master");

        await (await all.MasterAsync()).KillAsync();
        var killed = Stopwatch.GetTimestamp();
        var writing = ledger.NextAsync(entry => entry.Reply is not null && entry.Began > killed);
        var elected = await switched;
        var first = await writing;
        await ledger.NextAsync(entry => entry.Reply is not null && entry.Began > elected.Timestamp);
        var entries = await ledger.EndAsync();

        var late = Stopwatch.GetElapsedTime(elected.Timestamp, first.Ended);
        Assert.True(late < TimeSpan.FromSeconds(1), $"The first success came {late.TotalMilliseconds:0} ms after the election.");
        await HoldsAsync(redis, entries, elected.Timestamp, killed);
    }

    [Fact]
    public async Task What_may_be_done_twice_never_fails_and_what_may_not_fails_only_when_it_was_under_way()
    {
        await using var all = await SentinelProcesses.StartAsync();
        await using var redis = await ConnectAsync(all);
        await using var once = new Ledger(redis, 8);
        using var stop = new CancellationTokenSource();
        var repeated = Enumerable.Range(0, 8).Select(i => SetAsync(redis, i, stop.Token)).ToArray();
        await once.NextAsync(entry => entry.Reply == 1);
        var switched = all.NextAsync("+switch-master");

        await (await all.MasterAsync()).KillAsync();
        var elected = await switched;
        await once.NextAsync(entry => entry.Reply is not null && entry.Began > elected.Timestamp);
        await stop.CancelAsync();

        foreach (var last in await Task.WhenAll(repeated).Within())
            Assert.True(last > 0);
        foreach (var entry in await once.EndAsync())
            Assert.True(entry.Error is null or RedisConnectionException { Sent: Sent.Maybe, IsTransient: true }, $"{entry.Error}");
    }

    [Fact]
    public async Task A_master_that_hangs_is_left_as_soon_as_another_is_elected()
    {
        await using var all = await SentinelProcesses.StartAsync();

        // Longer than it all takes: only news from a Sentinel can end the wait.
        await using var redis = await ConnectAsync(all, options => options.DeadAfter = options.KeepAlive = TimeSpan.FromMinutes(1));
        await using var heard = await redis.SubscribeAsync("news");
        await using var ledger = new Ledger(redis, 16);
        await ledger.NextAsync(entry => entry.Reply == 1);
        var master = await all.MasterAsync();
        var switched = all.NextAsync("+switch-master");

        master.Pause();
        var elected = await switched;
        var first = await ledger.NextAsync(entry => entry.Reply is not null && entry.Began > elected.Timestamp);
        await heard.WhenActiveAsync().WaitAsync(Waiting.Bound);
        await redis.SendAsync(["PUBLISH", "news", "new master"], ReplyParsers.Int64).Within();
        var entries = await ledger.EndAsync();

        Assert.Equal("new master", await FirstAsync(heard));
        var late = Stopwatch.GetElapsedTime(elected.Timestamp, first.Ended);
        Assert.True(late < TimeSpan.FromSeconds(1), $"The first success came {late.TotalMilliseconds:0} ms after the election.");
        await HoldsAsync(redis, entries, elected.Timestamp, elected.Timestamp);
    }

    [Fact]
    public async Task A_failover_on_demand_fails_nothing_but_what_was_under_way_and_the_old_master_comes_back_as_a_replica()
    {
        await using var all = await SentinelProcesses.StartAsync();
        await using var redis = await ConnectAsync(all);
        await using var ledger = new Ledger(redis, 32);
        await ledger.NextAsync(entry => entry.Reply == 1);
        var old = await all.MasterAsync();
        var switched = all.NextAsync("+switch-master");
        var back = all.NextAsync("+slave");

        await all.Sentinels[0].CommandAsync("SENTINEL", "FAILOVER", SentinelProcesses.Service);
        var elected = await switched;
        await ledger.NextAsync(entry => entry.Reply is not null && entry.Began > elected.Timestamp);
        await back;
        await Until.TrueAsync(
            async () => (await old.CommandAsync("INFO", "replication"))!.Contains("role:slave", StringComparison.Ordinal),
            "the old master is a replica"
        );
        var demoted = Stopwatch.GetTimestamp();
        await ledger.NextAsync(entry => entry.Reply is not null && entry.Began > demoted);
        var entries = await ledger.EndAsync();

        // Until it is told, the old master goes on to accept writes, which are lost when it becomes a replica; the client has left it by then.
        Assert.DoesNotContain(entries, entry => entry.Error is RedisServerException);
        await HoldsAsync(redis, entries, demoted, long.MaxValue);
    }

    [Fact]
    public async Task A_master_that_was_made_a_replica_by_hand_is_left_by_its_READONLY_and_nobody_sees_an_error()
    {
        await using var all = await SentinelProcesses.StartAsync(sentinels: 1);
        await using var redis = await ConnectAsync(all);
        await redis.SetAsync("k", "before").Within();
        var (old, other) = (all.Servers[0], all.Servers[1]);

        // Its clients stay connected: this is not how Sentinel does it, which ends their connections, and would undo it.
        await all.Sentinels[0].CommandAsync("SENTINEL", "REMOVE", SentinelProcesses.Service);
        await other.CommandAsync("REPLICAOF", "NO", "ONE");
        await old.CommandAsync("REPLICAOF", "127.0.0.1", $"{other.Port}");
        var write = redis.SetAsync("k", "after").AsTask();
        await all.Sentinels[0].CommandAsync("SENTINEL", "MONITOR", SentinelProcesses.Service, "127.0.0.1", $"{other.Port}", "1");

        Assert.True(await write.Within());
        Assert.Equal("after", await other.CommandAsync("GET", "k"));
    }

    internal static async Task<RedisClient> ConnectAsync(SentinelProcesses all, Action<RedisClientOptions>? change = null)
    {
        var options = new RedisClientOptions
        {
            SentinelService = SentinelProcesses.Service,
            Servers = [.. all.Sentinels.Select(sentinel => new RedisAddress("127.0.0.1", sentinel.Port))],
            CommandTimeout = Waiting.Bound,
        };
        change?.Invoke(options);
        return await RedisClient.ConnectAsync(options);
    }

    internal static async Task<string> FirstAsync(RedisSubscription subscription)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        await foreach (var message in subscription.ReadAllAsync(patience.Token))
            if (!message.Interrupted)
                return Encoding.UTF8.GetString(message.Payload.Span);
        throw new InvalidOperationException("The subscription ended.");
    }

    // What was reported is true; what was under way when the connection was lost may have been done, once.
    private static async Task HoldsAsync(RedisClient redis, IReadOnlyList<Entry> entries, long electedAt, long brokenAt)
    {
        var values = await Ledger.ReadAsync(redis, entries);
        foreach (var (entry, value) in entries.Zip(values))
        {
            var story = $"{entry.Key} holds {value}, its caller was told {entry.Reply?.ToString() ?? entry.Error!.ToString()}";
            Assert.True(value <= 1, $"Counted twice: {story}");
            if (entry.Reply is { } reply)
            {
                Assert.True(reply == 1, $"Counted twice: {story}");

                // Acknowledged before, it may have died with the old master, which copies to its replicas after it answers.
                Assert.True(value == 1 || entry.Began < electedAt, $"Reported as done by the new master, and not there: {story}");
            }
            else
            {
                Assert.True(
                    entry.Error is RedisConnectionException { Sent: Sent.Maybe } && entry.Began < brokenAt,
                    $"A rule covers this: {story}"
                );
            }
        }
    }

    private static async Task<int> SetAsync(RedisClient redis, int caller, CancellationToken stop)
    {
        var n = 0;
        for (; !stop.IsCancellationRequested; n++)
        {
            await redis.SendAsync(["SET", $"again:{caller}", n], ReplyParsers.Ignore, CommandOptions.Idempotent, CancellationToken.None);
            await Task.Delay(1, CancellationToken.None);
        }

        Assert.Equal(n - 1, await redis.SendAsync(["GET", $"again:{caller}"], ReplyParsers.Int64, CancellationToken.None));
        return n;
    }
}
