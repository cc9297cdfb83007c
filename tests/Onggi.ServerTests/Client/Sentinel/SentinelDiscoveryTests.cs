using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>Finding the master when Sentinels are dead, hang, refuse or know nothing; and what is said when it cannot be found.</summary>
public sealed class SentinelDiscoveryTests
{
    [Fact]
    public async Task One_live_Sentinel_of_three_is_enough()
    {
        await using var all = await SentinelProcesses.StartAsync(replicas: 0);
        await all.Sentinels[0].KillAsync();
        await all.Sentinels[1].KillAsync();
        var watch = Stopwatch.StartNew();

        await using var redis = await SentinelFailoverTests.ConnectAsync(all);

        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2), $"{watch.Elapsed}");
        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task A_Sentinel_that_hangs_delays_nobody()
    {
        await using var all = await SentinelProcesses.StartAsync(replicas: 0);
        all.Sentinels[0].Pause();
        var watch = Stopwatch.StartNew();

        await using var redis = await SentinelFailoverTests.ConnectAsync(all);
        var connected = watch.Elapsed;
        var lost = redis.Change(connected: false);
        await all.Servers[0].RestartAsync(kill: true);
        await lost;

        Assert.Equal("PONG", await redis.PingAsync().Within());
        Assert.True(connected < TimeSpan.FromSeconds(1), $"{connected}");
        all.Sentinels[0].Resume();
    }

    [Fact]
    public async Task Of_one_Sentinel_it_learns_the_others_which_suffice_when_that_one_dies_with_the_master()
    {
        await using var all = await SentinelProcesses.StartAsync();
        await using var redis = await SentinelFailoverTests.ConnectAsync(
            all,
            options =>
            {
                options.Servers = [new RedisAddress("127.0.0.1", all.Sentinels[2].Port)];
                options.ClientName = "finder";
            }
        );
        await redis.SetAsync("k", "v").Within();
        await Until.TrueAsync(async () => await ListensAsync(all.Sentinels[0]) && await ListensAsync(all.Sentinels[1]), "they are met");
        var switched = all.NextAsync("+switch-master");

        await all.Sentinels[2].KillAsync();
        await (await all.MasterAsync()).KillAsync();
        await switched;

        Assert.True(await redis.SetAsync("k", "again").Within());
    }

    [Fact]
    public async Task An_unknown_name_is_said_at_once_with_those_who_were_asked()
    {
        await using var all = await SentinelProcesses.StartAsync(replicas: 0, sentinels: 2);

        var error = await RefusedAsync(all, options => options.SentinelService = "yourmaster");

        Assert.Equal((Sent.No, false), (error.Sent, error.IsTransient));
        Assert.Contains("'yourmaster'", error.Message, StringComparison.Ordinal);
        Assert.Contains("SentinelService", error.Message, StringComparison.Ordinal);
        foreach (var sentinel in all.Sentinels)
            Assert.Contains($"127.0.0.1:{sentinel.Port}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_any_Sentinel_the_message_names_each_and_what_was_wrong_with_it()
    {
        int[] closed = [LoopbackPorts.Free(), LoopbackPorts.Free()];
        await using var server = await RedisServerProcess.StartAsync();
        var options = new RedisClientOptions
        {
            SentinelService = "mymaster",
            Servers = [.. closed.Append(server.Port).Select(port => new RedisAddress("127.0.0.1", port))],
            ConnectTimeout = TimeSpan.FromSeconds(2),
        };

        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();

        Assert.True(error.IsTransient);
        foreach (var port in closed)
            Assert.Contains($"127.0.0.1:{port}", error.Message, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{server.Port}: is no Sentinel", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sentinels_have_users_of_their_own()
    {
        await using var master = await RedisServerProcess.StartAsync(new RedisServerSettings { Password = "of the server" });
        await using var sentinel = await RedisServerProcess.StartAsync(
            new RedisServerSettings
            {
                Sentinel = $"""
                user default off
                user scout on >"of the sentinel" +@all allchannels
                sentinel monitor mymaster 127.0.0.1 {master.Port} 1
                sentinel auth-pass mymaster "of the server"

                """,
            }
        );
        var options = new RedisClientOptions
        {
            SentinelService = "mymaster",
            SentinelUser = "scout",
            SentinelPassword = "of the sentinel",
            Password = "of the server",
            Servers = [new RedisAddress("127.0.0.1", sentinel.Port)],
        };

        await using (var redis = await RedisClient.ConnectAsync(options))
            Assert.Equal("PONG", await redis.PingAsync().Within());

        options.SentinelPassword = "a wrong one";
        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();
        Assert.False(error.IsTransient);
        Assert.Contains($"127.0.0.1:{sentinel.Port}", error.Message, StringComparison.Ordinal);
        Assert.Contains("'scout'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("a wrong one", error.Message, StringComparison.Ordinal);

        options.SentinelPassword = "of the sentinel";
        options.Password = "another wrong one";
        error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();
        Assert.False(error.IsTransient);
        Assert.Contains("user 'default'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sentinels_are_asked_over_TLS_too()
    {
        using var authority = new TestAuthority();
        var tls = authority.ServerTls();
        await using var master = await RedisServerProcess.StartAsync(new RedisServerSettings { Tls = tls });
        await using var sentinel = await RedisServerProcess.StartAsync(
            new RedisServerSettings
            {
                Tls = tls,
                Flags = ["--tls-replication", "yes"],
                Sentinel = $"""
                sentinel monitor mymaster 127.0.0.1 {master.TlsPort} 1

                """,
            }
        );
        var options = RedisClientOptions.Parse($"127.0.0.1:{sentinel.TlsPort},serviceName=mymaster,tlsCa={authority.CertificateFile}");
        (options.ConnectTimeout, options.CommandTimeout) = (Waiting.Bound, Waiting.Bound);

        await using (var redis = await RedisClient.ConnectAsync(options).Within())
            Assert.Equal("PONG", await redis.PingAsync().Within());

        // The Sentinel's plain port: it must not be spoken to in the clear.
        options.Servers = [new RedisAddress("127.0.0.1", sentinel.Port)];
        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();
        Assert.Contains("does not speak TLS", error.Message, StringComparison.Ordinal);
    }

    private static async Task<bool> ListensAsync(RedisServerProcess sentinel) =>
        (await sentinel.CommandAsync("CLIENT", "LIST"))!
            .Split('\n')
            .Any(line => line.Contains("name=finder", StringComparison.Ordinal) && line.Contains("sub=6", StringComparison.Ordinal));

    private static Task<RedisConnectionException> RefusedAsync(SentinelProcesses all, Action<RedisClientOptions> change) =>
        SentinelFailoverTests.ConnectAsync(all, change).FailsWith<RedisConnectionException>();
}
