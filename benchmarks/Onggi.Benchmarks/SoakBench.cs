using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Benchmarks;

/// <summary>The long form of the torture that <c>./test</c> runs in short, and what is left of it in memory.</summary>
/// <remarks>
/// Several clients, each with a line and callers of its own: while one line is silent or held, the others keep the machine busy. They stand through warm-up and run, so
/// that what a living client gathers is seen, not only what a disposed one leaves.
/// </remarks>
internal sealed class SoakBench : IBench
{
    private const long DefaultCommands = 10_000_000;
    private const int Lines = 6;

    // What pools and buffers may still gain after the warm-up. A leak of one byte a command is more in any long run.
    private const long HeapMayGrow = 8L << 20;

    public string Name => "soak";

    public string Summary => "does every reply reach its caller, over a line that is cut, held, slowed and silenced?";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        await using var server = await RedisServerProcess.StartAsync();
        run.Redis = (await server.CommandAsync("INFO", "server"))!
            .Split('\n')
            .First(line => line.StartsWith("redis_version:", StringComparison.Ordinal))
            .Split(':')[1]
            .Trim();
        var commands = run.Commands ?? (run.Duration is null && !run.Quick ? DefaultCommands : long.MaxValue);
        var duration = run.Duration ?? (run.Quick ? TimeSpan.FromSeconds(40) : TimeSpan.MaxValue);
        BenchRun.Say(Seed.Line);

