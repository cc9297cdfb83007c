using System.Diagnostics;
using System.Globalization;
using Onggi.Cli.Migration;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Migration;
using Onggi.Testing;

namespace Onggi.Benchmarks.Operations;

/// <summary>One server with old keys in database 1, or two, with a writer's user and the tool's.</summary>
internal sealed class MigrateStage : IAsyncDisposable
{
    private const int FillStep = 20_000;

    private readonly string _state;

    private MigrateStage(RedisServerProcess source, RedisServerProcess target)
    {
        (Source, Target) = (source, target);
        _state = Path.Combine(source.Directory, "migration.state");
        Rules = RulesFile.Parse(
            $$"""
            {
              "name": "bench", "environment": "dev", "source": { "redis": "{{Connection(source)}}" }, "target": { "redis": "{{Connection(
                target
            )}}" },
              "writers": ["svc"],
              "rules": [ { "db": {{Database}}, "from": "user:", "to": "dev:user:", "class": "state" } ]
            }
            """,
            "rules"
        );
    }

    public RedisServerProcess Source { get; }

    public RedisServerProcess Target { get; }

    public MigrationRules Rules { get; }

    private int Database => Source == Target ? 1 : 0;

    /// <summary>Starts the servers and fills the source: 60 % strings, 20 % hashes, 10 % sets, 5 % sorted sets, 5 % lists; 80 % with an end.</summary>
    public static async Task<MigrateStage> StartAsync(bool oneServer, int keys)
    {
        var source = await RedisServerProcess.StartAsync();
        var stage = new MigrateStage(source, oneServer ? source : await RedisServerProcess.StartAsync());
        foreach (var server in (RedisServerProcess[])[source, stage.Target])
        {
            await server.CommandAsync("ACL", "SETUSER", "mig", "on", ">pw", "~*", "&*", "+@all");
            await server.CommandAsync("ACL", "SETUSER", "svc", "on", ">pw", "~user:*", "~dev:*", "&*", "+@all");
        }

        using var raw = await RawRedis.ConnectAsync(source.Port);
        await raw.CommandAsync("SELECT", stage.Database.ToString(CultureInfo.InvariantCulture));
        for (var from = 0; from < keys; from += FillStep)
            await raw.CommandAsync("EVAL", Fill, "0", Text(from + 1), Text(Math.Min(keys, from + FillStep)));
        return stage;
    }

    /// <summary>Moves everything, while writers write or not.</summary>
    public async Task<MigrationResult> MoveAsync(CancellationToken stop, bool fenced = true)
    {
        await using var session = await MigrationSession.OpenAsync(
            Rules,
            _state,
            back: null,
            new MigrationOptions { SkipFence = !fenced },
            stop
        );
        return await new MigrationRun(session, new ToolProgress(TimeProvider.System)).RunAsync(_ => Task.FromResult(true), stop);
    }

    /// <summary>What differs between the sides of the keys that nobody writes.</summary>
    public async Task<List<KeyMismatch>> DifferencesAsync(CancellationToken stop)
    {
        await using var session = await MigrationSession.OpenAsync(Rules, _state, back: false, new MigrationOptions(), stop);
        var found = await new Comparison(session, new ToolProgress(TimeProvider.System), tracker: null).RunAsync(stop);
        return found.FindAll(mismatch => !mismatch.Move.Source.ToString().Contains("user:w", StringComparison.Ordinal));
    }

    public async Task<MigrationLedger> WriteAsync(int writers, int perSecond)
    {
        var shim = new OnggiMigrationOptions
        {
            Environment = "dev",
            Name = "bench",
            OldPrefix = "user:",
            NewPrefix = "dev:user:",
            CutOverPatience = TimeSpan.FromSeconds(60),
        };
        var ledger = new MigrationLedger(
            () => ClientAsync(Source, Database),
            () => ClientAsync(Target, 0),
            shim,
            writers,
            Seed.Value,
            keysEach: 2_000,
            perSecond
        );
        await ledger.StartAsync();
        return ledger;
    }

    public Task<RedisClient> NewSideAsync() => ClientAsync(Target, 0);

    /// <summary>The same copy with redis-cli alone, as well as a shell can: all names, then all values and ends of them, then all back in, each in one process.</summary>
    public async Task<(int Keys, TimeSpan Time)> CopyByRedisCliAsync(CancellationToken stop)
    {
        var from = $"redis-cli -p {Text(Source.Port)} -n {Text(Database)}";
        var script = $$"""
            set -e
            cd '{{Source.Directory}}'
            {{from}} --scan --pattern 'user:*' > names
            sed 's/^/DUMP /' names | {{from}} --no-raw > dumps
            sed 's/^/PEXPIRETIME /' names | {{from}} --no-raw | sed 's/^(integer) //; s/^-1$/0/' > ends
            sed 's/^user:/RESTORE dev:user:/' names | paste -d ' ' - ends dumps | sed 's/$/ REPLACE ABSTTL/' | redis-cli -p {{Text(
                Target.Port
            )}} | grep -c '^OK'
            """;
        using var shell =
            Process.Start(new ProcessStartInfo("sh", ["-c", script]) { UseShellExecute = false, RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("sh did not start.");
        var began = TimeProvider.System.GetTimestamp();
        var copied = await shell.StandardOutput.ReadToEndAsync(stop);
        await shell.WaitForExitAsync(stop);
        return (int.Parse(copied, CultureInfo.InvariantCulture), TimeProvider.System.GetElapsedTime(began));
    }

    public async Task ClearTargetAsync() => await Target.CommandAsync("FLUSHDB");

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        if (Target != Source)
            await Target.DisposeAsync();
    }

    private const string Fill = """
        for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
          local key, kind = 'user:s' .. i, i % 20
          if kind < 12 then redis.call('SET', key, string.rep('v', 20 + i % 180) .. i)
          elseif kind < 16 then for f = 1, 8 do redis.call('HSET', key, 'field' .. f, 'value ' .. i) end
          elseif kind < 18 then for f = 1, 8 do redis.call('SADD', key, 'member' .. i + f) end
          elseif kind < 19 then for f = 1, 8 do redis.call('ZADD', key, i / 3 + f, 'member' .. f) end
          else for f = 1, 8 do redis.call('RPUSH', key, 'item' .. i + f) end end
          if i % 5 > 0 then redis.call('PEXPIRE', key, 7200000 + i * 37) end
        end
        """;

    private static string Connection(RedisServerProcess server) => $"127.0.0.1:{Text(server.Port)},user=mig,password=pw";

    private static async Task<RedisClient> ClientAsync(RedisServerProcess server, int database)
    {
        var options = RedisClientOptions.Parse($"127.0.0.1:{Text(server.Port)},user=svc,password=pw");
        options.Database = database;
        options.CommandTimeout = TimeSpan.FromSeconds(30);
        options.DeadAfter = TimeSpan.FromSeconds(30);
        return await RedisClient.ConnectAsync(options);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
