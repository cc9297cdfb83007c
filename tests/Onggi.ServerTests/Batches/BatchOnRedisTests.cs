using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Batches;

/// <summary>What a batch does, and that it does it as the cache would.</summary>
[Collection(CoherenceScriptTests.Name)]
public sealed class BatchOnRedisTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>, IDisposable
{
    private RedisServerProcess Server => fixture.Server;

    public void Dispose() => CoherenceMutants.LeaseStays = false;

    [Fact]
    public async Task Each_entry_of_many_families_has_its_own_result()
    {
        await using var node = await NodeAsync();
        await node.Cache.SetAsync(CacheNode.Customer("own"), new Customer("own", "Kim")).Within();
        await node.Cache.SetAsync(CacheNode.Payment("own"), new Card(3, "visa")).Within();
        await Server.CommandAsync("LPUSH", "test:text:own-list", "x");
        await Server.CommandAsync("SET", "test:text:own-garbage", "{");
        var batch = node.Keyspace.Batch();

        var customer = batch.Get(CacheNode.Customer("own"));
        var missing = batch.Get(CacheNode.Customer("own-missing"));
        var list = batch.Get(CacheNode.Text("own-list"));
        var garbage = batch.Get(CacheNode.Text("own-garbage"));
        var set = batch.Set(CacheNode.Text("own-set"), "value");
        var absent = batch.Set(CacheNode.Text("own-null"), null);
        var deleted = batch.Delete(CacheNode.Payment("own"));
        var deletedNothing = batch.Delete(CacheNode.Payment("own-missing"));
        var expired = batch.Expire(CacheNode.Text("own-missing"));
        Assert.Equal((BatchOutcome.NotSent, Sent.No), (set.Outcome, set.Sent));
        Assert.Throws<InvalidOperationException>(() => set.Value);
        var report = await batch.SendAsync().Within();

        Assert.True(report.IsComplete);
        Assert.Equal(9, report.Answered);
        report.ThrowIfFailed();
        Assert.Equal("Kim", customer.Value.Value?.Name);
        Assert.False(missing.Value.Found);
        Assert.False(list.Value.Found);
        Assert.False(garbage.Value.Found);
        Assert.Contains(node.Log, line => line.Id == 2001);
        Assert.True(set.Value);
        Assert.True(absent.Value);
        Assert.True(deleted.Value);
        Assert.False(deletedNothing.Value);
        Assert.False(expired.Value);
        Assert.Equal("\"value\"", await Server.CommandAsync("GET", "test:text:own-set"));
        Assert.Equal("null", await Server.CommandAsync("GET", "test:text:own-null"));
        Assert.Null(await Server.CommandAsync("GET", "test:payment:own"));
        await batch.SendAsync().FailsWith<BatchReport, InvalidOperationException>();
        Assert.Throws<InvalidOperationException>(() => batch.Get(CacheNode.Text("late")));
    }

