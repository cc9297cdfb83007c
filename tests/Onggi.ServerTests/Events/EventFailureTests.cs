using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Client;
using Onggi.Diagnostics;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.ServerTests.Events;

/// <summary>The failure tables of docs/features/events.md and hosting.md, line by line.</summary>
public sealed class EventFailureTests : IAsyncLifetime
{
    private static readonly UserUpdated Kim = new("42", "Kim");

    private RedisServerProcess _server = null!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Gone_publishing_fails_as_not_executed_and_works_again_by_itself()
    {
        await using var users = await StartAsync(static options => options.CommandTimeout = TimeSpan.FromMilliseconds(300));
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserDeleted);

        await _server.KillAsync();
        var failure = await Assert.ThrowsAnyAsync<RedisException>(async () =>
            await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim)
        );
        await _server.RestartAsync();
        await users.Redis.ConnectAsync();
        await users.ListeningAsync();
        await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim);

        Assert.True(failure.IsTransient);
        Assert.Equal(1, (await heard.NextAsync()).Sequence);
    }

    [Fact]
    public async Task Hanging_publishing_fails_in_time_as_perhaps_executed()
    {
        await using var users = await StartAsync(static options => options.CommandTimeout = TimeSpan.FromMilliseconds(300));
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserDeleted);
        await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim); // From now on the server knows the script.
        Assert.Equal(1, (await heard.NextAsync()).Sequence);

        _server.Pause();
        var failure = await Assert.ThrowsAsync<RedisTimeoutException>(async () =>
            await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim)
        );
        _server.Resume();

        // It was on its way: it arrives, although the caller could not know.
        Assert.Equal(Sent.Maybe, failure.Sent);
        Assert.Equal(2, (await heard.NextAsync()).Sequence);
        Assert.Equal(3, (await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim)).Sequence);
    }

    [Fact]
    public async Task Full_events_are_published_all_the_same()
    {
        await using var users = await StartAsync();
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserUpdated);
        await _server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var full = await Assert.ThrowsAsync<RedisServerException>(async () => await users.Redis.SetAsync("test:x", "y"));
        var receipt = await users.Events.PublishAsync(ServiceHost.UserUpdated, Kim);

        Assert.Equal("OOM", full.Code);
        Assert.Equal(1, receipt.Sequence);
        Assert.Equal(receipt.Id, (await heard.NextAsync()).Id);
    }

    [Fact]
    public async Task A_replica_refuses_as_not_executed()
    {
        await using var users = await StartAsync();
        await _server.CommandAsync("REPLICAOF", "127.0.0.1", "1");

        var failure = await Assert.ThrowsAsync<RedisServerException>(async () =>
            await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim)
        );

        Assert.Equal("READONLY", failure.Code);
        Assert.Equal(Sent.No, failure.Sent);
        Assert.True(failure.IsTransient);
    }

    [Fact]
    public async Task A_channel_without_permission_is_refused_and_heard_once_it_is_given()
    {
        await _server.CommandAsync("ACL", "SETUSER", "limited", "on", ">secret-enough", "~*", "+@all", "resetchannels");
        await using var redis = await RedisClient.ConnectAsync($"127.0.0.1:{_server.Port},user=limited,password=secret-enough");
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var time = new ManualTimeProvider();
        await using var events = new OnggiEvents(
            redis,
            Keyspace.Load(ServiceHost.CatalogJson, service: "users"),
            new EventOptions(),
            ServiceJson.Default,
            services.GetRequiredService<IMeterFactory>(),
            NullLogger<OnggiEvents>.Instance,
            time
        );

        var refusal = await Assert.ThrowsAsync<RedisServerException>(async () =>
            await events.SubscribeAsync(ServiceHost.UserUpdated, static (_, _) => ValueTask.CompletedTask)
        );
        events.Listen();
        await events.WhenListeningAsync(CancellationToken.None);
        Assert.False(events.IsListening);
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = events.OnInterrupted(() => began.TrySetResult());
        await _server.CommandAsync("ACL", "SETUSER", "limited", "&test:events:global:*");
        while (!began.Task.IsCompleted)
        {
            if (time.WaitingTimers > 0)
                time.Advance(EventFeed.PauseAfterRefusal);
            await Task.Yield();
        }

        Assert.Equal("NOPERM", refusal.Code);
    }

    [Fact]
    public async Task A_host_that_started_before_Redis_joins_when_Redis_comes()
    {
        await _server.StopAsync();
        await using var users = await StartAsync(static options => options.ConnectTimeout = TimeSpan.FromMilliseconds(100));
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserUpdated);
        var down = await Health(users).CheckAsync();

        await _server.RestartAsync();
        await users.LoggedAsync(7101);
        await users.ListeningAsync();
        await users.Events.PublishAsync(ServiceHost.UserUpdated, Kim);

        Assert.Equal(OnggiHealthState.Down, down.State);
        Assert.Contains(users.Log, static line => line.Id == 7102);
        Assert.Equal(Kim, (await heard.NextAsync()).Data);
        Assert.Empty((await Health(users).CheckAsync()).Reasons);
    }

    [Fact]
    public async Task A_subscription_asked_for_while_Redis_hangs_begins_when_it_goes_on()
    {
        await using var users = await StartAsync(static options => options.CommandTimeout = TimeSpan.FromMilliseconds(300));
        _server.Pause();
        var asking = Heard<UserUpdated>.ByAsync(users, ServiceHost.UserDeleted);
        // The SUBSCRIBE has timed out by then, but stands in the server's socket.
        await Assert.ThrowsAsync<RedisTimeoutException>(async () => await users.Redis.PingAsync());
        _server.Resume();
        await using var heard = await asking.WaitAsync(ServiceHost.Patience);
        await users.ListeningAsync();

        await users.Events.PublishAsync(ServiceHost.UserDeleted, Kim);

        Assert.Equal(Kim, (await heard.NextAsync()).Data);
    }

    [Fact]
    public async Task A_host_starts_while_Redis_hangs_and_joins_when_it_goes_on()
    {
        _server.Pause();
        await using var users = await StartAsync(static options => options.ConnectTimeout = TimeSpan.FromMilliseconds(300));
        Assert.Contains(users.Log, static line => line.Id == 7102);
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserUpdated);

        _server.Resume();
        await users.LoggedAsync(7101);
        await users.ListeningAsync();
        await users.Events.PublishAsync(ServiceHost.UserUpdated, Kim);

        Assert.Equal(Kim, (await heard.NextAsync()).Data);
    }

    [Fact]
    public async Task A_wrong_password_stops_a_host_that_requires_Redis_and_is_never_repeated()
    {
        await using var server = await RedisServerProcess.StartAsync(new RedisServerSettings { Password = "right-password" });

        var failure = await Assert.ThrowsAsync<OnggiStartException>(() =>
            ServiceHost.StartAsync(
                $"127.0.0.1:{server.Port},password=wrong-password",
                configure: static options => options.RequireRedisAtStart = true
            )
        );

        Assert.Contains("WRONGPASS", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong-password", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_sees_a_full_and_a_hanging_server()
    {
        await using var users = await StartAsync(static options => options.Health.Timeout = TimeSpan.FromSeconds(1));
        var health = Health(users);
        Assert.Empty((await health.CheckAsync()).Reasons);

        await _server.CommandAsync("CONFIG", "SET", "maxmemory", "1");
        await Assert.ThrowsAsync<RedisServerException>(async () => await users.Redis.SetAsync("test:x", "y"));
        var full = await health.CheckAsync();
        _server.Pause();
        var hanging = await health.CheckAsync();
        _server.Resume();

        Assert.Equal(OnggiHealthState.Degraded, full.State);
        Assert.Contains(full.Reasons, static reason => reason.Contains("of its memory", StringComparison.Ordinal));
        Assert.Contains(full.Reasons, static reason => reason.Contains("OOM", StringComparison.Ordinal));
        Assert.Equal(OnggiHealthState.Down, hanging.State);
    }

    [Fact]
    public async Task Redis_shows_all_connections_under_the_name_of_the_service_and_none_after_the_end()
    {
        await using var users = await StartAsync();
        var during = await _server.CommandAsync("CLIENT", "LIST");
        await users.StopAsync();
        await users.DisposeAsync();

        Assert.Equal(3, Named(during));
        // The server notices a closed connection when it next looks.
        while (Named(await _server.CommandAsync("CLIENT", "LIST")) > 0) { }
    }

    private static int Named(string? clients) =>
        clients!.Split('\n').Count(static line => line.Contains(" name=users", StringComparison.Ordinal));

    private static OnggiHealth Health(ServiceHost service) => service.Services.GetRequiredService<OnggiHealth>();

    private Task<ServiceHost> StartAsync(Action<OnggiOptions>? configure = null) =>
        ServiceHost.StartAsync(
            _server.ConnectionString,
            configure: options =>
            {
                // A busy machine is no reason here.
                options.Health.Timeout = TimeSpan.FromSeconds(10);
                options.Health.SlowerThan = TimeSpan.FromSeconds(0.9);
                configure?.Invoke(options);
            }
        );
}
