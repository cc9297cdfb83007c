using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.Testing;
using Xunit.Abstractions;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>Slots are moved from node to node while callers work.</summary>
public sealed class ClusterMoveTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly string[] Tags = ["m0", "m1", "m2", "m3"];

    private RedisClusterProcesses? _cluster;

    private RedisClusterProcesses Cluster => _cluster!;

    public async Task InitializeAsync() => _cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 0);

    public async Task DisposeAsync() => await Cluster.DisposeAsync();

    [Fact]
    public async Task Slots_that_move_under_the_hands_of_64_callers_cost_nobody_a_reply()
    {
        output.WriteLine(Seed.Line);
        var options = RedisClientOptions.Parse($"{Cluster.Nodes[0]}");
        options.CommandTimeout = TimeSpan.FromSeconds(15);
        await using var redis = await RedisClient.ConnectAsync(options).Within();
        var callers = new ClusterCallers(redis, Tags);
        callers.Start(Seed.Value);
        await callers.MoreAsync(2000);

        for (var round = 0; round < 3; round++)
            foreach (var tag in Tags)
            {
                var slot = HashSlot.Of((RedisArg)tag);
                var from = (await Cluster.OwnerAsync(slot))!;
                var to = Cluster.Nodes[(Cluster.Nodes.ToList().IndexOf(from) + 1 + (round % 2)) % 3];
                var move = Cluster.Move(slot, from, to);
                await move.BeginAsync();
                await move.MoveKeysAsync(most: 15);
                await callers.MoreAsync(300);
                await move.MoveKeysAsync();
                await callers.MoreAsync(100);
                await move.FinishAsync();
                await callers.MoreAsync(100);
            }

        await callers.EndAsync();
        var (moved, ask, again) = (await ErrorsAsync("MOVED"), await ErrorsAsync("ASK"), await ErrorsAsync("TRYAGAIN"));
        output.WriteLine($"{callers.Calls} calls, {moved} MOVED, {ask} ASK, {again} TRYAGAIN");
        Assert.True(moved > 0 && ask > 0 && again > 0, $"{moved} MOVED, {ask} ASK, {again} TRYAGAIN");
    }

    [Fact]
    public async Task A_channel_of_a_slot_moves_with_the_slot_and_its_reader_is_told()
    {
        var slot = HashSlot.Of((RedisArg)"news");
        await using var redis = await RedisClient.ConnectAsync(RedisClientOptions.Parse($"{Cluster.Nodes[0]}")).Within();
        await using var subscription = await redis.SubscribeShardedAsync("news").Within();
        await using var second = await redis.SubscribeShardedAsync("news").Within();
        await using var other = await redis.SubscribeShardedAsync("other news").Within();
        await redis.PublishShardedAsync("news", "before");

        for (var round = 0; round < 4; round++)
        {
            var from = (await Cluster.OwnerAsync(slot))!;
            var to = Cluster.Nodes[(Cluster.Nodes.ToList().IndexOf(from) + 1) % 3];
            await Cluster.Move(slot, from, to).RunAsync();

            // Nobody else knows when it is listened to again.
            using var patience = new CancellationTokenSource(Waiting.Bound);
            while (await redis.PublishShardedAsync("news", $"{round}", patience.Token) == 0)
                await Task.Delay(5, patience.Token);
        }

        await redis.PublishShardedAsync("news", "last");
        await redis.PublishShardedAsync("other news", "last");
        foreach (var reader in (RedisSubscription[])[subscription, second])
        {
            var heard = await HeardAsync(reader);
            Assert.Equal("before", heard[0]);
            Assert.Equal(4, heard.Count(text => text == "(interrupted)"));
            for (var round = 0; round < 4; round++)
                Assert.Contains($"{round}", heard);
        }

        Assert.Equal((string[])["last"], await HeardAsync(other));
    }

    private static async Task<List<string>> HeardAsync(RedisSubscription subscription)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        var heard = new List<string>();
        await foreach (var message in subscription.ReadAllAsync(patience.Token))
        {
            heard.Add(message.Interrupted ? "(interrupted)" : ClientContract.Text(message));
            if (heard[^1] == "last")
                break;
        }

        return heard;
    }

    private async Task<long> ErrorsAsync(string code)
    {
        var count = 0L;
        var head = $"errorstat_{code}:count=";
        foreach (var node in Cluster.Nodes)
        foreach (var line in (await node.CommandAsync("INFO", "errorstats"))!.Split("\r\n"))
            if (line.StartsWith(head, StringComparison.Ordinal))
                count += long.Parse(line.AsSpan(head.Length));
        return count;
    }
}
