using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.ServerTests.Client.Cluster;

/// <summary>Our table of commands and what a server says of its commands. Where they differ, the reason stands here; a difference without a reason fails, and so does a reason without a difference.</summary>
public sealed class CommandTableServerTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>, IAsyncLifetime
{
    // Commands of which the place of the keys depends on other words, with words that put them to the test. The server must have the last word on each such command.
    private static readonly string[] Samples =
    [
        "BLMPOP 0 2 a b LEFT",
        "BLMPOP 0 2 a b RIGHT COUNT 3",
        "BZMPOP 0 1 a MIN",
        "BZMPOP 0 3 a b c MAX COUNT 2",
        "EVAL script 0",
        "EVAL script 0 x",
        "EVAL script 2 a b x",
        "EVALSHA digest 1 a x y",
        "EVALSHA_RO digest 2 a b",
        "EVAL_RO script 1 a",
        "FCALL f 2 a b x",
        "FCALL_RO f 1 a x",
        "GEORADIUS k 1 2 3 km",
        "GEORADIUS k 1 2 3 km COUNT 5 ANY ASC STORE d",
        "GEORADIUS k 1 2 3 km STOREDIST d",
        "GEORADIUS k 1 2 3 km STORE d STOREDIST e",
        "GEORADIUSBYMEMBER k m 3 km",
        "GEORADIUSBYMEMBER k store 3 km STORE d",
        "LMPOP 1 a LEFT",
        "LMPOP 3 a b c RIGHT COUNT 2",
        "MIGRATE host 1 k 0 1",
        "MIGRATE host 1 k 0 1 COPY REPLACE AUTH keys",
        "MIGRATE host 1 \"\" 0 1 KEYS a b",
        "MIGRATE host 1 \"\" 0 1 COPY AUTH secret KEYS a b c",
        "MIGRATE host 1 \"\" 0 1 AUTH2 user secret KEYS a",
        "SINTERCARD 2 a b",
        "SINTERCARD 1 a LIMIT 3",
        "SORT k",
        "SORT k BY weight_* LIMIT 0 5 GET # GET o_* ASC ALPHA",
        "SORT k BY STORE GET STORE STORE d",
        "SORT k STORE d STORE e",
        "SORT k LIMIT STORE STORE STORE d",
        "SORT_RO k BY weight_* GET #",
        "XREAD STREAMS a 0",
        "XREAD COUNT 2 BLOCK 0 STREAMS a b c 0 0 0",
        "XREADGROUP GROUP g c STREAMS a >",
        "XREADGROUP GROUP STREAMS streams COUNT 1 NOACK STREAMS a b > >",
        "ZDIFF 2 a b WITHSCORES",
        "ZDIFFSTORE d 2 a b",
        "ZINTER 2 a b WEIGHTS 1 2 AGGREGATE MAX",
        "ZINTERCARD 2 a b LIMIT 1",
        "ZINTERSTORE d 1 a WEIGHTS 2",
        "ZMPOP 2 a b MIN",
        "ZUNION 1 a",
        "ZUNIONSTORE d 3 a b c AGGREGATE SUM",
    ];

    private static readonly Dictionary<string, string> Differences = new(StringComparer.Ordinal)
    {
        ["GEORADIUS: keys"] = "Of STORE and STOREDIST together the later one counts; COMMAND GETKEYS names both.",
        ["PFMERGE: keys"] = "PFMERGE of one key is a command, but COMMAND GETKEYS wants two.",
        ["SPUBLISH: keys"] = ShardChannels,
        ["SSUBSCRIBE: keys"] = ShardChannels,
        ["SUNSUBSCRIBE: keys"] = ShardChannels,
        ["WAIT: blocks"] = "The server does not call it so, but it keeps its connection waiting for replicas.",
        ["MONITOR: blocks"] = NoOtherUse,
        ["PSUBSCRIBE: blocks"] = NoOtherUse,
        ["PSYNC: blocks"] = NoOtherUse,
        ["PUNSUBSCRIBE: blocks"] = NoOtherUse,
        ["SSUBSCRIBE: blocks"] = NoOtherUse,
        ["SUBSCRIBE: blocks"] = NoOtherUse,
        ["SUNSUBSCRIBE: blocks"] = NoOtherUse,
        ["SYNC: blocks"] = NoOtherUse,
        ["UNSUBSCRIBE: blocks"] = NoOtherUse,
    };

    // Of servers after Redis 7.0, and of Valkey.
    private static readonly string[] Newer =
    [
        "CLIENT CAPA",
        "CLIENT IMPORT-SOURCE",
        "CLIENT NO-TOUCH",
        "CLIENT SETINFO",
        "CLUSTER MYSHARDID",
        "CLUSTER SLOT-STATS",
        "DELIFEQ",
        "HEXPIRE",
        "HEXPIREAT",
        "HEXPIRETIME",
        "HGETDEL",
        "HGETEX",
        "HPERSIST",
        "HPEXPIRE",
        "HPEXPIREAT",
        "HPEXPIRETIME",
        "HPTTL",
        "HSETEX",
        "HTTL",
        "SCRIPT SHOW",
        "WAITAOF",
    ];

