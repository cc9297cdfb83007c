namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>All rules, made from the catalog.</summary>
internal static class AlertPlan
{
    public static IReadOnlyList<RuleGroup> Groups(MonitoringTerms terms) =>
        [
            new("onggi-catalog", [.. FamilyRules.All(terms)]),
            new("onggi-redis", [.. ServerAlerts.All(terms)]),
            new("onggi-services", [.. ServiceAlerts.All(terms)]),
            new("onggi-keyspace", [.. KeyspaceAlerts.All(terms)]),
        ];

    /// <summary>The alerts alone.</summary>
    public static IReadOnlyList<AlertRule> Alerts(MonitoringTerms terms) =>
        [.. Groups(terms).SelectMany(group => group.Rules).OfType<AlertRule>()];
}
