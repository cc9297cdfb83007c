using System.Collections.Concurrent;
using System.Text;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Tracked reads on redis-server: what is told of writes, of lost connections, and in which order.</summary>
public sealed class TrackingTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private static readonly RedisScript ReadScript = new("read", "return redis.call('GET', KEYS[1])");

    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_foreign_write_is_told_after_a_tracked_read_and_not_after_a_plain_one()
    {
        await using var redis = await ConnectAsync();
        var told = new Told();
        var link = redis.Track(told);
        await Server.CommandAsync("SET", "watched", "1");
        await Server.CommandAsync("SET", "unwatched", "1");

        Assert.Equal("1", await ReadAsync(link, told, "watched"));
        Assert.Equal(
            "1",
            await link.SendAsync(new Command(["GET", "unwatched"]), ReplyParsers.Text, CommandOptions.None, default).Within()
        );
        await Server.CommandAsync("SET", "unwatched", "2");
        await Server.CommandAsync("SET", "watched", "2");
        await PingAsync(link);

        Assert.Equal(["established 1", "watched=1", "gone watched"], told.Log);
        Assert.Equal(1, link.Invalidations);
    }

    [Fact]
    public async Task Where_all_reads_are_watched_a_plain_one_is_too()
    {
        await using var redis = await ConnectAsync();
        var told = new Told();
        var link = redis.Track(told, reads: TrackedReads.All);
        await Server.CommandAsync("MSET", "plain", "1", "tracked", "1", "unread", "1");

        Assert.Equal("1", await link.SendAsync(new Command(["GET", "plain"]), ReplyParsers.Text, CommandOptions.None, default).Within());
        Assert.Equal("1", await ReadAsync(link, told, "tracked"));
        await Server.CommandAsync("MSET", "plain", "2", "tracked", "2", "unread", "2");
        await PingAsync(link);

        Assert.Equal(["established 1", "gone plain", "gone tracked", "tracked=1"], told.Log.Order(StringComparer.Ordinal));
        Assert.Equal(2, link.Invalidations);
    }

    [Theory]
    [InlineData(TrackedReads.OptedIn)]
    [InlineData(TrackedReads.All)]
    public async Task A_key_that_was_not_there_is_watched_too(object reads)
    {
        await using var redis = await ConnectAsync();
        var told = new Told();
        var absent = $"absent:{reads}";
        var link = redis.Track(told, reads: (TrackedReads)reads);

        Assert.Null(await ReadAsync(link, told, absent));
        await Server.CommandAsync("SET", absent, "1");
        await PingAsync(link);

        Assert.Equal(["established 1", $"{absent}=", $"gone {absent}"], told.Log);
    }

    [Fact]
    public async Task An_own_write_is_told_and_the_key_can_be_watched_again()
    {
        await using var redis = await ConnectAsync();
        var told = new Told();
        var link = redis.Track(told);

        await ReadAsync(link, told, "own");
        await link.SendAsync(new Command(["SET", "own", "1"]), ReplyParsers.Boolean, CommandOptions.None, default).Within();
        await ReadAsync(link, told, "own");
        await Server.CommandAsync("DEL", "own");
        await PingAsync(link);

        Assert.Equal(["established 1", "own=", "gone own", "own=1", "gone own"], told.Log);
    }

    [Fact]
    public async Task FLUSHALL_is_told_as_everything()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        var told = new Told();
        var link = redis.Track(told);
        await ReadAsync(link, told, "a");

        await server.CommandAsync("FLUSHALL");
        await PingAsync(link);

        Assert.Equal(["established 1", "a=", "all gone"], told.Log);
    }

    [Fact]
    public async Task A_killed_connection_is_told_as_lost_before_its_callers_go_on_and_before_the_next_is_used()
    {
        await using var redis = await ConnectAsync();
        var told = new Told();
        var link = redis.Track(told);
        await ReadAsync(link, told, "k");
        var id = await link.SendAsync(new Command(["CLIENT", "ID"]), ReplyParsers.Text, CommandOptions.None, default).Within();

        // It hangs in the server until the connection is killed under it.
        var hanging = HangAsync(link, told);
        await Server.CommandAsync("CLIENT", "KILL", "ID", id!);
        await hanging.Within();
        await ReadAsync(link, told, "k");

        // Whoever failed goes on on a thread of its own: after the loss, and with no order towards what follows it.
        Assert.Equal(["established 1", "k=", "lost 1", "established 2", "k="], told.Log.Where(line => line != "failed"));
        Assert.True(told.Log.ToList().IndexOf("failed") > told.Log.ToList().IndexOf("lost 1"));
        Assert.Equal(2, link.Generation);

        async Task HangAsync(TrackedLink link, Told told)
        {
            var error = await link.SendTrackedAsync(
                    new Command(["BLPOP", "nobody pushes here", 0]),
                    ReplyParsers.Ignore,
                    CommandOptions.None,
                    default
                )
                .FailsWith<bool, RedisConnectionException>();
            Assert.Equal(Sent.Maybe, error.Sent);
            told.Note("failed");
        }
    }

    [Fact]
    public async Task What_is_for_one_connection_is_not_sent_on_the_next()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        var told = new Told();
        var link = redis.Track(told);
        await ReadAsync(link, told, "k");
        Assert.True(await SetOnAsync(1, "on this one").Within());

        await server.KillAsync();
        await Eventually(() => !link.IsConnected);
        // The one is refused at once, the other waits for a connection.
        var bound = await SetOnAsync(1, "bound").FailsWith<bool, RedisConnectionException>();
        var free = SetOnAsync(0, "free").AsTask();
        await server.RestartAsync();
        Assert.True(await free.Within());
        var late = await SetOnAsync(1, "late").FailsWith<bool, RedisConnectionException>();

        Assert.Equal((Sent.No, Sent.No), (bound.Sent, late.Sent));
        Assert.True(await SetOnAsync(link.Generation, "on the next one").Within());
        Assert.Equal(
            "on this one:0 bound:0 late:0 free:1 on the next one:1",
            $"on this one:{await server.CommandAsync("EXISTS", "on this one")} bound:{await server.CommandAsync("EXISTS", "bound")} "
                + $"late:{await server.CommandAsync("EXISTS", "late")} free:{await server.CommandAsync("EXISTS", "free")} "
                + $"on the next one:{await server.CommandAsync("EXISTS", "on the next one")}"
        );

        ValueTask<bool> SetOnAsync(long generation, string key) =>
            link.SendOnAsync(generation, new Command(["SET", key, "1"]), ReplyParsers.Boolean, CommandOptions.None, default);
    }

    [Fact]
    public async Task What_is_for_one_connection_is_not_asked_again_on_the_next_when_it_is_lost_under_way()
    {
        var told = new Told();
        await using var server = FakeRedis.Start(
            async connection =>
            {
                await GreetAsync(connection);
                await connection.ExpectAsync("INCR", "k");
                connection.Cut();
            },
            async connection =>
            {
                await GreetAsync(connection);
                await connection.ExpectAsync("PING");
                await connection.SendAsync("+PONG\r\n");
                await connection.UntilClosedAsync();
            }
        );
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString));
        var link = redis.Track(told);
        link.Start();
        await Eventually(() => link.IsConnected);

        // Marked as harmless to repeat: on this connection it would be.
        var lost = await link.SendOnAsync(1, new Command(["INCR", "k"]), ReplyParsers.Int64, CommandOptions.Idempotent, default)
            .FailsWith<long, RedisConnectionException>();
        await PingAsync(link);

        Assert.Equal(Sent.Maybe, lost.Sent);
    }

    [Fact]
    public async Task A_read_that_is_asked_again_on_the_next_connection_is_asked_as_a_pair()
    {
        var told = new Told();
        await using var server = FakeRedis.Start(
            async connection =>
            {
                await GreetAsync(connection);
                await connection.ExpectAsync("CLIENT", "CACHING", "YES");
                await connection.ExpectAsync("GET", "k");
                connection.Cut();
            },
            async connection =>
            {
                await GreetAsync(connection);
                await connection.ExpectAsync("CLIENT", "CACHING", "YES");
                told.Note("asked again");
                await connection.ExpectAsync("GET", "k");
                await connection.SendAsync("+OK\r\n$1\r\n1\r\n");
                await connection.UntilClosedAsync();
            }
        );
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString));

        Assert.Equal("1", await ReadAsync(redis.Track(told), told, "k"));

        Assert.Equal(["established 1", "lost 1", "established 2", "asked again", "k=1"], told.Log);
    }

    [Fact]
    public async Task A_script_that_the_server_has_forgotten_is_asked_again_as_a_tracked_pair()
    {
        await using var redis = await ConnectAsync();
        var told = new Told();
        var link = redis.Track(told);
        await Server.CommandAsync("SET", "scripted", "1");
        await Server.CommandAsync("SCRIPT", "FLUSH");

        await link.SendTrackedAsync(new Command(ReadScript, ["scripted"], []), told.Storing("scripted"), CommandOptions.None, default)
            .Within();
        await Server.CommandAsync("SET", "scripted", "2");
        await PingAsync(link);

        Assert.Equal(["established 1", "scripted=1", "gone scripted"], told.Log);
    }

    [Fact]
    public async Task Disposing_the_client_tells_the_loss()
    {
        var told = new Told();
        await using (var redis = await ConnectAsync())
            await ReadAsync(redis.Track(told), told, "k");

        Assert.Equal("lost 1", told.Log[^1]);
    }

    [Fact]
    public async Task A_server_that_refuses_the_preamble_loses_the_connection_and_nothing_is_stored()
    {
        await using var server = FakeRedis.Start(connection =>
            connection.ServeAsync(command =>
                command switch
                {
                    ["HELLO", ..] => FakeConnection.HelloReply(),
                    ["CLIENT", "TRACKING", "ON", "OPTIN"] => "+OK\r\n",
                    ["CLIENT", "CACHING", "YES"] => "-NOPERM this user has no permissions to run the 'client|caching' command\r\n",
                    ["GET", ..] => "$1\r\n1\r\n",
                    _ => "-ERR unknown\r\n",
                }
            )
        );
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString));
        var told = new Told();
        var link = redis.Track(told);

        await link.SendTrackedAsync(new Command(["GET", "k"]), told.Storing("k"), CommandOptions.None, default)
            .FailsWith<bool, RedisConnectionException>();

        Assert.Equal(["established 1", "lost 1"], told.Log.Take(2));
        Assert.DoesNotContain("k=1", told.Log);
    }

    [Fact]
    public async Task Half_a_push_behind_the_handshake_is_no_beginning_of_a_connection()
    {
        // What is left of it reads like a reply: it would be taken for the one to CLIENT CACHING, and every reply after it for another's.
        await using var server = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ExpectAsync("CLIENT", "TRACKING", "ON", "OPTIN");
                await connection.SendAsync("+OK\r\n>2\r\n$10\r\ninvalidate\r\n");
                await connection.UntilClosedAsync();
            },
            connection =>
                connection.ServeAsync(command =>
                    command switch
                    {
                        ["HELLO", ..] => FakeConnection.HelloReply(),
                        ["GET", ..] => "$1\r\n1\r\n",
                        _ => "+OK\r\n",
                    }
                )
        );
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString));
        var told = new Told();

        Assert.Equal("1", await ReadAsync(redis.Track(told), told, "k"));

        Assert.Equal(["established 1", "k=1"], told.Log);
        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task A_sink_that_throws_ends_the_connection_and_is_told_so()
    {
        await using var redis = await ConnectAsync();
        var told = new Told { ThrowsOn = "poison" };
        var link = redis.Track(told);
        await ReadAsync(link, told, "poison");

        await Server.CommandAsync("SET", "poison", "1");
        await Eventually(() => link.Generation == 2);

        Assert.Equal(["established 1", "poison=", "lost 1", "established 2"], told.Log);
    }

    internal static Task PingAsync(TrackedLink link) =>
        link.SendAsync(new Command(["PING"]), ReplyParsers.Ignore, CommandOptions.Idempotent, default).Within();

    private static async Task<string?> ReadAsync(TrackedLink link, Told told, string key)
    {
        await link.SendTrackedAsync(new Command(["GET", key]), told.Storing(key), CommandOptions.Idempotent, default).Within();
        var line = told.Log[^1];
        return line.EndsWith('=') ? null : line[(key.Length + 1)..];
    }

    private static async Task GreetAsync(FakeConnection connection)
    {
        await connection.HelloAsync();
        await connection.ExpectAsync("CLIENT", "TRACKING", "ON", "OPTIN");
        await connection.SendAsync("+OK\r\n");
    }

    private static async Task Eventually(Func<bool> condition)
    {
        var bound = Task.Delay(Waiting.Bound);
        while (!condition())
        {
            Assert.False(bound.IsCompleted, "It did not happen in time.");
            await Task.Delay(1);
        }
    }

    private ValueTask<RedisClient> ConnectAsync() => RedisClient.ConnectAsync(Server.ConnectionString);

    private sealed class Told : ITrackingSink
    {
        private readonly ConcurrentQueue<string> _log = new();

        public string? ThrowsOn { get; init; }

        public IReadOnlyList<string> Log => [.. _log];

        public void Note(string what) => _log.Enqueue(what);

        public ReplyParser<bool> Noting(string what) =>
            (ref _) =>
            {
                Note(what);
                return true;
            };

        public ReplyParser<bool> Storing(string key) =>
            (ref reader) =>
            {
                Note($"{key}={reader.ReadString()}");
                return true;
            };

        public void Established(long generation) => Note($"established {generation}");

        public void Invalidated(ReadOnlySpan<byte> key)
        {
            var name = Encoding.UTF8.GetString(key);
            if (name == ThrowsOn)
                throw new InvalidOperationException("not this one");
            Note($"gone {name}");
        }

        public void InvalidatedAll() => Note("all gone");

        public void Lost(long generation) => Note($"lost {generation}");
    }
}
