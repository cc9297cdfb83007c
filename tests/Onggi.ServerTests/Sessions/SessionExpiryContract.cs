using System.Diagnostics;
using Onggi.Client;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>Sessions that nobody uses end in time, and it is told at least once, whoever dies, wherever they are kept.</summary>
public abstract class SessionExpiryContract : IAsyncLifetime
{
    private protected static readonly TimeSpan Idle = TimeSpan.FromSeconds(4);

    protected abstract string Address { get; }

    /// <summary>Adds keys with long times to live: the more of them, the later Redis itself would notice that others are past theirs.</summary>
    protected virtual Task CrowdAsync() => Task.CompletedTask;

    /// <summary>Redis is there, and empty.</summary>
    public abstract Task InitializeAsync();

    public virtual Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task What_a_process_did_not_live_to_tell_another_one_tells_and_marks()
    {
        await using var node = await SessionNode.StartAsync(Address, Quick);
        await node.ListenAsync();
        await using (var dying = await SessionNode.QuietAsync(Address, options => Brief(options, Dying)))
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
        await CrowdAsync();
        await using var listener = await SessionNode.StartAsync(
            Address,
            options =>
            {
                Quick(options);
                options.Sweep = false;
            }
        );
        await listener.ListenAsync();
        using var process = await SweepingProcessAsync(Address);
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
        await using (var node = await SessionNode.QuietAsync(Address, options => Brief(options, Short)))
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
                Brief(options, Short);
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

    /// <summary>A process of its own that looks for sessions past their deadline until it is killed.</summary>
    internal static async Task<Process> SweepingProcessAsync(string address)
    {
        var process = Process.Start(
            new ProcessStartInfo("dotnet", [CoherenceRun.Bench(), "session-sweeper", address])
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            }
        )!;
        Assert.Equal("sweeping", await process.StandardOutput.ReadLineAsync().Within());
        return process;
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

    // Where no session is to be alive for longer than it takes to end it.
    private static void Brief(SessionOptions options, Action<SessionOptions> like)
    {
        like(options);
        options.IdleForTests = Idle / 2;
    }

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
}

/// <summary>The contract on three primaries with a replica each: sessions lie on all of them.</summary>
public sealed class SessionExpiryOnClusterTests(RedisClusterFixture fixture) : SessionExpiryContract, IClassFixture<RedisClusterFixture>
{
    protected override string Address => fixture.Cluster.ConnectionString;

    public override async Task InitializeAsync()
    {
        foreach (var node in fixture.Cluster.Primaries)
            await node.CommandAsync("FLUSHALL");
    }
}
