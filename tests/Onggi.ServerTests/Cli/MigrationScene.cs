using System.Globalization;
using Onggi.Cli;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Migration;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>One or two servers with a writer's user and the tool's, old keys, and a file of rules.</summary>
internal sealed class MigrationScene : IAsyncDisposable
{
    public const string Old = "user:";
    public const string New = "dev:cache:user:";

    private static readonly string[] OldNames = ["~user:*", "~locks:*", "~page:*"];
    private static readonly string[] NewNames = ["~dev:*"];

    private MigrationScene(RedisServerProcess source, RedisServerProcess target, int database)
    {
        (Source, Target, Database) = (source, target, database);
        RulesPath = Path.Combine(source.Directory, "rules.json");
    }

    public RedisServerProcess Source { get; }

    public RedisServerProcess Target { get; }

    /// <summary>The database of the old keys.</summary>
    public int Database { get; }

    public bool IsOneServer => Source == Target;

    public string RulesPath { get; }

    public string StatePath => RulesPath + ".state";

    public MigrationRules Rules => RulesFile.Load(RulesPath);

    public OnggiMigrationOptions Shim { get; } =
        new()
        {
            Environment = "dev",
            Name = "test",
            OldPrefix = Old,
            NewPrefix = New,
            CutOverPatience = TimeSpan.FromSeconds(60),
        };

    /// <summary>Starts the servers: one with the old keys in database 1, as the guide has it, or two with everything in database 0.</summary>
    public static async Task<MigrationScene> StartAsync(bool oneServer, int keys = 2000, string? rules = null, string[]? flags = null)
    {
        var source = await RedisServerProcess.StartAsync(flags ?? []);
        var target = oneServer ? source : await RedisServerProcess.StartAsync();
        var scene = new MigrationScene(source, target, oneServer ? 1 : 0);
        foreach (var server in scene.Servers)
        {
            await server.CommandAsync("ACL", "SETUSER", "mig", "on", ">pw", "~*", "&*", "+@all");
            await server.CommandAsync([
                "ACL",
                "SETUSER",
                "svc",
                "on",
                ">pw",
                .. server == source ? OldNames : NewNames,
                "%R~dev:*",
                "&*",
                "+@all",
                "-@dangerous",
            ]);
        }

        await scene.FillAsync(keys);
        await scene.WriteRulesAsync(rules);
        return scene;
    }

    private IEnumerable<RedisServerProcess> Servers => IsOneServer ? [Source] : [Source, Target];

    public async Task WriteRulesAsync(string? rules = null, string extra = "")
    {
        var target = IsOneServer ? "" : $$""" "target": { "redis": "{{Connection(Target)}}" },""";
        await File.WriteAllTextAsync(
            RulesPath,
            $$"""
            {
              // The guide's case, or two servers.
              "name": "test", "environment": "dev",
              "source": { "redis": "{{Connection(Source)}}" },{{target}}
              "writers": ["svc"],{{extra}}
              "rules": [ {{rules ?? $$"""{ "db": {{Database}}, "from": "{{Old}}", "to": "{{New}}", "class": "state" }"""}} ]
            }
            """
        );
    }

    public static string Connection(RedisServerProcess server) => $"127.0.0.1:{server.Port},user=mig,password=pw";

    /// <summary>Old keys that nobody writes: strings, hashes, sets, sorted sets, lists, streams; most with an end.</summary>
    public Task FillAsync(int keys) =>
        EvalAsync(
            Source,
            Database,
            """
            local kinds = {
              function(k, i) redis.call('SET', k, 'value ' .. i) end,
              function(k, i) for f = 1, 5 + i % 200 do redis.call('HSET', k, 'f' .. f, i) end end,
              function(k, i) for f = 1, 5 + i % 300 do redis.call('SADD', k, 'm' .. f) end end,
              function(k, i) for f = 1, 3 do redis.call('ZADD', k, i / 3 + f, 'm' .. f) end end,
              function(k, i) for f = 1, 3 do redis.call('RPUSH', k, f, '') end end,
              function(k, i) redis.call('XADD', k, '*', 'a', i) redis.call('XADD', k, '*', 'b', i) redis.call('XGROUP', 'CREATE', k, 'g', '0')
                redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '1', 'STREAMS', k, '>') end,
            }
            for i = 1, tonumber(ARGV[1]) do
              local key = (i % 50 == 0 and '{user:s' .. i .. '}:aux') or ('user:s' .. i)
              kinds[i % 20 < 15 and 1 or (i % 5) + 2](key, i)
              if i % 5 > 0 then redis.call('PEXPIRE', key, 3600000 + i * 37) end
            end
            """,
            keys.ToString(CultureInfo.InvariantCulture)
        );

