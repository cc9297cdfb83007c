using System.ComponentModel;
using System.Diagnostics;

namespace Onggi.DeployTests.Monitoring;

/// <summary>Programs of others that these tests ask.</summary>
internal static class Tools
{
    public const string Promtool = "promtool";
    public const string Prometheus = "prometheus";
    public const string Amtool = "amtool";
    public const string Alertmanager = "prometheus-alertmanager";
    public const string Exporter = "prometheus-redis-exporter";

    /// <summary>Which variable leaves the tests out that need the program; <c>./test</c> sets it where the program lacks, but not in CI.</summary>
    public static string VariableOf(string tool) =>
        tool switch
        {
            Promtool or Prometheus => "ONGGI_TESTS_WITHOUT_PROMTOOL",
            Amtool or Alertmanager => "ONGGI_TESTS_WITHOUT_ALERTMANAGER",
            Exporter => "ONGGI_TESTS_WITHOUT_REDIS_EXPORTER",
            _ => throw new ArgumentOutOfRangeException(nameof(tool), tool, "Say which package it comes from."),
        };

    /// <summary>Runs one to its end.</summary>
    public static async Task<(int Code, string Output)> RunAsync(string tool, params string[] arguments)
    {
        using var process = Start(tool, arguments);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await errors);
    }

    private static Process Start(string tool, string[] arguments)
    {
        try
        {
            return Process.Start(
                new ProcessStartInfo(tool, arguments)
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
                $"{tool} is not on PATH. Debian has it in prometheus, prometheus-alertmanager or prometheus-redis-exporter; or set {VariableOf(tool)}=1 to leave these tests out.",
                missing
            );
        }
    }
}

/// <summary>A test that needs programs of others. It fails without them, unless the environment says that it is to be left out.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ToolFactAttribute : FactAttribute
{
    public ToolFactAttribute(params string[] tools)
    {
        if (tools.Select(Tools.VariableOf).FirstOrDefault(name => Environment.GetEnvironmentVariable(name) == "1") is { } variable)
            Skip = $"{variable} is set";
    }
}
