using System.ComponentModel;
using System.Diagnostics;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What became of a program.</summary>
/// <param name="Code">Its exit code.</param>
/// <param name="Output">What it wrote to standard output.</param>
/// <param name="Error">What it wrote to standard error.</param>
internal sealed record ToolRun(int Code, string Output, string Error);

/// <summary>Runs the programs that check manifests and scripts.</summary>
internal static class Tools
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Runs a program in the repository's root and waits for its end.</summary>
    /// <param name="program">Its name or path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Variables that are set for it; an empty value removes one.</param>
    /// <param name="input">What it reads from standard input.</param>
    /// <exception cref="InvalidOperationException">It is not installed, or did not end.</exception>
    public static async Task<ToolRun> RunAsync(
        string program,
        IEnumerable<string> arguments,
        IEnumerable<KeyValuePair<string, string>>? environment = null,
        string input = ""
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Sources.Root,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment ?? [])
            if (value.Length > 0)
                start.Environment[name] = value;
            else
                start.Environment.Remove(name);
        using var process = Start(start);
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            var (output, error) = (
                process.StandardOutput.ReadToEndAsync(patience.Token),
                process.StandardError.ReadToEndAsync(patience.Token)
            );
            await process.StandardInput.WriteAsync(input.AsMemory(), patience.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(patience.Token);
            return new ToolRun(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException late)
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException($"{program} did not end within {Patience.TotalSeconds:0} s.", late);
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception missing)
        {
            throw new InvalidOperationException(
                $"{start.FileName} is not on PATH. ./test installs what it can, and CONTRIBUTING.md says what leaves these tests out.",
                missing
            );
        }
    }
}

/// <summary>A test that needs a tool. It fails without it, unless the environment says that it is to be left out.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ToolFactAttribute : FactAttribute
{
    public ToolFactAttribute(string tool) => Skip = ToolSkip.Of(tool);
}

/// <inheritdoc cref="ToolFactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ToolTheoryAttribute : TheoryAttribute
{
    public ToolTheoryAttribute(string tool) => Skip = ToolSkip.Of(tool);
}

internal static class ToolSkip
{
    /// <summary>Why tests that need the tool (or one of several, with blanks between them) are skipped; <c>null</c> when they are not.</summary>
    public static string? Of(string tools)
    {
        foreach (var tool in tools.Split(' '))
        {
            var name = $"ONGGI_TESTS_WITHOUT_{tool.ToUpperInvariant()}";
            if (Environment.GetEnvironmentVariable(name) == "1")
                return $"{name} is set";
        }

        return null;
    }
}
