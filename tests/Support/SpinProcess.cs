using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Onggi.Testing;

/// <summary>What became of one search through all states of a model.</summary>
/// <param name="States">How many different states were seen.</param>
/// <param name="Errors">How many errors: the search ends at the first.</param>
/// <param name="IsWhole">Whether nothing was left out, for want of depth or memory.</param>
/// <param name="Failure">The checker's words for the error; <c>null</c> when there was none.</param>
/// <param name="Output">All that the checker printed.</param>
/// <param name="Trace">The steps that lead to the error, when they were asked for.</param>
public sealed record SpinResult(long States, int Errors, bool IsWhole, string? Failure, string Output, string Trace);

/// <summary>Runs Spin (https://spinroot.com) on a model: it writes a checker in C, gcc compiles it, and that goes through every state.</summary>
/// <remarks>All files lie in a folder of their own beneath the temporary one, and go with it.</remarks>
public static class SpinProcess
{
    // A path longer than this would be cut, and the run then be called not whole; the longest so far has some thousand steps.
    private const int Depth = 1_000_000;

    private static readonly string[] CutShort =
    [
        "Search not completed",
        "max search depth too small",
        "out of memory",
        "reached -DMEMLIM bound",
    ];

    /// <summary>Goes through the model's states, until the first error or to the end.</summary>
    /// <param name="model">The model's file.</param>
    /// <param name="defines">What is defined for it: <c>NAME</c> or <c>NAME=value</c>.</param>
    /// <param name="memory">How many MiB the checker may take; where they do not do, the result is not whole.</param>
    /// <param name="trace">Whether the steps to an error are wanted.</param>
    /// <param name="stop">Ends what was started.</param>
    /// <exception cref="InvalidOperationException">Spin or gcc is missing, or does not take the model; the message says which.</exception>
    public static async Task<SpinResult> CheckAsync(
        string model,
        IReadOnlyList<string> defines,
        int memory = 1024,
        bool trace = false,
        CancellationToken stop = default
    )
    {
        var folder = Directory.CreateTempSubdirectory("onggi-model-").FullName;
        try
        {
            string[] flags = [.. defines.Select(define => "-D" + define)];
            // Spin writes beside where it runs, and looks for the trail of an error there under the model's own name.
            File.Copy(model, Path.Combine(folder, "model.pml"));
            Expect(await RunAsync("spin", ["-a", .. flags, "model.pml"], folder, stop), "spin does not take the model");
            // Optimising more than this takes longer than the small sizes run.
            var optimise = memory > 1024 ? "-O2" : "-O1";
            string[] compile = [optimise, "-w", "-DSAFETY", "-DCOLLAPSE", $"-DMEMLIM={memory}", "-o", "pan", "pan.c"];
            Expect(await RunAsync("gcc", compile, folder, stop), "gcc does not compile the checker");
            var (_, output) = await RunAsync(Path.Combine(folder, "pan"), [$"-m{Depth}"], folder, stop);
            var result = Read(output);
            if (!trace || result.Errors == 0)
                return result;
            var (_, steps) = await RunAsync("spin", ["-t", "-p", "-g", .. flags, "model.pml"], folder, stop);
            return result with { Trace = steps };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <remarks>
    /// The lines that count: <c>pan:1: assertion violated (…) (at depth 52)</c>, <c>State-vector 176 byte, depth reached 78, errors: 1</c>,
    /// <c>     488 states, stored</c>, and those that tell of a search that was cut short.
    /// </remarks>
    private static SpinResult Read(string output)
    {
        const string ErrorsAt = "errors: ";
        const string StatesAt = " states, stored";
        var (states, errors) = (-1L, -1);
        string? failure = null;
        foreach (var line in output.Split('\n'))
        {
            if (line.StartsWith("pan:", StringComparison.Ordinal))
                failure ??= line;
            if (line.IndexOf(ErrorsAt, StringComparison.Ordinal) is >= 0 and var at)
                errors = int.Parse(line.AsSpan(at + ErrorsAt.Length), CultureInfo.InvariantCulture);
            if (line.IndexOf(StatesAt, StringComparison.Ordinal) is >= 0 and var end)
                // Large numbers are printed as 1.2345678e+08.
                states = (long)double.Parse(line.AsSpan(0, end), CultureInfo.InvariantCulture);
        }

        // Killed, say, for want of the machine's memory.
        if (states < 0 || errors < 0)
            throw new InvalidOperationException($"The checker did not come to an end that it reports:\n{output}");
        return new SpinResult(
            states,
            errors,
            IsWhole: !CutShort.Any(words => output.Contains(words, StringComparison.Ordinal)),
            errors > 0 ? failure : null,
            output,
            Trace: ""
        );
    }

    private static void Expect((int Exit, string Output) run, string otherwise)
    {
        if (run.Exit != 0)
            throw new InvalidOperationException($"{otherwise}:\n{run.Output}");
    }

    private static async Task<(int Exit, string Output)> RunAsync(
        string command,
        IReadOnlyList<string> arguments,
        string folder,
        CancellationToken stop
    )
    {
        using var process = Start(command, arguments, folder);
        process.StandardInput.Close();
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(stop);
            var errors = process.StandardError.ReadToEndAsync(stop);
            await process.WaitForExitAsync(stop);
            return (process.ExitCode, await output + await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }
    }

    private static Process Start(string command, IReadOnlyList<string> arguments, string folder)
    {
        try
        {
            return Process.Start(
                new ProcessStartInfo(command, arguments)
                {
                    WorkingDirectory = folder,
                    UseShellExecute = false,
                    RedirectStandardInput = true,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                }
            )!;
        }
        catch (Win32Exception missing)
        {
            throw new InvalidOperationException(
                $"{command} is not on PATH. Install it (Debian: apt-get install --no-install-recommends spin gcc libc6-dev; macOS: brew install spin gcc).",
                missing
            );
        }
    }
}
