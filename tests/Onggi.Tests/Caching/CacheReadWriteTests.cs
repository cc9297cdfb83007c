using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public sealed class CacheReadWriteTests : IDisposable
{
    private readonly CacheHarness _node = new();

    private OnggiCache Cache => _node.Cache;

    private FakeStore Store => _node.Store;

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task A_load_is_stored_as_plain_JSON_under_the_key_s_own_name_for_the_family_s_time()
    {
        var result = await Cache.GetOrLoadResultAsync(TestKeys.Customer("1"), static _ => new(new Customer("1", "Kim", 30)));

        Assert.Equal(CacheTier.Loader, result.Tier);
        Assert.Equal("""{"lineNumber":"1","name":"Kim","age":30,"nickname":null}""", Store["test:customer:1"]);
        Assert.Equal(TimeSpan.FromMinutes(30), Store.LastTimeToLive);
    }

    [Fact]
    public async Task The_first_answer_is_the_loader_s_the_second_Redis_s_the_third_memory_s()
    {
        var tiers = new List<CacheTier>();
        for (var i = 0; i < 4; i++)
        {
            var result = await Cache.GetOrLoadResultAsync(TestKeys.Customer("1"), static _ => new(new Customer("1", "Kim")));
            Assert.Equal(new Customer("1", "Kim"), result.Value);
            tiers.Add(result.Tier);
        }

        Assert.Equal([CacheTier.Loader, CacheTier.Redis, CacheTier.Memory, CacheTier.Memory], tiers);
        Assert.Equal(2, Store.Count("ASK"));
        Assert.Equal(1, Store.Count("FILL"));
    }

    [Fact]
    public async Task What_another_program_writes_is_seen_at_once_and_memory_answers_until_then()
    {
        Store["test:text:a"] = "\"old\"";
        await Cache.GetAsync(TestKeys.Text("a"));
        await _node.PassAsync(TimeSpan.FromSeconds(5));

        Assert.Equal(CacheTier.Memory, (await Cache.GetAsync(TestKeys.Text("a"))).Tier);
        Store["test:text:a"] = "\"new\"";
        Assert.Equal("new", (await Cache.GetAsync(TestKeys.Text("a"))).Value);
    }

    [Fact]
    public async Task Memory_keeps_a_value_no_longer_than_its_life_in_Redis_and_no_longer_than_the_options_say()
    {
        using var node = new CacheHarness(new CacheOptions { MemoryTtl = TimeSpan.FromSeconds(4) });
        node.Server.Set("test:text:short", "\"value\"", TimeSpan.FromSeconds(2));
        node.Store["test:text:long"] = "\"value\"";
        await node.Cache.GetAsync(TestKeys.Text("short"));
        await node.Cache.GetAsync(TestKeys.Text("long"));

        await node.PassAsync(TimeSpan.FromSeconds(1.9));
        Assert.True(node.Cache.TryPeek(TestKeys.Text("short"), out _));
        await node.PassAsync(TimeSpan.FromSeconds(0.1));
        Assert.False(node.Cache.TryPeek(TestKeys.Text("short"), out _));
        await node.PassAsync(TimeSpan.FromSeconds(1.9));
        Assert.True(node.Cache.TryPeek(TestKeys.Text("long"), out _));
        await node.PassAsync(TimeSpan.FromSeconds(0.1));
        Assert.False(node.Cache.TryPeek(TestKeys.Text("long"), out _));
    }

    [Fact]
    public async Task A_get_of_nothing_is_a_miss()
    {
        var result = await Cache.GetAsync(TestKeys.Text("a"));

        Assert.False(result.Found);
        Assert.False(result.HasValue);
        Assert.Equal(CacheTier.None, result.Tier);
        Assert.Equal(default, result);
    }

    [Fact]
    public async Task That_something_does_not_exist_is_remembered_as_null_for_the_short_time()
    {
        var loads = 0;
        for (var i = 0; i < 3; i++)
        {
            var result = await Cache.GetOrLoadResultAsync(
                TestKeys.Customer("1"),
                _ =>
                {
                    loads++;
                    return new((Customer?)null);
                }
            );
            Assert.True(result.Found);
            Assert.False(result.HasValue);
        }

        Assert.Equal(1, loads);
        Assert.Equal("null", Store["test:customer:1"]);
        Assert.Equal(TimeSpan.FromSeconds(20), Store.LastTimeToLive);
    }

    [Fact]
    public async Task A_loader_decides_how_long_and_whether_at_all()
    {
        await Cache.GetOrLoadAsync(
            TestKeys.Text("a"),
            static context =>
            {
                context.Ttl = TimeSpan.FromSeconds(5);
                return new("short");
            }
        );
        Assert.Equal(TimeSpan.FromSeconds(5), Store.LastTimeToLive);

        await Cache.GetOrLoadAsync(
            TestKeys.Text("b"),
            static context =>
            {
                context.DontStore = true;
                return new("secret");
            }
        );
        Assert.Null(Store["test:text:b"]);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task A_time_to_live_that_is_chosen_is_cut_to_the_longest_that_the_catalog_allows_for_null_too()
    {
        var longest = _node.Keys.FamilyOf("test:text:a")!.MaxTtl;
        var longer = longest + TimeSpan.FromDays(1);

        await Cache.SetAsync(TestKeys.Text("a"), "value", longer);
        Assert.Equal(longest, Store.LastTimeToLive);

        await Cache.SetAsync(TestKeys.Text("b"), null, TimeSpan.FromMinutes(2));
        Assert.Equal(TimeSpan.FromMinutes(2), Store.LastTimeToLive);
        await Cache.SetAsync(TestKeys.Text("b"), null, longer);
        Assert.Equal(longest, Store.LastTimeToLive);

        await Cache.GetOrLoadAsync(
            TestKeys.Text("c"),
            context =>
            {
                context.Ttl = longer;
                return new((string?)null);
            }
        );
        Assert.Equal("null", Store["test:text:c"]);
        Assert.Equal(longest, Store.LastTimeToLive);
    }

    [Fact]
    public async Task A_time_to_live_that_is_not_positive_is_refused()
    {
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() =>
            Cache
                .GetOrLoadAsync(
                    TestKeys.Text("a"),
                    static context =>
                    {
                        context.Ttl = TimeSpan.Zero;
                        return new("value");
                    }
                )
                .AsTask()
        );
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Cache.SetAsync(TestKeys.Text("a"), "v", TimeSpan.Zero).AsTask());
        Assert.Equal(0, Store.Count("FILL") + Store.Count("PUT"));
    }

    [Fact]
    public async Task A_set_is_seen_at_once_by_who_set_it()
    {
        Store["test:text:a"] = "\"old\"";
        await Cache.GetAsync(TestKeys.Text("a"));

        await Cache.SetAsync(TestKeys.Text("a"), "new", TimeSpan.FromMinutes(1));

        Assert.Equal("new", (await Cache.GetAsync(TestKeys.Text("a"))).Value);
        Assert.Equal(TimeSpan.FromMinutes(1), Store.LastTimeToLive);
    }

    [Fact]
    public async Task A_set_value_that_is_too_large_is_refused_before_anything_is_sent()
    {
        using var node = new CacheHarness(new CacheOptions { MaxValueBytes = 100 });

        var refused = await Assert.ThrowsAsync<ArgumentException>(() =>
            node.Cache.SetAsync(TestKeys.Text("a"), new string('x', 99)).AsTask()
        );

        Assert.Contains("101 bytes", refused.Message, StringComparison.Ordinal);
        Assert.Contains("MaxValueBytes allows 100", refused.Message, StringComparison.Ordinal);
        Assert.Empty(node.Store.Commands);
    }

    [Fact]
    public async Task A_loaded_value_that_is_too_large_is_returned_and_not_stored()
    {
        using var node = new CacheHarness(new CacheOptions { MaxValueBytes = 100 });

        Assert.Equal(99, (await node.Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new(new string('x', 99))))?.Length);

        Assert.Equal(0, node.Store.Count("FILL"));
        Assert.Equal(0, node.Cache.Statistics().MemoryEntries);
        Assert.Equal(1, node.Cache.Statistics("text").StoreFailures);
        Assert.Contains(node.Log.All, line => line.Id == 2002);
    }

    [Fact]
    public async Task A_loaded_value_that_is_no_JSON_is_returned_and_not_stored()
    {
        var loop = new Loop("a");
        loop.Next = loop;

        Assert.Same(loop, await Cache.GetOrLoadAsync(TestKeys.As<Loop>("a"), _ => new(loop)));

        Assert.Equal(0, Store.Count("FILL"));
        Assert.Contains(_node.Log.All, line => line.Id == 2002);
    }

    [Fact]
    public async Task Many_are_read_in_one_command_and_come_from_wherever_they_are()
    {
        Store["test:text:a"] = "\"1\"";
        Store["test:text:b"] = "\"2\"";
        await Cache.GetAsync(TestKeys.Text("a"));

        var results = await Cache.GetManyAsync([TestKeys.Text("a"), TestKeys.Text("b"), TestKeys.Text("c"), TestKeys.Text("b")]);

        Assert.Equal(CacheTier.Memory, results[TestKeys.Text("a")].Tier);
        Assert.Equal(CacheTier.Redis, results[TestKeys.Text("b")].Tier);
        Assert.False(results[TestKeys.Text("c")].Found);
        Assert.Equal(3, results.Count);
        Assert.Equal(["GET test:text:a", "MGET test:text:b test:text:c"], Store.Commands);
    }

    [Fact]
    public async Task Very_many_are_read_with_one_question()
    {
        CacheKey<string>[] keys = [.. Enumerable.Range(0, 600).Select(i => TestKeys.Text(i.ToString()))];

        Assert.Equal(600, (await Cache.GetManyAsync(keys)).Count);

        Assert.Equal(1, Store.Count("MGET"));
        Assert.Equal(600, Cache.Statistics("text").Misses);
    }

    [Fact]
    public async Task On_servers_that_watch_nothing_memory_is_off_and_all_else_works()
    {
        using var node = new CacheHarness(watches: false);

        Assert.Equal("value", await node.Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("value")));
        for (var i = 0; i < 3; i++)
            Assert.Equal(CacheTier.Redis, (await node.Cache.GetAsync(TestKeys.Text("a"))).Tier);
        await node.Cache.InvalidateAsync(TestKeys.Text("a"));
        Assert.False((await node.Cache.GetAsync(TestKeys.Text("a"))).Found);

        Assert.Contains(node.Log.All, line => line.Id == 2012);
        Assert.Equal(0, node.Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task Nothing_asked_is_nothing_sent()
    {
        Assert.Empty(await Cache.GetManyAsync<string>([]));
        await Cache.SetManyAsync(new Dictionary<CacheKey<string>, string?>());
        await Cache.InvalidateManyAsync<string>([]);

        Assert.Empty(Store.Commands);
        Assert.Empty(_node.Events.Notified);
    }

    [Fact]
    public async Task Many_are_set_and_loaded_together()
    {
        await Cache.SetManyAsync(new Dictionary<CacheKey<string>, string?> { [TestKeys.Text("a")] = "1", [TestKeys.Text("b")] = null });

        var results = await Cache.GetOrLoadManyAsync(
            [TestKeys.Text("a"), TestKeys.Text("b"), TestKeys.Text("c")],
            static (keys, _) => new(keys.ToDictionary(key => key, key => (string?)("loaded " + key.Entry.First)))
        );

        Assert.Equal("1", results[TestKeys.Text("a")].Value);
        Assert.True(results[TestKeys.Text("b")] is { Found: true, HasValue: false });
        Assert.Equal("loaded c", results[TestKeys.Text("c")].Value);
        Assert.Equal("\"loaded c\"", Store["test:text:c"]);
    }

    [Fact]
    public async Task A_changed_object_does_not_change_what_memory_holds()
    {
        Store["test:basket:1"] = """{"things":["apple"]}""";
        await Cache.GetAsync(TestKeys.Basket("1"));

        var basket = (await Cache.GetAsync(TestKeys.Basket("1"))).Value!;
        basket.Things.Add("stone");
        var again = await Cache.GetAsync(TestKeys.Basket("1"));

        Assert.Equal(CacheTier.Memory, again.Tier);
        Assert.Equal(["apple"], again.Value!.Things);
    }

    [Fact]
    public async Task Types_said_to_be_immutable_are_the_same_object_for_all()
    {
        Store["test:text:a"] = """{"code":"basic"}""";
        await Cache.GetAsync(TestKeys.As<Tariff>("a"));
        Assert.Same((await Cache.GetAsync(TestKeys.As<Tariff>("a"))).Value, (await Cache.GetAsync(TestKeys.As<Tariff>("a"))).Value);

        using var node = new CacheHarness(new CacheOptions().TreatAsImmutable<Customer>());
        node.Store["test:customer:1"] = """{"lineNumber":"1","name":"Kim"}""";
        await node.Cache.GetAsync(TestKeys.Customer("1"));
        var first = await node.Cache.GetAsync(TestKeys.Customer("1"));
        Assert.Equal(CacheTier.Memory, first.Tier);
        Assert.Same(first.Value, (await node.Cache.GetAsync(TestKeys.Customer("1"))).Value);
    }

    [Fact]
    public async Task A_hit_in_memory_allocates_nothing()
    {
        Store["test:text:a"] = "\"value\"";
        Store["test:number:a"] = "7";
        await Cache.GetAsync(TestKeys.Text("a"));
        await Cache.GetAsync(TestKeys.Number("a"));
        var text = TestKeys.Text("a");
        var number = TestKeys.Number("a");

        await Allocation.NoneAsync(() =>
        {
            for (var i = 0; i < 1000; i++)
            {
                var get = Cache.GetAsync(text);
                Assert.True(get.IsCompletedSuccessfully && get.Result.Tier == CacheTier.Memory);
                var load = Cache.GetOrLoadAsync(number, 1, static (_, _) => new(0));
                Assert.True(load.IsCompletedSuccessfully && load.Result == 7);
            }
        });
    }

    [Fact]
    public async Task A_loader_that_is_missing_is_said_at_once()
    {
        var key = TestKeys.Text("a");
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await Cache.GetOrLoadAsync(key, null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await Cache.GetOrLoadAsync(key, 1, null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await Cache.GetOrLoadResultAsync(key, null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await Cache.GetOrLoadResultAsync(key, 1, null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await Cache.RefreshAsync(key, null!));
    }

    [Fact]
    public async Task A_cancelled_caller_sends_nothing()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Cache.GetAsync(TestKeys.Text("a"), cancelled.Token).AsTask());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("v"), cancelled.Token).AsTask()
        );
        Assert.Empty(Store.Commands);
    }

    [Fact]
    public async Task A_family_that_the_catalog_lacks_is_a_clear_mistake()
    {
        var key = new CacheKey<string>(new EntryKey(new KeyFamily("tekst", "id"), "a"));

        var mistake = await Assert.ThrowsAsync<KeyNotFoundException>(() => Cache.GetAsync(key).AsTask());

        Assert.Contains("\"tekst\"", mistake.Message, StringComparison.Ordinal);
        Assert.Throws<KeyNotFoundException>(() => Cache.Statistics("tekst"));
    }

    [Fact]
    public async Task After_its_end_the_cache_listens_to_nothing_and_holds_nothing()
    {
        Store["test:text:a"] = "\"value\"";
        await Cache.GetAsync(TestKeys.Text("a"));

        await Cache.DisposeAsync();

        Assert.Equal(0, _node.Events.Handlers);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
        Assert.Equal(0, _node.Time.WaitingTimers);
    }
}
