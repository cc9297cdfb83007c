using System.Diagnostics;

namespace Onggi.Benchmarks;

/// <summary>This program once more, as a process of its own that is spoken to over its input and output.</summary>
internal static class OwnProcess
{
    /// <exception cref="InvalidOperationException">It did not start.</exception>
    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        // Under `dotnet` the program is the first argument; a program of its own needs none.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, $"{typeof(OwnProcess).Assembly.GetName().Name}.dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        // Several of them share two cores: the small heap, and code that is compiled once.
        start.Environment["DOTNET_gcConcurrent"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        return Process.Start(start) ?? throw new InvalidOperationException($"The process '{arguments[0]}' did not start.");
    }
}
