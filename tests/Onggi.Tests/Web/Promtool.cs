using System.ComponentModel;
using System.Diagnostics;

namespace Onggi.Tests.Web;

/// <summary>Asks Prometheus's own checker what it thinks of a metrics page.</summary>
internal static class Promtool
{
    public const string LeaveOut = "ONGGI_TESTS_WITHOUT_PROMTOOL";

    /// <summary>Everything that <c>promtool check metrics</c> says: nothing when the page is flawless.</summary>
    public static async Task<string> CheckAsync(string metrics)
    {
        using var process = Start();
        await process.StandardInput.WriteAsync(metrics);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (await output + await errors).Trim();
    }

    private static Process Start()
    {
        try
        {
            return Process.Start(
                new ProcessStartInfo("promtool", ["check", "metrics"])
                {
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
                "promtool is not on PATH. Install it (Debian: apt-get install --no-install-recommends prometheus; macOS: brew install prometheus), "
                    + $"or set {LeaveOut}=1 to leave these tests out.",
                missing
            );
        }
    }
}

/// <summary>A test that needs promtool. It fails without it, unless the environment says that it is to be left out.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PromtoolFactAttribute : FactAttribute
{
    public PromtoolFactAttribute()
    {
        if (Environment.GetEnvironmentVariable(Promtool.LeaveOut) == "1")
            Skip = $"{Promtool.LeaveOut} is set";
    }
}
