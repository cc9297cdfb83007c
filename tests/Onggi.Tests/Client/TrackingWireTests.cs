using System.Text;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>Tracking without a socket: what the sink hears, in which order, and what stands on the wire.</summary>
public sealed class TrackingWireTests
{
    private const string Pair = "*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n";

    [Fact]
    public void Replies_and_invalidations_are_told_in_the_order_of_the_wire()
    {
        var told = new Told();
        var connection = Connected(told);
        Read(connection, told, "a");
        Read(connection, told, "b");
        Read(connection, told, "a");

        connection.OnBytes("+OK\r\n$1\r\n1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+OK\r\n$1\r\n2\r\n+OK\r\n$1\r\n3\r\n"u8);

        Assert.Equal(["established 1", "a=1", "gone a", "b=2", "a=3"], told.Log);
    }

    [Fact]
    public void The_order_is_the_same_when_every_byte_comes_alone()
    {
        var told = new Told();
        var connection = Connected(told);
        Read(connection, told, "a");
        Read(connection, told, "b");

        foreach (var one in "+OK\r\n$1\r\n1\r\n>2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nx\r\n+OK\r\n$1\r\n2\r\n"u8.ToArray())
            connection.OnBytes([one]);

        Assert.Equal(["established 1", "a=1", "gone a", "gone x", "b=2"], told.Log);
    }

    [Fact]
    public void An_invalidation_between_the_preamble_and_the_reply_is_told_before_the_reply_is_stored()
    {
        var told = new Told();
        var connection = Connected(told);
        Read(connection, told, "a");

        connection.OnBytes("+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n$1\r\n2\r\n"u8);

        Assert.Equal(["established 1", "gone a", "a=2"], told.Log);
    }

    [Fact]
    public void The_push_of_an_own_write_comes_right_after_its_reply()
    {
        var told = new Told();
        var connection = Connected(told);
        Read(connection, told, "a");
        Ask(connection, ["SET", "a", "2"], told.Noting<bool>("set"));
        Read(connection, told, "a");

        connection.OnBytes("+OK\r\n$1\r\n1\r\n+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+OK\r\n$1\r\n2\r\n"u8);

        Assert.Equal(["established 1", "a=1", "set", "gone a", "a=2"], told.Log);
    }

