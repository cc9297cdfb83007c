using Onggi.Cli.Auditing;
using static Onggi.Cli.Deployment.Monitoring.DashboardParts;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Is it well? What is not leads on.</summary>
internal static class OverviewDashboard
{
    public static Dashboard Of(MonitoringTerms terms) =>
        new(
            "overview",
            "Redis",
            [Instances, EnvironmentVariable(terms)],
            [
                new("Now", [.. Now(terms)]),
                new("Memory and keys", [.. Memory(terms)]),
                new("Traffic", [.. Traffic()]),
                new("Copies", [.. Copies(terms)]),
            ]
        );

    private static IEnumerable<Panel> Now(MonitoringTerms terms)
    {
        yield return Stat("Redis up", "short", $"min(redis_up{{{Redis}}})", 1, redBelow: true);
        yield return Stat(
            "Alerts",
            "short",
            $"count(ALERTS{{alertstate=\"firing\",system=\"{terms.Keyspace.System}\",environment=~\"$environment\"}}) or vector(0)",
            1
        );
        yield return Stat(
            "Memory used",
            "percentunit",
            $"max(redis_memory_used_bytes{{{Redis}}} / (redis_memory_max_bytes{{{Redis}}} > 0))",
            0.8
        );
        yield return Stat(
            "Connections used",
            "percentunit",
            $"max(redis_connected_clients{{{Redis}}} / redis_config_maxclients{{{Redis}}})",
            0.8
        );
        yield return Stat(
            "Hit rate",
            "percentunit",
            $"sum(rate(redis_keyspace_hits_total{{{Redis}}}[{Window}])) / (sum(rate(redis_keyspace_hits_total{{{Redis}}}[{Window}])) + sum(rate(redis_keyspace_misses_total{{{Redis}}}[{Window}])))",
            0.8,
            redBelow: true
        );
        yield return Stat("Evictions a minute", "short", $"60 * sum(rate(redis_evicted_keys_total{{{Redis}}}[{Window}]))", 1000);
    }

    private static IEnumerable<Panel> Memory(MonitoringTerms terms)
    {
        yield return new Panel(
            "Memory",
            "bytes",
            new PanelQuery($"redis_memory_used_bytes{{{Redis}}}", "{{instance}} used"),
            new PanelQuery($"redis_memory_max_bytes{{{Redis}}}", "{{instance}} maxmemory")
        );
        yield return new Panel(
            "Keys",
            "short",
            new PanelQuery($"sum by (instance) (redis_db_keys{{{Redis}}})", "{{instance}} all"),
            new PanelQuery($"sum by (instance) (redis_db_keys_expiring{{{Redis}}})", "{{instance}} that end")
        );
        yield return new Panel(
            "Keys that end and that are evicted",
            "ops",
            Rate($"redis_expired_keys_total{{{Redis}}}", "instance") with
            {
                Legend = "{{instance}} ended",
            },
            Rate($"redis_evicted_keys_total{{{Redis}}}", "instance") with
            {
                Legend = "{{instance}} evicted",
            }
        );
        yield return new Panel(
            "Memory by family",
            "bytes",
            new PanelQuery($"max by (onggi_family) ({AuditMetrics.FamilyBytes}{{{Own(terms)}}})", "{{onggi_family}}")
        )
        {
            Kind = "bargauge",
            Width = 12,
            Description = "As the last onggi audit reckoned it.",
        };
        yield return new Panel(
            "Families' shares, used",
            "percentunit",
            new PanelQuery(
                $"max by (onggi_family) ({AuditMetrics.FamilyBytes}{{{Own(terms)}}}) / on (onggi_family) max by (onggi_family) ({FamilyRules.ShareBytes}{{{Own(terms)}}})",
                "{{onggi_family}}"
            )
        )
        {
            Kind = "bargauge",
            Width = 12,
            Red = 1,
            Description = "Of what the catalog gives a family; as of the last onggi audit.",
        };
    }

