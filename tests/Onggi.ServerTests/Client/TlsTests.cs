using Onggi.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;
using Xunit.Abstractions;

namespace Onggi.ServerTests.Client;

/// <summary>TLS with a real server: commands flow, and certificates can be changed under way.</summary>
public sealed class TlsTests(ITestOutputHelper output) : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData("TLSv1.2")]
    [InlineData("TLSv1.3")]
    public async Task Commands_flow_large_and_small_both_ways_at_once(string protocol)
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls(protocols: protocol));
        await using var redis = await RedisClient.ConnectAsync(TlsServer.Options(server, _authority)).Within();
        var large = new byte[10 << 20];
        new Random(Seed.Value).NextBytes(large);
        await redis.SetAsync("large", large).Within();

        var together = Enumerable
            .Range(0, 200)
            .Select(async i =>
            {
                await redis.SetAsync($"k{i}", $"v{i}");
                Assert.Equal($"v{i}", await redis.GetStringAsync($"k{i}"));
            })
            .Append(redis.SetAsync("larger", large).AsTask())
            .Append(redis.GetAsync("large").AsTask())
            .ToList();
        await Task.WhenAll(together).Within();

        Assert.Equal(large, await redis.GetAsync("larger").Within());
    }

    [Theory]
    [InlineData("localhost:{0},tlsCa={1}")]
    [InlineData("127.0.0.1:{0},ssl=true,tlsCa={1}")]
    [InlineData("127.0.0.1:{0},sslHost=localhost,tlsCa={1}")]
    [InlineData("rediss://localhost:{0}?tlsCa={1}")]
    public async Task A_connection_string_is_enough(string connectionString)
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        var text = connectionString
            .Replace("{0}", $"{server.TlsPort}", StringComparison.Ordinal)
            .Replace("{1}", _authority.CertificateFile, StringComparison.Ordinal);

        await using var redis = await RedisClient.ConnectAsync(text).Within();

        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Theory]
    [InlineData("TLSv1.2", false)]
    [InlineData("TLSv1.3", false)]
    [InlineData("TLSv1.3", true)]
    public async Task A_server_that_wants_a_certificate_gets_ours(string protocol, bool keyInCertificateFile)
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls("yes", protocol));
        var (certificate, key) = _authority.Sign("client", forServers: false);
        var options = TlsServer.Options(server, _authority);
        if (keyInCertificateFile)
            options.Tls!.ClientCertificateFile = _authority.Write(
                "both.pem",
                await File.ReadAllTextAsync(certificate) + await File.ReadAllTextAsync(key)
            );
        else
            (options.Tls!.ClientCertificateFile, options.Tls.ClientKeyFile) = (certificate, key);

        await using var redis = await RedisClient.ConnectAsync(options).Within();

        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task A_server_that_is_slow_to_greet_is_asked_whether_it_is_plain_and_waited_for()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        await using var proxy = FaultProxy.Start(server.TlsPort);
        proxy.Hold();
        var options = TlsServer.Options(server, _authority);
        (options.Host, options.Port) = ("127.0.0.1", proxy.Port);
        await using var redis = new RedisClient(options);
        var connected = redis.ConnectAsync().AsTask();

        // The second one asks.
        await proxy.WaitForConnectionsAsync(2).Within();
        proxy.Release();

        await connected.Within();
        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task Blocking_callers_and_inline_completion_work_over_TLS()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        var options = TlsServer.Options(server, _authority);
        options.InlineCompletion = true;
        await using var redis = await RedisClient.ConnectAsync(options).Within();

        Assert.Equal("PONG", await redis.PingAsync().Within());
        Assert.Equal("PONG", redis.Send(["PING"], ReplyParsers.Text));
    }

    [Fact]
    public async Task Subscriptions_come_over_TLS_too()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        await using var redis = await RedisClient.ConnectAsync(TlsServer.Options(server, _authority)).Within();
        await using var news = await redis.SubscribeAsync("news").Within();

        await server.CommandAsync("PUBLISH", "news", "hello");

        await using var messages = news.ReadAllAsync().GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().Within());
        Assert.Equal("hello"u8.ToArray(), messages.Current.Payload.ToArray());
    }

    [Fact]
    public async Task New_files_are_used_by_the_next_connection()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls("yes"));
        var options = TlsServer.Options(server, _authority);
        var (expired, expiredKey) = _authority.Sign(
            "client",
            validFrom: TimeSpan.FromDays(-2),
            validFor: TimeSpan.FromDays(1),
            forServers: false
        );
        (options.Tls!.ClientCertificateFile, options.Tls.ClientKeyFile) = (expired, expiredKey);
        await using var redis = new RedisClient(options);
        await redis.ConnectAsync().FailsWith<RedisConnectionException>();

        _authority.Sign("client", forServers: false);

        // An attempt that began before, or has read one of the two files before it was replaced, still fails, and whoever waits then is told.
        await Until.TrueAsync(() => ConnectsAsync(redis), "the new files are used");
        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    private static async Task<bool> ConnectsAsync(RedisClient redis)
    {
        try
        {
            await redis.ConnectAsync().Within();
            return true;
        }
        catch (RedisConnectionException)
        {
            return false;
        }
    }

    [Fact]
    public async Task Several_authorities_may_stand_in_one_file()
    {
        using var other = new TestAuthority("another authority");
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        var options = TlsServer.Options(server, other);
        options.Tls!.CertificateAuthorityFile = other.Write(
            "both.pem",
            await File.ReadAllTextAsync(other.CertificateFile) + await File.ReadAllTextAsync(_authority.CertificateFile)
        );

        await using var redis = await RedisClient.ConnectAsync(options).Within();

        Assert.Equal("PONG", await redis.PingAsync().Within());
    }

    [Fact]
    public async Task A_pending_read_is_woken_by_the_end()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        var options = TlsServer.Options(server, _authority);
        options.CommandTimeout = TimeSpan.FromMinutes(5);
        options.DeadAfter = TimeSpan.FromMinutes(5);
        var redis = await RedisClient.ConnectAsync(options).Within();
        server.Pause();
        try
        {
            var waiting = redis.PingAsync().AsTask();

            await redis.DisposeAsync().Within();

            await waiting.FailsWith<RedisConnectionException>();
        }
        finally
        {
            server.Resume();
        }
    }

    [Fact]
    public async Task No_reply_reaches_the_wrong_caller_over_TLS_that_is_cut_and_held()
    {
        const long Commands = 100_000;
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        await using var proxy = FaultProxy.Start(server.TlsPort, Seed.Value);

        var report = await ReplyTorture.RunAsync(
            proxy,
            new TortureSettings
            {
                Seed = Seed.Value,
                Commands = Commands,
                Duration = TimeSpan.FromSeconds(100),
                Tls = new RedisTlsOptions { CertificateAuthorityFile = _authority.CertificateFile },
            }
        );

        output.WriteLine($"{Seed.Line}: {report}");
        Assert.True(report is { Different: 0, Lost: 0 }, $"{Seed.Line}: {report}");
        Assert.True(report.Commands >= Commands && report.Answered > report.Commands / 3, $"Too little was answered: {report}");
        Assert.True(report.Faults > 10 && report.Connections > 5, $"Too little was done to them: {report}");
    }
}

/// <summary>Servers with TLS, and clients that trust them.</summary>
internal static class TlsServer
{
    public static Task<RedisServerProcess> StartAsync(RedisServerTls tls) =>
        RedisServerProcess.StartAsync(new RedisServerSettings { Tls = tls });

    /// <summary>Options for the server's TLS port, trusting the authority, with much patience: what fails for good must not need it.</summary>
    public static RedisClientOptions Options(RedisServerProcess server, TestAuthority authority) =>
        new()
        {
            Host = "localhost",
            Port = server.TlsPort,
            ConnectTimeout = TimeSpan.FromMinutes(1),
            CommandTimeout = Waiting.Bound,
            Tls = new RedisTlsOptions { CertificateAuthorityFile = authority.CertificateFile },
        };
}
