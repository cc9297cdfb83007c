using System.Diagnostics;
using System.Runtime.InteropServices;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>What is published is what was tested: the package is made, installed from a folder and nowhere else, and run.</summary>
public sealed class PackagedToolTests : IDisposable
{
    // Of no other build: whoever has installed the tool has a package of the usual version in his cache.
    private const string PackageVersion = "0.0.1-tested";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-packaged-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_packed_tool_is_installed_and_runs()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        var (root, configuration) = Place();

        var packed = await RunAsync(
            "dotnet",
            "pack",
            Path.Combine(root, "src", "Onggi.Cli", "Onggi.Cli.csproj"),
            "--configuration",
            configuration,
            "--no-build",
            "--nologo",
            $"-p:PackageVersion={PackageVersion}",
            "--output",
            PathOf("packages")
        );
        Assert.True(packed.Code == 0, packed.Said);
        // The only source: the tool brings all that it needs but .NET itself.
        var installed = await RunAsync(
            "dotnet",
            "tool",
            "install",
            "Onggi.Cli",
            "--version",
            PackageVersion,
            "--tool-path",
            PathOf("tools"),
            "--source",
            PathOf("packages")
        );
        Assert.True(installed.Code == 0, installed.Said);
        var tool = Path.Combine(PathOf("tools"), OperatingSystem.IsWindows() ? "onggi.exe" : "onggi");
        var version = await RunAsync(tool, "--version");
        var ping = await RunAsync(tool, "ping", "--count", "10", "--redis", redis.ConnectionString);
        var misspelt = await RunAsync(tool, "pong");

        Assert.True(version.Code == 0, version.Said);
        Assert.Matches(@"^\d+\.\d+\.\d+", version.Said);
        Assert.True(ping.Code == 0, ping.Said);
        Assert.Contains("10 round trips", ping.Said, StringComparison.Ordinal);
        Assert.Equal(2, misspelt.Code);
        Assert.Contains("Did you mean \"ping\"?", misspelt.Said, StringComparison.Ordinal);
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    // …/tests/Onggi.ServerTests/bin/Release/net10.0/
    private static (string Root, string Configuration) Place()
    {
        var parts = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar).Split(Path.DirectorySeparatorChar);
        return (string.Join(Path.DirectorySeparatorChar, parts[..^5]), parts[^2]);
    }

    private async Task<(int Code, string Said)> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _folder.FullName,
        };
        if (program == "dotnet" && arguments[0] == "tool")
            start.Environment["NUGET_PACKAGES"] = PathOf("cache");
        // Nothing of it may outlive it, and the launcher finds the same .NET as we did.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            var (output, error) = (
                process.StandardOutput.ReadToEndAsync(patience.Token),
                process.StandardError.ReadToEndAsync(patience.Token)
            );
            await process.WaitForExitAsync(patience.Token);
            return (process.ExitCode, await output + await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
