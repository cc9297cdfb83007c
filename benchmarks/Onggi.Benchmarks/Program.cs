using System.Globalization;
using Onggi.Benchmarks.Blocks;
using Onggi.Benchmarks.Coherence;
using Onggi.Benchmarks.Events;
using Onggi.Benchmarks.L2;
using Onggi.Benchmarks.Operations;
using Onggi.Benchmarks.Sessions;
using Onggi.Benchmarks.Streams;
using Spectre.Console;

namespace Onggi.Benchmarks;

/// <summary>The command <c>./bench</c>.</summary>
internal static class Program
{
    private const int Usage = 2;
    private const int Interrupted = 130;

    private static readonly IBench[] All =
    [
        new ClientBench(),
        new MemoryBench(),
        new L2Bench(),
        new SessionBench(),
        new CoherenceBench(),
        new LockBench(),
        new LimitBench(),
        new DeleteBench(),
        new BackupBench(),
        new EventsBench(),
        new StreamBench(),
        new BatchBench(),
        new MigrateBench(),
        new DrillBench(),
        new ModelBench(),
        new SoakBench(),
    ];

    private static async Task<int> Main(string[] args)
    {
        if (args is [] or ["--help" or "-h" or "help"])
        {
            WriteHelp(Console.Out);
            return args is [] ? Usage : 0;
        }

        if (args is [HolderCommand.Name, var port, var id])
            return await HolderCommand.RunAsync(port, id);

        if (args is [SweeperCommand.Name, var server])
            return await SweeperCommand.RunAsync(server);

        if (args is [LoginCommand.Name, var sessions, var user, var policy, var count])
            return await LoginCommand.RunAsync(sessions, user, policy, count);

        if (args is [BlockWorker.Contend, var proxy, var ledger, var contenders])
            return await BlockWorker.ContendAsync(proxy, ledger, contenders);

        if (args is [BlockWorker.Hold, var locks, var leases])
            return await BlockWorker.HoldAsync(locks, leases);

        if (args is [BlockWorker.Spend, var redis, var hours, var callers])
            return await BlockWorker.SpendAsync(redis, hours, callers);

        if (args is [StreamWorker.Name, var streams, var instance])
            return await StreamWorker.RunAsync(streams, instance);

        if (args is [EventWorker.Name, var events, var store])
            return await EventWorker.RunAsync(events, store);

        if (args is [NodeCommand.Name])
            return await NodeCommand.RunAsync();

        if (args is [ToolCommand.Name, .. var line])
            return await ToolCommand.RunAsync(line);

        if (args[0] == "list")
        {
            WriteList(Console.Out);
            return 0;
        }

        if (All.FirstOrDefault(bench => bench.Name == args[0]) is not { } chosen)
        {
            await Console.Error.WriteLineAsync($"There is no benchmark '{args[0]}'. There are:");
            WriteList(Console.Error);
            return Usage;
        }

        if (args is [_, "--help" or "-h"])
        {
            WriteHelp(Console.Out);
            return 0;
        }

        return await RunAsync(chosen, args[1..]);
    }

    private static async Task<int> RunAsync(IBench bench, string[] args)
    {
        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, pressed) =>
        {
            pressed.Cancel = true;
            stop.Cancel();
        };
        if (Options.Parse(args, out var mistake) is not { } options)
        {
            await Console.Error.WriteLineAsync(mistake);
            WriteHelp(Console.Error);
            return Usage;
        }

        Console.OutputEncoding = System.Text.Encoding.UTF8;
        var run = new BenchRun
        {
            Quick = options.Quick,
            Duration = options.Duration,
            Commands = options.Commands,
            Only = options.Only,
            Stop = stop.Token,
        };
        try
        {
            var rows = await bench.RunAsync(run);
            var result = new BenchResult(bench, run, rows);
            ConsoleToUse().Write(result.ToTable());
            if (options.Json is { } file)
                await File.WriteAllBytesAsync(file, result.ToJson());
            if (options.Page)
                BenchRun.Say($"Wrote {await result.WritePageAsync()}");
            return rows.Any(row => row.Pass == false) ? 1 : 0;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted.");
            return Interrupted;
        }
        catch (InvalidOperationException error)
        {
            // What is missing on this machine says so itself.
            await Console.Error.WriteLineAsync(error.Message);
            return 1;
        }
    }

    // A file or a pipe has no width of its own and no colours.
    private static IAnsiConsole ConsoleToUse()
    {
        if (!Console.IsOutputRedirected)
            return AnsiConsole.Console;
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors });
        console.Profile.Width = 160;
        return console;
    }

    private static void WriteList(TextWriter output)
    {
        foreach (var bench in All)
            output.WriteLine($"  {bench.Name, -10} {bench.Summary}");
    }

    private static void WriteHelp(TextWriter output)
    {
        output.WriteLine(
            """
            ./bench list
            ./bench NAME [--quick] [--json FILE] [--page]

              --quick        less than a minute, with more noise
              --json FILE    writes the rows as JSON
              --page         writes benchmarks/results/NAME.md
              --only TEXT    client, locks, limits, events, batches, streams, drills, model: the rows whose names hold it; coherence: the scenarios
              --seconds N    coherence: how long, start and end included (default 50); locks, limits, streams: how long the processes
              --minutes N    soak: how long
              --commands N   soak: how many commands

            Exit code: 0, or 1 when a goal was missed, or 2 when the command line was not understood.

            """
        );
        WriteList(output);
    }

    private sealed record Options(bool Quick, string? Json, bool Page, TimeSpan? Duration, long? Commands, string? Only)
    {
        public static Options? Parse(string[] args, out string mistake)
        {
            var options = new Options(false, null, false, null, null, null);
            mistake = "";
            for (var i = 0; i < args.Length; i++)
            {
                var value = i + 1 < args.Length ? args[i + 1] : "";
                switch (args[i])
                {
                    case "--quick":
                        options = options with { Quick = true };
                        break;
                    case "--page":
                        options = options with { Page = true };
                        break;
                    case "--json" when value.Length > 0:
                        options = options with { Json = value };
                        i++;
                        break;
                    case "--only" when value.Length > 0:
                        options = options with { Only = value };
                        i++;
                        break;
                    case "--minutes" when double.TryParse(value, CultureInfo.InvariantCulture, out var minutes) && minutes > 0:
                        options = options with { Duration = TimeSpan.FromMinutes(minutes) };
                        i++;
                        break;
                    case "--seconds" when double.TryParse(value, CultureInfo.InvariantCulture, out var seconds) && seconds > 0:
                        options = options with { Duration = TimeSpan.FromSeconds(seconds) };
                        i++;
                        break;
                    case "--commands" when long.TryParse(value, CultureInfo.InvariantCulture, out var commands) && commands > 0:
                        options = options with { Commands = commands };
                        i++;
                        break;
                    default:
                        mistake = $"'{args[i]}' is not understood, or lacks its value.";
                        return null;
                }
            }

            return options;
        }
    }
}
