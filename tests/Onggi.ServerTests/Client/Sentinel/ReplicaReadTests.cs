using System.Globalization;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>Who answers commands that only read, told by the servers' own counts.</summary>
public sealed class ReplicaReadTests : IAsyncLifetime
{
    private SentinelProcesses? _all;

    private SentinelProcesses All => _all!;

    // A busy machine must not make the Sentinel take a replica for dead that is only slow: who wants it to find one dead says so.
    public async Task InitializeAsync() => _all = await SentinelProcesses.StartAsync(sentinels: 1, downAfterMs: 60_000);

    public async Task DisposeAsync() => await All.DisposeAsync();

    [Fact]
    public async Task Reads_go_to_the_replicas_in_turn_and_writes_to_the_primary()
    {
        await using var redis = await ConnectAsync(ReadFrom.PreferReplica);
        await ResetAsync();

        for (var i = 0; i < 100; i++)
        {
            await redis.SetAsync($"k{i}", "v").Within();
            await redis.GetAsync($"k{i}").Within();
            await redis.SendAsync(["GET", $"k{i}"], ReplyParsers.Bytes, CommandOptions.Primary).Within();
        }

        var (primary, first, second) = (await CallsAsync(0, "get"), await CallsAsync(1, "get"), await CallsAsync(2, "get"));
        Assert.Equal((100, 50, 50), (primary, first, second));
        Assert.Equal(100, await CallsAsync(0, "set"));
    }

    [Fact]
    public async Task One_command_may_be_answered_by_a_replica_where_others_are_not()
    {
        await using var redis = await ConnectAsync(ReadFrom.Primary);
        await redis.SendAsync(["GET", "k"], ReplyParsers.Bytes, CommandOptions.PreferReplica).Within();
        await Until.TrueAsync(async () => await ServedByReplicaAsync(redis), "a replica is connected");
        await ResetAsync();

        for (var i = 0; i < 10; i++)
        {
            await redis.GetAsync("k").Within();
            await redis.SendAsync(["GET", "k"], ReplyParsers.Bytes, CommandOptions.PreferReplica).Within();
            await redis.SendAsync(["INCR", "n"], ReplyParsers.Int64, CommandOptions.PreferReplica).Within();
        }

        Assert.Equal((10, 10), (await CallsAsync(0, "get"), await CallsAsync(1, "get") + await CallsAsync(2, "get")));
        Assert.Equal(10, await CallsAsync(0, "incr"));
    }

    [Fact]
    public async Task When_replicas_die_under_way_the_others_and_then_the_primary_answer_and_nobody_sees_an_error()
    {
        await using var redis = await ConnectAsync(ReadFrom.PreferReplica);
        await SetEverywhereAsync(redis);
        using var stop = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 16).Select(_ => ReadAsync(redis, stop.Token)).ToArray();

        await All.Servers[1].KillAsync();
        await redis.GetAsync("k").Within();
        await All.Servers[2].KillAsync();
        await ResetAsync(0);
        await Until.TrueAsync(async () => await CallsAsync(0, "get") > 100, "the primary answers");
        await stop.CancelAsync();

        await Task.WhenAll(readers).Within();
    }

    [Fact]
    public async Task A_replica_that_says_MASTERDOWN_is_passed_over()
    {
        await using var redis = await ConnectAsync(ReadFrom.PreferReplica);
        await SetEverywhereAsync(redis);

        // Without the Sentinel nobody tells the client, and nobody puts it right. Nobody listens at port 1.
        await All.Sentinels[0].CommandAsync("SENTINEL", "REMOVE", SentinelProcesses.Service);
        await All.Servers[1].CommandAsync("CONFIG", "SET", "replica-serve-stale-data", "no");
        await All.Servers[1].CommandAsync("REPLICAOF", "127.0.0.1", "1");
        await ResetAsync();
        for (var i = 0; i < 20; i++)
            Assert.Equal("v", await redis.GetStringAsync("k").Within());

        Assert.Equal((10, 10), (await CallsAsync(0, "get"), await CallsAsync(2, "get")));
    }

    [Fact]
    public async Task A_replica_that_Sentinel_takes_for_dead_is_asked_no_more_until_it_is_back()
    {
        await using var redis = await ConnectAsync(ReadFrom.PreferReplica);
        await All.Sentinels[0].CommandAsync("SENTINEL", "SET", SentinelProcesses.Service, "down-after-milliseconds", "500");
        var down = All.NextAsync(told => told.Name == "+sdown" && told.Text.Contains($":{All.Servers[1].Port} ", StringComparison.Ordinal));

        // Its connections stay: nothing but the Sentinel tells.
        All.Servers[1].Pause();
        await down;
        await Until.TrueAsync(async () => await QuickAsync(redis), "only the other one is asked");
        All.Servers[1].Resume();

        await Until.TrueAsync(async () => await ServedByReplicaAsync(redis, 1), "it is asked again");
    }

    // A command to the replica that hangs would not end before the bound of its wait.
    private static async Task<bool> QuickAsync(RedisClient redis)
    {
        var asked = Enumerable.Range(0, 4).Select(_ => redis.GetAsync("k").AsTask()).ToArray();
        try
        {
            await Task.WhenAll(asked).WaitAsync(TimeSpan.FromMilliseconds(500));
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    // A replica may answer before it has heard of a write.
    private async Task SetEverywhereAsync(RedisClient redis)
    {
        await redis.SetAsync("k", "v").Within();
        foreach (var server in All.Servers)
            await Until.TrueAsync(async () => await server.CommandAsync("GET", "k") == "v", "every server has it");
    }

    private static async Task ReadAsync(RedisClient redis, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Assert.Equal("v", await redis.GetStringAsync("k", CancellationToken.None).Within());
            await Task.Delay(1, CancellationToken.None);
        }
    }

    private async Task<RedisClient> ConnectAsync(ReadFrom from)
    {
        var redis = await SentinelFailoverTests.ConnectAsync(All, options => options.ReadFrom = from);
        if (from == ReadFrom.PreferReplica)
            await Until.TrueAsync(
                async () => await ServedByReplicaAsync(redis, 1) && await ServedByReplicaAsync(redis, 2),
                "both are connected"
            );
        return redis;
    }

    private async Task<bool> ServedByReplicaAsync(RedisClient redis, int? which = null)
    {
        await ResetAsync();
        for (var i = 0; i < 4; i++)
            await redis.SendAsync(["GET", "probe"], ReplyParsers.Bytes, CommandOptions.PreferReplica).Within();
        return which is { } one ? await CallsAsync(one, "get") > 0 : await CallsAsync(0, "get") == 0;
    }

    private async Task ResetAsync(int? which = null)
    {
        for (var i = 0; i < All.Servers.Count; i++)
            if (which is null || which == i)
                await All.Servers[i].CommandAsync("CONFIG", "RESETSTAT");
    }

    // cmdstat_get:calls=5,usec=…
    private async Task<int> CallsAsync(int server, string command)
    {
        var stats = (await All.Servers[server].CommandAsync("INFO", "commandstats"))!;
        var line = stats.Split('\n').FirstOrDefault(line => line.StartsWith($"cmdstat_{command}:calls=", StringComparison.Ordinal));
        return line is null ? 0 : int.Parse(line.Split('=', ',')[1], CultureInfo.InvariantCulture);
    }
}
