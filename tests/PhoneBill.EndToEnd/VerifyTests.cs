using System.Diagnostics;

namespace PhoneBill.EndToEnd;

/// <summary>The Redis of the demonstration, while its services run, as the onggi tool sees it.</summary>
[Collection(Running.Name)]
public sealed class VerifyTests(RunningServices services)
{
    [Fact]
    public async Task The_demonstrations_Redis_verifies_green()
    {
        string[] metrics =
        [
            .. Enumerable.Range(1, 4).SelectMany(offset => new[] { "--metrics", services.At(offset, "/metrics").ToString() }),
        ];

        var (code, output) = await RunAsync(["verify", "--wait", "60s", "--probe-writes", "--secrets", "secrets", .. metrics]);

        Assert.True(code == 0, output);
        Assert.Contains("4 of 4 services", output, StringComparison.Ordinal);
        Assert.Contains(" 0 with findings, ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_demonstrations_keys_have_no_findings()
    {
        var (code, output) = await RunAsync(["audit", "--exact"]);

        Assert.True(code == 0, output);
        Assert.Contains(
            ": 0 findings, ",
            output.Replace("nothing found", "0 findings, ", StringComparison.Ordinal),
            StringComparison.Ordinal
        );
    }

    // As people do: in the folder of the run, as the operator, his password in the environment.
    private async Task<(int Code, string Output)> RunAsync(string[] arguments)
    {
        var slash = Path.DirectorySeparatorChar;
        var tool = AppContext.BaseDirectory.Replace(
            $"{slash}tests{slash}PhoneBill.EndToEnd{slash}bin{slash}",
            $"{slash}src{slash}Onggi.Cli{slash}bin{slash}"
        );
        var start = new ProcessStartInfo("dotnet", [Path.Combine(tool, "Onggi.Cli.dll"), .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = services.RunDirectory,
        };
        var password = await File.ReadAllTextAsync(Path.Combine(services.RunDirectory, "secrets", "operator"));
        start.Environment["ONGGI_REDIS"] = $"127.0.0.1:{services.RedisPort},user=operator,password={password}";
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output + await error);
    }
}
