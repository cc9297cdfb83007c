#:property PublishAot=false
#:property AssemblyName=onggi-test

// All that must hold before a change lands, in one command: ./test, or `dotnet run eng/test.cs`.
// Ends with the line "N passed, N failed" and exit code 0 only when nothing failed. A few tests that fail are run once more, alone; what passes then is named.
// Leaves no process behind, and proves it.

using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Xml.Linq;

var options = Options.Parse(args);
if (options is null)
    return args is ["--help" or "-h"] ? 0 : 2;

// The folder of this file's parent, wherever the command was started.
var root = Path.GetDirectoryName(Path.GetDirectoryName(SourceFile())!)!;
var results = Path.Combine(root, ".trx");
if (Directory.Exists(results))
    Directory.Delete(results, recursive: true);

using var interrupt = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    // The children get the signal too; we stay to stop what they leave and to say how it ended.
    pressed.Cancel = true;
    interrupt.Cancel();
};

var run = new Run(root, results, options, interrupt.Token);
await run.ExecuteAsync();
return run.Report();

static string SourceFile([CallerFilePath] string path = "") => path;

/// <summary>What the command line asks for.</summary>
sealed record Options(string? Filter, string? Only, bool TestsOnly)
{
    private const string Help = """
        ./test [--filter EXPRESSION] [--project NAME] [--tests-only]

          --filter EXPRESSION  only the tests that match, in the syntax of `dotnet test`, e.g. FullyQualifiedName~Keys
          --project NAME       only the test projects whose name contains NAME, e.g. ServerTests
          --tests-only         no format check and no script check; building stays
        """;

    public static Options? Parse(string[] args)
    {
        var parsed = new Options(null, null, false);
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--filter" when i + 1 < args.Length:
                    parsed = parsed with { Filter = args[++i] };
                    break;
                case "--project" when i + 1 < args.Length:
                    parsed = parsed with { Only = args[++i] };
                    break;
                case "--tests-only":
                    parsed = parsed with { TestsOnly = true };
                    break;
                default:
                    Console.Error.WriteLine(args is ["--help" or "-h"] ? Help : $"Unknown or incomplete option {args[i]}.\n\n{Help}");
                    return null;
            }
        }
        return parsed;
    }
}

/// <summary>One run: its steps in order, what failed, and the counts at the end.</summary>
sealed class Run(string root, string results, Options options, CancellationToken stop)
{
    /// <summary>Every child, and what a child starts, carries this in its environment: so a process left behind is known as ours.</summary>
    private const string Mark = "ONGGI_TEST_RUN";

    private readonly string _id = $"{Environment.ProcessId}-{Guid.CreateVersion7():N}";
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly List<string> _failures = [];

    // So few are tried once more, alone: on a machine that others keep busy a bound of time can be missed. More of them are no chance.
    private const int MostAgain = 3;

    private readonly List<string> _again = [];
    private readonly List<(TimeSpan Time, string Name)> _slow = [];
    private int _passed;
    private int _failed;
    private int _skipped;

    public async Task ExecuteAsync()
    {
        var built = false;
        try
        {
            await StepAsync("tools", "dotnet", ["tool", "restore"]);
            await RestoreSchemasAsync();
            if (!options.TestsOnly)
            {
                await StepAsync("format", "dotnet", ["csharpier", "check", "."], "fix it: dotnet csharpier format .");
                await CheckScriptsAsync();
            }
            built = await BuildAsync();
            if (built)
                await TestAsync();
        }
        catch (OperationCanceledException)
        {
            Fail("interrupted", "The run was stopped before its end.");
        }
        finally
        {
            await ShutDownBuildServersAsync();
            await CheckNothingIsLeftAsync();
        }
        if (built && _passed + _failed == 0)
            Fail("tests", "No test ran. Does the filter match anything?");
    }

