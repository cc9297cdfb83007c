using System.Globalization;
using System.Reflection;
using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>What the client sends, in the server's own words: exactly what was asked, on each connection in the order of asking, and nothing else.</summary>
public sealed class MonitorTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const int Commands = 5000;

    [Fact]
    public async Task Thousands_of_random_commands_reach_the_server_as_they_were_asked_and_nobody_else_asks_anything()
    {
        using var monitor = await RedisMonitor.StartAsync(fixture.Server.Port).Within();
        var options = RedisClientOptions.Parse(fixture.Server.ConnectionString);
        options.ClientName = "monitored";
        options.Database = 3;
        await using var redis = await RedisClient.ConnectAsync(options).Within();
        var asking = new RandomCommands(redis, Seed.For(nameof(MonitorTests)));
        await asking.AskAsync(Commands);
        await redis.ExecuteAsync(["ECHO", "the end"]).Within();

        var seen = (await monitor.ReadUntilEchoAsync("the end").Within()).Where(command => command.Source != "lua").ToArray();

        // In the database that was asked for; each connection begins with what is documented.
        Assert.All(
            seen.Where(command => command.Args[0] is not ("HELLO" or "CLIENT" or "SELECT")),
            command => Assert.Equal("3", command.Database)
        );
        var connections = seen.GroupBy(command => command.Source).Select(group => new Queue<MonitoredCommand>(group)).ToArray();
        foreach (var connection in connections)
            AssertHandshake(
                connection,
                [
                    ["HELLO", "3", "SETNAME", "monitored"],
                    ["SELECT", "3"],
                ]
            );

        // What is large goes over a connection of its own; on each, the order is that of asking.
        var (commands, bulk) = (connections[0], connections.Skip(1).SingleOrDefault() ?? []);
        for (var i = 0; i < asking.Expected.Count; i++)
        {
            var asked = asking.Expected[i];
            var from = IsNext(bulk, asked) ? bulk : commands;
            Assert.True(
                IsNext(from, asked),
                $"Command {i}: asked {Show(asked)}, the server saw {commands.FirstOrDefault()} and {bulk.FirstOrDefault()} ({Seed.Line})"
            );
            Assert.True(
                from == commands
                    || asked.Sum(arg => arg.Length) > 10_000
                    || CommandTable.Find([.. asked.Select(arg => (RedisArg)arg)]).IsBulk,
                $"Command {i}, {Show(asked)}, is not large ({Seed.Line})"
            );
            from.Dequeue();
        }

        Assert.Empty(commands);
        Assert.Empty(bulk);
    }

    [Fact]
    public async Task A_subscriber_says_hello_and_subscribes_on_a_connection_of_its_own()
    {
        using var monitor = await RedisMonitor.StartAsync(fixture.Server.Port).Within();
        await using var redis = await RedisClient.ConnectAsync(fixture.Server.ConnectionString).Within();
        var channel = Encoding.UTF8.GetString("a \"b\" \\ \r\n\t채널"u8);
        await using (await redis.SubscribeAsync(channel).Within())
        await using (await redis.SubscribePatternAsync("p*").Within())
        {
            // Both are confirmed when they are handed out.
        }

        await redis.ExecuteAsync(["ECHO", "the end"]).Within();
        var seen = await monitor.ReadUntilEchoAsync("the end").Within();

        var wire = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(channel));
        var commands = new Queue<MonitoredCommand>(seen.Where(command => command.Source == seen[0].Source));
        AssertHandshake(
            commands,
            [
                ["HELLO", "3"],
            ]
        );
        Assert.Empty(commands);
        var subscriber = new Queue<MonitoredCommand>(seen.Where(command => command.Source != seen[0].Source));
        AssertHandshake(
            subscriber,
            [
                ["HELLO", "3"],
            ]
        );
        Assert.Equal(
            [
                ["SUBSCRIBE", wire],
                ["PSUBSCRIBE", "p*"],
                ["PUNSUBSCRIBE", "p*"],
                ["UNSUBSCRIBE", wire],
            ],
            subscriber.Select(command => command.Args)
        );
        Assert.Single(subscriber.Select(command => command.Source).Distinct());
    }

    [Fact]
    public async Task A_scan_follows_the_cursors_that_the_server_hands_out()
    {
        var options = RedisClientOptions.Parse(fixture.Server.ConnectionString);
        options.Database = 5;
        await using var redis = await RedisClient.ConnectAsync(options).Within();
        foreach (var key in (string[])["a", "b", "c"])
            await redis.SetAsync(key, "1").Within();
        List<string> cursors = ["0"];
        while (cursors.Count == 1 || cursors[^1] != "0")
            cursors.Add((await redis.ExecuteAsync(["SCAN", cursors[^1], "COUNT", 1]).Within()).Items[0].Text!);
        using var monitor = await RedisMonitor.StartAsync(fixture.Server.Port).Within();

        var found = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var key in redis.ScanAsync("*", count: 1))
            found.Add(key);

        await redis.ExecuteAsync(["ECHO", "the end"]).Within();
        var seen = await monitor.ReadUntilEchoAsync("the end").Within();
        Assert.Equal(3, found.Count);
        Assert.True(cursors.Count > 2);
        Assert.Equal(
            cursors[..^1].Select(cursor => (string[])["SCAN", cursor, "MATCH", "*", "COUNT", "1"]),
            seen.Select(command => command.Args)
        );
    }

    [Fact]
    public void Every_command_group_has_its_members_among_the_random_commands()
    {
        var members = typeof(RedisClient)
            .Assembly.GetExportedTypes()
            .Where(type => type.Namespace == typeof(RedisClient).Namespace && type.Name.EndsWith("Commands", StringComparison.Ordinal))
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
            .Where(method => method.GetParameters() is [{ } first, ..] && first.ParameterType == typeof(RedisClient))
            .Select(method => method.Name)
            .Distinct()
            .Order(StringComparer.Ordinal);

        Assert.Equal(members, RandomCommands.Members.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("1700000000.123456 [0 127.0.0.1:50000] \"SET\" \"a\" \"\"", "SET", "a", "")]
    [InlineData("""1.1 [0 [::1]:5] "A" "\"\\" "\n\r\t\a\b\x00\xff\x0b" """, "A", "\"\\", "\n\r\t\a\b\0\u00ff\u000b")]
    [InlineData("1.1 [0 unix:/a b] \"A\" \"] [\"", "A", "] [")]
    public void Lines_of_MONITOR_are_read_as_redis_cli_shows_them(string line, params string[] args) =>
        Assert.Equal(args, MonitoredCommand.Parse(line.TrimEnd()).Args);

    // A server that knows CLIENT SETINFO reports it; one that does not refuses it before MONITOR sees it.
    private static void AssertHandshake(Queue<MonitoredCommand> connection, IEnumerable<string[]> expected)
    {
        foreach (var command in expected)
        {
            PassSetInfo(connection);
            Assert.Equal(command, connection.Dequeue().Args);
        }

        PassSetInfo(connection);
    }

    private static void PassSetInfo(Queue<MonitoredCommand> connection)
    {
        while (connection.TryPeek(out var next) && next.Args is ["CLIENT", "SETINFO", "LIB-NAME" or "LIB-VER", _])
            connection.Dequeue();
    }

    private static bool IsNext(Queue<MonitoredCommand> connection, string[] asked) =>
        connection.TryPeek(out var next) && next.Args.SequenceEqual(asked);

    private static string Show(string[] args) =>
        string.Join(' ', args.Select(arg => arg.Length > 100 ? $"{arg[..100]}… ({arg.Length})" : arg));

    /// <summary>Asks by every member of the client, with arguments of every kind, and keeps what should reach the server, one character per byte.</summary>
    private sealed class RandomCommands(RedisClient redis, Random random)
    {
        private const int Burst = 40;

        private static readonly RedisScript[] Scripts =
        [
            new("nothing", "return 1"),
            new("counts", "return {#KEYS, #ARGV}"),
            new("calls", "redis.call('EXISTS', 'x'); return ARGV"),
        ];

        private readonly List<Task> _asked = [];
        private bool _known;

        /// <summary>The names of the members that are asked by.</summary>
        public static IReadOnlyList<string> Members { get; } =
        [
            nameof(KeyCommands.UnlinkAsync),
            nameof(KeyCommands.ExistsAsync),
            nameof(KeyCommands.TimeToLiveAsync),
            nameof(KeyCommands.ExpireAsync),
            nameof(KeyCommands.ScanAsync),
            nameof(ServerCommands.PingAsync),
            nameof(ServerCommands.InfoAsync),
            nameof(ServerCommands.PublishAsync),
            nameof(ServerCommands.PublishShardedAsync),
            nameof(StringCommands.GetAsync),
            nameof(StringCommands.GetIntoAsync),
            nameof(StringCommands.GetPooledAsync),
            nameof(StringCommands.GetStringAsync),
            nameof(StringCommands.GetManyAsync),
            nameof(StringCommands.SetAsync),
        ];

        public List<string[]> Expected { get; } = [];

        public async Task AskAsync(int count)
        {
            while (Expected.Count < count)
            {
                switch (random.Next(200))
                {
                    case 0:
                        await EverybodyAsync();
                        await ScanAsync();
                        break;
                    case 1:
                        await EverybodyAsync();
                        await FirstScriptsAsync();
                        break;
                    case < 10:
                        await EverybodyAsync();
                        break;
                    default:
                        One();
                        break;
                }

                if (_asked.Count >= Burst)
                    await EverybodyAsync();
            }

            await EverybodyAsync();
        }

        // Each command's error is its own affair: here it matters only that it was asked.
        private async Task EverybodyAsync()
        {
            await Task.WhenAll(_asked).Within();
            _asked.Clear();
        }

        private void One()
        {
            switch (random.Next(18))
            {
                case 0:
                    Asked(redis.GetAsync(Given(out var key)), "GET", key);
                    break;
                case 1:
                    Asked(redis.GetStringAsync(Given(out key)), "GET", key);
                    break;
                case 2:
                    Asked(redis.GetManyAsync(Several(1, out var keys)), ["MGET", .. keys]);
                    break;
                case 3:
                    Asked(redis.SetAsync(Given(out key), Given(out var value)), "SET", key, value);
                    break;
                case 4:
                    var life = TimeSpan.FromTicks(random.NextInt64(1, 1_000_000_000_000));
                    var whole = Math.Max(1, life.Ticks / TimeSpan.TicksPerMillisecond);
                    Asked(redis.SetAsync(Given(out key), Given(out value), life), "SET", key, value, "PX", Text(whole));
                    break;
                case 5:
                    Asked(redis.UnlinkAsync(Several(1, out keys)), ["UNLINK", .. keys]);
                    break;
                case 6:
                    Asked(redis.ExistsAsync(Given(out key)), "EXISTS", key);
                    break;
                case 7:
                    Asked(redis.TimeToLiveAsync(Given(out key)), "PTTL", key);
                    break;
                case 8:
                    var milliseconds = random.NextInt64(-5, 1_000_000_000);
                    Asked(redis.ExpireAsync(Given(out key), TimeSpan.FromMilliseconds(milliseconds)), "PEXPIRE", key, Text(milliseconds));
                    break;
                case 9:
                    Asked(redis.PublishAsync(Given(out var channel), Given(out var payload)), "PUBLISH", channel, payload);
                    Asked(redis.PublishShardedAsync(Given(out var sharded), Given(out var message)), "SPUBLISH", sharded, message);
                    break;
                case 10:
                    Asked(redis.PingAsync(), "PING");
                    break;
                case 11:
                    var section = ((string[])["default", "server", "no such section"])[random.Next(3)];
                    Asked(redis.InfoAsync(section), "INFO", section);
                    break;
                case 12 or 13 when _known:
                    var script = Scripts[random.Next(Scripts.Length)];
                    var ours = Several(0, out keys);
                    Asked(
                        redis.EvalAsync(script, ours, Several(0, out var args), ReplyParsers.Ignore),
                        ["EVALSHA", script.Digest, Text(keys.Length), .. keys, .. args]
                    );
                    break;
                case 14:
                    Asked(redis.GetIntoAsync(Given(out key), new System.Buffers.ArrayBufferWriter<byte>()), "GET", key);
                    break;
                case 15:
                    Asked(redis.GetPooledAsync(Given(out key)), "GET", key);
                    break;
                case 16:
                    // Refused by the command itself, and asked all the same.
                    Asked(redis.ExecuteAsync(["INCRBY", Given(out key), "no number"]), "INCRBY", key, "no number");
                    break;
                default:
                    Asked(redis.ExecuteAsync([(RedisArg)"RPUSH", .. Several(2, out keys)]), ["RPUSH", .. keys]);
                    break;
            }
        }

        // EVALSHA, refused for want of the script; EVAL, which leaves it known.
        private async Task FirstScriptsAsync()
        {
            await redis.ExecuteAsync(["SCRIPT", "FLUSH"]).Within();
            Expected.Add(["SCRIPT", "FLUSH"]);
            foreach (var script in Scripts)
            {
                var ours = Several(0, out var keys);
                await redis.EvalAsync(script, ours, Several(0, out var args), ReplyParsers.Ignore).Within();
                string[] rest = [Text(keys.Length), .. keys, .. args];
                Expected.Add(["EVALSHA", script.Digest, .. rest]);
                Expected.Add(["EVAL", Encoding.Latin1.GetString(script.SourceBytes), .. rest]);
            }

            _known = true;
        }

        // So many at a time that the first page is the last.
        private async Task ScanAsync()
        {
            const int Most = 1_000_000;
            await foreach (var _ in redis.ScanAsync("k*", Most))
            {
                // What is found does not matter here.
            }

            Expected.Add(["SCAN", "0", "MATCH", "k*", "COUNT", Text(Most)]);
        }

        private void Asked<T>(ValueTask<T> call, params string[] wire)
        {
            Expected.Add(wire);
            _asked.Add(EndAsync(call));

            static async Task EndAsync(ValueTask<T> call)
            {
                try
                {
                    await call;
                }
                catch (RedisServerException)
                {
                    // WRONGTYPE, not an integer …
                }
            }
        }

        private RedisArg[] Several(int least, out string[] wire)
        {
            var several = new RedisArg[random.Next(least, least + 6)];
            wire = new string[several.Length];
            for (var i = 0; i < several.Length; i++)
                several[i] = Given(out wire[i]);
            return several;
        }

        // An argument, and its bytes as one character each.
        private RedisArg Given(out string wire)
        {
            switch (random.Next(8))
            {
                case 0:
                    long[] numbers = [0, -1, int.MinValue, int.MaxValue, long.MinValue, long.MaxValue, random.NextInt64()];
                    var number = numbers[random.Next(numbers.Length)];
                    wire = Text(number);
                    return number;
                case 1:
                    double[] reals = [0, -0.0, double.Epsilon, double.MaxValue, 0.1, 1e21, random.NextDouble()];
                    var real = reals[random.Next(reals.Length)];
                    wire = real.ToString("R", CultureInfo.InvariantCulture);
                    return real;
                case 2:
                    wire = "";
                    return random.Next(2) == 0 ? "" : Array.Empty<byte>();
                case 3 or 4:
                    var text = ((string[])["키", "a b", "\"q\" \\ '", "\r\n\t\a\b\0", "🫙", "user:1"])[random.Next(6)];
                    wire = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));
                    return text;
                default:
                    var bytes = new byte[random.Next(60) == 0 ? random.Next(200_000) : random.Next(40)];
                    random.NextBytes(bytes);
                    wire = Encoding.Latin1.GetString(bytes);
                    return random.Next(2) == 0 ? bytes : new ReadOnlyMemory<byte>(bytes);
            }
        }

        private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }
}
