using System.Collections.Concurrent;
using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Credentials that change while clients live, and that nobody reads in a log.</summary>
public sealed class CredentialsTests : IAsyncLifetime
{
    private const string Secret = "s3cr3t-of-the-service";

    private readonly ConcurrentQueue<RedisCredentialReason> _asked = new();
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync()
    {
        _server = await RedisServerProcess.StartAsync();
        await UserAsync("app", "new");
        await UserAsync("other", "new");
    }

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task They_are_asked_for_at_every_connection_with_the_servers_address()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        RedisCredentialRequest last = default;
        await using var redis = await RedisClient
            .ConnectAsync(
                Options(
                    proxy.Port,
                    request =>
                    {
                        last = request;
                        return new RedisCredentials("app", "new");
                    }
                )
            )
            .Within();
        var again = redis.Change(connected: true);

        proxy.CutAll();
        await again;

        Assert.Equal("app", await WhoAsync(redis));
        Assert.Equal([RedisCredentialReason.Connecting, RedisCredentialReason.Connecting], _asked);
        Assert.Equal(new RedisAddress("127.0.0.1", proxy.Port), last.Server);
    }

    [Fact]
    public async Task A_password_that_changed_between_two_reads_is_no_outage()
    {
        await using var proxy = FaultProxy.Start(Server.Port);

        await using var redis = await RedisClient
            .ConnectAsync(
                Options(proxy.Port, request => new RedisCredentials("app", request.Reason == RedisCredentialReason.Refused ? "new" : "old"))
            )
            .Within();

        Assert.Equal("app", await WhoAsync(redis));
        Assert.Equal([RedisCredentialReason.Connecting, RedisCredentialReason.Refused], _asked);
        Assert.Equal(1, proxy.Accepted);
    }

    [Fact]
    public async Task What_is_refused_twice_is_refused()
    {
        var error = await RedisClient
            .ConnectAsync(Options(Server.Port, _ => new RedisCredentials("app", Secret + Guid.NewGuid())))
            .FailsWith<RedisClient, RedisConnectionException>();

        Assert.Contains("user 'app'", error.Message, StringComparison.Ordinal);
        Assert.Contains("Credentials callback", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, error.ToString(), StringComparison.Ordinal);
        Assert.False(error.IsTransient);
        Assert.Equal([RedisCredentialReason.Connecting, RedisCredentialReason.Refused], _asked.Take(2));
    }

    [Fact]
    public async Task A_live_connection_is_authenticated_anew_before_they_expire()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        var begin = Stopwatch.StartNew();
        await using var redis = await RedisClient
            .ConnectAsync(
                Options(
                    proxy.Port,
                    request =>
                        request.Reason == RedisCredentialReason.Expiring
                            ? new RedisCredentials("other", "new")
                            : new RedisCredentials("app", "new") { ExpiresAt = DateTimeOffset.UtcNow.AddSeconds(2) }
                )
            )
            .Within();
        Assert.Equal("app", await WhoAsync(redis));

        while (await WhoAsync(redis) != "other")
            Assert.True(begin.Elapsed < Waiting.Bound, "It was not authenticated anew.");

        Assert.True(begin.Elapsed > TimeSpan.FromSeconds(1), "Three quarters of the time had not passed.");
        Assert.Equal(1, proxy.Accepted);
        Assert.Equal([RedisCredentialReason.Connecting, RedisCredentialReason.Expiring], _asked);
    }

    [Fact]
    public async Task Renewing_that_fails_is_logged_and_tried_again_and_the_connection_goes_on()
    {
        using var log = new LogLines();
        await using var proxy = FaultProxy.Start(Server.Port);
        var expiring = 0;
        var options = Options(
            proxy.Port,
            request =>
                request.Reason switch
                {
                    RedisCredentialReason.Connecting => new RedisCredentials("app", "new")
                    {
                        ExpiresAt = DateTimeOffset.UtcNow.AddSeconds(1),
                    },
                    RedisCredentialReason.Refused => new RedisCredentials("app", Secret),
                    _ => Interlocked.Increment(ref expiring) switch
                    {
                        1 => throw new InvalidOperationException("the vault is shut"),
                        2 => new RedisCredentials("app", Secret),
                        _ => new RedisCredentials("other", "new"),
                    },
                }
        );
        await using var redis = await RedisClient.ConnectAsync(options, log).Within();
        var watch = Stopwatch.StartNew();

        while (await WhoAsync(redis) != "other")
            Assert.True(watch.Elapsed < Waiting.Bound, "It was not authenticated anew.");

        var lines = log.All.Where(line => line.Id == 1011).ToList();
        Assert.Equal(2, lines.Count);
        Assert.Contains("the vault is shut", lines[0].Text, StringComparison.Ordinal);
        Assert.Contains("WRONGPASS", lines[1].Text, StringComparison.Ordinal);
        Assert.Equal(1, proxy.Accepted);
        AssertSecret(log);
    }

    [Fact]
    public async Task A_callback_that_throws_is_said_and_tried_again()
    {
        var calls = 0;
        await using var redis = new RedisClient(
            Options(
                Server.Port,
                _ =>
                    Interlocked.Increment(ref calls) < 3
                        ? throw new TimeoutException("the vault is shut")
                        : new RedisCredentials("app", "new")
            )
        );

        await redis.ConnectAsync().Within();

        Assert.Equal("app", await WhoAsync(redis));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_callback_that_throws_or_gives_nothing_is_named(bool throws)
    {
        var options = Options(Server.Port, _ => throws ? throw new TimeoutException("the vault is shut") : null!);
        options.ConnectTimeout = TimeSpan.FromMilliseconds(500);

        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();

        Assert.Contains("The Credentials callback", error.Message, StringComparison.Ordinal);
        Assert.Contains(throws ? "TimeoutException: the vault is shut" : "gave none", error.Message, StringComparison.Ordinal);
        Assert.True(error.IsTransient);
    }

    [Fact]
    public async Task A_callback_that_hangs_ends_with_the_time_to_connect()
    {
        var options = new RedisClientOptions
        {
            Port = Server.Port,
            ConnectTimeout = TimeSpan.FromMilliseconds(500),
            Credentials = static async (_, _) =>
            {
                // It does not even listen to its token.
                await Task.Delay(Timeout.Infinite, CancellationToken.None);
                return null!;
            },
        };
        var watch = Stopwatch.StartNew();

        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();

        Assert.Contains("The Credentials callback", error.Message, StringComparison.Ordinal);
        Assert.Contains("answer", error.Message, StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData("-WRONGPASS invalid username-password pair or user is disabled.\r\n")]
    [InlineData("-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'app' '" + Secret + "' \r\n")]
    [InlineData("-ERR what is " + Secret + "?\r\n")]
    [InlineData("-NOPERM " + Secret + "\r\n")]
    public async Task No_log_line_and_no_exception_holds_the_password(string refusal)
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.ReadCommandAsync();
            await connection.SendAsync(refusal);
            await connection.UntilClosedAsync();
        });
        using var log = new LogLines();
        foreach (var byCallback in (bool[])[false, true])
        {
            var options = RedisClientOptions.Parse(
                $"{fake.ConnectionString},user=app,password={Secret},connectTimeout=700,commandTimeout=100"
            );
            if (byCallback)
                options.Credentials = static (_, _) => new(new RedisCredentials("app", Secret) { ExpiresAt = DateTimeOffset.UtcNow });
            await using var redis = new RedisClient(options, log);
            List<string> said = [options.ToString()];

            said.Add((await redis.ConnectAsync().FailsWith<RedisException>()).ToString());
            said.Add((await redis.PingAsync().FailsWith<string?, RedisException>()).ToString());
            said.Add((await redis.SubscribeAsync("news").FailsWith<RedisSubscription, RedisException>()).ToString());

            Assert.All(said, text => Assert.DoesNotContain(Secret, text, StringComparison.Ordinal));
        }

        AssertSecret(log);
    }

    [Fact]
    public void Credentials_as_text_are_the_user_alone()
    {
        Assert.Equal("user 'app'", new RedisCredentials("app", Secret).ToString());
        Assert.Equal("user 'default'", new RedisCredentials(null, Secret).ToString());
    }

    private static void AssertSecret(LogLines log)
    {
        Assert.NotEmpty(log.All);
        Assert.All(log.All, line => Assert.DoesNotContain(Secret, line.Text, StringComparison.Ordinal));
    }

    private static async Task<string?> WhoAsync(RedisClient redis) => await redis.SendAsync(["ACL", "WHOAMI"], ReplyParsers.Text).Within();

    private Task<string?> UserAsync(string name, string password) =>
        Server.CommandAsync("ACL", "SETUSER", name, "on", $">{password}", "~*", "&*", "+@all");

    private RedisClientOptions Options(int port, Func<RedisCredentialRequest, RedisCredentials> credentials) =>
        new()
        {
            Port = port,
            ConnectTimeout = TimeSpan.FromSeconds(15),
            Credentials = (request, _) =>
            {
                _asked.Enqueue(request.Reason);
                return new(credentials(request));
            },
        };
}
