using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Tests.Client.Cluster;

/// <summary>What the client makes of nodes that do not agree, do not know, or cannot.</summary>
public sealed class ClusterRouterTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    // CLUSTER KEYSLOT a: 15495, b: 3300.
    private const int SlotOfA = 15_495;
    private const int SlotOfB = 3_300;

    [Fact]
    public async Task Moved_is_followed_at_once_and_remembered()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Answer = (node, _) => node == 0 ? cluster.Moved(SlotOfA, 1) : "$1\r\n1\r\n";
        await using var redis = await ConnectAsync(cluster.Options);
        cluster.Slots = () =>
            FakeCluster.Array(cluster.Range(0, SlotOfA - 1, 0), cluster.Range(SlotOfA, SlotOfA, 1), cluster.Range(SlotOfA + 1, 16_383, 0));

        for (var i = 0; i < 10; i++)
            Assert.Equal("1", await redis.GetStringAsync("a").AsTask().WaitAsync(Bound));

        Assert.Equal((1, 10), (cluster.Asked("GET a", 0), cluster.Asked("GET a", 1)));
    }

    [Fact]
    public async Task A_map_that_was_asked_for_before_a_node_said_moved_does_not_undo_it()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Answer = (node, command) =>
            command[0] == "PING" ? "+PONG\r\n"
            : node == 0 ? cluster.Moved(SlotOfA, 1)
            : "$1\r\n1\r\n";
        await using var redis = await ConnectAsync(cluster.Options);
        var old = new TaskCompletionSource();
        var asked = new TaskCompletionSource();
        cluster.BeforeSlots = () =>
        {
            asked.TrySetResult();
            return old.Task;
        };

        // Over the other connection, since the first one waits for the map. The first MOVED makes the client ask; the second comes while that question is open.
        Assert.Equal("1", await GetAsync(redis, "a"));
        await asked.Task.WaitAsync(Bound);
        cluster.Answer = (node, _) => node == 0 ? cluster.Moved(SlotOfB, 1) : "$1\r\n2\r\n";
        Assert.Equal("2", await GetAsync(redis, "b"));
        cluster.BeforeSlots = () => new TaskCompletionSource().Task;
        old.SetResult();
        Assert.Equal("2", await GetAsync(redis, "b"));
        var slots = Stopwatch.StartNew();
        while (cluster.Asked("CLUSTER SLOTS") < 3 && slots.Elapsed < Bound)
            Assert.Equal("2", await GetAsync(redis, "b"));

        Assert.Equal(1, cluster.Asked("GET b", 0));
    }

    [Fact]
    public async Task Nodes_that_send_a_command_round_and_round_are_not_hammered_and_the_caller_is_told()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Answer = (node, _) => cluster.Moved(SlotOfA, 1 - node);
        var options = cluster.Options;
        options.CommandTimeout = TimeSpan.FromMilliseconds(600);
        await using var redis = await ConnectAsync(options);
        var watch = Stopwatch.StartNew();

        var error = await Assert.ThrowsAsync<RedisServerException>(() => redis.GetStringAsync("a").AsTask().WaitAsync(Bound));

        Assert.Equal(("MOVED", Sent.No), (error.Code, error.Sent));
        Assert.InRange(watch.ElapsedMilliseconds, 500, 10_000);
        Assert.InRange(cluster.Asked("GET a"), 6, 60);
    }

    [Fact]
    public async Task Ask_is_for_once_and_ASKING_stands_right_before_the_command()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Answer = (node, _) => node == 0 ? cluster.Ask(SlotOfA, 1) : "$1\r\n1\r\n";
        await using var redis = await ConnectAsync(cluster.Options);
        var maps = cluster.Asked("CLUSTER SLOTS");

        for (var i = 0; i < 10; i++)
            Assert.Equal("1", await redis.GetStringAsync("a").AsTask().WaitAsync(Bound));

        Assert.Equal((10, 10, 10), (cluster.Asked("GET a", 0), cluster.Asked("ASKING", 1), cluster.Asked("GET a", 1)));
        Assert.Equal(0, cluster.Asked("ASKING", 0));

        // Each of the two connections that begin asks once, on a busy machine only now; what is sent on for once does not.
        Assert.InRange(cluster.Asked("CLUSTER SLOTS") - maps, 0, 2);
    }

    [Fact]
    public async Task A_transaction_waits_while_its_slot_moves_for_ASKING_holds_for_one_command()
    {
        await using var cluster = new FakeCluster(2);
        var aborted = 0;
        cluster.Answer = (node, command) =>
            (node, command[0]) switch
            {
                (0, "SET") => cluster.Ask(SlotOfA, 1),
                (0, "EXEC") => Aborted(ref aborted),
                _ => "+OK\r\n",
            };
        await using var redis = await ConnectAsync(cluster.Options);
        var transaction = redis.CreateTransaction();
        var set = transaction.Add(["SET", "a", "1"], ReplyParsers.Boolean);
        var executing = transaction.ExecuteAsync().AsTask();
        var watch = Stopwatch.StartNew();
        while (Volatile.Read(ref aborted) < 3 && watch.Elapsed < Bound)
            await Task.Delay(1);

        // The slot has moved.
        cluster.Slots = () => cluster.All(1);
        cluster.Answer = (node, command) =>
            (node, command[0]) switch
            {
                (0, "SET") => cluster.Moved(SlotOfA, 1),
                (0, "EXEC") => "-EXECABORT Transaction discarded\r\n",
                (1, "EXEC") => "*1\r\n+OK\r\n",
                (1, "SET") => "+QUEUED\r\n",
                _ => "+OK\r\n",
            };

        await executing.WaitAsync(Bound);
        Assert.True(set.Value);
        Assert.Equal((0, 1), (cluster.Asked("ASKING"), cluster.Asked("EXEC", 1)));

        static string Aborted(ref int count)
        {
            Interlocked.Increment(ref count);
            return "-EXECABORT Transaction discarded\r\n";
        }
    }

    [Fact]
    public async Task Who_stands_in_line_when_the_servers_turn_out_to_be_a_cluster_is_answered_too()
    {
        await using var cluster = new FakeCluster(1);
        cluster.Answer = (_, _) => "$1\r\n1\r\n";
        var options = cluster.Options;
        (options.MaxBacklog, options.WhenFull, options.CommandTimeout) = (4, WhenFull.Wait, Bound);
        await using var redis = new RedisClient(options);

        var asked = Enumerable.Range(0, 50).Select(i => redis.GetStringAsync($"k{i}").AsTask()).ToArray();

        Assert.All(await Task.WhenAll(asked).WaitAsync(Bound), value => Assert.Equal("1", value));
    }

    [Fact]
    public async Task After_TRYAGAIN_behind_ASKING_the_owner_is_asked_plainly()
    {
        await using var cluster = new FakeCluster(2);
        var tried = 0;
        cluster.Answer = (node, _) =>
            node == 0 ? cluster.Ask(SlotOfA, 1)
            : Interlocked.Increment(ref tried) < 3 ? "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
            : "$1\r\n1\r\n";
        await using var redis = await ConnectAsync(cluster.Options);

        Assert.Equal("1", await redis.GetStringAsync("a").AsTask().WaitAsync(Bound));

        Assert.Equal((3, 3, 3), (cluster.Asked("GET a", 0), cluster.Asked("ASKING", 1), cluster.Asked("GET a", 1)));
        Assert.Equal(0, cluster.Asked("ASKING", 0));
    }

    [Fact]
    public async Task A_command_for_a_slot_that_nobody_has_waits_until_somebody_has_it()
    {
        await using var cluster = new FakeCluster(1);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 99, 0));
        cluster.Answer = (_, _) => "$1\r\n1\r\n";
        await using var redis = new RedisClient(cluster.Options);

        var waiting = redis.GetStringAsync("a").AsTask();
        await UntilAsync(() => cluster.Asked("CLUSTER SLOTS") >= 2);
        Assert.False(waiting.IsCompleted);
        Assert.False(redis.IsConnected);
        cluster.Slots = () => cluster.All(0);

        Assert.Equal("1", await waiting.WaitAsync(Bound));
        Assert.Equal(1, cluster.Asked("GET a"));
    }

    [Theory]
    [InlineData(WhenFull.Wait, 0)]
    [InlineData(WhenFull.Reject, 46)]
    public async Task Whether_more_than_the_backlog_may_wait_for_the_owner_of_a_slot_is_an_option(WhenFull whenFull, int refused)
    {
        await using var cluster = new FakeCluster(1);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 99, 0));
        cluster.Answer = (_, _) => "$1\r\n1\r\n";
        var options = cluster.Options;
        (options.MaxBacklog, options.WhenFull, options.CommandTimeout) = (4, whenFull, Bound);
        await using var redis = new RedisClient(options);
        var first = redis.GetStringAsync("a").AsTask();
        await UntilAsync(() => cluster.Asked("CLUSTER SLOTS") >= 2);

        Task<string?>[] asked = [first, .. Enumerable.Range(0, 49).Select(_ => redis.GetStringAsync("a").AsTask())];
        cluster.Slots = () => cluster.All(0);

        await Task.WhenAll(asked).WaitAsync(Bound).ContinueWith(static _ => { }, TaskScheduler.Default);
        Assert.Equal(refused, asked.Count(task => task.Exception?.InnerException is RedisBusyException));
        Assert.Equal(50 - refused, asked.Count(task => task.IsCompletedSuccessfully));
    }

    [Fact]
    public async Task A_command_for_a_slot_that_nobody_gets_times_out_and_was_not_sent()
    {
        await using var cluster = new FakeCluster(1);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 99, 0));
        var options = cluster.Options;
        (options.CommandTimeout, options.ConnectTimeout) = (TimeSpan.FromMilliseconds(300), TimeSpan.FromMilliseconds(300));
        await using var redis = new RedisClient(options);

        var error = await Assert.ThrowsAsync<RedisTimeoutException>(() => redis.SetAsync("a", "1").AsTask().WaitAsync(Bound));
        var connecting = await Assert.ThrowsAsync<RedisConnectionException>(() => redis.ConnectAsync().AsTask().WaitAsync(Bound));

        Assert.Equal(Sent.No, error.Sent);
        Assert.Contains($"slot {SlotOfA}", error.Message, StringComparison.Ordinal);
        Assert.Contains("16284 slots have no owner, the first is 100", connecting.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_waits_for_a_node_that_cannot_be_reached_goes_to_whoever_has_its_slots_then()
    {
        await using var cluster = new FakeCluster(2);
        var nobody = LoopbackPorts.Free();
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 9_999, 0), FakeCluster.RangeOf(10_000, 16_383, nobody));
        cluster.Answer = (_, _) => "$1\r\n1\r\n";
        var options = cluster.Options;
        options.CommandTimeout = Bound;
        await using var redis = new RedisClient(options);

        var waiting = Enumerable.Range(0, 20).Select(_ => redis.SetAsync("a", "1").AsTask()).ToArray();
        await UntilAsync(() => cluster.Asked("CLUSTER SLOTS") >= 3);
        Assert.DoesNotContain(waiting, call => call.IsCompleted);
        cluster.Answer = (_, _) => "+OK\r\n";

        // The one that is gone keeps some slots: what waits for it is handed over all the same.
        cluster.Slots = () =>
            FakeCluster.Array(cluster.Range(0, 9_999, 0), FakeCluster.RangeOf(10_000, 10_009, nobody), cluster.Range(10_010, 16_383, 1));

        await Task.WhenAll(waiting).WaitAsync(Bound);
        Assert.Equal(20, cluster.Asked("SET a 1", 1));
    }

    [Fact]
    public async Task A_command_that_we_do_not_know_goes_where_the_nodes_say()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 9_999, 0), cluster.Range(10_000, 16_383, 1));

        // Its key is the second argument; we take the first for it.
        cluster.Answer = (node, _) => node == 0 ? cluster.Moved(SlotOfA, 1) : "+OK\r\n";
        await using var redis = await ConnectAsync(cluster.Options);

        Assert.True(await redis.SendAsync(["MODULE.THING", "b", "a"], ReplyParsers.Boolean).AsTask().WaitAsync(Bound));
    }

    [Fact]
    public async Task What_a_replica_cannot_answer_the_primary_does()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 16_383, 0, 1));
        cluster.Answer = (node, _) =>
            node == 1 ? "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n" : "$1\r\n1\r\n";
        var options = cluster.Options;
        options.ReadFrom = ReadFrom.PreferReplica;
        await using var redis = await ConnectAsync(options);

        Assert.Equal("1", await redis.GetStringAsync("a").AsTask().WaitAsync(Bound));
        Assert.Equal((1, 1), (cluster.Asked("GET a", 0), cluster.Asked("GET a", 1)));
        Assert.Equal((0, 1), (cluster.Asked("READONLY", 0), cluster.Asked("READONLY", 1)));
    }

    [Fact]
    public async Task What_the_cache_reads_is_asked_of_the_primary_whatever_the_client_prefers()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 16_383, 0, 1));
        cluster.Answer = (_, command) => command[0] == "PTTL" ? ":1000\r\n" : "$3\r\n\"1\"\r\n";
        var options = cluster.Options;
        options.ReadFrom = ReadFrom.PreferReplica;
        await using var redis = await ConnectAsync(options);
        var keyspace = Keyspace.Load(
            """{ "system": "t", "environment": "dev", "families": { "a": { "key": "a:{id}", "kind": "cache", "ttl": "1h", "value": "string" } } }"""
        );
        await using var cache = new OnggiCache(
            new CacheStore(redis, OnggiCache.EpochName(keyspace)),
            keyspace,
            new CacheOptions(),
            Caching.CacheTestJson.Default,
            new Caching.FakeEvents(),
            new Caching.FakeEvents(),
            new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>(),
            NullLogger<OnggiCache>.Instance,
            TimeProvider.System,
            new CoarseClock()
        );

        var read = await cache.GetAsync(new CacheKey<string>(new EntryKey(new KeyFamily("a", "id"), "1"))).AsTask().WaitAsync(Bound);

        Assert.Equal("1", read.Value);
        Assert.Equal((1, 0), (cluster.Asked("GET dev:a:1", 0), cluster.Asked("GET dev:a:1", 1)));
    }

    [Fact]
    public async Task When_one_part_of_a_write_fails_the_error_says_which_parts_were_executed()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 9_999, 0), cluster.Range(10_000, 16_383, 1));
        cluster.Answer = (node, command) =>
            node == 0 ? "+OK\r\n"
            : command[0] == "MGET" ? "*1\r\n$1\r\n1\r\n"
            : "-OOM command not allowed\r\n";
        await using var redis = await ConnectAsync(cluster.Options);

        var some = await Assert.ThrowsAsync<RedisServerException>(() =>
            redis.SendAsync(["MSET", "a", "1", "b", "2"], ReplyParsers.Boolean).AsTask().WaitAsync(Bound)
        );
        var none = await Assert.ThrowsAsync<RedisServerException>(() => redis.SetAsync("a", "1").AsTask().WaitAsync(Bound));
        var blocking = Assert.Throws<RedisServerException>(() => redis.Send(["MSET", "a", "1", "b", "2"], ReplyParsers.Boolean));

        Assert.Equal(("OOM", Sent.Maybe), (some.Code, some.Sent));
        Assert.Contains($"of the slots {SlotOfB}", some.Message, StringComparison.Ordinal);
        Assert.Equal(("OOM", Sent.No), (none.Code, none.Sent));
        Assert.Equal(("OOM", Sent.Maybe), (blocking.Code, blocking.Sent));
    }

    [Fact]
    public async Task A_part_that_is_answered_with_something_else_is_the_callers_error()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 9_999, 0), cluster.Range(10_000, 16_383, 1));
        cluster.Answer = (node, _) => node == 0 ? "*2\r\n$1\r\n1\r\n$1\r\n2\r\n" : "*1\r\n$1\r\n1\r\n";
        await using var redis = await ConnectAsync(cluster.Options);

        var error = await Assert.ThrowsAsync<RedisReplyException>(() => redis.GetManyAsync(["a", "b"]).AsTask().WaitAsync(Bound));

        Assert.Contains("2 elements instead of 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_two_maps_do_not_name_is_left()
    {
        await using var cluster = new FakeCluster(2);
        cluster.Slots = () => FakeCluster.Array(cluster.Range(0, 9_999, 0), cluster.Range(10_000, 16_383, 1));
        cluster.Answer = (node, _) => node == 1 ? cluster.Moved(SlotOfA, 0) : "$1\r\n1\r\n";
        var options = cluster.Options;
        options.KeepAlive = TimeSpan.FromMilliseconds(200);
        await using var redis = await ConnectAsync(options);
        cluster.Slots = () => cluster.All(0);

        // Each map comes from a command that was sent on, so that no time of ours has to pass.
        await redis.GetStringAsync("a").AsTask().WaitAsync(Bound);
        await UntilAsync(() => cluster.Asked("CLUSTER SLOTS") >= 2);
        cluster.Answer = (_, _) => "-CLUSTERDOWN The cluster is down\r\n";
        var retried = redis.GetStringAsync("b").AsTask();
        await UntilAsync(() => cluster.Open(1) == 0);
        cluster.Answer = (_, _) => "$1\r\n1\r\n";

        Assert.Equal("1", await retried.WaitAsync(Bound));
        Assert.True(redis.IsConnected);
    }

    private static Task<string?> GetAsync(RedisClient redis, string key) =>
        redis.SendAsync(["GET", key], ReplyParsers.Text, CommandOptions.Bulk).AsTask().WaitAsync(Bound);

    private static async Task<RedisClient> ConnectAsync(RedisClientOptions options) =>
        await RedisClient.ConnectAsync(options).AsTask().WaitAsync(Bound);

    private static async Task UntilAsync(Func<bool> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Bound, "It did not come about.");
            await Task.Delay(5);
        }
    }
}
