using Onggi.Client;
using Onggi.Keys;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.Testing;

namespace Onggi.ServerTests.Batches;

/// <summary>One step, or none; and many servers.</summary>
public sealed class AtomicBatchTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task An_atomic_batch_is_one_step_in_the_order_of_its_entries()
    {
        await using var node = await CacheNode.StartAsync(Server.ConnectionString);
        var slot = SlotSteering.SlotOf("test:text:order");
        await node.Cache.SetAsync(CacheNode.Payment(PaymentIn(slot)), new Card(1, "visa")).Within();
        await Server.CommandAsync("LPUSH", $"test:customer:{CustomerIn(slot)}", "x");
        var scripts = await ScriptsAsync();

        var batch = node.Keyspace.AtomicBatch();
        var before = batch.Get(CacheNode.Text("order"));
        var set = batch.Set(CacheNode.Text("order"), "value");
        var after = batch.Get(CacheNode.Text("order"));
        var deleted = batch.Delete(CacheNode.Payment(PaymentIn(slot)));
        var list = batch.Get(CacheNode.Customer(CustomerIn(slot)));
        var expired = batch.Expire(CacheNode.Text("order"), TimeSpan.FromMinutes(2));
        var wrong = batch.Expire(CacheNode.Customer(CustomerIn(slot)));
        var report = await batch.SendAsync().Within();

        Assert.Equal((6, 1), (report.Answered, report.Failed));
        Assert.False(before.Value.Found);
        Assert.True(set.Value);
        Assert.Equal("value", after.Value.Value);
        Assert.True(deleted.Value);
        Assert.False(list.Value.Found);
        Assert.True(expired.Value);
        Assert.Equal("WRONGTYPE", ((RedisServerException)wrong.Error!).Code);
        Assert.InRange(await ScriptsAsync() - scripts, 1, 4);
    }

    [Fact]
    public async Task Who_may_only_read_reads_in_one_step_too()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using (var writer = await CacheNode.StartAsync(server.ConnectionString))
            await writer.Cache.SetAsync(CacheNode.Text("read"), "value").Within();
        await server.CommandAsync(
            "ACL",
            "SETUSER",
            "reader",
            "on",
            ">secret",
            "+@all",
            "&*",
            "%R~test:text:*",
            "~test:onggi:*",
            "~{test:onggi:*"
        );
        await using var node = await CacheNode.StartAsync($"{server.ConnectionString},user=reader,password=secret");
        var batch = node.Keyspace.AtomicBatch();
        var read = batch.Get(CacheNode.Text("read"));

        (await batch.SendAsync().Within()).ThrowIfFailed();

        Assert.Equal("value", read.Value.Value);
        var refused = node.Keyspace.Batch();
        var set = refused.Set(CacheNode.Text("read"), "other");
        var get = refused.Get(CacheNode.Text("other"));
        await refused.SendAsync().Within();
        Assert.Equal(("NOPERM", Sent.No), (((RedisServerException)set.Error!).Code, set.Sent));
        Assert.False(get.Value.Found);
    }

    [Fact]
    public async Task Across_slots_it_is_refused_in_words_that_name_the_families()
    {
        await using var node = await CacheNode.StartAsync(Server.ConnectionString);
        var batch = node.Keyspace.AtomicBatch();
        batch.Set(CacheNode.Text("a"), "value");

        var refused = Assert.Throws<ArgumentException>(() => batch.Delete(CacheNode.Customer("b")));

        Assert.Contains("text and customer", refused.Message, StringComparison.Ordinal);
        Assert.Contains("slots", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("test:", refused.Message, StringComparison.Ordinal);
        Assert.Equal(1, (await batch.SendAsync().Within()).Answered);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_full_Redis_executes_all_of_an_atomic_batch_or_nothing(bool setFirst)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        var slot = SlotSteering.SlotOf("test:text:full");
        var payment = CacheNode.Payment(PaymentIn(slot));
        await node.Cache.SetAsync(payment, new Card(1, "visa")).Within();
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var batch = node.Keyspace.AtomicBatch();
        if (!setFirst)
            batch.Delete(payment);
        var set = batch.Set(CacheNode.Text("full"), "value");
        if (setFirst)
            batch.Delete(payment);
        var report = await batch.SendAsync().Within();

        Assert.Equal(setFirst ? 0 : 2, report.Answered);
        if (setFirst)
            Assert.Equal(("OOM", Sent.No), (((RedisServerException)report.FirstError!).Code, set.Sent));
        Assert.Equal(setFirst, await server.CommandAsync("GET", "test:text:full") is null);
        Assert.Equal(setFirst, await server.CommandAsync("GET", $"test:payment:{PaymentIn(slot)}") is not null);
    }

    [Fact]
    public async Task On_a_cluster_a_batch_goes_to_all_servers_at_once_and_an_atomic_one_to_its_own()
    {
        const int Entries = 300;
        await using var cluster = await RedisClusterProcesses.StartAsync(replicas: 0);
        await using var node = await CacheNode.StartAsync(cluster.ConnectionString);
        var sets = node.Keyspace.Batch();
        for (var i = 0; i < Entries; i++)
        {
            sets.Set(CacheNode.Text($"{i}"), $"value {i}");
            sets.Set(CacheNode.Customer($"{i}"), new Customer($"{i}", "Kim"));
        }

        (await sets.SendAsync().Within()).ThrowIfFailed();
        foreach (var primary in cluster.Primaries)
            Assert.InRange(int.Parse((await primary.CommandAsync("DBSIZE"))!), Entries / 3, Entries);

        var mixed = node.Keyspace.Batch();
        var gets = Enumerable.Range(0, Entries).Select(i => mixed.Get(CacheNode.Text($"{i}"))).ToArray();
        var deletes = Enumerable.Range(0, Entries).Select(i => mixed.Delete(CacheNode.Customer($"{i}"))).ToArray();
        (await mixed.SendAsync().Within()).ThrowIfFailed();
        Assert.Equal(Enumerable.Range(0, Entries).Select(i => $"value {i}"), gets.Select(get => get.Value.Value));
        Assert.All(deletes, delete => Assert.True(delete.Value));

        var slot = SlotSteering.SlotOf("test:text:7");
        var atomic = node.Keyspace.AtomicBatch();
        atomic.Set(CacheNode.Payment(PaymentIn(slot)), new Card(1, "visa"));
        var read = atomic.Get(CacheNode.Text("7"));
        (await atomic.SendAsync().Within()).ThrowIfFailed();
        Assert.Equal("value 7", read.Value.Value);
    }

    private static string PaymentIn(int slot) => "p" + SlotSteering.SuffixTo("test:payment:p", slot);

    private static string CustomerIn(int slot) => "c" + SlotSteering.SuffixTo("test:customer:c", slot);

    private async Task<long> ScriptsAsync() => await Locks.LockAsking.ScriptsRunAsync(Server);
}