    [Fact]
    public async Task A_refused_CLIENT_CACHING_is_told_as_what_it_is()
    {
        await using var server = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ExpectAsync("CLIENT", "TRACKING", "ON", "OPTIN");
            await connection.SendAsync("+OK\r\n");
            await connection.ServeAsync(command => command[0] == "CLIENT" ? "-NOPERM no caching\r\n" : "$1\r\n1\r\n");
        });
        await using var redis = new RedisClient(new RedisClientOptions { Port = server.Port });
        var link = redis.Track(new Told());

        var error = await Assert.ThrowsAsync<RedisConnectionException>(() =>
            link.SendTrackedAsync(new Command(["GET", "a"]), ReplyParsers.Text, CommandOptions.None, CancellationToken.None)
                .AsTask()
                .WaitAsync(TimeSpan.FromSeconds(20))
        );

        Assert.Contains("CLIENT CACHING was refused: NOPERM no caching", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("not RESP3", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_invalidation_of_null_is_one_of_everything()
    {
        var told = new Told();
        var connection = Connected(told);

        connection.OnBytes(">2\r\n$10\r\ninvalidate\r\n_\r\n>2\r\n$10\r\ninvalidate\r\n*-1\r\n"u8);

        Assert.Equal(["established 1", "all gone", "all gone"], told.Log);
    }

    [Theory]
    [InlineData(">2\r\n$10\r\ninvalidate\r\n:1\r\n")]
    [InlineData(">2\r\n$10\r\ninvalidate\r\n*1\r\n_\r\n")]
    [InlineData(">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n$1\r\na\r\n")]
    [InlineData(">1\r\n$10\r\ninvalidate\r\n")]
    [InlineData(">2\r\n$21\r\ntracking-redir-broken\r\n:7\r\n")]
    public void An_invalidation_that_cannot_be_read_ends_the_connection(string push)
    {
        var connection = Connected(new Told());

        Assert.Throws<RespProtocolException>(() => connection.OnBytes(Encoding.Latin1.GetBytes(push)));
    }

    [Fact]
    public void Pushes_of_other_kinds_are_counted_and_passed_over()
    {
        var told = new Told();
        var pushes = new TrackingPushes(told);
        var connection = Connected(pushes);
        Read(connection, told, "a");

        connection.OnBytes("+OK\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n>1\r\n*1\r\n:1\r\n$1\r\n1\r\n"u8);

        Assert.Equal(["established 1", "a=1"], told.Log);
        Assert.Equal((2, 0), (pushes.Unknown, pushes.Invalidations));
    }

    [Fact]
    public async Task A_refused_preamble_ends_the_connection_and_its_command_stores_nothing()
    {
        var told = new Told();
        var connection = Connected(told);
        Enqueue(connection, ["GET", "a"], told.Storing("a"), Preamble.Caching, out var reading);
        var task = reading.AsTask();
        Assert.True(connection.TakeOutput(out _));

        var broken = Assert.Throws<RespProtocolException>(() => connection.OnBytes("-NOPERM no\r\n$1\r\n1\r\n"u8));
        connection.EndReading();
        connection.Close("The server refused.", broken);

        Assert.Equal(["established 1"], told.Log);
        Assert.Equal(Sent.Maybe, (await Assert.ThrowsAsync<RedisConnectionException>(() => task)).Sent);
    }

    [Fact]
    public void Nothing_is_read_once_reading_has_ended()
    {
        var told = new Told();
        var pushes = new TrackingPushes(told);
        var connection = Connected(pushes);
        Read(connection, told, "a");

        connection.EndReading();
        pushes.End();
        connection.OnBytes("+OK\r\n$1\r\n1\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n"u8);

        Assert.Equal(["established 1", "lost 1"], told.Log);
    }

    [Fact]
    public void Generations_grow_and_a_connection_is_lost_once()
    {
        var told = new Told();
        var pushes = new TrackingPushes(told);

        pushes.End();
        pushes.Begin();
        pushes.End();
        pushes.End();
        pushes.Begin();

        Assert.Equal(["established 1", "lost 1", "established 2"], told.Log);
        Assert.Equal(2, pushes.Generation);
    }

    [Fact]
    public async Task An_invalidation_allocates_nothing()
    {
        var silent = new Silent();
        var connection = Connected(new TrackingPushes(silent));
        var push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\nuser1\r\n"u8.ToArray();
        var ready = new ReadyQueue();
        var received = 0;

        await Allocation.NoneAsync(() => Receive(1000));

        Assert.Equal(received, silent.Keys);

        void Receive(int times)
        {
            for (var i = 0; i < times; i++)
            {
                push.CopyTo(connection.GetReceiveMemory().Span);
                connection.OnReceived(push.Length, ready);
            }

            received += times;
        }
    }

    [Fact]
    public async Task Many_threads_never_tear_a_pair()
    {
        const int Threads = 8;
        const int Each = 4000;
        var connection = Connected(new Told(), new ConnectionLimits { MaxInFlight = 2 * Threads * Each });
        var output = new MemoryStream();
        var asking = Enumerable
            .Range(0, Threads)
            .Select(thread =>
                Task.Run(() =>
                {
                    for (var i = 0; i < Each; i++)
                        if (i % 3 == 0)
                            Ask(connection, ["ECHO", "plain"], ReplyParsers.Text);
                        else
                            Ask(connection, ["GET", $"tracked:{thread}:{i}"], ReplyParsers.Text, Preamble.Caching);
                })
            )
            .ToArray();
        var all = Task.WhenAll(asking);
        while (!all.IsCompleted || connection.TryBeginSending())
        while (connection.TakeOutput(out var bytes))
            output.Write(bytes.Span);
        await all;

        // Whatever is tracked has its preamble right before it, and no preamble stands before anything else.
        var commands = Commands(Encoding.ASCII.GetString(output.ToArray()));
        var pairs = 0;
        for (var i = 0; i < commands.Count; i++)
            if (commands[i] == "CLIENT CACHING YES")
            {
                pairs++;
                Assert.StartsWith("GET tracked:", commands[i + 1], StringComparison.Ordinal);
            }
            else if (commands[i].StartsWith("GET", StringComparison.Ordinal))
            {
                Assert.Equal("CLIENT CACHING YES", commands[i - 1]);
            }

        Assert.Equal(commands.Count(command => command.StartsWith("GET", StringComparison.Ordinal)), pairs);
        Assert.True(pairs > Threads * Each / 2);
    }

    [Fact]
    public void A_pair_that_waited_for_a_connection_goes_out_as_a_pair()
    {
        var told = new Told();
        var connection = new RespConnection(new ConnectionLimits(), new TrackingPushes(told));
        Read(connection, told, "a");
        Read(connection, told, "b");

        connection.Attach();

        Assert.True(connection.TakeOutput(out var bytes));
        Assert.Equal($"{Pair}*2\r\n$3\r\nGET\r\n$1\r\na\r\n{Pair}*2\r\n$3\r\nGET\r\n$1\r\nb\r\n", Encoding.ASCII.GetString(bytes.Span));
    }

    [Fact]
    public void A_backlog_has_room_for_the_preambles_that_it_will_be_sent_with()
    {
        var told = new Told();
        var connection = new RespConnection(new ConnectionLimits { MaxInFlight = 64, MaxBacklog = 64 }, new TrackingPushes(told));
        var taken = 0;
        while (Enqueue(connection, ["GET", "k"], told.Storing("k"), Preamble.Caching, out _) != Enqueued.Full)
            taken++;

        connection.Attach();

        Assert.Equal(32, taken);
        Assert.Equal(64, connection.InFlight);
    }

    private static void Read(RespConnection connection, Told told, string key) =>
        Ask(connection, ["GET", key], told.Storing(key), Preamble.Caching);

    private static void Ask<T>(RespConnection connection, RedisArg[] command, ReplyParser<T> parser, Preamble? preamble = null) =>
        Enqueue(connection, command, parser, preamble, out _);

    private static Enqueued Enqueue<T>(
        RespConnection connection,
        RedisArg[] command,
        ReplyParser<T> parser,
        Preamble? preamble,
        out ValueTask<T> task
    )
    {
        var pending = PendingReply<T>.Rent(parser, "TEST", asked: 0, deadline: long.MaxValue);
        pending.Encode(new Command(command));
        pending.Preamble = preamble;
        task = pending.Task;
        return connection.TryEnqueue(pending);
    }

    private static RespConnection Connected(Told told, ConnectionLimits? limits = null) => Connected(new TrackingPushes(told), limits);

    private static RespConnection Connected(TrackingPushes pushes, ConnectionLimits? limits = null)
    {
        var connection = new RespConnection(limits ?? new ConnectionLimits(), pushes);
        pushes.Begin();
        connection.Attach();
        return connection;
    }

    private static List<string> Commands(string text)
    {
        List<string> commands = [];
        var lines = text.Split("\r\n");
        for (var i = 0; i < lines.Length - 1; )
        {
            var count = int.Parse(lines[i++].AsSpan(1), System.Globalization.CultureInfo.InvariantCulture);
            commands.Add(string.Join(' ', Enumerable.Range(0, count).Select(part => lines[i + (2 * part) + 1])));
            i += 2 * count;
        }

        return commands;
    }

    /// <summary>Writes down what it hears, together with what parsers store.</summary>
    private sealed class Told : ITrackingSink
    {
        public List<string> Log { get; } = [];

        public ReplyParser<bool> Storing(string key) =>
            (ref reader) =>
            {
                Log.Add($"{key}={reader.ReadString()}");
                return true;
            };

        public ReplyParser<T?> Noting<T>(string what) =>
            (ref _) =>
            {
                Log.Add(what);
                return default;
            };

        public void Established(long generation) => Log.Add($"established {generation}");

        public void Invalidated(ReadOnlySpan<byte> key) => Log.Add($"gone {Encoding.UTF8.GetString(key)}");

        public void InvalidatedAll() => Log.Add("all gone");

        public void Lost(long generation) => Log.Add($"lost {generation}");
    }

    private sealed class Silent : ITrackingSink
    {
        public int Keys { get; private set; }

        public void Established(long generation) { }

        public void Invalidated(ReadOnlySpan<byte> key) => Keys++;

        public void InvalidatedAll() { }

        public void Lost(long generation) { }
    }
}
