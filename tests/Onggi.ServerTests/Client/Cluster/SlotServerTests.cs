using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.Testing;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>Slots as the nodes of a cluster see them.</summary>
public sealed class SlotServerTests(RedisClusterFixture fixture) : IClassFixture<RedisClusterFixture>
{
    private RedisClusterProcesses Cluster => fixture.Cluster;

    [Fact]
    public async Task Random_keys_have_the_slots_that_a_node_gives_them()
    {
        var random = Seed.For(nameof(SlotServerTests));
        await using var redis = await RedisClient.ConnectAsync(Cluster.Nodes[0].Server.ConnectionString).Within();
        for (var round = 0; round < 10; round++)
        {
            byte[][] keys = [.. Enumerable.Range(0, 1_000).Select(_ => Key(random))];

            var slots = await Task.WhenAll(keys.Select(key => redis.SendAsync(["CLUSTER", "KEYSLOT", key], ReplyParsers.Int64).AsTask()));

            foreach (var (key, slot) in keys.Zip(slots))
                Assert.True(slot == HashSlot.Of(key), $"{Convert.ToHexString(key)}: {slot}; {Seed.Line}");
        }
    }

    [Fact]
    public async Task The_map_is_read_from_every_node_alike_with_its_replicas()
    {
        foreach (var node in Cluster.Nodes)
        {
            var map = await MapAsync(node);

            Assert.True(map.IsComplete);
            Assert.Equal(Cluster.Primaries.Select(Address), map.Shards.OrderBy(FirstSlot).Select(shard => shard.Primary));
            Assert.Equal(Cluster.Replicas.Select(Address), map.Shards.OrderBy(FirstSlot).SelectMany(shard => shard.Replicas));

            int FirstSlot(Shard shard) => Enumerable.Range(0, HashSlot.Count).First(slot => map[slot] == shard);
        }
    }

    [Fact]
    public async Task A_node_sends_us_to_the_owner_of_a_slot()
    {
        var slot = HashSlot.Of("foo"u8);
        var owner = await Cluster.OwnerAsync(slot);
        var other = Cluster.Primaries.First(node => node != owner);

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => other.CommandAsync("GET", "foo"));

        Assert.True(Redirect.TryParse(error.Message, Address(other), out var redirect), error.Message);
        Assert.Equal(new Redirect(Ask: false, slot, Address(owner!)), redirect);
    }

    [Fact]
    public async Task A_node_that_never_met_another_leaves_out_its_own_address()
    {
        await using var alone = await RedisServerProcess.StartAsync(
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            $"{LoopbackPorts.Free()}"
        );
        await alone.CommandAsync("CLUSTER", "ADDSLOTSRANGE", "0", "99");
        var node = new RedisClusterNode(alone, "");

        var map = await MapAsync(node);

        Assert.Equal(Address(node), map[99]!.Primary);
        Assert.Equal((100, HashSlot.Count - 100), (map.FirstGap, map.Gaps));
    }

    private static RedisAddress Address(RedisClusterNode node) => new("127.0.0.1", node.Port);

    private static async Task<SlotMap> MapAsync(RedisClusterNode node)
    {
        // Not connected first: that would wait for a cluster that has all slots.
        await using var redis = new RedisClient(RedisClientOptions.Parse(node.Server.ConnectionString));
        return SlotMap.Parse(await redis.ExecuteAsync(["CLUSTER", "SLOTS"]).Within(), Address(node));
    }

    // Braces everywhere, and bytes of any kind between them.
    private static byte[] Key(Random random)
    {
        var key = new byte[random.Next(1, 24)];
        random.NextBytes(key);
        for (var i = 0; i < key.Length; i++)
            key[i] = random.Next(4) switch
            {
                0 => (byte)'{',
                1 => (byte)'}',
                2 => key[i],
                _ => (byte)random.Next('a', 'e'),
            };
        return key;
    }
}