    public static async Task EvalAsync(RedisServerProcess server, int database, string script, params string[] args)
    {
        using var raw = await RawRedis.ConnectAsync(server.Port);
        await raw.CommandAsync("SELECT", database.ToString(CultureInfo.InvariantCulture));
        await raw.CommandAsync(["EVAL", script, "0", .. args]);
    }

    public static async Task<string?> AskAsync(RedisServerProcess server, int database, params string[] command)
    {
        using var raw = await RawRedis.ConnectAsync(server.Port);
        await raw.CommandAsync("SELECT", database.ToString(CultureInfo.InvariantCulture));
        return await raw.CommandAsync(command);
    }

    public Task<RedisClient> OldClientAsync() => ClientAsync(Source, Database, "svc");

    public Task<RedisClient> NewClientAsync() => ClientAsync(Target, 0, "svc");

    public static async Task<RedisClient> ClientAsync(RedisServerProcess server, int database, string user)
    {
        var options = RedisClientOptions.Parse($"127.0.0.1:{server.Port},user={user},password=pw");
        options.Database = database;
        options.CommandTimeout = TimeSpan.FromSeconds(30);
        options.DeadAfter = TimeSpan.FromSeconds(30);
        return await RedisClient.ConnectAsync(options);
    }

    public async Task<MigrationLedger> BeginWritingAsync(int perSecond = 1500)
    {
        var ledger = new MigrationLedger(OldClientAsync, NewClientAsync, Shim, 4, Seed.Value, perSecond: perSecond);
        await ledger.StartAsync();
        return ledger;
    }

    public static MigrationOptions Options(Func<string, Task>? at = null) =>
        new()
        {
            BatchKeys = 50,
            FewChanges = 50,
            At = at,
        };

    /// <summary>Runs until it is the other side's turn, or until it is killed at a place.</summary>
    public async Task<MigrationResult> RunAsync(MigrationOptions? options = null, Action<MigrationSession>? prepare = null)
    {
        await using var session = await MigrationSession.OpenAsync(
            Rules,
            StatePath,
            back: null,
            options ?? Options(),
            CancellationToken.None
        );
        prepare?.Invoke(session);
        return await new MigrationRun(session, new ToolProgress(TimeProvider.System)).RunAsync(
            _ => Task.FromResult(true),
            CancellationToken.None
        );
    }

    /// <summary>Runs, and is killed when it reaches a place for the n-th time.</summary>
    public async Task RunUntilKilledAsync(string place, int time = 1)
    {
        var reached = 0;
        await Assert.ThrowsAsync<KilledHere>(() =>
            RunAsync(Options(at => at == place && ++reached == time ? throw new KilledHere() : Task.CompletedTask))
        );
    }

    public async Task<long> RollBackAsync(MigrationOptions? options = null)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var done = await Onggi.Cli.Commands.MigrateCommands.RollBackAsync(
            Rules,
            StatePath,
            options ?? Options(),
            new ToolOutput(output, error),
            CancellationToken.None
        );
        return done.Removed;
    }

    /// <summary>What differs between the sides of the keys that nobody writes.</summary>
    public async Task<List<KeyMismatch>> DifferencesOfOldKeysAsync()
    {
        await using var session = await MigrationSession.OpenAsync(Rules, StatePath, back: false, Options(), CancellationToken.None);
        var comparison = new Comparison(session, new ToolProgress(TimeProvider.System), tracker: null);
        var found = await comparison.RunAsync(CancellationToken.None);
        Assert.True(comparison.Compared > 0);
        return found.FindAll(mismatch => !mismatch.Move.Source.ToString().Contains("user:w", StringComparison.Ordinal));
    }

    public async Task<(int Code, string Output, string Error)> ToolAsync(params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var code = await OnggiTool.RunAsync(["migrate", .. args], output, error);
        return (code, output.ToString(), error.ToString());
    }

    public Task<string?> EpochAsync() => AskAsync(Target, 0, "GET", "dev:onggi:migration:test");

    public async Task<string> RightsAsync() =>
        (await AskAsync(Source, 0, "ACL", "LIST"))!.Split('\n').First(line => line.StartsWith("user svc", StringComparison.Ordinal));

    public Task<string?> CountAsync(RedisServerProcess server, int database, string glob) =>
        AskAsync(server, database, "EVAL", "return #redis.call('KEYS', ARGV[1])", "0", glob);

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        if (!IsOneServer)
            await Target.DisposeAsync();
    }
}
