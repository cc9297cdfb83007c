using System.Diagnostics;
using System.Globalization;
using Onggi.Testing;

namespace Onggi.Benchmarks.Operations;

/// <summary>How fast <c>onggi backup</c> saves, proves and restores keys, and what others feel of it.</summary>
internal sealed class BackupBench : IBench
{
    // The mixture of the benchmark of moves.
    private const string Fill = """
        for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
          local kind, key = i % 20, 'dev:k:' .. i
          if kind < 12 then redis.call('SET', key, string.rep('v', 20 + i % 180))
          elseif kind < 16 then for f = 1, 8 do redis.call('HSET', key, 'f' .. f, i) end
          elseif kind < 18 then for f = 1, 8 do redis.call('SADD', key, 'm' .. f .. i) end
          elseif kind < 19 then for f = 1, 8 do redis.call('ZADD', key, i / f, 'm' .. f) end
          else for f = 1, 8 do redis.call('RPUSH', key, f .. i) end end
          if i % 5 > 0 then redis.call('PEXPIRE', key, 36000000 + i) end
        end
        """;

    public string Name => "backup";

    public string Summary => "keys saved, proven and restored, against redis-cli --rdb";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        var keys = run.Quick ? 20_000 : 200_000;
        run.Notes.AddRange([
            $"{keys:N0} keys: 60 % strings of 20 to 200 bytes, 20 % hashes, 10 % sets, 5 % sorted sets, 5 % lists of 8 elements; 80 % with an end. Each command is a process of its own whose start is counted. Medians of three.",
            "`save`: `onggi backup create --no-verify`: each key's value, serialised value and end in one transaction. `redis-cli --rdb` of the same keys in the same run does much less: no digests, no proof, and the server forks for it.",
            "`prove`: `onggi backup verify`: restored into a scratch server and every key compared. `restore`: `onggi restore --replace` into another server, every key compared.",
            "`stall`: the longest time that a reader (one GET each half millisecond) waited while keys were saved; `stall.idle`: the same while nothing is done.",
        ]);
        await using var source = await RedisServerProcess.StartAsync("--repl-diskless-sync-delay", "0");
        await using var target = await RedisServerProcess.StartAsync();
        for (var i = 1; i <= keys; i += 10_000)
            await source.CommandAsync("EVAL", Fill, "0", Number(i), Number(i + 9_999));
        run.Redis = await VersionAsync(source);
        var folder = source.Directory;
        List<double> save = [];
        List<double> rdb = [];
        List<double> prove = [];
        List<double> restore = [];
        using var probe = new StallProbe(source.Port);
        await Task.Delay(TimeSpan.FromSeconds(1), run.Stop);
        probe.TakeWorst();
        await Task.Delay(TimeSpan.FromSeconds(3), run.Stop);
        var (idle, stall) = (probe.TakeWorst(), 0.0);
        for (var round = 0; round < (run.Quick ? 1 : 3); round++)
        {
            BenchRun.Say($"round {round + 1}");
            var archive = Path.Combine(folder, $"{round}.onggi");
            rdb.Add(await TimeAsync(RedisCli(source, Path.Combine(folder, $"{round}.rdb")), run.Stop));
            probe.TakeWorst();
            save.Add(
                await TimeAsync(
                    ToolCommand.Start("backup", "create", "-r", source.ConnectionString, "-o", archive, "--no-verify"),
                    run.Stop
                )
            );
            stall = Math.Max(stall, probe.TakeWorst());
            prove.Add(await TimeAsync(ToolCommand.Start("backup", "verify", archive), run.Stop));
            restore.Add(
                await TimeAsync(ToolCommand.Start("restore", archive, "-r", target.ConnectionString, "--replace", "--yes"), run.Stop)
            );
        }

        var restored = int.Parse((await target.CommandAsync("DBSIZE"))!, CultureInfo.InvariantCulture);
        return
        [
            new("save", "keys/s", Rate(save), "redis-cli --rdb", Rate(rdb)),
            new("prove", "keys/s", Rate(prove)),
            new("restore", "keys/s", Rate(restore)),
            new("stall", "ms", stall),
            new("stall.idle", "ms", idle),
            Row.AtMost("lost", "keys", keys - restored, 0),
        ];

        double Rate(List<double> seconds) => keys / seconds.Order().ElementAt(seconds.Count / 2);
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task<string?> VersionAsync(RedisServerProcess server) =>
        (await server.CommandAsync("INFO", "server"))
            ?.Split("\r\n")
            .FirstOrDefault(line => line.StartsWith("redis_version:", StringComparison.Ordinal))
            ?["redis_version:".Length..];

    private static Process RedisCli(RedisServerProcess server, string file) =>
        Process.Start(
            new ProcessStartInfo("redis-cli", ["-p", Number(server.Port), "--rdb", file])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        ) ?? throw new InvalidOperationException("redis-cli did not start.");

    // Seconds from just after its start, which is not much, to its end.
    private static async Task<double> TimeAsync(Process process, CancellationToken cancellationToken)
    {
        using (process)
        {
            var began = process.StartTime;
            var said = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? (process.ExitTime - began).TotalSeconds
                : throw new InvalidOperationException($"Exit code {process.ExitCode}: {await said}");
        }
    }
}