    /// <summary>What failed, the slow ones, and as the very last line the counts.</summary>
    public int Report()
    {
        foreach (var (time, name) in _slow.OrderByDescending(slow => slow.Time).Take(8))
            Console.WriteLine($"    slow {Seconds(time), 8}  {name}");
        foreach (var failure in _again.Concat(_failures))
            Console.WriteLine($"\n{failure}");
        if (_again.Count > 0)
            Console.WriteLine($"\n{_again.Count} of those that passed did so only when they were run again, alone: see above. Mend them.");
        Console.WriteLine($"\n{_clock.Elapsed.TotalSeconds:0} s in all");
        Console.WriteLine($"{_passed} passed, {_failed} failed" + (_skipped > 0 ? $", {_skipped} skipped" : ""));
        return _failed == 0 ? 0 : 1;
    }

    private async Task<bool> BuildAsync() =>
        await StepAsync(
            "build",
            "dotnet",
            [
                "build",
                "Onggi.slnx",
                "--configuration",
                "Release",
                "--nologo",
                "--verbosity",
                "quiet",
                "-warnaserror",
                "-p:UseSharedCompilation=true",
            ]
        );

    private async Task CheckScriptsAsync()
    {
        if (!OnPath("shellcheck"))
        {
            const string Missing = "shellcheck is not on PATH";
            // On a developer's machine it is a pity; in CI nobody would notice.
            if (Environment.GetEnvironmentVariable("CI") == "true")
            {
                Line("scripts", "FAILED", TimeSpan.Zero);
                Fail("scripts", Missing);
            }
            else
            {
                Line("scripts", $"skipped: {Missing}", TimeSpan.Zero);
            }

            return;
        }
        string[] scripts = ["run", "test", "bench", "onggi", ".ci/run", "eng/needs.sh"];
        var deployed = Directory.EnumerateFiles(Path.Combine(root, "deploy"), "*.sh", SearchOption.AllDirectories).Order();
        await StepAsync("scripts", "shellcheck", ["-x", .. scripts, .. deployed]);
    }

    /// <summary>What checks manifests against the schemas of Kubernetes's API, unless it lies there already.</summary>
    private async Task RestoreSchemasAsync()
    {
        const string Schemas = "tests/Onggi.DeployTests/Kubernetes/schema";
        var (asked, got) = (
            new FileInfo(Path.Combine(root, Schemas, "package-lock.json")),
            new FileInfo(Path.Combine(root, Schemas, "node_modules/.package-lock.json"))
        );
        if (Environment.GetEnvironmentVariable("ONGGI_TESTS_WITHOUT_NPM") == "1" || !OnPath("npm"))
            return;
        if (!got.Exists || got.LastWriteTimeUtc < asked.LastWriteTimeUtc)
            await StepAsync("schemas", "npm", ["ci", "--prefix", Schemas]);
    }

    private async Task TestAsync()
    {
        foreach (var project in Directory.EnumerateFiles(Path.Combine(root, "tests"), "*.csproj", SearchOption.AllDirectories).Order())
        {
            var name = Path.GetFileNameWithoutExtension(project);
            if (options.Only is { } only && !name.Contains(only, StringComparison.OrdinalIgnoreCase))
                continue;
            await TestAsync(project, name);
        }
    }

    private async Task TestAsync(string project, string name)
    {
        var started = _clock.Elapsed;
        var (exit, tests) = await TestAsync(project, name, options.Filter);
        var failed = tests.Where(test => test.Failure is not null).ToList();
        if (failed.Count is > 0 and <= MostAgain)
        {
            var filter = string.Join('|', failed.Select(test => $"FullyQualifiedName={test.Method}").Distinct());
            var (second, tried) = await TestAsync(project, $"{name}.again", filter);
            if (second.Code == 0 && failed.TrueForAll(test => tried.Exists(other => other.Name == test.Name && other.Failure is null)))
            {
                _again.AddRange(failed.Select(test => $"PASSED AGAIN {test.Failure}"));
                (exit, failed) = (second, []);
            }
        }

        _failures.AddRange(failed.Select(test => $"FAILED {test.Failure}"));
        var skipped = tests.Count(test => test.IsSkipped);
        var passed = tests.Count - skipped - failed.Count;
        _passed += passed;
        _failed += failed.Count;
        _skipped += skipped;
        Line(name, $"{passed} passed, {failed.Count} failed" + (skipped > 0 ? $", {skipped} skipped" : ""), _clock.Elapsed - started);
        if (exit.Code != 0 && failed.Count == 0)
            Fail(name, $"The test process ended with {exit.Code}, though no test is reported as failed.\n{exit.Output}");
        else if (tests.Count - skipped == 0 && options.Filter is null)
            Fail(name, "The project has no test.");
    }

