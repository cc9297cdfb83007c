using System.Globalization;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>The cache on a healthy redis-server, alone and as several nodes.</summary>
public sealed class CacheOnRedisTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task An_entry_is_plain_JSON_that_any_program_reads_and_lives_as_long_as_the_catalog_says()
    {
        await using var node = await StartAsync();

        await node.Cache.GetOrLoadAsync(CacheNode.Customer("plain"), static _ => new(new Customer("plain", "Kim"))).Within();

        Assert.Equal("""{"lineNumber":"plain","name":"Kim","nickname":null}""", await Server.CommandAsync("GET", "test:customer:plain"));
        var milliseconds = int.Parse((await Server.CommandAsync("PTTL", "test:customer:plain"))!, CultureInfo.InvariantCulture);
        Assert.InRange(TimeSpan.FromMilliseconds(milliseconds), TimeSpan.FromMinutes(27.5), TimeSpan.FromMinutes(31));
    }

    [Fact]
    public async Task What_another_program_wrote_is_read()
    {
        await using var node = await StartAsync();
        await Server.CommandAsync("SET", "test:customer:go", """{ "name": "Lee", "lineNumber": "go", "unknown": [1] }""");

        var result = await node.Cache.GetAsync(CacheNode.Customer("go")).Within();

        Assert.Equal((new Customer("go", "Lee"), CacheTier.Redis), (result.Value, result.Tier));
    }

    [Fact]
    public async Task The_tiers_are_loader_Redis_memory_and_Redis_for_the_next_node()
    {
        await using var node = await StartAsync();
        await using var other = await StartAsync();
        async Task<CacheTier> TierAt(CacheNode at) =>
            (await at.Cache.GetOrLoadResultAsync(CacheNode.Customer("tiers"), static _ => new(new Customer("tiers", "Kim"))).Within()).Tier;

        Assert.Equal(CacheTier.Loader, await TierAt(node));
        Assert.Equal(CacheTier.Redis, await TierAt(node));
        Assert.Equal(CacheTier.Memory, await TierAt(node));
        Assert.Equal(CacheTier.Redis, await TierAt(other));
    }

    [Fact]
    public async Task Null_derived_types_and_large_values_come_back_as_they_were()
    {
        await using var node = await StartAsync();
        var large = new string('값', 2_000_000);
        await node.Cache.SetAsync(CacheNode.Payment("card"), new Card(12.5m, "visa")).Within();
        await node.Cache.SetAsync(CacheNode.Payment("transfer"), new Transfer(3, "kb")).Within();
        await node.Cache.SetAsync(CacheNode.Payment("none"), null).Within();

        Assert.Equal(new Card(12.5m, "visa"), (await node.Cache.GetAsync(CacheNode.Payment("card")).Within()).Value);
        Assert.Equal(new Transfer(3, "kb"), (await node.Cache.GetAsync(CacheNode.Payment("transfer")).Within()).Value);
        Assert.True(await node.Cache.GetAsync(CacheNode.Payment("none")).Within() is { Found: true, HasValue: false });
        Assert.Equal("null", await Server.CommandAsync("GET", "test:payment:none"));
        var milliseconds = int.Parse((await Server.CommandAsync("PTTL", "test:payment:none"))!, CultureInfo.InvariantCulture);
        Assert.InRange(milliseconds, 1, 20_000);

        await using var patient = await StartAsync(static options => options.Cache.MaxValueBytes = 20 << 20);
        await patient.Cache.SetAsync(CacheNode.Text("large"), large).Within();
        Assert.Equal(large, (await patient.Cache.GetAsync(CacheNode.Text("large")).Within()).Value);
    }

    [Fact]
    public async Task Many_are_set_read_loaded_and_removed_together()
    {
        await using var node = await StartAsync();
        CacheKey<string>[] keys = [.. Enumerable.Range(0, 700).Select(i => CacheNode.Text("many" + i))];
        await node.Cache.SetManyAsync(keys[..600].ToDictionary(key => key, key => (string?)key.Entry.First)).Within();

        var read = await node.Cache.GetManyAsync(keys).Within();
        var loaded = await node
            .Cache.GetOrLoadManyAsync(keys, static (missing, _) => new(missing.ToDictionary(key => key, _ => (string?)"loaded")))
            .Within();
        await node.Cache.InvalidateManyAsync(keys).Within();
        var gone = await node.Cache.GetManyAsync(keys).Within();

        Assert.Equal(600, read.Values.Count(result => result.HasValue));
        Assert.All(keys[..600], key => Assert.Equal(key.Entry.First, read[key].Value));
        Assert.Equal(100, loaded.Values.Count(result => result.Tier == CacheTier.Loader));
        Assert.DoesNotContain(gone.Values, result => result.Found);
    }

    [Fact]
    public async Task A_hundred_callers_cost_one_load()
    {
        await using var node = await StartAsync();
        var loads = 0;
        var release = new TaskCompletionSource();

        var callers = Enumerable
            .Range(0, 100)
            .Select(_ =>
                node.Cache.GetOrLoadAsync(
                        CacheNode.Text("hundred"),
                        async _ =>
                        {
                            Interlocked.Increment(ref loads);
                            await release.Task;
                            return (string?)"value";
                        }
                    )
                    .AsTask()
            )
            .ToList();
        await CacheNode.UntilAsync(() => Volatile.Read(ref loads) > 0);
        release.SetResult();

        Assert.All(await Task.WhenAll(callers).Within(), value => Assert.Equal("value", value));
        Assert.Equal(1, loads);
    }

    [Fact]
    public async Task An_invalidation_also_withdraws_the_right_to_fill()
    {
        await using var node = await StartAsync();
        await Server.CommandAsync("SET", "{test:customer:lease}:l", "somebody");

        await node.Cache.InvalidateAsync(CacheNode.Customer("lease")).Within();

        Assert.Equal("0", await Server.CommandAsync("EXISTS", "{test:customer:lease}:l"));
    }

    [Fact]
    public async Task An_invalidation_on_one_node_empties_the_memory_of_the_other()
    {
        await using var node = await StartAsync();
        await using var other = await StartAsync();
        await ReadIntoMemoryAsync(other, "far");

        await node.Cache.InvalidateAsync(CacheNode.Customer("far")).Within();

        await CacheNode.UntilAsync(() => other.Cache.Statistics("customer").Invalidations == 1);
        Assert.False((await other.Cache.GetAsync(CacheNode.Customer("far")).Within()).Found);
    }

    [Fact]
    public async Task A_catalog_event_drops_its_entries_from_Redis_before_it_is_heard_and_from_every_memory()
    {
        await using var node = await StartAsync();
        await using var other = await StartAsync();
        await ReadIntoMemoryAsync(node, "event");
        await ReadIntoMemoryAsync(other, "event");

        await node.Events.PublishAsync(CacheNode.CustomerUpdated, new CustomerUpdated("event")).Within();

        Assert.False((await node.Cache.GetAsync(CacheNode.Customer("event")).Within()).Found);
        await CacheNode.UntilAsync(() => other.Cache.Statistics("customer").Invalidations == 1);
        Assert.False((await other.Cache.GetAsync(CacheNode.Customer("event")).Within()).Found);
    }

    [Fact]
    public async Task An_event_that_a_program_without_Onggi_publishes_drops_its_entries_too()
    {
        await using var node = await StartAsync();
        await ReadIntoMemoryAsync(node, "foreign");

        await Server.CommandAsync(
            "PUBLISH",
            "test:events:global:customer.updated",
            """{"type":"customer.updated","source":"go-service","metadata":{},"data":{"lineNumber":"foreign"}}"""
        );

        await CacheNode.UntilAsync(() => node.Log.Any(line => line.Id == 2007));
        Assert.Equal("0", await Server.CommandAsync("EXISTS", "test:customer:foreign"));
        Assert.False((await node.Cache.GetAsync(CacheNode.Customer("foreign")).Within()).Found);
    }

    [Fact]
    public async Task A_load_that_an_event_of_another_node_overtakes_is_not_stored()
    {
        await using var node = await StartAsync();
        await using var other = await StartAsync();
        var begun = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        var loading = node
            .Cache.GetOrLoadAsync(
                CacheNode.Customer("overtaken"),
                async _ =>
                {
                    begun.SetResult();
                    await release.Task;
                    return new Customer("overtaken", "old");
                }
            )
            .AsTask();
        await begun.Task.Within();

        await other.Events.PublishAsync(CacheNode.CustomerUpdated, new CustomerUpdated("overtaken")).Within();
        await CacheNode.UntilAsync(() => node.Cache.Statistics("customer").Invalidations == 1);
        release.SetResult();

        Assert.Equal("old", (await loading.Within())?.Name);
        Assert.Equal("0", await Server.CommandAsync("EXISTS", "test:customer:overtaken"));
    }

    [Fact]
    public async Task Warming_fills_Redis_for_everybody()
    {
        await using var node = await StartAsync();

        var report = await node.Cache.WarmAsync("texts", Texts(1000)).Within();

        Assert.Equal((1000L, 0L), (report.Stored, report.Failed));
        Assert.Equal("\"999\"", await Server.CommandAsync("GET", "test:text:warm999"));
    }

    [Fact]
    public async Task Random_changes_on_one_node_never_leave_that_node_an_old_value()
    {
        await using var node = await StartAsync();
        var version = 0;
        var confirmed = 0;
        await Task.WhenAll(
                Enumerable
                    .Range(0, 16)
                    .Select(worker =>
                        Task.Run(async () =>
                        {
                            var random = Seed.For("random-changes" + worker);
                            for (var i = 0; i < 400; i++)
                            {
                                if (random.Next(10) == 0)
                                {
                                    var made = Interlocked.Increment(ref version);
                                    await node.Cache.InvalidateAsync(CacheNode.Text("random"));
                                    for (var seen = Volatile.Read(ref confirmed); seen < made; seen = Volatile.Read(ref confirmed))
                                        Interlocked.CompareExchange(ref confirmed, made, seen);
                                    continue;
                                }

                                var oldest = Volatile.Read(ref confirmed);
                                var value = await node.Cache.GetOrLoadAsync(
                                    CacheNode.Text("random"),
                                    async _ =>
                                    {
                                        var loaded = Volatile.Read(ref version);
                                        await Task.Yield();
                                        return loaded.ToString(CultureInfo.InvariantCulture);
                                    }
                                );
                                Assert.True(
                                    int.Parse(value!, CultureInfo.InvariantCulture) >= oldest,
                                    $"{value} was handed out after {oldest} was confirmed; {Seed.Line}"
                                );
                            }
                        })
                    )
            )
            .Within();
    }

    private static async IAsyncEnumerable<KeyValuePair<CacheKey<string>, string?>> Texts(int count)
    {
        for (var i = 0; i < count; i++)
        {
            await Task.Yield();
            yield return new(CacheNode.Text("warm" + i), i.ToString(CultureInfo.InvariantCulture));
        }
    }

    private async Task ReadIntoMemoryAsync(CacheNode node, string lineNumber)
    {
        await Server.CommandAsync("SET", "test:customer:" + lineNumber, $$"""{"lineNumber":"{{lineNumber}}","name":"Kim"}""");
        await node.Cache.GetAsync(CacheNode.Customer(lineNumber)).Within();
    }

    private Task<CacheNode> StartAsync(Action<OnggiOptions>? configure = null) => CacheNode.StartAsync(Server.ConnectionString, configure);
}