    [Fact]
    public async Task All_goes_out_in_one_flush_with_the_lives_of_the_catalog()
    {
        const int Entries = 200;
        CountingTransports? network = null;
        await using var node = await NodeAsync(options =>
        {
            // Its question goes out three times in a bound.
            options.Cache.MaxStaleness = TimeSpan.FromSeconds(10);
            options.ConfigureClient = client => client.Transports = network = new CountingTransports(client.Transports);
        });
        await node.Cache.GetAsync(CacheNode.Text("flush")).Within();
        var batch = node.Keyspace.Batch();
        for (var i = 0; i < Entries; i++)
            batch.Set(CacheNode.Text($"flush-{i}"), "value");
        var calls = await CallsAsync("evalsha");
        var sends = network!.Sends;

        Assert.Equal(Entries, (await batch.SendAsync().Within()).Answered);

        // Two for what goes on beside it: a question for the epoch, another connection's sign of life.
        Assert.InRange(network.Sends - sends, 1, 3);
        Assert.InRange(await CallsAsync("evalsha") - calls, Entries, Entries + 10);
        var settings = node.Keyspace.Keys.SettingsOf(CacheNode.Text("x").Family);
        for (var i = 0; i < Entries; i += 40)
        {
            var life = node.Keyspace.Keys.PhysicalTtl(settings, $"test:text:flush-{i}").TotalMilliseconds;
            Assert.InRange(await NumberAsync("PTTL", $"test:text:flush-{i}"), life - 30_000, life);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_load_that_began_before_a_delete_is_not_stored_after_it(bool leaseStays)
    {
        await using var node = await NodeAsync();
        await using var other = await NodeAsync();
        var (began, release) = (NewGate(), NewGate());
        var loading = other
            .Cache.GetOrLoadAsync(
                CacheNode.Text($"race-{leaseStays}"),
                async _ =>
                {
                    began.SetResult();
                    await release.Task;
                    return (string?)"old";
                }
            )
            .AsTask();
        await began.Task.Within();
        CoherenceMutants.LeaseStays = leaseStays;

        var batch = node.Keyspace.Batch();
        var delete = batch.Delete(CacheNode.Text($"race-{leaseStays}"));
        await batch.SendAsync().Within();
        CoherenceMutants.LeaseStays = false;
        release.SetResult();

        Assert.Equal("old", await loading.Within());
        Assert.Equal(!leaseStays, delete.Value);
        Assert.Equal(leaseStays, await Server.CommandAsync("GET", $"test:text:race-{leaseStays}") is not null);
    }

    [Fact]
    public async Task A_load_that_began_before_a_set_is_not_stored_after_it()
    {
        await using var node = await NodeAsync();
        var (began, release) = (NewGate(), NewGate());
        var loading = node
            .Cache.GetOrLoadAsync(
                CacheNode.Text("set-race"),
                async _ =>
                {
                    began.SetResult();
                    await release.Task;
                    return (string?)"old";
                }
            )
            .AsTask();
        await began.Task.Within();

        var batch = node.Keyspace.Batch();
        batch.Set(CacheNode.Text("set-race"), "new");
        (await batch.SendAsync().Within()).ThrowIfFailed();
        release.SetResult();
        await loading.Within();

        Assert.Equal("\"new\"", await Server.CommandAsync("GET", "test:text:set-race"));
        Assert.Equal("new", (await node.Cache.GetAsync(CacheNode.Text("set-race")).Within()).Value);
    }

    [Theory]
    [InlineData(BatchOperation.Set)]
    [InlineData(BatchOperation.Delete)]
    [InlineData(BatchOperation.Expire)]
    public async Task What_memories_have_is_dropped_here_at_once_and_elsewhere_when_Redis_says_so(BatchOperation operation)
    {
        await using var node = await NodeAsync();
        await using var other = await NodeAsync();
        var key = CacheNode.Text($"memory-{operation}");
        await node.Cache.SetAsync(key, "old").Within();
        await InMemoryAsync(node, key);
        await InMemoryAsync(other, key);

        var batch = node.Keyspace.Batch();
        var entry =
            operation == BatchOperation.Set ? batch.Set(key, "new")
            : operation == BatchOperation.Delete ? batch.Delete(key)
            : batch.Expire(key, TimeSpan.FromMinutes(5));
        await batch.SendAsync().Within();

        Assert.True(entry.Value);
        Assert.False(node.Cache.TryPeek(key, out _));
        await CacheNode.UntilAsync(() => !other.Cache.TryPeek(key, out _));
        var now = await node.Cache.GetAsync(key).Within();
        Assert.Equal(
            operation switch
            {
                BatchOperation.Set => "new",
                BatchOperation.Delete => null,
                _ => "old",
            },
            now.Value
        );
    }

    [Fact]
    public async Task What_memory_has_is_not_asked_for_and_what_is_read_in_bulk_is_not_kept()
    {
        await using var node = await NodeAsync();
        await node.Cache.SetAsync(CacheNode.Text("kept"), "kept").Within();
        await node.Cache.SetAsync(CacheNode.Text("bulk"), "bulk").Within();
        await InMemoryAsync(node, CacheNode.Text("kept"));

        var batch = node.Keyspace.Batch();
        var kept = batch.Get(CacheNode.Text("kept"));
        var bulk = batch.Get(CacheNode.Text("bulk"));
        await batch.SendAsync().Within();

        Assert.Equal(("kept", CacheTier.Memory), (kept.Value.Value, kept.Value.Tier));
        Assert.Equal(("bulk", CacheTier.Redis), (bulk.Value.Value, bulk.Value.Tier));
        Assert.False(node.Cache.TryPeek(CacheNode.Text("bulk"), out _));
    }

    [Fact]
    public async Task What_is_deleted_is_counted_and_told()
    {
        await using var node = await NodeAsync();
        await using var subscription = await node.Redis.SubscribeAsync("test:events:global:cache.invalidated");
        await using var heard = subscription.ReadAllAsync().GetAsyncEnumerator();
        var before = node.Cache.Statistics("customer").Invalidations;

        var batch = node.Keyspace.Batch();
        batch.Delete(CacheNode.Customer("told-1"));
        batch.Delete(CacheNode.Customer("told-2"));
        await batch.SendAsync().Within();

        Assert.True(await heard.MoveNextAsync().Within());
        var told = JsonDocument.Parse(heard.Current.Payload).RootElement.GetProperty("data");
        Assert.Equal("customer", told.GetProperty("family").GetString());
        Assert.Equal(
            ["test:customer:told-1", "test:customer:told-2"],
            told.GetProperty("keys").EnumerateArray().Select(static key => key.GetString())
        );
        Assert.Equal(before + 2, node.Cache.Statistics("customer").Invalidations);
    }

    [Fact]
    public async Task A_strict_family_is_waited_for_once()
    {
        await using var node = await NodeAsync(options =>
        {
            options.Cache.MaxStaleness = TimeSpan.FromMilliseconds(600);
            options.Cache.ForFamily("customer", static family => family.Invalidation = Invalidation.Strict);
        });
        await node.Cache.GetAsync(CacheNode.Text("strict")).Within();
        var batch = node.Keyspace.Batch();
        for (var i = 0; i < 20; i++)
            batch.Delete(CacheNode.Customer($"strict-{i}"));
        var clock = Stopwatch.StartNew();

        await batch.SendAsync().Within();

        Assert.InRange(clock.Elapsed.TotalMilliseconds, 600, 20 * 600 / 2);
    }

    [Fact]
    public async Task A_life_begins_anew_only_within_itself()
    {
        await using var node = await NodeAsync();
        await node.Cache.SetAsync(CacheNode.Text("fresh"), "value", TimeSpan.FromSeconds(40)).Within();
        await node.Cache.SetAsync(CacheNode.Text("nothing"), null).Within();
        await Server.CommandAsync("SET", "test:text:stale", "\"old\"", "PX", "50000");
        await Server.CommandAsync("LPUSH", "test:text:list", "x");

        var batch = node.Keyspace.Batch();
        var fresh = batch.Expire(CacheNode.Text("fresh"));
        var nothing = batch.Expire(CacheNode.Text("nothing"), TimeSpan.FromSeconds(5));
        var stale = batch.Expire(CacheNode.Text("stale"));
        var list = batch.Expire(CacheNode.Text("list"));
        var report = await batch.SendAsync().Within();

        Assert.Equal((true, true, false), (fresh.Value, nothing.Value, stale.Value));
        Assert.Equal("WRONGTYPE", Assert.IsType<RedisServerException>(list.Error).Code);
        Assert.Same(list.Error, report.FirstError);
        Assert.Throws<RedisServerException>(report.ThrowIfFailed);
        // 30 min and a minute of grace, less a tenth at the most.
        Assert.InRange(await NumberAsync("PTTL", "test:text:fresh"), 1_600_000, 1_860_000);
        Assert.InRange(await NumberAsync("PTTL", "test:text:nothing"), 1, 5_000);
        Assert.InRange(await NumberAsync("PTTL", "test:text:stale"), 1, 50_000);
    }

    [Fact]
    public async Task A_family_that_judges_the_age_of_values_is_read_by_its_own_rule_and_its_lives_are_not_touched()
    {
        await using var node = await NodeAsync(options =>
        {
            options.Cache.ClockSkew = TimeSpan.Zero;
            options.Cache.ForFamily("text", static family => family.FailoverSafety = FailoverSafety.Strict);
        });
        await CacheNode.UntilAsync(() => node.Cache.Link.Epoch is not null);
        await node.Cache.SetAsync(CacheNode.Text("judged"), "new").Within();
        // By its life it was written long before this server began.
        await Server.CommandAsync("SET", "test:text:judged-old", "\"old\"", "PX", "100000");

        var batch = node.Keyspace.Batch();
        var judged = batch.Get(CacheNode.Text("judged"));
        var old = batch.Get(CacheNode.Text("judged-old"));
        await batch.SendAsync().Within();

        Assert.Equal("new", judged.Value.Value);
        Assert.False(old.Value.Found);
        Assert.Throws<InvalidOperationException>(() => node.Keyspace.Batch().Expire(CacheNode.Text("judged")));
        Assert.Throws<InvalidOperationException>(() => node.Keyspace.Batch().Set(CacheNode.Text("judged"), "x", TimeSpan.FromSeconds(1)));
        Assert.Throws<ArgumentException>(() => node.Keyspace.AtomicBatch().Get(CacheNode.Text("judged")));
    }

    [Fact]
    public async Task What_does_not_fit_is_said_before_anything_is_sent()
    {
        await using var node = await NodeAsync(options =>
        {
            (options.Batches.MaxEntries, options.Batches.MaxBytes) = (3, 200);
            (options.Batches.MaxAtomicEntries, options.Batches.MaxAtomicBytes) = (1, 100);
            options.Cache.MaxValueBytes = 150;
        });
        var batch = node.Keyspace.Batch();
        batch.Set(CacheNode.Text("cap-1"), new string('x', 120));
        var bytes = Assert.Throws<InvalidOperationException>(() => batch.Set(CacheNode.Text("cap-2"), new string('x', 120)));
        Assert.Contains("200 of BatchOptions.MaxBytes", bytes.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => batch.Set(CacheNode.Text("cap-3"), new string('x', 200)));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Set(CacheNode.Text("cap-3"), "x", TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Expire(CacheNode.Text("cap-3"), TimeSpan.Zero));
        batch.Get(CacheNode.Text("cap-3"));
        batch.Get(CacheNode.Text("cap-3"));
        var count = Assert.Throws<InvalidOperationException>(() => batch.Get(CacheNode.Text("cap-4")));
        Assert.Contains("BatchOptions.MaxEntries", count.Message, StringComparison.Ordinal);
        var atomic = node.Keyspace.AtomicBatch();
        Assert.Throws<InvalidOperationException>(() => atomic.Set(CacheNode.Text("cap-5"), new string('x', 120)));
        atomic.Delete(CacheNode.Text("cap-5"));
        Assert.Throws<InvalidOperationException>(() => atomic.Delete(CacheNode.Text("cap-5")));

        Assert.Equal(3, batch.Entries.Count);
        Assert.Equal(3, (await batch.SendAsync().Within()).Answered);
        Assert.True((await node.Keyspace.Batch().SendAsync().Within()).IsComplete);
    }

    [Fact]
    public async Task A_key_that_is_changed_stands_in_a_batch_once()
    {
        await using var node = await NodeAsync();
        var batch = node.Keyspace.Batch();
        batch.Set(CacheNode.Text("twice"), "a");
        batch.Get(CacheNode.Text("read"));

        Assert.Contains(
            "text",
            Assert.Throws<ArgumentException>(() => batch.Get(CacheNode.Text("twice"))).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => batch.Delete(CacheNode.Text("twice")));
        Assert.Throws<ArgumentException>(() => batch.Delete(CacheNode.Text("read")));

        var reads = node.Keyspace.Batch();
        reads.Get(CacheNode.Text("read"));
        reads.Get(CacheNode.Text("read"));
        Assert.Throws<ArgumentException>(() => reads.Set(CacheNode.Text("read"), "b"));
    }

    [Fact]
    public async Task What_a_batch_reads_and_does_not_keep_the_server_need_not_watch()
    {
        const int Entries = 50;
        await using var node = await NodeAsync();
        for (var i = 0; i < Entries; i++)
            await Server.CommandAsync("SET", $"test:text:unwatched-{i}", "\"value\"", "PX", "600000");
        var watched = await WatchedAsync();
        var batch = node.Keyspace.Batch();
        var gets = Enumerable.Range(0, Entries).Select(i => batch.Get(CacheNode.Text($"unwatched-{i}"))).ToList();

        Assert.True((await batch.SendAsync().Within()).IsComplete);

        Assert.All(gets, static get => Assert.Equal("value", get.Value.Value));
        // The cache's own question for the epoch may come in between.
        Assert.InRange(await WatchedAsync() - watched, 0, 2);
    }

    private Task<CacheNode> NodeAsync(Action<OnggiOptions>? configure = null) => CacheNode.StartAsync(Server.ConnectionString, configure);

    private static async Task InMemoryAsync(CacheNode node, Onggi.Keys.CacheKey<string> key) =>
        await CacheNode.UntilAsync(async () =>
        {
            await node.Cache.GetAsync(key);
            return node.Cache.TryPeek(key, out _);
        });

    private static TaskCompletionSource NewGate() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task<long> NumberAsync(params string[] command) =>
        long.Parse((await Server.CommandAsync(command))!, CultureInfo.InvariantCulture);

    private async Task<long> WatchedAsync() =>
        long.Parse(
            (await Server.CommandAsync("INFO", "stats"))!.Split("tracking_total_keys:")[1].Split('\r')[0],
            CultureInfo.InvariantCulture
        );

    private async Task<long> CallsAsync(string command)
    {
        var stats = (await Server.CommandAsync("INFO", "commandstats"))!;
        return stats
            .Split('\n')
            .Where(line => line.StartsWith($"cmdstat_{command}:", StringComparison.Ordinal))
            .Sum(line => long.Parse(line.Split("calls=")[1].Split(',')[0], CultureInfo.InvariantCulture));
    }
}
