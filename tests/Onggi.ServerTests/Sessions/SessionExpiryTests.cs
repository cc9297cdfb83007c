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

/// <summary>Sessions that nobody uses end in time, and it is told at least once, whoever dies.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class SessionExpiryTests : IAsyncLifetime
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(4);

    private RedisServerProcess? _server;

    private string Address => _server!.ConnectionString;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await _server!.DisposeAsync();

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
    public async Task What_a_process_did_not_live_to_tell_another_one_tells_and_marks()
    {
        await using var node = await SessionNode.StartAsync(Address, Quick);
        await node.ListenAsync();
        await using (var dying = await SessionNode.QuietAsync(Address, Dying))
        {
            // It ends what is due, and dies before it can tell.
            dying.Sessions.Family.Outbox.IsDeadForTests = true;
            var first = await dying.Sessions.CreateAsync("u1");
            var second = await dying.Sessions.CreateAsync("u1");
            await dying.Sessions.RevokeAsync(second.Id, "banned");
            await Until.TrueAsync(
                () => node.HeardOf("expired").Any() && node.HeardOf("revoked").Any() && node.HeardOf("created").Count() == 2,
                "another one told it",
                Patience
            );

            Assert.Equal([first.Handle], node.HeardOf("expired").Select(one => one.Data.Session).Distinct());
            Assert.Equal(
                (second.Handle, "banned", "u1", true),
                node.HeardOf("revoked").Select(one => (one.Data.Session, one.Data.Reason, one.Data.User, one.Data.IsRepeat)).First()
            );
            Assert.All(node.HeardOf("created"), one => Assert.True(one.Data.IsRepeat));
        }
    }

    [Fact]
    public Task A_process_that_dies_before_it_has_published_leaves_the_event_to_others() => ToldAsync(Address);

    [Fact]
    public Task A_process_that_dies_after_it_has_swept_leaves_the_event_to_others() => EndsAreToldAsync(Address);

    [Fact]
    public async Task The_sweeping_process_is_killed_in_the_middle_and_no_expiry_is_lost()
    {
        await FillAsync(_server!, 20_000);
        await using var listener = await SessionNode.StartAsync(
            Address,
            options =>
            {
                Quick(options);
                options.Sweep = false;
            }
        );
        await listener.ListenAsync();
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", [CoherenceRun.Bench(), "session-sweeper", $"{_server!.Port}"])
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            }
        )!;
        Assert.Equal("sweeping", await process.StandardOutput.ReadLineAsync().Within());
        var made = await BeginAsync(listener, 1000);

        await Until.TrueAsync(() => listener.HeardOf("expired").Any(), "the first expiry was told", Patience);
        process.Kill(); // SIGKILL
        await process.WaitForExitAsync().Within();
        var before = listener.HeardOf("expired").Count();
        await using var successor = await SessionNode.StartAsync(Address, Quick);
        await Until.TrueAsync(
            () => listener.HeardOf("expired").Select(one => one.Data.Session).Distinct().Count() == 1000,
            $"all expiries were told ({before} before the kill)",
            Patience
        );

        var expired = listener.HeardOf("expired").ToList();
        Assert.Equal(made.Keys.Order(), expired.Select(one => one.Data.Session).Distinct().Order());
        Assert.All(expired.GroupBy(one => one.Id), told => Assert.True(told.Count(one => !one.Data.IsRepeat) <= 1, told.Key));
    }

    [Fact]
    public async Task Nobody_was_there_when_they_were_due_and_still_it_is_told()
    {
        await using (var node = await SessionNode.QuietAsync(Address, Short))
        {
            await node.Sessions.CreateAsync("u1");
            await Until.TrueAsync(async () => (await node.Sessions.ListAsync("u1")).Count == 0, "it ended", Patience);
        }

        await using var later = await SessionNode.StartAsync(Address, Short, host => host.Service = "orders");
        await later.ListenAsync();
        await using var owner = await SessionNode.StartAsync(Address, Short);
        await Until.TrueAsync(() => later.HeardOf("expired").Any(), "it is told");

        Assert.Equal("u1", later.HeardOf("expired").First().Data.User);
    }

    [Fact]
    public async Task What_had_ended_before_it_was_revoked_is_told_as_expired()
    {
        await using var node = await SessionNode.StartAsync(
            Address,
            options =>
            {
                Short(options);
                options.Sweep = false;
            }
        );
        await node.ListenAsync();
        var first = await node.Sessions.CreateAsync("u1");
        var second = await node.Sessions.CreateAsync("u1");
        await Until.TrueAsync(async () => (await node.Sessions.ListAsync("u1")).Count == 0, "they ended", Patience);
        var last = await node.Sessions.CreateAsync("u1");

        Assert.Empty((await node.Sessions.RevokeAsync(first.Id)).Handles);
        Assert.Equal([last.Handle], (await node.Sessions.RevokeAllAsync("u1")).Handles);

        await Until.TrueAsync(() => node.HeardOf("expired").Count() == 2 && node.HeardOf("revoked").Any(), "all is told");
        Assert.Equal(
            new[] { (first.Handle, "expired"), (second.Handle, "expired") }.Order(),
            node.HeardOf("expired").Select(one => (one.Data.Session, one.Data.Reason)).Order()
        );
        Assert.Equal(last.Handle, Assert.Single(node.HeardOf("revoked")).Data.Session);
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

    /// <summary>A process that dies when it has the event in hand, and has published nothing.</summary>
    internal static async Task ToldAsync(string address, TimeSpan? bound = null)
    {
        await using var node = await SessionNode.StartAsync(address, Quick);
        await node.ListenAsync();
        await using var dying = await SessionNode.StartAsync(address, Dying);
        dying.Sessions.Family.Outbox.DiesAtPublishForTests = true;

        var made = await dying.Sessions.CreateAsync("u1");

        await Until.TrueAsync(() => node.HeardOf("created").Any(), "another one told it", bound);
        Assert.Equal((made.Handle, true), node.HeardOf("created").Select(one => (one.Data.Session, one.Data.IsRepeat)).First());
    }

    /// <summary>A process ends what is due, and dies before it can tell.</summary>
    internal static async Task EndsAreToldAsync(string address, TimeSpan? bound = null)
    {
        await using var node = await SessionNode.StartAsync(
            address,
            options =>
            {
                Quick(options);
                options.IdleForTests = TimeSpan.FromSeconds(1);
            }
        );
        await node.ListenAsync();
        node.Sessions.Family.Outbox.IsDeadForTests = true;
        var made = await node.Sessions.CreateAsync("u1");
        await Until.TrueAsync(
            async () => await node.Redis.SendAsync(["ZCARD", DueOf(node, "u1")], ReplyParsers.Int64) == 0,
            "it was swept"
        );

        await using var other = await SessionNode.StartAsync(address, Quick);

        await Until.TrueAsync(() => node.HeardOf("expired").Any(), "its end is told", bound);
        Assert.Equal((made.Handle, true), node.HeardOf("expired").Select(one => (one.Data.Session, one.Data.IsRepeat)).First());
    }

    private static byte[] DueOf(SessionNode node, string user) =>
        node.Sessions.Family.Keys.ShardOf(node.Keyspace.Keys.PseudonymOf(user)).Due;

    internal static TimeSpan Patience { get; } = TimeSpan.FromSeconds(30);

    internal static void Short(SessionOptions options)
    {
        options.IdleForTests = Idle;
        options.TouchEvery = TimeSpan.Zero;
    }

    internal static void Quick(SessionOptions options)
    {
        Short(options);
        options.RepublishForTests = TimeSpan.FromSeconds(1);
    }

    // It publishes, so its scripts write into the outbox.
    internal static void Dying(SessionOptions options)
    {
        Quick(options);
        options.Events = true;
        options.Sweep = false;
    }

    /// <summary>Begins sessions of as many users; when, by our clock, each was begun at the latest.</summary>
    internal static async Task<Dictionary<string, long>> BeginAsync(SessionNode node, int count)
    {
        var made = await Task.WhenAll(
            Enumerable
                .Range(0, count)
                .Select(async i =>
                {
                    var creation = await node.Sessions.CreateAsync($"user-{i}");
                    return (creation.Handle, Stopwatch.GetTimestamp());
                })
        );
        return made.ToDictionary(one => one.Handle, one => one.Item2, StringComparer.Ordinal);
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
