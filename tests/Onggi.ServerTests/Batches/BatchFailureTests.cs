using System.Globalization;
using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Batches;

/// <summary>Each row of the failure table of docs/features/batches.md: what every single entry says, and whether that is true.</summary>
public sealed class BatchFailureTests
{
    private const int Entries = 9_900;

    [Fact]
    public async Task A_full_Redis_refuses_sets_and_does_the_rest()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        await node.Cache.SetAsync(CacheNode.Text("there"), "value").Within();
        await node.Cache.SetAsync(CacheNode.Text("gone"), "value").Within();
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var batch = node.Keyspace.Batch();
        var set = batch.Set(CacheNode.Text("new"), "value");
        var get = batch.Get(CacheNode.Text("there"));
        var delete = batch.Delete(CacheNode.Text("gone"));
        var report = await batch.SendAsync().Within();

        Assert.Equal((2, 1), (report.Answered, report.Failed));
        Assert.Equal(("OOM", Sent.No), (((RedisServerException)set.Error!).Code, set.Sent));
        Assert.Throws<RedisServerException>(() => set.Value);
        Assert.Equal("value", get.Value.Value);
        Assert.True(delete.Value);
        Assert.Null(await server.CommandAsync("GET", "test:text:gone"));
    }

    [Fact]
    public async Task Redis_is_cut_off_mid_batch_and_every_entry_says_what_is_true_of_it()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await CacheNode.StartAsync(proxy.ConnectionString, CacheNode.Impatient);
        // The server knows the script.
        await node.Cache.SetAsync(CacheNode.Text("warm"), "value").Within();
        var batch = node.Keyspace.Batch();
        var sets = Enumerable.Range(0, Entries).Select(i => batch.Set(CacheNode.Text($"{i}"), "value")).ToArray();

        // In the middle of the answers, of which each takes four bytes and two thousand at the most are awaited at a time; and nobody may come back.
        proxy.CutAfter(ProxyDirection.ToClient, 4 * (Entries / 2));
        await proxy.RefuseAsync();
        var report = await batch.SendAsync().Within();

        var stored = await StoredAsync(server, sets.Length);
        Assert.True(report.Answered is > 0 and < Entries, $"{report} {report.FirstError}");
        Assert.Equal(Entries, report.Answered + report.Failed);
        Assert.Contains(sets, static set => set is { Outcome: BatchOutcome.Failed, Sent: Sent.Maybe });
        Assert.Contains(sets, static set => set is { Outcome: BatchOutcome.Failed, Sent: Sent.No });
        for (var i = 0; i < sets.Length; i++)
        {
            if (sets[i].Outcome == BatchOutcome.Answered)
                Assert.True(stored[i], $"Entry {i} was answered, and is not there.");
            else if (sets[i].Sent == Sent.No)
                Assert.False(stored[i], $"Entry {i} was not sent, they say, and is there.");
        }
    }

    [Fact]
    public async Task A_cut_asks_gets_and_deletes_again_and_says_of_sets_that_they_may_be_done()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await CacheNode.StartAsync(proxy.ConnectionString);
        await node.Cache.SetAsync(CacheNode.Text("get"), "value").Within();
        await node.Cache.SetAsync(CacheNode.Text("delete"), "value").Within();
        var batch = node.Keyspace.Batch();
        var set = batch.Set(CacheNode.Text("set"), "value");
        var get = batch.Get(CacheNode.Text("get"));
        var delete = batch.Delete(CacheNode.Text("delete"));

        // The questions arrive, and the answers are lost.
        proxy.Hold();
        var sending = batch.SendAsync().AsTask();
        proxy.CutAfter(ProxyDirection.ToClient, 1);
        proxy.Release();
        await sending.Within();

        Assert.Equal("value", get.Value.Value);
        Assert.Equal(BatchOutcome.Answered, delete.Outcome);
        Assert.Null(await server.CommandAsync("GET", "test:text:delete"));
        Assert.True(set.Outcome == BatchOutcome.Answered || set is { Outcome: BatchOutcome.Failed, Sent: Sent.Maybe }, $"{set.Error}");
    }

    [Fact]
    public async Task A_Redis_that_hangs_costs_one_timeout_and_deletes_are_known_to_be_unconfirmed()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString, CacheNode.Impatient);
        await node.Cache.GetAsync(CacheNode.Text("warm")).Within();
        server.Pause();

        var batch = node.Keyspace.Batch();
        var get = batch.Get(CacheNode.Text("a"));
        var set = batch.Set(CacheNode.Text("b"), "value");
        var delete = batch.Delete(CacheNode.Text("c"));
        var report = await batch.SendAsync().Within();
        server.Resume();

        Assert.Equal(3, report.Failed);
        Assert.IsType<RedisTimeoutException>(get.Error);
        Assert.Equal(Sent.Maybe, set.Sent);
        Assert.IsType<InvalidationUnconfirmedException>(delete.Error);
        Assert.Throws<RedisTimeoutException>(report.ThrowIfFailed);
    }

    [Fact]
    public async Task Cancelled_it_says_what_was_done()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await CacheNode.StartAsync(proxy.ConnectionString);
        // The server knows the script.
        await node.Cache.SetAsync(CacheNode.Text("warm"), "value").Within();
        using var cancel = new CancellationTokenSource();
        var batch = node.Keyspace.Batch();
        var sets = Enumerable.Range(0, Entries).Select(i => batch.Set(CacheNode.Text($"{i}"), "value")).ToArray();

        // Some are answered, some on their way, the rest waits for those.
        proxy.BytesPerSecondToClient = 2_000;
        var sending = batch.SendAsync(cancel.Token).AsTask();
        await CacheNode.UntilAsync(async () => int.Parse((await server.CommandAsync("DBSIZE"))!, CultureInfo.InvariantCulture) > 100);
        await CacheNode.UntilAsync(() => node.Redis.Router.InFlight >= 0);
        await cancel.CancelAsync();
        var error = await sending.FailsWith<OperationCanceledException>();

        var stored = await StoredAsync(server, sets.Length);
        var report = BatchReport.Of(batch.Entries);
        Assert.Equal(cancel.Token, error.CancellationToken);
        Assert.Equal(Sent.Maybe, error.Data[nameof(Sent)]);
        Assert.Contains(
            $"of its {Entries} entries {report.Answered} are answered, 0 have failed, {report.Unknown} may be executed, {report.NotSent} were not sent",
            error.Message,
            StringComparison.Ordinal
        );
        Assert.Equal(Entries, report.Answered + report.Unknown + report.NotSent);
        Assert.True(report is { Unknown: > 0, NotSent: > 0 }, $"{report}");
        for (var i = 0; i < sets.Length; i++)
        {
            if (sets[i].Outcome == BatchOutcome.Answered)
                Assert.True(stored[i]);
            else if (sets[i].Outcome == BatchOutcome.NotSent)
                Assert.False(stored[i]);
        }
    }

    [Fact]
    public async Task Cancelled_before_it_began_nothing_is_sent()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await CacheNode.StartAsync(server.ConnectionString);
        var batch = node.Keyspace.Batch();
        var set = batch.Set(CacheNode.Text("never"), "value");

        var error = await batch.SendAsync(new CancellationToken(true)).FailsWith<BatchReport, OperationCanceledException>();

        Assert.Equal(Sent.No, error.Data[nameof(Sent)]);
        Assert.Equal((BatchOutcome.NotSent, Sent.No), (set.Outcome, set.Sent));
        Assert.Null(await server.CommandAsync("GET", "test:text:never"));
    }

    private static async Task<bool[]> StoredAsync(RedisServerProcess server, int count)
    {
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        var values = await redis.GetManyAsync([.. Enumerable.Range(0, count).Select(i => (RedisArg)$"test:text:{i}")]).Within();
        return [.. values.Select(static value => value is not null)];
    }
}
