using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;

namespace Onggi.Tests.Client.Cluster;

public class SlotMapTests
{
    private static readonly RedisAddress Asked = new("10.0.0.9", 7000);

    [Fact]
    public void Primaries_and_replicas_are_read_and_ranges_of_one_primary_are_one_shard()
    {
        var map = Parse(
            "*3\r\n"
                + Range(0, 99, Node("10.0.0.1", 7001), Node("10.0.0.2", 7002))
                + Range(100, 16_383, Node("10.0.0.3", 7003))
                + Range(50, 60, Node("10.0.0.1", 7001), Node("10.0.0.2", 7002))
        );

        Assert.Equal(2, map.Shards.Count);
        Assert.Equal(new RedisAddress("10.0.0.1", 7001), map[0]!.Primary);
        Assert.Equal([new RedisAddress("10.0.0.2", 7002)], map[99]!.Replicas);
        Assert.Equal(new RedisAddress("10.0.0.3", 7003), map[100]!.Primary);
        Assert.Same(map[0], map[55]);
        Assert.True(map.IsComplete);
        Assert.Equal((-1, 0), (map.FirstGap, map.Gaps));
    }

    [Fact]
    public void Slots_without_an_owner_are_known()
    {
        var map = Parse("*2\r\n" + Range(0, 9, Node("10.0.0.1", 7001)) + Range(12, 16_383, Node("10.0.0.2", 7002)));

        Assert.Equal((false, 10, 2), (map.IsComplete, map.FirstGap, map.Gaps));
        Assert.Null(map[10]);
        Assert.NotNull(map[12]);
        Assert.Equal((0, HashSlot.Count), (SlotMap.Empty.FirstGap, SlotMap.Empty.Gaps));
    }

    [Theory]
    [InlineData("$0\r\n\r\n", "10.0.0.9:7001")]
    [InlineData("_\r\n", "10.0.0.9:7001")]
    [InlineData("$3\r\n::1\r\n", "[::1]:7001")]
    [InlineData("$9\r\nredis.two\r\n", "redis.two:7001")]
    public void A_host_that_is_left_out_is_the_one_we_asked(string host, string address)
    {
        var map = Parse($"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n{host}:7001\r\n$2\r\nid\r\n");

        Assert.Equal(address, map[0]!.Primary.ToString());
    }

    [Fact]
    public void A_node_without_a_name_is_reached_by_its_address_or_not_at_all()
    {
        const string Unnamed = "*4\r\n$1\r\n?\r\n:7001\r\n$2\r\nid\r\n";
        var map = Parse($"*2\r\n*3\r\n:0\r\n:5\r\n{Unnamed}%1\r\n$2\r\nip\r\n$8\r\n10.0.0.4\r\n*3\r\n:6\r\n:7\r\n{Unnamed}%0\r\n");

        Assert.Equal(new RedisAddress("10.0.0.4", 7001), map[5]!.Primary);
        Assert.Null(map[6]);
    }

    [Fact]
    public void A_slot_that_has_moved_goes_to_its_new_owner_and_the_old_map_stays_as_it_was()
    {
        var map = Parse("*2\r\n" + Range(0, 9, Node("10.0.0.1", 7001)) + Range(10, 16_383, Node("10.0.0.2", 7002), Node("10.0.0.3", 7003)));

        var moved = map.With(5, new("10.0.0.2", 7002));
        var found = map.With(5, new("10.0.0.8", 7008));

        Assert.Equal(7001, map[5]!.Primary.Port);
        Assert.Same(map[10], moved[5]);
        Assert.Equal(7001, moved[6]!.Primary.Port);
        Assert.Equal(new RedisAddress("10.0.0.8", 7008), found[5]!.Primary);
        Assert.Equal((2, 3), (map.Shards.Count, found.Shards.Count));
        Assert.Same(moved, moved.With(5, new("10.0.0.2", 7002)));
        Assert.Equal(7001, SlotMap.Empty.With(3, new("10.0.0.1", 7001))[3]!.Primary.Port);
    }

    [Theory]
    [InlineData("+OK\r\n")]
    [InlineData("*1\r\n:1\r\n")]
    [InlineData("*1\r\n*2\r\n:0\r\n:5\r\n")]
    [InlineData("*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n")]
    [InlineData("*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n")]
    [InlineData("*1\r\n*3\r\n:-1\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n")]
    [InlineData("*1\r\n*3\r\n:0\r\n:4\r\n*1\r\n$1\r\na\r\n")]
    public void Anything_else_is_refused(string reply) => Assert.Throws<RedisReplyException>(() => Parse(reply));

    internal static string Range(int first, int last, params string[] nodes) =>
        $"*{2 + nodes.Length}\r\n:{first}\r\n:{last}\r\n{string.Concat(nodes)}";

    internal static string Node(string host, int port) => $"*4\r\n${host.Length}\r\n{host}\r\n:{port}\r\n$2\r\nid\r\n*0\r\n";

    private static SlotMap Parse(string reply)
    {
        var reader = new RespReader(Encoding.ASCII.GetBytes(reply));
        reader.Read();
        return SlotMap.Parse(Reply.From(ref reader), Asked);
    }
}
