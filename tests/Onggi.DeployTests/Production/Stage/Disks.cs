using System.Diagnostics;
using System.Globalization;

namespace Onggi.DeployTests.Production;

/// <summary>A disk that can be full.</summary>
internal interface IDisk
{
    /// <summary>Whether it outlives the server.</summary>
    bool IsKept { get; }

    Task FillAsync(SetServer server);

    Task EmptyAsync(SetServer server);
}

/// <summary>A limit to how long the server's files may become, which needs no rights: a write beyond it fails, as on a full disk.</summary>
internal sealed class LimitedFiles : IDisk
{
    // So that it does not fail at the very next write.
    private const long Left = 16 * 1024;

    public bool IsKept => true;

    public Task FillAsync(SetServer server)
    {
        var longest = Directory.EnumerateFiles(server.Data, "*", SearchOption.AllDirectories).Max(file => new FileInfo(file).Length);
        return LimitAsync(server, (longest + Left).ToString(CultureInfo.InvariantCulture));
    }

    public Task EmptyAsync(SetServer server) => LimitAsync(server, "unlimited");

    private static async Task LimitAsync(SetServer server, string bytes)
    {
        using var process = Process.Start("prlimit", ["--pid", $"{server.Process.ProcessId}", $"--fsize={bytes}:unlimited"]);
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"prlimit ended with {process.ExitCode}.");
    }
}

/// <summary>A small file system in memory for the first server alone, in a name space of its own that goes with it. It needs the right to mount.</summary>
internal sealed class SmallDisk : IDisk
{
    /// <summary>What stands before the entry script of the server.</summary>
    public static IReadOnlyList<string> Before { get; } =
    ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=48m tmpfs \"$ONGGI_DATA\" && exec \"$@\"", "sh"];

    public bool IsKept => false;

    /// <summary>Whether this machine lets us.</summary>
    public static async Task<bool> IsPossibleAsync()
    {
        try
        {
            using var process = Process.Start(
                new ProcessStartInfo("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
                {
                    UseShellExecute = false,
                    RedirectStandardError = true,
                }
            )!;
            await process.WaitForExitAsync();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    public async Task FillAsync(SetServer server)
    {
        await using var ballast = new FileStream(Ballast(server), FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        // Whole pieces first, then what is left.
        foreach (var size in (int[])[1 << 20, 4096, 1])
        {
            var piece = new byte[size];
            try
            {
                while (true)
                    await ballast.WriteAsync(piece);
            }
            catch (IOException)
            {
                // Full.
            }
        }
    }

    public Task EmptyAsync(SetServer server)
    {
        File.Delete(Ballast(server));
        return Task.CompletedTask;
    }

    private static string Ballast(SetServer server) => $"/proc/{server.Process.ProcessId}/root{server.Data}/ballast";
}