        var lines = await Task.WhenAll(Enumerable.Range(0, Lines).Select(number => Line.OpenAsync(server.Port, Seed.Value + number)));
        try
        {
            // A tenth of the run, as the first part of it: its commands count as all others do.
            var warm = commands == long.MaxValue ? long.MaxValue : Math.Max(1, commands / 10);
            var first = await RunAsync(lines, warm, duration == TimeSpan.MaxValue ? duration : duration / 10, "warm-up", run.Stop);
            var before = Memory.AfterCollection();
            BenchRun.Say($"warm: {before}");
            var second = await RunAsync(
                lines,
                commands == long.MaxValue ? long.MaxValue : commands - first.Commands,
                duration == TimeSpan.MaxValue ? duration : duration - first.Elapsed,
                "run",
                run.Stop
            );
            var after = Memory.AfterCollection();
            BenchRun.Say($"at the end: {after}");
            return Judge(run, [first, second], before, after);
        }
        finally
        {
            foreach (var line in lines)
                await line.DisposeAsync();
        }
    }

    private static async Task<TortureReport> RunAsync(Line[] lines, long commands, TimeSpan duration, string what, CancellationToken stop)
    {
        var progress = new Progress(lines.Length, what);
        var reports = await Task.WhenAll(
            lines.Select((line, number) => line.RunAsync(commands, duration, lines.Length, progress.Of(number), stop))
        );
        return Sum(reports);
    }

    private static Row[] Judge(BenchRun run, TortureReport[] parts, Memory before, Memory after)
    {
        var all = Sum(parts) with { Elapsed = parts[0].Elapsed + parts[1].Elapsed };
        foreach (var example in all.Examples)
            BenchRun.Say(example);
        var pace = all.Commands / all.Elapsed.TotalSeconds;
        run.Notes.Add(
            $"Repeat with {Seed.Line}. A reply counts as different when it is not what this caller alone can have asked or written."
        );
        run.Notes.Add(
            $"Heap: the managed memory after a full collection, with {Lines} clients alive and idle: after the first tenth, and at the end."
        );
        run.Notes.Add(
            string.Create(CultureInfo.InvariantCulture, $"At this pace 100,000,000 commands take {100_000_000 / pace / 60:0} minutes.")
        );
        if (run.Stop.IsCancellationRequested)
            run.Notes.Add("Ended early, by hand.");
        var grown = after.Heap - before.Heap;
        return
        [
            new("lost", "commands", all.Lost, Goal: "= 0", Pass: all.Lost == 0),
            new("different", "replies", all.Different, Goal: "= 0", Pass: all.Different == 0),
            new(
                "heap",
                "MiB",
                Memory.MiB(after.Heap),
                "after the first tenth",
                Memory.MiB(before.Heap),
                Goal: $"≤ {HeapMayGrow >> 20} MiB more",
                Pass: grown <= HeapMayGrow
            ),
            new("rss", "MiB", Memory.MiB(after.Resident), "after the first tenth", Memory.MiB(before.Resident)),
            new("ops", "commands", all.Commands),
            // A server that has gone loses nothing and mixes up nothing: such a run proves nothing.
            new("answered", "commands", all.Answered, Goal: "> half of all", Pass: all.Answered > all.Commands / 2),
            new("cancelled", "commands", all.Cancelled),
            new("failed", "commands", all.Failed),
            new("faults", "faults", all.Faults),
            new("connections", "connections", all.Connections),
            new("duration", "s", all.Elapsed.TotalSeconds),
            new("pace", "commands/s", pace),
        ];
    }

    private static TortureReport Sum(IReadOnlyList<TortureReport> reports) =>
        new(
            reports.Sum(report => report.Commands),
            reports.Sum(report => report.Answered),
            reports.Sum(report => report.Cancelled),
            reports.Sum(report => report.Failed),
            reports.Sum(report => report.Different),
            reports.Sum(report => report.Lost),
            reports.Sum(report => report.Faults),
            reports.Sum(report => report.Connections),
            reports.Max(report => report.Elapsed),
            [.. reports.SelectMany(report => report.Examples).Take(10)]
        );

    /// <summary>One client, and the proxy that it goes through.</summary>
    private sealed class Line : IAsyncDisposable
    {
        private readonly FaultProxy _proxy;
        private readonly RedisClient _redis;
        private readonly int _seed;
        private int _runs;

        private Line(FaultProxy proxy, RedisClient redis, int seed) => (_proxy, _redis, _seed) = (proxy, redis, seed);

        public static async Task<Line> OpenAsync(int serverPort, int seed)
        {
            var proxy = FaultProxy.Start(serverPort, seed);
            return new Line(proxy, await RedisClient.ConnectAsync(ReplyTorture.Options(proxy.Port)), seed);
        }

        public Task<TortureReport> RunAsync(
            long commands,
            TimeSpan duration,
            int lines,
            IProgress<TortureReport> progress,
            CancellationToken stop
        ) =>
            ReplyTorture.RunAsync(
                _redis,
                _proxy,
                new TortureSettings
                {
                    Seed = unchecked(_seed + (1000 * _runs++)),
                    Commands = commands == long.MaxValue ? commands : (commands + lines - 1) / lines,
                    Duration = duration,
                },
                progress,
                stop
            );

        public async ValueTask DisposeAsync()
        {
            await _redis.DisposeAsync();
            await _proxy.DisposeAsync();
        }
    }

    /// <summary>How much the process holds.</summary>
    private sealed record Memory(long Heap, long Resident)
    {
        public static Memory AfterCollection()
        {
            // Twice, so that what finalizers let go is gone too.
            for (var i = 0; i < 2; i++)
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                GC.WaitForPendingFinalizers();
            }

            return new Memory(GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
        }

        public static double MiB(long bytes) => bytes / (double)(1 << 20);

        public override string ToString() =>
            string.Create(CultureInfo.InvariantCulture, $"heap {MiB(Heap):0.0} MiB, RSS {MiB(Resident):0} MiB");
    }

    /// <summary>Says every ten seconds how things stand on all lines together.</summary>
    private sealed class Progress(int lines, string what)
    {
        private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

        private readonly Lock _gate = new();
        private readonly TortureReport?[] _last = new TortureReport?[lines];
        private long _next = Duel.EndOf(Pause);
        private long _saidCommands;
        private TimeSpan _saidAt;
        private bool _hasShown;

        public IProgress<TortureReport> Of(int line) => new OfLine(this, line);

        private void Report(int line, TortureReport report)
        {
            lock (_gate)
            {
                _last[line] = report;
                if (Stopwatch.GetTimestamp() < _next)
                    return;
                _next = Duel.EndOf(Pause);
                var sum = Sum([.. _last.OfType<TortureReport>()]);
                var pace = (sum.Commands - _saidCommands) / (sum.Elapsed - _saidAt).TotalSeconds;
                (_saidCommands, _saidAt) = (sum.Commands, sum.Elapsed);
                BenchRun.Say(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{what} {sum.Elapsed:h\\:mm\\:ss}: {sum.Commands:#,0} commands ({pace:#,0}/s), {sum.Faults:#,0} faults, {sum.Different} different, {sum.Lost} lost; {new Memory(GC.GetTotalMemory(false), Environment.WorkingSet)}"
                    )
                );

                // Not only at the end: whoever watches need not wait for it.
                if (sum.Different == 0 || _hasShown)
                    return;
                _hasShown = true;
                foreach (var example in sum.Examples)
                    BenchRun.Say(example);
            }
        }

        private sealed class OfLine(Progress whole, int line) : IProgress<TortureReport>
        {
            public void Report(TortureReport value) => whole.Report(line, value);
        }
    }
}
