using System.Diagnostics;
using Onggi.Cli;

namespace Onggi.Benchmarks.Operations;

/// <summary>The <c>onggi</c> tool as a process of its own, which can be killed.</summary>
internal static class ToolCommand
{
    public const string Name = "onggi-tool";

    /// <summary>Runs in that process.</summary>
    public static Task<int> RunAsync(string[] line) => OnggiTool.RunAsync(line, Console.Out, Console.Error);

    /// <summary>Starts the process; its standard output is to be read.</summary>
    public static Process Start(params ReadOnlySpan<string> line)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        // Under `dotnet` the program is the first argument; a program of its own needs none.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, $"{typeof(ToolCommand).Assembly.GetName().Name}.dll"));
        start.ArgumentList.Add(Name);
        foreach (var word in line)
            start.ArgumentList.Add(word);
        return Process.Start(start) ?? throw new InvalidOperationException("The tool's process did not start.");
    }
}
