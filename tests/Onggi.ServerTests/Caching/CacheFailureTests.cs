using System.Diagnostics;
using Onggi.Caching;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>Each row of the cache's failure table, on a redis-server that fails in that way.</summary>
public sealed class CacheFailureTests
{
    [Fact]
    public async Task A_Redis_that_hangs_costs_a_caller_at_most_one_timeout_and_the_next_none()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString, CacheNode.Impatient);
        await server.CommandAsync("SET", "test:text:a", "\"stored\"");
        server.Pause();

        var clock = Stopwatch.StartNew();
        var loaded = await node.Cache.GetOrLoadResultAsync(CacheNode.Text("a"), static _ => new("loaded")).Within();
        Assert.Equal(("loaded", CacheTier.Loader), (loaded.Value, loaded.Tier));
        Assert.InRange(clock.Elapsed, CacheNode.ShortTimeout * 0.9, CacheNode.ShortTimeout * 1.9);

        clock.Restart();
        for (var i = 0; i < 20; i++)
            Assert.Equal("loaded", await node.Cache.GetOrLoadAsync(CacheNode.Text("other" + i), static _ => new("loaded")).Within());
        Assert.True(clock.Elapsed < CacheNode.ShortTimeout * 2, $"20 loads took {clock.Elapsed}");
        Assert.Contains(node.Log, line => line.Id == 2003);

        await node.Cache.SetAsync(CacheNode.Text("b"), "v").FailsWith<RedisException>();
        await node.Cache.InvalidateAsync(CacheNode.Text("b")).FailsWith<InvalidationUnconfirmedException>();
        await node
            .Events.PublishAsync(CacheNode.CustomerUpdated, new CustomerUpdated("1"))
            .FailsWith<Onggi.Events.EventReceipt, InvalidationUnconfirmedException>();

        server.Resume();
        await ReadsFromRedisAsync(node, "a", "stored");
        await node.Cache.InvalidateAsync(CacheNode.Text("a")).Within();
    }

    [Fact]
    public async Task A_Redis_that_is_gone_costs_nothing_and_memory_spares_the_source()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString, CacheNode.Impatient);
        var lost = node.Redis.Change(connected: false);
        await server.KillAsync();
        await lost;

        var clock = Stopwatch.StartNew();
        var loads = 0;
        for (var i = 0; i < 200; i++)
        {
            var value = await node
                .Cache.GetOrLoadAsync(
                    CacheNode.Text("a"),
                    _ =>
                    {
                        loads++;
                        return new((string?)"loaded");
                    }
                )
                .Within();
            Assert.Equal("loaded", value);
        }

        Assert.False((await node.Cache.GetAsync(CacheNode.Text("b")).Within()).Found);
        Assert.Equal(3, (await node.Cache.GetManyAsync([CacheNode.Text("c"), CacheNode.Text("d"), CacheNode.Text("e")]).Within()).Count);
        // Each would have waited for a time-out of its own.
        Assert.True(clock.Elapsed < 10 * CacheNode.ShortTimeout, $"200 loads took {clock.Elapsed}");
        Assert.InRange(loads, 1, 1 + (int)clock.Elapsed.TotalSeconds);

        await node.Cache.SetAsync(CacheNode.Text("a"), "v").FailsWith<RedisException>();
        var unconfirmed = await node.Cache.InvalidateAsync(CacheNode.Text("a")).FailsWith<InvalidationUnconfirmedException>();
        Assert.Equal(Sent.No, unconfirmed.Sent);
        Assert.Equal("anew", await node.Cache.GetOrLoadAsync(CacheNode.Text("a"), static _ => new("anew")).Within());
    }

    [Fact]
    public async Task A_Redis_that_was_restarted_empty_is_filled_again()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        await node.Cache.GetOrLoadAsync(CacheNode.Text("a"), static _ => new("before")).Within();
        await node.Cache.GetAsync(CacheNode.Text("a")).Within();
        Assert.Equal(1, node.Cache.Statistics().MemoryEntries);
        var back = node.Redis.Change(connected: true);

        await server.RestartAsync(kill: true);
        await back;
        await CacheNode.UntilAsync(() => node.Cache.Statistics().MemoryEntries == 0);

        // Until the events' own connection has come back, too, a load may be returned without being stored.
        var after = default(CacheResult<string>);
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (after.Tier != CacheTier.Redis)
        {
            after = await node.Cache.GetOrLoadResultAsync(CacheNode.Text("a"), static _ => new("after"), patience.Token).Within();
            Assert.Equal("after", after.Value);
        }

        Assert.Equal("\"after\"", await server.CommandAsync("GET", "test:text:a"));
    }

    [Fact]
    public async Task An_invalidation_during_a_restart_is_confirmed_by_the_Redis_that_came_back()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        var lost = node.Redis.Change(connected: false);
        await server.KillAsync();
        await lost;

        var invalidating = node.Cache.InvalidateAsync(CacheNode.Text("a")).AsTask();
        await server.RestartAsync();

        await invalidating.Within();
    }

    [Fact]
    public async Task A_Redis_that_is_full_costs_the_storing_and_nothing_else()
    {
        await using var server = await RedisServerProcess.StartAsync("--maxmemory", "1mb", "--maxmemory-policy", "noeviction");
        await using var node = await CacheNode.StartAsync(server.ConnectionString);

        Assert.Equal("loaded", await node.Cache.GetOrLoadAsync(CacheNode.Text("a"), static _ => new("loaded")).Within());
        var full = await node.Cache.SetAsync(CacheNode.Text("b"), "v").FailsWith<RedisServerException>();
        await node.Cache.InvalidateAsync(CacheNode.Text("a")).Within();
        var report = await node.Cache.WarmAsync("one", One("w")).Within();

        Assert.Equal("OOM", full.Code);
        Assert.Equal("0", await server.CommandAsync("EXISTS", "test:text:a"));
        Assert.Contains(node.Log, line => line.Id == 2002 && line.Text.Contains("full", StringComparison.Ordinal));
        Assert.Equal(1, node.Cache.Statistics("text").StoreFailures);
        Assert.Equal((0L, 1L), (report.Stored, report.Failed));
    }

    [Theory]
    [InlineData("not json at all: secret payload")]
    [InlineData("{\"secret payload\":true}")]
    [InlineData("[1,2,3]")]
    [InlineData("\"text\"")]
    [InlineData("42")]
    [InlineData("")]
    [InlineData("\0\u0001\u0002")]
    public async Task What_is_no_JSON_or_of_another_shape_is_a_miss_that_the_loader_overwrites(string foreign)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        await server.CommandAsync("SET", "test:customer:1", foreign);

        Assert.False((await node.Cache.GetAsync(CacheNode.Customer("1")).Within()).Found);
        Assert.False((await node.Cache.GetManyAsync([CacheNode.Customer("1")]).Within())[CacheNode.Customer("1")].Found);
        Assert.Equal(
            "Kim",
            (await node.Cache.GetOrLoadAsync(CacheNode.Customer("1"), static _ => new(new Customer("1", "Kim"))).Within())?.Name
        );

        Assert.Contains("Kim", await server.CommandAsync("GET", "test:customer:1"), StringComparison.Ordinal);
        Assert.Contains(node.Log, line => line.Id == 2001 && line.Text.Contains("customer", StringComparison.Ordinal));
        Assert.DoesNotContain(node.Log, line => line.Text.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_key_of_another_type_is_a_miss_that_the_loader_overwrites()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        await server.CommandAsync("RPUSH", "test:text:list", "a", "b");
        await server.CommandAsync("RPUSH", "test:text:other", "a");

        Assert.False((await node.Cache.GetManyAsync([CacheNode.Text("other")]).Within())[CacheNode.Text("other")].Found);
        Assert.Equal("loaded", await node.Cache.GetOrLoadAsync(CacheNode.Text("list"), static _ => new("loaded")).Within());

        Assert.Equal("string", await server.CommandAsync("TYPE", "test:text:list"));
        Assert.Contains(node.Log, line => line.Id == 2001);
    }

    [Fact]
    public async Task A_value_of_a_hundred_megabytes_is_a_miss_and_the_connection_goes_on()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        await server.CommandAsync("SETRANGE", "test:text:huge", "104857599", "x");

        Assert.False((await node.Cache.GetAsync(CacheNode.Text("huge")).Within()).Found);
        Assert.Equal("loaded", await node.Cache.GetOrLoadAsync(CacheNode.Text("huge"), static _ => new("loaded")).Within());

        Assert.Equal("\"loaded\"", await server.CommandAsync("GET", "test:text:huge"));
        Assert.Contains(node.Log, line => line.Id == 2001 && line.Text.Contains("MaxValueBytes", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_value_that_is_too_large_to_set_is_refused_and_one_that_was_loaded_is_returned()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        var large = new string('x', 9 << 20);

        await node.Cache.SetAsync(CacheNode.Text("large"), large).FailsWith<ArgumentException>();
        Assert.Equal(large.Length, (await node.Cache.GetOrLoadAsync(CacheNode.Text("large"), _ => new(large)).Within())?.Length);

        Assert.Equal("0", await server.CommandAsync("EXISTS", "test:text:large"));
    }

    [Fact]
    public async Task A_Redis_that_does_not_let_us_read_or_write_is_said_and_loaders_answer()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await server.CommandAsync("ACL", "SETUSER", "guest", "on", ">pw", "~*", "&*", "+@all", "-get", "-mget", "-set", "-unlink");
        await using var node = await CacheNode.StartAsync($"127.0.0.1:{server.Port},user=guest,password=pw");

        Assert.Equal("loaded", await node.Cache.GetOrLoadAsync(CacheNode.Text("a"), static _ => new("loaded")).Within());
        await node.Cache.SetAsync(CacheNode.Text("a"), "v").FailsWith<RedisServerException>();
        await node.Cache.InvalidateAsync(CacheNode.Text("a")).FailsWith<InvalidationUnconfirmedException>();

        Assert.Contains(node.Log, line => line.Id == 2000 && line.Text.Contains("can't run this command", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Everybody_is_served_while_Redis_dies_and_comes_back_again_and_again()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        using var stop = new CancellationTokenSource();
        var served = 0;
        var callers = Enumerable
            .Range(0, 8)
            .Select(caller =>
                Task.Run(async () =>
                {
                    var random = Seed.For("dies-and-comes-back" + caller);
                    while (!stop.IsCancellationRequested)
                    {
                        var id = random.Next(50).ToString(System.Globalization.CultureInfo.InvariantCulture);
                        var value = await node.Cache.GetOrLoadAsync(
                            CacheNode.Text(id),
                            id,
                            static async (wanted, _) =>
                            {
                                await Task.Yield();
                                return (string?)wanted;
                            }
                        );
                        Assert.Equal(id, value);
                        Interlocked.Increment(ref served);
                        await Task.Yield();
                    }
                })
            )
            .ToList();

        for (var round = 0; round < 3; round++)
        {
            var back = node.Redis.Change(connected: true);
            await server.RestartAsync(kill: true);
            await back;
            var now = Volatile.Read(ref served);
            await CacheNode.UntilAsync(() => Volatile.Read(ref served) > now + 100 || callers.Exists(caller => caller.IsFaulted));
        }

        await stop.CancelAsync();
        await Task.WhenAll(callers).Within();
    }

    private static async Task ReadsFromRedisAsync(CacheNode node, string id, string expected)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (true)
        {
            patience.Token.ThrowIfCancellationRequested();
            var result = await node.Cache.GetAsync(CacheNode.Text(id), patience.Token).Within();
            if (result.Tier == CacheTier.Redis)
            {
                Assert.Equal(expected, result.Value);
                return;
            }

            await Task.Yield();
        }
    }

    private static async IAsyncEnumerable<KeyValuePair<Onggi.Keys.CacheKey<string>, string?>> One(string id)
    {
        await Task.Yield();
        yield return new(CacheNode.Text(id), "value");
    }
}
