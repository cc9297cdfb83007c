using System.Diagnostics;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>What a caller sees when Redis is slow, gone, full or empty; and that each call waits for one round trip.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class SessionFailureTests : IAsyncLifetime
{
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task Every_operation_waits_for_one_round_trip_events_included()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var node = await SessionNode.StartAsync(proxy.ConnectionString, options => options.Sweep = false);
        var sessions = node.Sessions;
        await UseAllAsync(sessions); // From now on the server knows the scripts.
        var made = new List<SessionCreation>();
        for (var i = 0; i < 5; i++)
            made.Add(await sessions.CreateAsync("u1"));
        await using var watcher = await SessionNode.QuietAsync(Server.ConnectionString);

        // What follows a call is not waited for, but the proxy holds up one thing after another: it must be done before the clock runs.
        Task AllIsPublishedAsync() =>
            Until.TrueAsync(
                async () => (await watcher.KeysAsync()).TrueForAll(key => !key.EndsWith(":out", StringComparison.Ordinal)),
                "all is published"
            );

        await AllIsPublishedAsync();
        proxy.Delay = TimeSpan.FromMilliseconds(150);
        var trip = 2 * proxy.Delay;
        (string Name, Func<Task> Call)[] calls =
        [
            ("create", () => sessions.CreateAsync("u1").AsTask()),
            ("validate", () => sessions.ValidateAsync(made[0].Id).AsTask()),
            ("save", () => sessions.SaveAsync(made[0].Id, 1, "x"u8.ToArray()).AsTask()),
            ("rotate", () => sessions.RotateAsync(made[1].Id).AsTask()),
            ("list", () => sessions.ListAsync("u1").AsTask()),
            ("revoke", () => sessions.RevokeAsync(made[2].Id).AsTask()),
            ("revoke one", () => sessions.RevokeAsync("u1", made[3].Handle).AsTask()),
            ("revoke others", () => sessions.RevokeOthersAsync(made[0].Id).AsTask()),
            ("revoke all", () => sessions.RevokeAllAsync("u1").AsTask()),
        ];
        foreach (var (name, call) in calls)
        {
            await AllIsPublishedAsync();
            var began = Stopwatch.GetTimestamp();
            await call().Within();
            var trips = Stopwatch.GetElapsedTime(began) / trip;
            Assert.True(trips is >= 0.9 and < 1.9, $"{name} took {trips:0.0} round trips.");
        }
    }

    [Fact]
    public async Task With_replicas_asked_for_it_is_still_one_round_trip()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var node = await SessionNode.QuietAsync(
            proxy.ConnectionString,
            options =>
            {
                options.Replicas = 1;
                options.ReplicaTimeout = TimeSpan.FromMilliseconds(1); // There are none.
            }
        );
        await UseAllAsync(node.Sessions);
        proxy.Delay = TimeSpan.FromMilliseconds(150);

        var began = Stopwatch.GetTimestamp();
        var made = await node.Sessions.CreateAsync("u1");
        var trips = Stopwatch.GetElapsedTime(began) / (2 * proxy.Delay);

        Assert.Equal(0, made.Replicas);
        Assert.True(trips is >= 0.9 and < 1.9, $"It took {trips:0.0} round trips.");
    }

    [Fact]
    public async Task A_Redis_that_is_full_lets_people_stay_and_sign_out_but_nobody_in()
    {
        await using var node = await SessionNode.StartAsync(Server.ConnectionString, options => options.TouchEvery = TimeSpan.Zero);
        await node.ListenAsync();
        var made = await node.Sessions.CreateAsync("u1");
        var other = await node.Sessions.CreateAsync("u1");
        await Server.CommandAsync("CONFIG", "SET", "maxmemory-policy", "noeviction");
        await Server.CommandAsync("CONFIG", "SET", "maxmemory", "1mb");

        var refused = await node.Sessions.CreateAsync("u2").FailsWith<SessionCreation, RedisServerException>();
        Assert.Equal(("OOM", Sent.No), (refused.Code, refused.Sent));
        await node.Sessions.SaveAsync(made.Id, 1, "x"u8.ToArray()).FailsWith<SessionSave, RedisServerException>();
        Assert.NotNull(await node.Sessions.ValidateAsync(made.Id));
        Assert.Equal(2, (await node.Sessions.ListAsync("u1")).Count);
        Assert.Equal(1, (await node.Sessions.RevokeAsync(made.Id)).Count);
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
        Assert.Equal([other.Handle], (await node.Sessions.RevokeAllAsync("u1")).Handles);
        await Until.TrueAsync(() => node.HeardOf("revoked").Count() == 2, "it is told");
    }

    [Fact]
    public async Task A_Redis_that_hangs_signs_nobody_in_or_out()
    {
        await using var node = await SessionNode.StartAsync(
            Server.ConnectionString,
            host: options => options.CommandTimeout = TimeSpan.FromSeconds(1)
        );
        var made = await node.Sessions.CreateAsync("u1");
        Server.Pause();
        try
        {
            await node.Sessions.ValidateAsync(made.Id).FailsWith<Session?, RedisException>();
            await node.Sessions.RevokeAsync(made.Id).FailsWith<SessionRevocation, RedisException>();
        }
        finally
        {
            Server.Resume();
        }

        // What was on its way is done: the sign-out may be, and doing it again is harmless.
        await Until.TrueAsync(
            async () =>
            {
                try
                {
                    await node.Sessions.RevokeAsync(made.Id);
                    return await node.Sessions.ValidateAsync(made.Id) is null;
                }
                catch (RedisException)
                {
                    return false;
                }
            },
            "Redis answers again"
        );
    }

    [Fact]
    public async Task A_Redis_that_comes_back_empty_knows_nobody()
    {
        await using var node = await SessionNode.StartAsync(Server.ConnectionString);
        var made = await node.Sessions.CreateAsync("u1");
        var back = node.Redis.Change(connected: true);

        await Server.RestartAsync(kill: true);
        await back;

        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
        Assert.Empty(await node.Sessions.ListAsync("u1"));
        var again = await node.Sessions.CreateAsync("u1");
        Assert.NotNull(await node.Sessions.ValidateAsync(again.Id));
    }

    private static async Task UseAllAsync(OnggiSessions sessions)
    {
        var made = await sessions.CreateAsync("warm");
        await sessions.ValidateAsync(made.Id);
        await sessions.SaveAsync(made.Id, 0, default);
        await sessions.RotateAsync(made.Id);
        await sessions.ListAsync("warm");
        await sessions.RevokeAllAsync("warm");
    }
}