    private async Task<((int Code, string Output) Exit, List<Test> Tests)> TestAsync(string project, string name, string? filter)
    {
        var report = Path.Combine(results, $"{name}.trx");
        var exit = await RunAsync(
            name,
            "dotnet",
            [
                "test",
                project,
                "--configuration",
                "Release",
                "--no-build",
                "--nologo",
                "--verbosity",
                "quiet",
                "--logger",
                $"trx;LogFileName={Path.GetFileName(report)}",
                "--results-directory",
                results,
                // A test that hangs is named and ended, long before the machine that waits for us gives up.
                "--blame-hang-timeout",
                "5m",
                "--blame-hang-dump-type",
                "none",
                .. filter is not null ? ["--filter", filter] : Array.Empty<string>(),
            ]
        );
        return (exit, File.Exists(report) ? Read(report) : []);
    }

    /// <summary>What became of each test, from one report; the slow ones are kept.</summary>
    private List<Test> Read(string report)
    {
        XNamespace ns = "http://microsoft.com/schemas/VisualStudio/TeamTest/2010";
        var document = XDocument.Load(report);
        var methods = document
            .Descendants(ns + "UnitTest")
            .ToDictionary(
                test => test.Attribute("id")!.Value,
                test =>
                    test.Element(ns + "TestMethod") is { } method
                        ? $"{method.Attribute("className")!.Value}.{method.Attribute("name")!.Value.Split('(')[0].Split('.')[^1]}"
                        : ""
            );
        var tests = new List<Test>();
        foreach (var result in document.Descendants(ns + "UnitTestResult"))
        {
            var name = result.Attribute("testName")!.Value;
            if (
                TimeSpan.TryParse(result.Attribute("duration")?.Value, CultureInfo.InvariantCulture, out var time)
                && time.TotalSeconds >= 5
            )
                _slow.Add((time, name));
            var method = methods.GetValueOrDefault(result.Attribute("testId")?.Value ?? "", "");
            switch (result.Attribute("outcome")!.Value)
            {
                case "Passed":
                    tests.Add(new Test(name, method, null));
                    break;
                case "NotExecuted":
                    tests.Add(new Test(name, method, null, IsSkipped: true));
                    break;
                default:
                    var error = result.Descendants(ns + "ErrorInfo").FirstOrDefault();
                    var stack = error?.Element(ns + "StackTrace")?.Value.Split('\n').Where(line => !line.Contains(" System.Reflection."));
                    var output = result.Descendants(ns + "StdOut").FirstOrDefault()?.Value;
                    var failure =
                        $"{name}\n{Indent(error?.Element(ns + "Message")?.Value)}\n{Indent(string.Join('\n', stack ?? []))}"
                        + (output is null ? "" : $"\n{Indent("output:\n" + output)}");
                    tests.Add(new Test(name, method, failure));
                    break;
            }
        }
        return tests;
    }

    /// <summary>How one test ended.</summary>
    /// <param name="Name">With its arguments.</param>
    /// <param name="Method">The method, as a filter names it.</param>
    /// <param name="Failure">What it said; <c>null</c> when it did not fail.</param>
    /// <param name="IsSkipped">It was not run.</param>
    private sealed record Test(string Name, string Method, string? Failure, bool IsSkipped = false);

