using Onggi.Testing;

namespace Onggi.Benchmarks;

/// <summary>The long form of the torture that <c>./test</c> runs in short.</summary>
internal sealed class SoakBench : IBench
{
    private const long DefaultCommands = 10_000_000;

    public string Name => "soak";

    public string Summary => "does every reply reach its caller, over a line that is cut, held, slowed and silenced?";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port, Seed.Value);
        run.Redis = (await server.CommandAsync("INFO", "server"))!
            .Split('\n')
            .First(line => line.StartsWith("redis_version:", StringComparison.Ordinal))
            .Split(':')[1]
            .Trim();
        run.Notes.Add(
            $"Repeat with {Seed.Line}. A reply counts as different when it is not what this caller alone can have asked or written."
        );
        BenchRun.Say(Seed.Line);
        var settings = new TortureSettings
        {
            Seed = Seed.Value,
            Commands = run.Commands ?? (run.Duration is null && !run.Quick ? DefaultCommands : long.MaxValue),
            Duration = run.Duration ?? (run.Quick ? TimeSpan.FromSeconds(40) : TimeSpan.MaxValue),
        };

        var report = await ReplyTorture.RunAsync(proxy, settings, new Every10Seconds(), run.Stop);

        foreach (var example in report.Examples)
            BenchRun.Say(example);
        return
        [
            new("lost", "commands", report.Lost, Goal: "= 0", Pass: report.Lost == 0),
            new("different", "replies", report.Different, Goal: "= 0", Pass: report.Different == 0),
            new("ops", "commands", report.Commands),
            new("answered", "commands", report.Answered),
            new("cancelled", "commands", report.Cancelled),
            new("failed", "commands", report.Failed),
            new("faults", "faults", report.Faults),
            new("connections", "connections", report.Connections),
            new("duration", "s", report.Elapsed.TotalSeconds),
        ];
    }

    private sealed class Every10Seconds : IProgress<long>
    {
        private long _next = Duel.EndOf(TimeSpan.FromSeconds(10));

        public void Report(long value)
        {
            if (System.Diagnostics.Stopwatch.GetTimestamp() < _next)
                return;
            _next = Duel.EndOf(TimeSpan.FromSeconds(10));
            BenchRun.Say($"{value} commands");
        }
    }
}
