using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Client.Routing.Cluster;
using Onggi.Testing;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>A cluster that is well: who answers what.</summary>
public sealed class ClusterClientTests(RedisClusterFixture fixture) : IClassFixture<RedisClusterFixture>
{
    private static readonly RedisScript Echo = new("echo", "return {KEYS[1], ARGV[1]}");

    private readonly string _prefix = $"c{Guid.NewGuid():N}:";

    private RedisClusterProcesses Cluster => fixture.Cluster;

    [Fact]
    public async Task One_node_is_enough_to_reach_every_slot()
    {
        await using var redis = await ConnectAsync();

        Assert.True(redis.IsConnected);
        Assert.Equal("cluster", redis.Server?.Mode);
        for (var i = 0; i < 300; i++)
            Assert.True(await redis.SetAsync(Key(i), i));
        for (var i = 0; i < 300; i++)
            Assert.Equal($"{i}", await redis.GetStringAsync(Key(i)));
    }

    [Fact]
    public async Task What_is_asked_before_anybody_knows_that_it_is_a_cluster_is_answered_all_the_same()
    {
        await using var redis = new RedisClient(Options());
        var keys = Enumerable.Range(0, 50).Select(i => (RedisArg)Key(i)).ToArray();

        // Into the backlog of a connection that does not stand yet.
        var put = Enumerable.Range(0, 50).Select(i => redis.SetAsync(keys[i], i).AsTask()).ToArray();
        var size = redis.SendAsync(["DBSIZE"], ReplyParsers.Int64).AsTask();
        var script = redis.EvalAsync(Echo, [Key(1)], ["x"], ReplyParsers.TextArray).AsTask();
        var apart = redis.SendAsync(["EVAL", "return 1", 2, Key(1), Key(2)], ReplyParsers.Int64);
        var many = redis.GetManyAsync(keys).AsTask();

        await Task.WhenAll(put).Within();
        await size.Within();
        Assert.Equal("x", (await script.Within())[1]);
        await apart.FailsWith<long, ArgumentException>();
        Assert.Equal(50, (await many.Within()).Length);
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"{i}"), (await redis.GetManyAsync(keys)).Select(Text));
    }

    [Fact]
    public async Task A_caller_who_blocks_is_answered_by_the_right_node_from_the_first_command_on()
    {
        await using var redis = new RedisClient(Options());
        var keys = Enumerable.Range(0, 20).Select(i => (RedisArg)Key(i)).ToArray();

        await Task.Run(() =>
            {
                RedisArg[] mset = ["MSET", .. keys.SelectMany((key, i) => new RedisArg[] { key, i })];
                Assert.True(redis.Send(mset, ReplyParsers.Boolean));
                for (var i = 0; i < keys.Length; i++)
                    Assert.Equal(i, redis.Send(["GET", keys[i]], ReplyParsers.Int64));
                RedisArg[] mget = ["MGET", .. keys];
                Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}"), redis.Send(mget, ReplyParsers.TextArray));
                Assert.Throws<ArgumentException>(() => redis.Send(["EVAL", "return 1", 2, Key(1), Key(2)], ReplyParsers.Int64));
            })
            .Within();
    }

    [Fact]
    public async Task Commands_of_many_keys_are_answered_as_by_one_node()
    {
        await using var redis = await ConnectAsync();
        RedisArg[] keys = [.. Enumerable.Range(0, 40).Select(i => (RedisArg)Key(i))];
        RedisArg[] pairs = ["MSET", .. keys.SelectMany((key, i) => new RedisArg[] { key, i })];

        Assert.True(await redis.SendAsync(pairs, ReplyParsers.Boolean));
        Assert.Equal(Enumerable.Range(0, 40).Select(i => $"{i}"), (await redis.GetManyAsync(keys)).Select(Text));
        Assert.Equal(Enumerable.Range(0, 40).Reverse().Select(i => $"{i}"), (await redis.GetManyAsync([.. keys.Reverse()])).Select(Text));
        Assert.Equal(40, await redis.SendAsync(["EXISTS", .. keys, Key(40)], ReplyParsers.Int64));
        Assert.Equal(20, await redis.UnlinkAsync(keys.AsSpan(0, 20)));
        Assert.Equal(20, await redis.SendAsync(["DEL", .. keys], ReplyParsers.Int64));
    }

    [Fact]
    public async Task What_is_one_thing_and_has_keys_in_several_slots_is_refused_before_it_is_sent()
    {
        await using var redis = await ConnectAsync();
        var (a, b) = (Key(1), Key(2));

        var script = await redis.EvalAsync(Echo, [a, b], [], ReplyParsers.TextArray).FailsWith<string?[], ArgumentException>();
        var rename = await redis.SendAsync(["RENAME", a, b], ReplyParsers.Boolean).FailsWith<bool, ArgumentException>();

        foreach (var error in (ArgumentException[])[script, rename])
        {
            Assert.Contains(a, error.Message, StringComparison.Ordinal);
            Assert.Contains($"slot {HashSlot.Of((RedisArg)b)}", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_is_about_all_keys_is_asked_of_all_primaries()
    {
        await using var redis = await ConnectAsync();
        var before = await redis.SendAsync(["DBSIZE"], ReplyParsers.Int64);
        var keys = Enumerable.Range(0, 600).Select(i => $"{_prefix}all:{i}").ToHashSet(StringComparer.Ordinal);
        await Task.WhenAll(keys.Select(key => redis.SetAsync(key, "x").AsTask()));

        var found = new List<string>();
        await foreach (var key in redis.ScanAsync($"{_prefix}all:*", count: 50))
            found.Add(key);

        Assert.True(keys.SetEquals(found));
        Assert.True(await redis.SendAsync(["DBSIZE"], ReplyParsers.Int64) >= before + 600);
        Assert.True(keys.SetEquals((await redis.SendAsync(["KEYS", $"{_prefix}all:*"], ReplyParsers.TextArray))!));
        var digest = await redis.SendAsync(["SCRIPT", "LOAD", "return 'loaded'"], ReplyParsers.Text);
        for (var i = 0; i < 20; i++)
            Assert.Equal("loaded", await redis.SendAsync(["EVALSHA", digest!, 1, Key(i)], ReplyParsers.Text));
        var scan = await redis.ExecuteAsync(["SCAN", 0]).FailsWith<Reply, ArgumentException>();
        Assert.Contains("ScanAsync", scan.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scan_that_is_the_first_thing_asked_sees_all_keys()
    {
        await using var first = await ConnectAsync();
        var keys = Enumerable.Range(0, 100).Select(i => $"{_prefix}first:{i}").ToHashSet(StringComparer.Ordinal);
        await Task.WhenAll(keys.Select(key => first.SetAsync(key, "x").AsTask()));
        await using var redis = new RedisClient(Options());

        var found = new List<string>();
        await foreach (var key in redis.ScanAsync($"{_prefix}first:*"))
            found.Add(key);

        Assert.True(keys.SetEquals(found));
    }

    [Fact]
    public async Task Another_database_than_0_is_refused_in_words()
    {
        var options = Options();
        options.Database = 3;

        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();

        Assert.False(error.IsTransient);
        Assert.Contains("no database 3", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_seed_that_hangs_or_is_not_there_does_not_matter_while_another_answers()
    {
        var nobody = LoopbackPorts.Free();
        using var silent = LoopbackPorts.Listen();
        var options = new RedisClientOptions
        {
            Servers =
            [
                new("127.0.0.1", nobody),
                new("127.0.0.1", ((System.Net.IPEndPoint)silent.LocalEndPoint!).Port),
                new("127.0.0.1", Cluster.Nodes[1].Port),
            ],
        };

        await using var redis = await RedisClient.ConnectAsync(options).Within();

        Assert.True(await redis.SetAsync(Key(1), "1"));
    }

    [Fact]
    public async Task Where_replicas_are_preferred_they_answer_reads_and_nothing_else()
    {
        var options = Options();
        options.ReadFrom = ReadFrom.PreferReplica;
        await using var redis = await RedisClient.ConnectAsync(options).Within();
        for (var i = 0; i < 60; i++)
            await redis.SetAsync(Key(i), i);
        foreach (var node in Cluster.Nodes)
            await node.CommandAsync("CONFIG", "RESETSTAT");

        for (var i = 0; i < 60; i++)
            await redis.GetStringAsync(Key(i));
        var (primaries, replicas) = (await GetsAsync(Cluster.Primaries), await GetsAsync(Cluster.Replicas));
        for (var i = 0; i < 60; i++)
            await redis.SendAsync(["GET", Key(i)], ReplyParsers.Text, CommandOptions.Primary);

        Assert.Equal((0, 60), (primaries, replicas));
        Assert.Equal((60, 60), (await GetsAsync(Cluster.Primaries), await GetsAsync(Cluster.Replicas)));
    }

    [Fact]
    public async Task A_lease_leads_to_the_node_that_has_the_key()
    {
        await using var redis = await ConnectAsync();
        for (var i = 0; i < 12; i++)
        {
            var key = Key(i);
            await using var lease = await redis.LeaseAsync(key).Within();
            var popping = lease.SendAsync(["BLPOP", key, 0], ReplyParsers.TextArray, Waiting.Bound).AsTask();
            await redis.SendAsync(["RPUSH", key, i], ReplyParsers.Int64).Within();
            Assert.Equal($"{i}", (await popping.Within())[1]);

            await lease.SendAsync(["WATCH", key], ReplyParsers.Ignore).Within();
            await redis.SetAsync(key, "changed").Within();
            await lease.SendAsync(["MULTI"], ReplyParsers.Ignore).Within();
            await lease.SendAsync(["SET", key, "mine"], ReplyParsers.Ignore).Within();
            Assert.True((await lease.SendAsync(["EXEC"], ReplyParsers.Reply).Within()).IsNull);
        }
    }

    [Fact]
    public async Task A_lease_follows_no_redirect_and_goes_on_after_one()
    {
        await using var redis = await ConnectAsync();
        var slot = HashSlot.Of((RedisArg)Key(0));
        var elsewhere = Enumerable.Range(1, 1000).Select(Key).First(key => Math.Abs(HashSlot.Of((RedisArg)key) - slot) > 6000);
        await using var lease = await redis.LeaseAsync(Key(0)).Within();

        var error = await lease.SendAsync(["GET", elsewhere], ReplyParsers.Text).FailsWith<string?, RedisServerException>();

        Assert.Equal(("MOVED", Sent.No), (error.Code, error.Sent));
        Assert.Null(await lease.SendAsync(["GET", Key(0)], ReplyParsers.Text).Within());
    }

    [Fact]
    public async Task A_channel_is_heard_whichever_node_it_is_published_at()
    {
        await using var redis = await ConnectAsync();
        await using var subscription = await redis.SubscribeAsync(Key(0)).Within();
        foreach (var node in Cluster.Nodes)
            await node.CommandAsync("PUBLISH", Key(0), $"{node}");
        await redis.PublishAsync(Key(0), "last");

        var heard = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var message in subscription.ReadAllAsync())
            if (heard.Add(Encoding.UTF8.GetString(message.Payload.Span)) && heard.Count == Cluster.Nodes.Count + 1)
                break;
    }

    private static async Task<int> GetsAsync(IEnumerable<RedisClusterNode> nodes)
    {
        var gets = 0;
        foreach (var node in nodes)
        foreach (var line in (await node.CommandAsync("INFO", "commandstats"))!.Split("\r\n"))
            if (line.StartsWith("cmdstat_get:calls=", StringComparison.Ordinal))
                gets += int.Parse(line["cmdstat_get:calls=".Length..line.IndexOf(',', StringComparison.Ordinal)]);
        return gets;
    }

    private static string? Text(byte[]? bytes) => bytes is null ? null : Encoding.UTF8.GetString(bytes);

    // Time enough for a busy machine: what takes too long fails at the bound of its wait.
    private RedisClientOptions Options()
    {
        var options = RedisClientOptions.Parse($"{Cluster.Nodes[0]}");
        (options.ConnectTimeout, options.CommandTimeout) = (Waiting.Bound, Waiting.Bound);
        return options;
    }

    private Task<RedisClient> ConnectAsync() => RedisClient.ConnectAsync(Options()).Within();

    private string Key(int i) => $"{_prefix}{i}";
}
