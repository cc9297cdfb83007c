namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>What several dashboards share: what can be chosen, and panels of a usual form.</summary>
internal static class DashboardParts
{
    /// <summary>Grafana's shortest window in which each scrape is seen.</summary>
    public const string Window = "$__rate_interval";

    /// <summary>The Redis servers that were chosen.</summary>
    public const string Redis = $"job=\"{MonitoringTerms.RedisJob}\",instance=~\"$instance\"";

    public static DashboardVariable Instances { get; } =
        new("instance", "Redis", $"label_values(redis_up{{job=\"{MonitoringTerms.RedisJob}\"}}, instance)", []);

    /// <summary>The processes of services that were chosen.</summary>
    public static string Services(MonitoringTerms terms) => $"job=\"{terms.ServicesJob}\",instance=~\"$service\"";

    /// <summary>Audits and backups of the environments that were chosen.</summary>
    public static string Own(MonitoringTerms terms) => $"system=\"{terms.Keyspace.System}\",environment=~\"$environment\"";

    public static DashboardVariable ServiceVariable(MonitoringTerms terms) =>
        new("service", "Service", $"label_values(onggi_client_connected{{job=\"{terms.ServicesJob}\"}}, instance)", []);

    public static DashboardVariable EnvironmentVariable(MonitoringTerms terms) =>
        new("environment", "Environment", $"label_values({FamilyRules.Info}{{system=\"{terms.Keyspace.System}\"}}, environment)", []);

    /// <summary>The families of some kinds, whether anything was seen of them yet or not.</summary>
    public static DashboardVariable FamilyVariable(MonitoringTerms terms, params string[] kinds) =>
        new(
            "family",
            "Family",
            null,
            [.. terms.Keyspace.Families.Where(family => kinds.Contains(family.Kind)).Select(family => family.Family.Name)]
        );

    /// <summary>Per second, by some tags.</summary>
    public static PanelQuery Rate(string series, params string[] by) =>
        new(Promql.Rate(series, Window, by), string.Join(' ', by.Select(tag => $"{{{{{tag}}}}}")));

    /// <summary>The same of what happens seldom: 0 where it has never happened.</summary>
    public static PanelQuery Seldom(string series, params string[] by) =>
        Rate(series, by) is var rate ? rate with { Expression = $"{rate.Expression} or vector(0)" } : rate;

    /// <summary>How long the slowest of so many take.</summary>
    public static PanelQuery Quantile(double quantile, string bucket, params string[] by) =>
        new(
            FormattableString.Invariant($"histogram_quantile({quantile}, {Promql.Rate(bucket, Window, [.. by, "le"])})"),
            FormattableString.Invariant($"{quantile * 100:0.#} % {string.Join(' ', by.Select(tag => $"{{{{{tag}}}}}"))}").TrimEnd()
        );
}
