using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.Testing;
using Xunit.Abstractions;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>Nodes die and hang while callers work.</summary>
public sealed class ClusterFailureTests(ITestOutputHelper output, RedisClusterFixture fixture) : IClassFixture<RedisClusterFixture>
{
    // One slot of each of the three.
    private static readonly string[] Tags = ["a", "b", "c", "d", "e", "f"];

    private RedisClusterProcesses Cluster => fixture.Cluster;

    [Fact]
    public async Task A_primary_that_is_killed_costs_64_callers_no_more_than_what_Redis_had_not_replicated()
    {
        await Cluster.WhenOkAsync();
        await using var redis = await ConnectAsync();
        var callers = new ClusterCallers(redis, Tags) { ServersDie = true };
        callers.Start(Seed.Value);
        await using var subscription = await redis.SubscribeShardedAsync(Tags[0]).Within();
        await callers.MoreAsync(2000);
        var slot = HashSlot.Of((RedisArg)Tags[0]);
        var primary = (await Cluster.OwnerAsync(slot))!;

        await primary.Server.KillAsync();
        await Cluster.WhenOwnerIsNotAsync(slot, primary);
        await callers.MoreAsync(2000);
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (await redis.PublishShardedAsync(Tags[0], "after", patience.Token) == 0)
            await Task.Delay(5, patience.Token);
        var heard = await ClientContract.Take(subscription, 2);
        Assert.Equal((true, "after"), (heard[0].Interrupted, ClientContract.Text(heard[1])));
        await primary.Server.RestartAsync();
        await Cluster.WhenOkAsync();
        await callers.MoreAsync(1000);

        await callers.EndAsync();
        output.WriteLine($"{callers.Calls} calls, of {callers.NotKnown} scripts nothing is known");
        Assert.True(redis.IsConnected);
    }

    [Fact]
    public async Task A_primary_that_hangs_is_replaced_and_comes_back_as_a_replica()
    {
        await Cluster.WhenOkAsync();
        await using var redis = await ConnectAsync(options => options.DeadAfter = TimeSpan.FromSeconds(1));
        var callers = new ClusterCallers(redis, Tags) { ServersDie = true };
        callers.Start(Seed.Value);
        await callers.MoreAsync(1000);
        var slot = HashSlot.Of((RedisArg)Tags[1]);
        var primary = (await Cluster.OwnerAsync(slot))!;

        primary.Server.Pause();
        try
        {
            await Cluster.WhenOwnerIsNotAsync(slot, primary);
            await callers.MoreAsync(3000);
        }
        finally
        {
            primary.Server.Resume();
        }

        await Cluster.WhenOkAsync();
        await callers.MoreAsync(1000);
        await callers.EndAsync();
    }

    [Fact]
    public async Task When_all_nodes_are_killed_and_come_back_so_do_the_callers()
    {
        await Cluster.WhenOkAsync();
        await using var redis = await ConnectAsync();
        var callers = new ClusterCallers(redis, Tags) { ServersDie = true };
        callers.Start(Seed.Value);
        await callers.MoreAsync(1000);
        var lost = redis.Change(connected: false);

        await Task.WhenAll(Cluster.Nodes.Select(node => node.Server.KillAsync()));
        await lost;
        Assert.False(redis.IsConnected);
        await Task.WhenAll(Cluster.Nodes.Select(node => node.Server.RestartAsync()));

        await callers.MoreAsync(1000);
        await callers.EndAsync();
    }

    private async Task<RedisClient> ConnectAsync(Action<RedisClientOptions>? change = null)
    {
        var options = RedisClientOptions.Parse($"{Cluster.Nodes[0]}");
        options.CommandTimeout = TimeSpan.FromSeconds(15);
        change?.Invoke(options);
        return await RedisClient.ConnectAsync(options).Within();
    }
}
