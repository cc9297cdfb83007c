using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.AspNetCaches;

/// <summary>HybridCache as ASP.NET's users know it, on two nodes.</summary>
public sealed class HybridCacheTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private static int s_key;

    private RedisServerProcess Server => fixture.Server;

    // A server for all tests of the class: each has keys of its own.
    private readonly string _key = $"a:b {Interlocked.Increment(ref s_key)}";

    private string Wire =>
        $"test:cache:hybrid:{_key.Replace(":", "%3A", StringComparison.Ordinal).Replace(" ", "%20", StringComparison.Ordinal)}";

    private static readonly HybridCacheEntryFlags NoMemory = HybridCacheEntryFlags.DisableLocalCache;

    [Fact]
    public async Task One_factory_runs_for_all_callers_of_two_nodes_and_the_value_is_plain_JSON_under_the_name_of_the_catalog()
    {
        await using var first = await WebNode.StartAsync(Server.ConnectionString);
        await using var second = await WebNode.StartAsync(Server.ConnectionString);
        var runs = 0;
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        var callers = Enumerable
            .Range(0, 100)
            .Select(i =>
                (i % 2 == 0 ? first : second)
                    .Hybrid.GetOrCreateAsync(
                        _key,
                        5000,
                        async (won, _) =>
                        {
                            Interlocked.Increment(ref runs);
                            await open.Task;
                            return new Price("rice", won);
                        }
                    )
                    .AsTask()
            )
            .ToList();
        open.SetResult();

        foreach (var price in await Task.WhenAll(callers).Within())
            Assert.Equal(new Price("rice", 5000), price);
        Assert.Equal(1, runs);
        Assert.Equal("""{"product":"rice","won":5000}""", await Server.CommandAsync("GET", Wire));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 1, 1_800_000);
    }

    [Fact]
    public async Task A_removal_on_one_node_reaches_the_memory_of_the_other()
    {
        await using var first = await WebNode.StartAsync(Server.ConnectionString);
        await using var second = await WebNode.StartAsync(Server.ConnectionString);
        await first.Hybrid.SetAsync(_key, "old");
        await CacheIsInMemoryAsync(second, "old");

        await first.Hybrid.RemoveAsync(_key);

        // What the other node hears, it hears within the bound; a strict wait is OnggiCache's to offer.
        await Caching.CacheNode.UntilAsync(() => !second.Cache.TryPeek(KeyOf<string>(), out _));
        Assert.Equal("new", await CreateAsync(second, "new"));
        Assert.Equal("\"new\"", await Server.CommandAsync("GET", Wire));
    }

    [Fact]
    public async Task A_value_whose_making_began_before_a_removal_is_returned_and_not_stored()
    {
        await using var first = await WebNode.StartAsync(Server.ConnectionString);
        await using var second = await WebNode.StartAsync(Server.ConnectionString);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var making = first.Hybrid.GetOrCreateAsync(
            _key,
            async _ =>
            {
                begun.SetResult();
                await open.Task;
                return "old";
            }
        );
        await begun.Task.Within();

        await second.Hybrid.RemoveAsync([_key, _key + "2"]);
        open.SetResult();

        Assert.Equal("old", await making.Within());
        Assert.Equal(0, await Server.NumberAsync("EXISTS", Wire));
        Assert.Equal("new", await CreateAsync(first, "new"));
    }

    [Fact]
    public async Task Expiration_is_the_life_in_Redis_and_LocalCacheExpiration_that_in_memory()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        var options = new HybridCacheEntryOptions { Expiration = TimeSpan.FromMinutes(7), LocalCacheExpiration = TimeSpan.FromSeconds(30) };

        await node.Hybrid.GetOrCreateAsync(_key, static _ => ValueTask.FromResult("v"), options);
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 400_000, 420_000);

        await Caching.CacheNode.UntilAsync(() =>
        {
            Assert.Equal(
                "v",
                node.Hybrid.GetOrCreateAsync(_key, static _ => ValueTask.FromResult("v"), options).AsTask().GetAwaiter().GetResult()
            );
            return node.Cache.Memory.Find(KeyOf<string>().Entry) is { } entry && entry.Expires - new CoarseClock().Now <= 30_000;
        });

        await node.Hybrid.SetAsync(_key, "w", new() { Expiration = TimeSpan.FromMinutes(3) });
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 160_000, 180_000);
    }

    [Fact]
    public async Task DisableUnderlyingData_only_looks()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        var look = With(HybridCacheEntryFlags.DisableUnderlyingData);

        Assert.Null(await node.Hybrid.GetOrCreateAsync<string?>(_key, Never<string?>, look));
        Assert.Equal(0, await node.Hybrid.GetOrCreateAsync(_key, Never<int>, look));
        await Server.CommandAsync("SET", Wire, "\"there\"");
        Assert.Equal("there", await node.Hybrid.GetOrCreateAsync<string?>(_key, Never<string?>, look));
        await CacheIsInMemoryAsync(node, "there");
        Assert.Equal(
            "there",
            await node.Hybrid.GetOrCreateAsync<string?>(
                _key,
                Never<string?>,
                With(HybridCacheEntryFlags.DisableUnderlyingData | HybridCacheEntryFlags.DisableDistributedCacheRead)
            )
        );
        Assert.Null(
            await node.Hybrid.GetOrCreateAsync<string?>(
                _key + "x",
                Never<string?>,
                With(HybridCacheEntryFlags.DisableUnderlyingData | HybridCacheEntryFlags.DisableDistributedCacheRead)
            )
        );
    }

    [Fact]
    public async Task DisableLocalCache_reads_Redis_and_leaves_nothing_in_memory()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await Server.CommandAsync("SET", Wire, "\"there\"");
        await CacheIsInMemoryAsync(node, "there");
        var before = node.Cache.Statistics("hybrid");

        Assert.Equal("there", await node.Hybrid.GetOrCreateAsync(_key, Never<string>, With(HybridCacheEntryFlags.DisableLocalCacheRead)));
        Assert.Equal(before.MemoryHits, node.Cache.Statistics("hybrid").MemoryHits);
        Assert.True(node.Cache.Statistics("hybrid").RedisHits > before.RedisHits);

        Assert.Equal("there", await node.Hybrid.GetOrCreateAsync(_key, Never<string>, With(NoMemory)));
        Assert.False(node.Cache.TryPeek(KeyOf<string>(), out _));
    }

    [Fact]
    public async Task DisableDistributedCacheWrite_keeps_the_value_nowhere()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);

        Assert.Equal("v", await CreateAsync(node, "v", HybridCacheEntryFlags.DisableDistributedCacheWrite));
        Assert.Equal(0, await Server.NumberAsync("EXISTS", Wire));
        Assert.False(node.Cache.TryPeek(KeyOf<string>(), out _));

        var refused = await node
            .Hybrid.SetAsync(_key, "v", With(HybridCacheEntryFlags.DisableDistributedCacheWrite))
            .FailsWith<NotSupportedException>();
        Assert.Contains("copy of Redis", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisableDistributedCacheRead_makes_the_value_anew_under_the_same_protection()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await Server.CommandAsync("SET", Wire, "\"old\"");

        Assert.Equal("new", await CreateAsync(node, "new", HybridCacheEntryFlags.DisableDistributedCacheRead));
        Assert.Equal("\"new\"", await Server.CommandAsync("GET", Wire));

        // A value that was overtaken by a removal is not put back this way either.
        await node.Hybrid.RemoveAsync(_key);
        Assert.Equal(
            "late",
            await node.Hybrid.GetOrCreateAsync(
                _key,
                async _ =>
                {
                    await Server.CommandAsync("UNLINK", Wire, $"{{{Wire}}}:l");
                    return "late";
                },
                With(HybridCacheEntryFlags.DisableDistributedCacheRead)
            )
        );
        Assert.Equal(0, await Server.NumberAsync("EXISTS", Wire));
    }

    [Fact]
    public async Task DisableDistributedCache_asks_Redis_nothing()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await Server.CommandAsync("SET", Wire, "\"there\"");

        Assert.Equal("mine", await CreateAsync(node, "mine", HybridCacheEntryFlags.DisableDistributedCache));
        Assert.Equal("\"there\"", await Server.CommandAsync("GET", Wire));
    }

    [Fact]
    public async Task Null_is_remembered_for_the_short_time_of_what_does_not_exist()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);

        Assert.Null(await node.Hybrid.GetOrCreateAsync<Price?>(_key, static _ => ValueTask.FromResult<Price?>(null)));
        Assert.Null(await node.Hybrid.GetOrCreateAsync<Price?>(_key, Never<Price?>));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 1, 20_000);
    }

    [Fact]
    public async Task Tags_are_refused_in_words()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);

        foreach (
            var call in (Func<Task>[])
                [
                    () => node.Hybrid.GetOrCreateAsync(_key, Never<string>, tags: ["t"]).AsTask(),
                    () => node.Hybrid.SetAsync(_key, "v", tags: ["t"]).AsTask(),
                    () => node.Hybrid.RemoveByTagAsync("t").AsTask(),
                    () => node.Hybrid.RemoveByTagAsync(["t", "u"]).AsTask(),
                ]
        )
        {
            var refused = await Assert.ThrowsAsync<NotSupportedException>(call);
            Assert.Contains("no tags yet", refused.Message, StringComparison.Ordinal);
        }

        Assert.Equal("v", await node.Hybrid.GetOrCreateAsync(_key, static _ => ValueTask.FromResult("v"), tags: []));
    }

    [Fact]
    public async Task A_keyed_instance_has_a_family_of_its_own()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);

        await node.Hybrid.SetAsync(_key, "hybrid");
        await node.Prices.SetAsync(_key, new Price("rice", 1));

        Assert.Equal("hybrid", await node.Hybrid.GetOrCreateAsync(_key, Never<string>));
        Assert.Equal(new Price("rice", 1), await node.Prices.GetOrCreateAsync(_key, Never<Price>));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire.Replace("hybrid", "prices", StringComparison.Ordinal)), 1_800_001, 3_600_000);
    }

    [Fact]
    public async Task The_defaults_of_an_instance_hold_where_a_call_says_nothing_else()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        var brief = node.Services.GetRequiredKeyedService<HybridCache>("brief");
        var wire = Wire.Replace("hybrid", "brief", StringComparison.Ordinal);
        var key = new CacheKey<string>(new EntryKey(new KeyFamily("brief", "key"), _key));

        await brief.SetAsync(_key, "v");
        Assert.InRange(await Server.NumberAsync("PTTL", wire), 60_001, 120_000);
        Assert.Equal("v", await brief.GetOrCreateAsync(_key, Never<string>));
        Assert.False(node.Cache.TryPeek(key, out _));

        await brief.SetAsync(_key, "v", new() { Expiration = TimeSpan.FromMinutes(9) });
        Assert.InRange(await Server.NumberAsync("PTTL", wire), 480_001, 540_000);
    }

    [Fact]
    public async Task A_hit_in_memory_allocates_nothing()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await node.Hybrid.SetAsync(_key, "v");
        await CacheIsInMemoryAsync(node, "v");
        // Whatever ends in between (the proof, the first calls that are compiled anew) is tried again.
        await Caching.CacheNode.UntilAsync(() => AllocatedBy(node.Hybrid) == 0);

        long AllocatedBy(HybridCache cache)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 100; i++)
            {
                var hit = cache.GetOrCreateAsync(_key, "none", static (none, _) => ValueTask.FromResult(none));
                if (!hit.IsCompletedSuccessfully || hit.Result != "v")
                    return -1;
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public async Task A_type_that_the_context_lacks_is_named_and_so_is_an_empty_key()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);

        var lacking = await node
            .Hybrid.GetOrCreateAsync(_key, static _ => ValueTask.FromResult(new Version(1, 0)))
            .FailsWith<Version, InvalidOperationException>();
        Assert.Contains("[JsonSerializable(typeof(System.Version))]", lacking.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(async () => await node.Hybrid.RemoveAsync(""));
    }

    [Fact]
    public async Task A_Redis_that_is_gone_or_hangs_leaves_the_factory_and_tells_of_what_was_not_done()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await WebNode.StartAsync(server.ConnectionString, WebNode.Impatient);
        await node.Hybrid.SetAsync("k", "stored");

        server.Pause();
        Assert.Equal("made", await node.Hybrid.GetOrCreateAsync("other", static _ => ValueTask.FromResult("made")).Within());
        await node.Hybrid.SetAsync("k", "v").FailsWith<RedisException>();
        await node.Hybrid.RemoveAsync("k").FailsWith<InvalidationUnconfirmedException>();
        server.Resume();

        await server.KillAsync();
        await Caching.CacheNode.UntilAsync(() => !node.Redis.IsConnected);
        Assert.Equal("made", await node.Hybrid.GetOrCreateAsync("third", static _ => ValueTask.FromResult("made")).Within());
        await node.Hybrid.RemoveAsync("k").FailsWith<InvalidationUnconfirmedException>();

        await server.RestartAsync();
        await Caching.CacheNode.UntilAsync(() => node.Redis.IsConnected);
        Assert.Equal("anew", await node.Hybrid.GetOrCreateAsync("k", static _ => ValueTask.FromResult("anew")).Within());
    }

    private CacheKey<T> KeyOf<T>() => new(new EntryKey(new KeyFamily("hybrid", "key"), _key));

    private ValueTask<string> CreateAsync(WebNode node, string value, HybridCacheEntryFlags flags = HybridCacheEntryFlags.None) =>
        node.Hybrid.GetOrCreateAsync(_key, value, static (made, _) => ValueTask.FromResult(made), With(flags));

    private static HybridCacheEntryOptions With(HybridCacheEntryFlags flags) => new() { Flags = flags };

    private static ValueTask<T> Never<T>(CancellationToken cancellationToken) =>
        throw new InvalidOperationException("It was to come from a cache.");

    // Memory is filled by reads, as soon as it has heard that it may answer.
    private async Task CacheIsInMemoryAsync(WebNode node, string value)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (!node.Cache.TryPeek(KeyOf<string>(), out _))
        {
            Assert.Equal(value, await node.Hybrid.GetOrCreateAsync(_key, Never<string>, cancellationToken: patience.Token));
            await Task.Yield();
        }
    }
}