    private const string ShardChannels = "Shard channels are no keys, but they have a slot and are sent to its owner as if they were.";
    private const string NoOtherUse =
        "From then on the connection is of no other use, which for the choice of a connection is the same as blocking.";

    private RedisClient? _redis;

    private RedisClient Redis => _redis!;

    public async Task InitializeAsync() => _redis = await RedisClient.ConnectAsync(fixture.Server.ConnectionString);

    public async Task DisposeAsync() => await Redis.DisposeAsync();

    [Fact]
    public async Task Every_command_of_the_server_is_in_the_table_and_only_newer_ones_besides()
    {
        var server = (await CommandsAsync()).Select(command => command.Name).ToHashSet(StringComparer.Ordinal);
        var ours = CommandTable.All.Select(info => info.Name).ToHashSet(StringComparer.Ordinal);

        Assert.Empty(server.Except(ours, StringComparer.Ordinal));
        Assert.Empty(ours.Except(server, StringComparer.Ordinal).Except(Newer, StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_only_reads_and_what_blocks_is_what_the_server_says_so_of()
    {
        List<string> found = [];
        foreach (var command in await CommandsAsync())
        {
            var info = CommandTable.Find(Words(command.Name));
            if (command.Flags.Contains("readonly") != info.OnlyReads)
                found.Add($"{command.Name}: reads");
            if (
                command.Flags.Contains("blocking")
                != ((info.Flags & (CommandFlags.Blocks | CommandFlags.BlocksIfAsked)) != CommandFlags.None)
            )
                found.Add($"{command.Name}: blocks");
        }

        Assert.Equal(Reasons("reads", "blocks"), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Keys_stand_where_the_server_says_they_do()
    {
        List<string> found = [];
        foreach (var command in await CommandsAsync())
        {
            var samples = Samples.Where(sample => sample.StartsWith(command.Name + ' ', StringComparison.Ordinal)).ToList();
            Assert.True(samples.Count > 0 || !command.Flags.Contains("movablekeys"), $"{command.Name} has no sample");
            foreach (var sample in samples.Concat(Generated(command)))
                if (!await SameKeysAsync(Words(sample)))
                    found.Add($"{command.Name}: keys");
        }

        Assert.Equal(Reasons("keys"), found.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Samples_are_understood_by_the_server()
    {
        foreach (var sample in Samples.Where(sample => sample != "EVAL script 0" && sample != "EVAL script 0 x"))
            Assert.NotEmpty((await Redis.ExecuteAsync(["COMMAND", "GETKEYS", .. Words(sample)])).Items);
    }

    private static IEnumerable<string> Reasons(params string[] aspects) =>
        Differences
            .Keys.Where(key => aspects.Any(aspect => key.EndsWith(": " + aspect, StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal);

    // Of every length that the command can have, and some more where it takes more.
    private static IEnumerable<string> Generated(ServerCommand command)
    {
        var least = Math.Abs(command.Arity);
        for (var length = least; length <= (command.Arity > 0 ? least : least + 5); length++)
        {
            var names = command.Name.Split(' ').Length;
            yield return string.Join(' ', [command.Name, .. Enumerable.Range(0, Math.Max(0, length - names)).Select(i => $"w{i}")]);
        }
    }

    // Whether both find the same keys; where the server finds none it says so with an error.
    private async Task<bool> SameKeysAsync(RedisArg[] words)
    {
        string[] server;
        try
        {
            server = [.. (await Redis.ExecuteAsync(["COMMAND", "GETKEYS", .. words])).Items.Select(key => key.Text!)];
        }
        catch (RedisServerException)
        {
            server = [];
        }

        var positions = CommandTable.Find(words).Keys.In(words);
        var ours = Enumerable.Range(0, positions.Count).Select(i => words[positions[i]].ToString());
        return server.Order(StringComparer.Ordinal).SequenceEqual(ours.Order(StringComparer.Ordinal));
    }

    private async Task<IReadOnlyList<ServerCommand>> CommandsAsync()
    {
        var reply = await Redis.ExecuteAsync(["COMMAND"]);
        return [.. reply.Items.Concat(reply.Items.SelectMany(command => command.Items[9].Items)).Select(ServerCommand.Read)];
    }

    private static RedisArg[] Words(string command) => [.. command.Split(' ').Select(word => (RedisArg)(word == "\"\"" ? "" : word))];

    // name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands
    private sealed record ServerCommand(string Name, int Arity, IReadOnlySet<string> Flags)
    {
        public static ServerCommand Read(Reply reply) =>
            new(
                reply.Items[0].Text!.Replace('|', ' ').ToUpperInvariant(),
                int.Parse(reply.Items[1].Text!),
                reply.Items[2].Items.Select(flag => flag.Text!).ToHashSet(StringComparer.Ordinal)
            );
    }
}