    /// <summary>The compiler server outlives the build for its next one; here it would outlive us.</summary>
    private async Task ShutDownBuildServersAsync() =>
        await RunAsync("shutdown", "dotnet", ["build-server", "shutdown"], CancellationToken.None);

    /// <summary>Looks for processes that carry our mark; gives those that are ending some seconds, ends the rest and calls it a failure.</summary>
    private async Task CheckNothingIsLeftAsync()
    {
        if (!Directory.Exists("/proc/self"))
            return;
        var until = _clock.Elapsed + TimeSpan.FromSeconds(15);
        while (Marked().Count > 0 && _clock.Elapsed < until)
            await Task.Delay(100);
        var left = Marked();
        foreach (var (pid, command) in left)
        {
            Fail("left behind", $"process {pid} still runs, and was ended: {command}");
            try
            {
                Process.GetProcessById(pid).Kill();
            }
            catch (ArgumentException)
            {
                // It has just ended by itself.
            }
        }
        Line("clean-up", left.Count == 0 ? "no process is left" : $"left behind: {left.Count}", TimeSpan.Zero);
    }

    private List<(int Pid, string Command)> Marked()
    {
        var found = new List<(int, string)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid))
                continue;
            try
            {
                if (File.ReadAllText($"{folder}/environ").Split('\0').Contains($"{Mark}={_id}"))
                    found.Add((pid, File.ReadAllText($"{folder}/cmdline").Replace('\0', ' ')));
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // Ended between the listing and the look, or somebody else's.
            }
        }
        return found;
    }

    private async Task<bool> StepAsync(string name, string command, string[] arguments, string? advice = null)
    {
        var started = _clock.Elapsed;
        var (code, output) = await RunAsync(name, command, arguments);
        Line(name, code == 0 ? "ok" : "FAILED", _clock.Elapsed - started);
        if (code != 0)
        {
            // The build says each error twice: where it happens, and at its end.
            var said = string.Join('\n', output.Split('\n').Select(line => line.Trim()).Distinct());
            Fail(name, advice is null ? said : $"{said}\n{advice}");
        }
        return code == 0;
    }

    private Task<(int Code, string Output)> RunAsync(string name, string command, string[] arguments) =>
        RunAsync(name, command, arguments, stop);

    /// <summary>Runs a child to its end and keeps what it says; a line of ours every 20 s shows that it still works.</summary>
    private async Task<(int Code, string Output)> RunAsync(string name, string command, string[] arguments, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = root,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[Mark] = _id;
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["MSBUILDTERMINALLOGGER"] = "off";
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{command} did not start.");
        process.StandardInput.Close();
        var lines = new List<string>();
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        var started = _clock.Elapsed;
        using var beat = new Timer(
            _ => Line(name, "…", _clock.Elapsed - started),
            null,
            dueTime: TimeSpan.FromSeconds(20),
            period: TimeSpan.FromSeconds(20)
        );
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
        lock (lines)
            return (process.ExitCode, string.Join('\n', lines));

        void Keep(string? line)
        {
            if (string.IsNullOrWhiteSpace(line))
                return;
            lock (lines)
                lines.Add(line);
        }
    }

    private void Fail(string step, string message)
    {
        _failed++;
        _failures.Add($"FAILED {step}\n{Indent(message)}");
    }

    private static void Line(string name, string what, TimeSpan time) =>
        Console.WriteLine($"{name, -22} {what, -32} {(time > TimeSpan.Zero ? Seconds(time) : ""), 8}");

    private static string Seconds(TimeSpan time) => $"{time.TotalSeconds:0.0} s";

    private static string Indent(string? text) =>
        string.Join('\n', (text ?? "").TrimEnd().Split('\n').Select(line => $"    {line.TrimEnd()}"));

    private static bool OnPath(string command) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Any(folder => File.Exists(Path.Combine(folder, command)));
}
