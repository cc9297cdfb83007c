namespace PhoneBill.Demo;

/// <summary>The onggi tool, as a process, from its build output: what we do here, people do in a shell.</summary>
internal static class OnggiTool
{
    /// <summary>Runs one command line.</summary>
    /// <returns>What it wrote.</returns>
    /// <exception cref="DemoException">It is not built, or it failed; the message has what it said.</exception>
    public static async Task<string> RunAsync(string[] arguments, CancellationToken cancellationToken)
    {
        using var process = Programs.Start(Programs.Piped("dotnet", [PathOfTool(), .. arguments]), "");
        process.StandardInput.Close();
        var reading = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = await process.StandardError.ReadToEndAsync(cancellationToken);
        var output = await reading;
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0 ? output : throw new DemoException($"onggi {string.Join(' ', arguments)} failed:\n{error}{output}");
    }

    private static string PathOfTool()
    {
        // samples/PhoneBill/Demo/bin/Release/net10.0/ and src/Onggi.Cli/bin/Release/net10.0/ under one root.
        var slash = Path.DirectorySeparatorChar;
        var output = AppContext.BaseDirectory.Replace(
            $"{slash}samples{slash}PhoneBill{slash}Demo{slash}bin{slash}",
            $"{slash}src{slash}Onggi.Cli{slash}bin{slash}"
        );
        var tool = Path.Combine(output, "Onggi.Cli.dll");
        return File.Exists(tool)
            ? tool
            : throw new DemoException($"{tool} is missing. Build it first: dotnet build samples/PhoneBill/Demo");
    }
}
