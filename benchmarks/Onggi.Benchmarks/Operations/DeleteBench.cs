using System.Diagnostics;
using System.Text.Json;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Benchmarks.Operations;

/// <summary>What <c>onggi delete</c> costs and what others feel of it, against what people type otherwise.</summary>
internal sealed class DeleteBench : IBench
{
    private const string Pattern = "dev:customer:*";
    private const double MostStall = 10;
    private const double LeastRatio = 0.9;

    private const string Catalog = """
        { "system": "bench", "families": {
          "customer": { "key": "customer:{lineNumber}", "value": "string", "ttl": "4h" },
          "bill": { "key": "bill:{lineNumber}", "value": "string", "ttl": "4h" } } }
        """;

    private const string Fill =
        "for i = ARGV[2], ARGV[3] do redis.call('SET', ARGV[1] .. i, '{\"name\":\"somebody\",\"line\":' .. i .. '}', 'EX', 100000) end";

    public string Name => "delete";

    public string Summary => "keys removed by pattern while others read, against redis-cli --scan | xargs redis-cli unlink";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        var (customers, bills) = run.Quick ? (100_000, 20_000) : (1_000_000, 200_000);
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString, run.Stop);
        run.Redis = redis.Server?.Version.ToString();
        run.Notes.AddRange(Notes(customers, bills));
        await File.WriteAllTextAsync(Path.Combine(server.Directory, "keyspace.json"), Catalog, run.Stop);
        var stage = new Stage(server, redis, customers, bills, run.Stop);
        return [.. await RaceAsync(stage, run), .. await StopAndGoOnAsync(stage)];
    }

    private static string[] Notes(int customers, int bills) =>
        [
            $"{customers:N0} of {customers + bills:N0} keys (strings of 40 bytes with a time to live) are removed by `onggi delete --pattern '{Pattern}' --yes`, a process of its own whose start is counted, and by `redis-cli --scan --pattern '{Pattern}' | xargs -n 1000 redis-cli unlink`, in turns; each time on a server that was filled anew. Medians.",
            "`stall`: the longest time that a reader (one GET each half millisecond, on a thread and a connection of its own) waited for an answer during any of the runs; `stall.idle`: the same while nobody removes anything, which is this machine's own noise.",
            "`family`: `--family` with a catalog: whose key each is is looked up, and each cached entry is removed with its lease in one command, as the cache's own invalidation does it. `undo`: `--undo`, each key saved to a file before.",
            "`resume`: the process is killed (SIGKILL) when a part is removed, and the same command is given again: how many keys of the pattern are left, and how many others are gone.",
            "The server, the tool and the reader share the processors.",
        ];

    private static async Task<IReadOnlyList<Row>> RaceAsync(Stage stage, BenchRun run)
    {
        List<double> ours = [];
        List<double> theirs = [];
        List<double> family = [];
        List<double> undo = [];
        double ourStall = 0;
        double theirStall = 0;
        using var probe = new StallProbe(stage.Server.Port);
        await Task.Delay(TimeSpan.FromSeconds(2), run.Stop);
        probe.TakeWorst();
        await Task.Delay(TimeSpan.FromSeconds(3), run.Stop);
        var idle = probe.TakeWorst();
        for (var round = 0; round < (run.Quick ? 1 : 3); round++)
        {
            BenchRun.Say($"round {round + 1}");
            theirs.Add(await stage.TimeAsync(stage.RedisCli, probe, stall => theirStall = Math.Max(theirStall, stall)));
            ours.Add(await stage.TimeAsync(() => stage.Tool("--pattern", Pattern), probe, stall => ourStall = Math.Max(ourStall, stall)));
        }

        family.Add(await stage.TimeAsync(() => stage.Tool("--family", "customer", "--catalog", stage.CatalogFile), probe, static _ => { }));
        undo.Add(
            await stage.TimeAsync(
                () => stage.Tool("--pattern", Pattern, "--undo", Path.Combine(stage.Server.Directory, "undo")),
                probe,
                static _ => { }
            )
        );
        var ratio = Median(ours) / Median(theirs);
        return
        [
            new("delete", "keys/s", Median(ours), "redis-cli | xargs", Median(theirs), $"≥ {LeastRatio} ×", ratio >= LeastRatio),
            new("stall", "ms", ourStall, "redis-cli | xargs", theirStall, $"≤ {MostStall:0}", ourStall <= MostStall),
            new("stall.idle", "ms", idle),
            new("family", "keys/s", Median(family), "redis-cli | xargs", Median(theirs)),
            new("undo", "keys/s", Median(undo), "redis-cli | xargs", Median(theirs)),
        ];
    }

    private static async Task<IReadOnlyList<Row>> StopAndGoOnAsync(Stage stage)
    {
        await stage.FillAsync();
        var all = stage.Customers + stage.Bills + 1;
        using (var killed = stage.Tool("--pattern", Pattern, "--anew"))
        {
            while (!killed.HasExited && await stage.CountAsync() > all - (stage.Customers / 4))
                await Task.Delay(1, stage.Stop);
            killed.Kill();
            await killed.WaitForExitAsync(stage.Stop);
        }

        var left = await stage.CountAsync();
        BenchRun.Say($"killed when {all - left:N0} were removed");
        using (var again = stage.Tool("--pattern", Pattern))
            await stage.EndAsync(again);
        var customers = await stage.CountAsync(Pattern);
        var spared = await stage.CountAsync("dev:bill:*");
        return
        [
            new("resume.before", "keys", all - left),
            Row.AtMost("resume.left", "keys", customers, 0),
            Row.AtMost("resume.gone", "keys", stage.Bills - spared, 0),
        ];
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>The server and the two who remove.</summary>
    private sealed record Stage(RedisServerProcess Server, RedisClient Redis, int Customers, int Bills, CancellationToken Stop)
    {
        private const int AtATime = 10_000;

        public string CatalogFile => Path.Combine(Server.Directory, "keyspace.json");

        public async Task FillAsync()
        {
            await Redis.SendAsync(["FLUSHALL", "SYNC"], ReplyParsers.Ignore, Stop);
            await Redis.SetAsync("probe", "1", cancellationToken: Stop);
            await FillAsync("dev:customer:", Customers);
            await FillAsync("dev:bill:", Bills);
        }

        public Process Tool(params ReadOnlySpan<string> what) =>
            ToolCommand.Start([
                "delete",
                .. what,
                "--yes",
                "--redis",
                Server.ConnectionString,
                "--state",
                Path.Combine(Server.Directory, "state.json"),
                "--json",
            ]);

        public Process RedisCli() =>
            Process.Start(
                new ProcessStartInfo("sh")
                {
                    UseShellExecute = false,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                    ArgumentList =
                    {
                        "-c",
                        $"redis-cli -p {Server.Port} --scan --pattern '{Pattern}' | xargs -n 1000 redis-cli -p {Server.Port} unlink >/dev/null",
                    },
                }
            )!;

        /// <summary>Keys a second.</summary>
        public async Task<double> TimeAsync(Func<Process> start, StallProbe probe, Action<double> stalled)
        {
            await FillAsync();
            // Filling has made others wait, too.
            await Task.Delay(TimeSpan.FromSeconds(1), Stop);
            probe.TakeWorst();
            var began = Stopwatch.GetTimestamp();
            using (var process = start())
                await EndAsync(process);
            var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            stalled(probe.TakeWorst());
            if (await CountAsync(Pattern) is var left and > 0)
                throw new InvalidOperationException($"{left} keys were left.");
            return Customers / seconds;
        }

        public async Task EndAsync(Process process)
        {
            var said = process.StandardOutput.ReadToEndAsync(Stop);
            var wrong = await process.StandardError.ReadToEndAsync(Stop);
            await process.WaitForExitAsync(Stop);
            if (process.ExitCode != 0)
                throw new InvalidOperationException($"Exit code {process.ExitCode}: {wrong}{await said}");
            BenchRun.Say(Summarize(await said));
        }

        public async Task<long> CountAsync() => await Redis.SendAsync(["DBSIZE"], ReplyParsers.Int64, Stop);

        public async Task<long> CountAsync(string pattern)
        {
            var names = new HashSet<string>(StringComparer.Ordinal);
            await foreach (var name in Redis.ScanAsync(pattern, 5000, Stop))
                names.Add(name);
            return names.Count;
        }

        private async Task FillAsync(string head, int count)
        {
            for (var first = 0; first < count; first += AtATime)
                await Redis.SendAsync(["EVAL", Fill, 0, head, first, Math.Min(count, first + AtATime) - 1], ReplyParsers.Ignore, Stop);
        }

        private static string Summarize(string said)
        {
            if (!said.StartsWith('{'))
                return "redis-cli | xargs";
            var report = JsonElement.Parse(said);
            return $"onggi delete: {report.GetProperty("removed")} in {report.GetProperty("seconds")} s, its own probe waited {report.GetProperty("worstWaitMilliseconds")} ms";
        }
    }
}
