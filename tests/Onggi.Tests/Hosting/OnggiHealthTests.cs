using Onggi.Client;
using Onggi.Diagnostics;
using Onggi.Testing;
using Onggi.Tests.Events;

namespace Onggi.Tests.Hosting;

public sealed class OnggiHealthTests
{
    private const string Healthy =
        "# Memory\r\nused_memory:1000\r\nmaxmemory:2000\r\n# Replication\r\nrole:master\r\n# Persistence\r\nloading:0\r\n";

    [Fact]
    public async Task A_Redis_that_answers_is_up_with_its_numbers()
    {
        await using var redis = Server(static _ => Healthy);

        var report = await CheckAsync(redis);

        Assert.Equal(OnggiHealthState.Up, report.State);
        Assert.Empty(report.Reasons);
        Assert.NotNull(report.RoundTrip);
        Assert.Equal(1000, report.UsedMemory);
        Assert.Equal(2000, report.MaxMemory);
    }

    [Theory]
    [InlineData("used_memory:1000", "used_memory:1900", "95 %")]
    [InlineData("role:master", "role:slave", "replica")]
    [InlineData("loading:0", "loading:1", "loading")]
    public async Task What_needs_a_look_is_degraded_with_the_reason(string healthy, string sick, string reason)
    {
        await using var redis = Server(_ => Healthy.Replace(healthy, sick, StringComparison.Ordinal));

        var report = await CheckAsync(redis);

        Assert.Equal(OnggiHealthState.Degraded, report.State);
        Assert.Contains(reason, Assert.Single(report.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_limit_memory_is_never_too_full()
    {
        await using var redis = Server(static _ => "used_memory:123456789\r\nmaxmemory:0\r\nrole:master\r\n");

        var report = await CheckAsync(redis);

        Assert.Equal(OnggiHealthState.Up, report.State);
        Assert.Null(report.MaxMemory);
    }

    [Fact]
    public async Task A_user_who_may_not_read_INFO_is_up_all_the_same()
    {
        await using var redis = FakeRedis.Start(static async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(static command =>
                command[0] == "PING" ? "+PONG\r\n" : "-NOPERM this user has no permissions to run the 'info' command\r\n"
            );
        });

        Assert.Equal(OnggiHealthState.Up, (await CheckAsync(redis)).State);
    }

    [Fact]
    public async Task A_Redis_that_says_LOADING_is_degraded_not_down()
    {
        await using var redis = FakeRedis.Start(static async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(static _ => "-LOADING Redis is loading the dataset in memory\r\n");
        });

        var report = await CheckAsync(redis);

        Assert.Equal(OnggiHealthState.Degraded, report.State);
        Assert.Contains("LOADING", Assert.Single(report.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Redis_that_hangs_is_down_after_the_time_out()
    {
        await using var redis = FakeRedis.Start(static async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(static _ => null);
        });

        var report = await CheckAsync(
            redis,
            new HealthOptions { Timeout = TimeSpan.FromMilliseconds(50), SlowerThan = TimeSpan.FromMilliseconds(40) }
        );

        Assert.Equal(OnggiHealthState.Down, report.State);
        Assert.Contains("50 ms", Assert.Single(report.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slow_answer_is_degraded()
    {
        await using var redis = Server(static _ => Healthy);

        var report = await CheckAsync(redis, new HealthOptions { SlowerThan = TimeSpan.FromTicks(1) });

        Assert.Equal(OnggiHealthState.Degraded, report.State);
        Assert.Contains("round trip", Assert.Single(report.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refused_writes_are_news_only_when_their_number_grows_and_are_forgotten()
    {
        var refused = 5;
        await using var redis = Server(_ => Healthy + $"errorstat_OOM:count={refused}\r\n");
        await using var client = await ClientAsync(redis);
        await using var bus = new TestBus();
        var time = new ManualTimeProvider();
        var health = new OnggiHealth(client, bus.Events, new HealthOptions(), time);

        Assert.Equal(OnggiHealthState.Up, (await health.CheckAsync()).State);
        refused = 6;
        Assert.Contains("OOM", Assert.Single((await health.CheckAsync()).Reasons), StringComparison.Ordinal);
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(OnggiHealthState.Degraded, (await health.CheckAsync()).State);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(OnggiHealthState.Up, (await health.CheckAsync()).State);
        refused = 0;
        Assert.Equal(OnggiHealthState.Up, (await health.CheckAsync()).State);
    }

    [Fact]
    public async Task An_interrupted_event_stream_is_degraded_for_a_while()
    {
        var time = new ManualTimeProvider();
        await using var redis = Server(static _ => Healthy);
        await using var client = await ClientAsync(redis);
        await using var bus = new TestBus(time: time);
        var health = new OnggiHealth(client, bus.Events, new HealthOptions(), time);

        bus.Interrupt("user.updated");
        var interrupted = await health.CheckAsync();
        time.Advance(TimeSpan.FromSeconds(31));
        var later = await health.CheckAsync();
        bus.Events.Listen();
        var deaf = await health.CheckAsync();

        Assert.Contains("interrupted", Assert.Single(interrupted.Reasons), StringComparison.Ordinal);
        Assert.Equal(OnggiHealthState.Up, later.State);
        Assert.Contains("Not all event channels", Assert.Single(deaf.Reasons), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_check_throws_the_callers_cancellation()
    {
        await using var redis = Server(static _ => Healthy);
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CheckAsync(redis, cancellationToken: cancelled.Token));
    }

    private static FakeRedis Server(Func<string[], string> info) =>
        FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(command =>
            {
                if (command[0] == "PING")
                    return "+PONG\r\n";
                var text = info(command);
                return $"={text.Length + 4}\r\ntxt:{text}\r\n";
            });
        });

    private static ValueTask<RedisClient> ClientAsync(FakeRedis redis) => RedisClient.ConnectAsync(redis.ConnectionString);

    private static async Task<OnggiHealthReport> CheckAsync(
        FakeRedis redis,
        HealthOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        await using var client = await ClientAsync(redis);
        await using var bus = new TestBus();
        return await new OnggiHealth(
            client,
            bus.Events,
            options ?? new HealthOptions { SlowerThan = TimeSpan.FromMilliseconds(900) },
            TimeProvider.System
        ).CheckAsync(cancellationToken);
    }
}
