namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>The files that come from the catalog.</summary>
internal static class MonitoringFiles
{
    /// <summary>The file of rules, in the folder of monitoring.</summary>
    public const string Rules = "rules/onggi-rules.yaml";

    /// <summary>Rules and dashboards, with their names in the folder of monitoring.</summary>
    public static IReadOnlyList<(string Name, string Text)> All(MonitoringTerms terms) =>
        [
            (Rules, RulesWriter.File(terms)),
            .. Dashboards(terms).Select(dashboard => ($"grafana/{dashboard.Name}.json", DashboardWriter.Text(dashboard, terms))),
        ];

    public static IReadOnlyList<Dashboard> Dashboards(MonitoringTerms terms) =>
        [
            OverviewDashboard.Of(terms),
            CacheDashboard.Of(terms),
            SessionsDashboard.Of(terms),
            BlocksDashboard.Of(terms),
            ClientDashboard.Of(terms),
        ];
}
