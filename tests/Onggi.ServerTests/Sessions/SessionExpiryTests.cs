using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Events;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>The contract on one redis-server, and what is measured there.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class SessionExpiryTests : SessionExpiryContract
{
    private RedisServerProcess? _server;

    protected override string Address => _server!.ConnectionString;

    protected override Task CrowdAsync() => FillAsync(_server!, 20_000);

    public override async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public override async Task DisposeAsync() => await _server!.DisposeAsync();

    [Fact]
    public async Task A_thousand_sessions_due_at_once_among_many_keys_are_told_once_and_within_a_second()
    {
        // 500,000 in ./bench sessions.
        await FillAsync(_server!, 50_000);
        await using var node = await SessionNode.StartAsync(Address, Short);
        await using var other = await SessionNode.StartAsync(Address, Short);
        await node.ListenAsync();

        var made = await BeginAsync(node, 1000);
        await Until.TrueAsync(() => node.HeardOf("expired").Count() >= 1000, "a thousand expiries were told", Patience);

        var expired = node.HeardOf("expired").ToList();
        Assert.Equal(made.Keys.Order(), expired.Select(one => one.Data.Session).Distinct().Order());
        Assert.All(expired.GroupBy(one => one.Id), told => Assert.True(told.Count(one => !one.Data.IsRepeat) <= 1, told.Key));
        // Against our own clock, the way to us included: server and test share it.
        var late = expired.Select(one => Stopwatch.GetElapsedTime(made[one.Data.Session], one.Timestamp) - Idle).Order().ToList();
        var p99 = late[(int)(late.Count * 0.99)];
        Assert.True(p99 < TimeSpan.FromSeconds(1), $"p99 was {p99.TotalMilliseconds:0} ms, the last {late[^1].TotalMilliseconds:0} ms.");
        Assert.All(expired, one => Assert.Equal(("expired", false), (one.Data.Reason, one.Data.User.Length == 0)));
        // All that stands beside a session is gone with it.
        Assert.DoesNotContain(
            await node.KeysAsync(),
            key =>
                key.Contains("session", StringComparison.Ordinal)
                && !key.Contains("events", StringComparison.Ordinal)
                && !key.Contains(":out", StringComparison.Ordinal)
        );
        await Until.TrueAsync(() => node.Sessions.Live == 0, "the gauge of live sessions says so");
    }

    [Fact]
    public async Task Use_keeps_a_session_from_being_swept()
    {
        await using var node = await SessionNode.StartAsync(Address, Short);
        await node.ListenAsync();
        var made = await node.Sessions.CreateAsync("u1");
        var unused = await node.Sessions.CreateAsync("u1");

        await Until.TrueAsync(
            async () =>
            {
                Assert.NotNull(await node.Sessions.ValidateAsync(made.Id));
                await Task.Delay(50);
                return node.HeardOf("expired").Any();
            },
            "the unused one ended"
        );

        Assert.Equal(unused.Handle, Assert.Single(node.HeardOf("expired")).Data.Session);
        await Until.TrueAsync(() => node.HeardOf("expired").Count() == 2, "the other one ended later");
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
    }

    [Fact]
    public async Task An_event_that_cannot_be_published_does_not_keep_others_in_the_outbox()
    {
        await using var node = await SessionNode.StartAsync(Address, options => options.Sweep = false);
        var family = node.Sessions.Family;
        family.Outbox.IsDeadForTests = true;
        var bad = await node.Sessions.CreateAsync("u1");
        await node.Sessions.CreateAsync("u1");
        var shard = family.Keys.ShardOf(node.Keyspace.Keys.PseudonymOf("u1"));
        var entries = await node.Redis.SendAsync(
            ["ZRANGE", shard.Out, 0, -1],
            static (ref reader) => ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadBytes()!)
        );
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new SessionMetrics(services.GetRequiredService<IMeterFactory>());
        var outbox = new SessionOutbox(family.Store, new ChoosySink(bad.Handle), metrics, node, TimeProvider.System);

        // All in one go: what no process can read, what nobody takes, and one that is well.
        outbox.Add(shard, ["x"u8.ToArray(), .. entries]);
        await Until.TrueAsync(
            async () => await node.Redis.SendAsync(["ZCARD", shard.Out], ReplyParsers.Int64) == 1,
            "the one that is well is published"
        );

        await outbox.DisposeAsync();
        Assert.Contains(node.Log, line => line.Text.Contains(nameof(ChoosySink), StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_shard_that_cannot_be_asked_is_logged_with_the_reason()
    {
        await using var node = await SessionNode.StartAsync(Address, options => options.Sweep = false);
        await node.Redis.SetAsync(
            Encoding.UTF8.GetString(node.Sessions.Family.Keys.Shards[7].Due),
            "no sorted set",
            TimeSpan.FromMinutes(1)
        );

        await node.Sessions.Family.Sweeper.SweepAsync(CancellationToken.None);

        Assert.Contains(node.Log, line => line.Text.Contains("WRONGTYPE", StringComparison.Ordinal));
    }

    /// <summary>Keys with long times to live: the more of them, the later Redis itself would notice that others are past theirs.</summary>
    internal static async Task FillAsync(RedisServerProcess server, int keys)
    {
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        foreach (var chunk in Enumerable.Range(0, keys).Chunk(5000))
        {
            var batch = redis.CreateBatch();
            foreach (var i in chunk)
                batch.Add(["SET", $"other:{i}", "v", "EX", 86_400], ReplyParsers.Ignore);
            await batch.SendAsync();
        }
    }

    /// <summary>It takes all events but those of one session.</summary>
    private sealed class ChoosySink(string refused) : IEventSink
    {
        public ValueTask DeliverAsync<TData>(EventType<TData> type, string id, TData data, CancellationToken cancellationToken = default) =>
            id.StartsWith(refused, StringComparison.Ordinal)
                ? throw new InvalidOperationException(nameof(ChoosySink))
                : ValueTask.CompletedTask;

        public ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default) =>
            ValueTask.CompletedTask;
    }
}
