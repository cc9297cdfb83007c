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
        var hearing = new Heard(subscription);
        var hearingToo = new Heard(second);

        for (var round = 0; round < 4; round++)
        {
            var from = (await Cluster.OwnerAsync(slot))!;
            var to = Cluster.Nodes[(Cluster.Nodes.ToList().IndexOf(from) + 1) % 3];
            await Cluster.Move(slot, from, to).RunAsync();

            // Nobody else knows when it is listened to again.
            using var patience = new CancellationTokenSource(Waiting.Bound);
            while (!hearing.Has($"{round}") || !hearingToo.Has($"{round}"))
            {
                await redis.PublishShardedAsync("news", $"{round}", patience.Token);
                await Task.Delay(5, patience.Token);
            }
        }

        await redis.PublishShardedAsync("other news", "last");
        await redis.PublishShardedAsync("news", "last");
        foreach (var heard in (IReadOnlyList<string>[])[await hearing.AllAsync(), await hearingToo.AllAsync()])
        {
            Assert.Equal("before", heard[0]);
            var at = 0;
            for (var round = 0; round < 4; round++)
            {
                var first = heard.ToList().IndexOf($"{round}");
                Assert.Contains("(interrupted)", heard.Take(first).Skip(at));
                at = first;
            }
        }

        Assert.Equal((string[])["last"], await new Heard(other).AllAsync());
    }

    // What a subscription hands out, until "last".
    private sealed class Heard
    {
        private readonly Lock _gate = new();
        private readonly List<string> _texts = [];
        private readonly Task _reading;

        public Heard(RedisSubscription subscription) => _reading = ReadAsync(subscription);

        public bool Has(string text)
        {
            lock (_gate)
                return _texts.Contains(text);
        }

        public async Task<IReadOnlyList<string>> AllAsync()
        {
            await _reading.Within();
            return _texts;
        }

        private async Task ReadAsync(RedisSubscription subscription)
        {
            await foreach (var message in subscription.ReadAllAsync())
            {
                var text = message.Interrupted ? "(interrupted)" : ClientContract.Text(message);
                lock (_gate)
                    _texts.Add(text);
                if (text == "last")
                    return;
            }
        }
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