    private static IEnumerable<Panel> Traffic()
    {
        yield return new Panel(
            "Commands",
            "ops",
            new PanelQuery($"topk(10, {Promql.Rate($"redis_commands_total{{{Redis}}}", Window, "cmd")})", "{{cmd}}")
        );
        yield return new Panel(
            "Time in commands: 99 %",
            "µs",
            new PanelQuery($"topk(10, max by (cmd) (redis_latency_percentiles_usec{{{Redis},quantile=\"99\"}}))", "{{cmd}}")
        )
        {
            Description = "On the server, since it started; without network and queue, which the dashboard of the client shows.",
        };
        yield return new Panel(
            "Hit rate",
            "percentunit",
            new PanelQuery(
                $"rate(redis_keyspace_hits_total{{{Redis}}}[{Window}]) / (rate(redis_keyspace_hits_total{{{Redis}}}[{Window}]) + rate(redis_keyspace_misses_total{{{Redis}}}[{Window}]))",
                "{{instance}}"
            )
        )
        {
            Red = 0.8,
            RedBelow = true,
            Description = "Of all lookups, those of locks and limits, too. By family: the dashboard of the cache.",
        };
        yield return new Panel(
            "Connections",
            "short",
            new PanelQuery($"redis_connected_clients{{{Redis}}}", "{{instance}}"),
            new PanelQuery($"redis_blocked_clients{{{Redis}}}", "{{instance}} blocked")
        );
        yield return new Panel("Errors", "ops", Rate($"redis_errors_total{{{Redis}}}", "instance", "err"));
        yield return new Panel(
            "Slow commands",
            "short",
            new PanelQuery($"redis_slowlog_length{{{Redis}}}", "{{instance}} in the slow log")
        );
        yield return new Panel(
            "Network",
            "Bps",
            Rate($"redis_net_input_bytes_total{{{Redis}}}", "instance") with
            {
                Legend = "{{instance}} in",
            },
            Rate($"redis_net_output_bytes_total{{{Redis}}}", "instance") with
            {
                Legend = "{{instance}} out",
            }
        );
        yield return new Panel(
            "CPU",
            "percentunit",
            new PanelQuery(
                $"rate(redis_cpu_user_seconds_total{{{Redis}}}[{Window}]) + rate(redis_cpu_sys_seconds_total{{{Redis}}}[{Window}])",
                "{{instance}}"
            )
        )
        {
            Red = 0.8,
            Description = "Of one core: commands have no more.",
        };
        yield return new Panel(
            "Tracked keys",
            "short",
            new PanelQuery($"redis_tracking_total_keys{{{Redis}}}", "{{instance}} keys"),
            new PanelQuery($"redis_tracking_clients{{{Redis}}}", "{{instance}} clients")
        );
    }

    private static IEnumerable<Panel> Copies(MonitoringTerms terms)
    {
        yield return new Panel(
            "Replicas",
            "short",
            new PanelQuery($"redis_connected_slaves{{{Redis}}}", "{{instance}} has"),
            new PanelQuery($"redis_master_link_up{{{Redis}}} or vector(0)", "{{instance}} copies")
        );
        yield return new Panel(
            "Replicas' lag",
            "s",
            new PanelQuery($"redis_connected_slave_lag_seconds{{{Redis}}} or vector(0)", "{{slave_ip}}:{{slave_port}}")
        )
        {
            Red = 10,
        };
        yield return new Panel(
            "Since the last snapshot",
            "s",
            new PanelQuery($"time() - redis_rdb_last_save_timestamp_seconds{{{Redis}}}", "{{instance}}")
        );
        yield return new Panel(
            "Age of the newest proven backup",
            "s",
            new PanelQuery(
                $"time() - max by (environment) (onggi_backup_last_verified_timestamp_seconds{{{Own(terms)}}})",
                "{{environment}}"
            )
        )
        {
            Kind = "stat",
            Red = terms.BackupHours * 3600,
        };
        yield return new Panel(
            "Age of the last audit",
            "s",
            new PanelQuery($"time() - max by (environment) ({AuditMetrics.Timestamp}{{{Own(terms)}}})", "{{environment}}")
        )
        {
            Kind = "stat",
            Red = terms.AuditHours * 3600,
        };
        yield return new Panel(
            "Findings of the last audit",
            "short",
            new PanelQuery($"max by (code, severity) ({AuditMetrics.Findings}{{{Own(terms)}}}) or vector(0)", "{{code}} {{severity}}")
        )
        {
            Kind = "stat",
            Red = 1,
        };
    }

    private static Panel Stat(string title, string unit, string expression, double red, bool redBelow = false) =>
        new(title, unit, new PanelQuery(expression))
        {
            Kind = "stat",
            Width = 4,
            Red = red,
            RedBelow = redBelow,
        };
}
