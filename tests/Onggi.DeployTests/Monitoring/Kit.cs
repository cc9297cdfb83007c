using System.Runtime.CompilerServices;
using Onggi.Cli;
using Onggi.Cli.Commands;
using Onggi.Cli.Deployment.Monitoring;

namespace Onggi.DeployTests.Monitoring;

/// <summary>The files of the repository that these tests are about, and the tool that makes them.</summary>
internal static class Kit
{
    public const string Catalog = "samples/PhoneBill/keyspace.json";
    public const string Folder = "deploy/monitoring";
    public const string Resource = "deploy/kubernetes/overlays/production/prometheus-rules.yaml";
    public const string Runbook = "docs/operations/runbook.md";

    /// <summary>What development's rules are made for.</summary>
    public static MonitoringTerms Development { get; } = new(Inputs.LoadKeyspace(PathOf(Catalog), null));

    /// <summary>What production's are.</summary>
    public static MonitoringTerms Production { get; } = new(Inputs.LoadKeyspace(PathOf(Catalog), "production")) { IsProduction = true };

    public static string PathOf(string name) => Path.Combine(Root(), name);

    public static string Text(string name) => File.ReadAllText(PathOf(name));

    /// <summary>Runs the tool in this process.</summary>
    public static async Task<(int Code, string Output)> RunAsync(params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var code = await OnggiTool.RunAsync(args, output, output);
        return (code, output.ToString());
    }

    /// <summary>All alerts of both environments, once each.</summary>
    public static IReadOnlyList<AlertRule> Alerts() =>
        [.. AlertPlan.Alerts(Development).Concat(AlertPlan.Alerts(Production)).DistinctBy(alert => alert.Name)];

    private static string Root([CallerFilePath] string file = "") =>
        Path.GetDirectoryName(Path.GetDirectoryName(Path.GetDirectoryName(Path.GetDirectoryName(file))))!;
}
