using Onggi.Cli.Auditing;
using static Onggi.Cli.Deployment.Monitoring.DashboardParts;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>The cache, by family.</summary>
internal static class CacheDashboard
{
    private const string Family = "onggi_family=~\"$family\"";

    public static Dashboard Of(MonitoringTerms terms) =>
        new(
            "cache",
            "cache by family",
            [ServiceVariable(terms), FamilyVariable(terms, "cache"), EnvironmentVariable(terms)],
            [
                new("Reads", [.. Reads(Services(terms))]),
                new("Loads", [.. Loads(Services(terms))]),
                new("What is stored", [.. Stored(terms)]),
                new("Proof: how old an answer from memory can be", [.. Proof(Services(terms))]),
            ]
        );

    private static IEnumerable<Panel> Reads(string services)
    {
        var (hits, all) = (
            $"onggi_cache_requests_total{{{services},{Family},onggi_outcome=~\"memory|redis\"}}",
            $"onggi_cache_requests_total{{{services},{Family},onggi_outcome=~\"memory|redis|miss\"}}"
        );
        yield return new Panel(
            "Hit rate",
            "percentunit",
            new PanelQuery($"{Promql.Rate(hits, Window, "onggi_family")} / {Promql.Rate(all, Window, "onggi_family")}", "{{onggi_family}}")
        )
        {
            Width = 12,
            Red = 0.8,
            RedBelow = true,
        };
        yield return new Panel(
            "Reads",
            "reqps",
            Rate($"onggi_cache_requests_total{{{services},{Family}}}", "onggi_family", "onggi_outcome")
        )
        {
            Width = 12,
            Description = "By what answered them; error: Redis could not be asked.",
        };
    }

    private static IEnumerable<Panel> Loads(string services)
    {
        yield return new Panel("Loads", "ops", Rate($"onggi_cache_loads_total{{{services},{Family}}}", "onggi_family"));
        yield return new Panel(
            "How long loads take",
            "s",
            Quantile(0.5, $"onggi_cache_load_duration_seconds_bucket{{{services},{Family}}}", "onggi_family"),
            Quantile(0.95, $"onggi_cache_load_duration_seconds_bucket{{{services},{Family}}}", "onggi_family")
        );
        yield return new Panel(
            "Loads and stores that failed",
            "ops",
            Rate($"onggi_cache_load_failures_total{{{services},{Family}}}", "onggi_family") with
            {
                Legend = "{{onggi_family}} load",
            },
            Rate($"onggi_cache_store_failures_total{{{services},{Family}}}", "onggi_family") with
            {
                Legend = "{{onggi_family}} store",
            }
        );
        yield return new Panel(
            "Entries invalidated",
            "ops",
            Rate($"onggi_cache_invalidations_total{{{services},{Family}}}", "onggi_family")
        );
        yield return new Panel(
            "Stale sets that did not happen",
            "ops",
            Rate($"onggi_cache_fills_refused_total{{{services},{Family}}}", "onggi_family")
        )
        {
            Description = "Loaded values that were not stored because the key was changed meanwhile.",
        };
        yield return new Panel(
            "Values served past their life",
            "ops",
            Rate($"onggi_cache_stale_served_total{{{services},{Family}}}", "onggi_family")
        )
        {
            Description = "As their grace allows.",
        };
    }

    private static IEnumerable<Panel> Stored(MonitoringTerms terms)
    {
        yield return new Panel(
            "In the services' memory",
            "bytes",
            new PanelQuery($"onggi_cache_memory_bytes{{{Services(terms)}}}", "{{instance}}")
        );
        yield return new Panel(
            "Entries in the services' memory",
            "short",
            new PanelQuery($"onggi_cache_memory_entries{{{Services(terms)}}}", "{{instance}}")
        );
        yield return new Panel(
            "Keys in Redis",
            "short",
            new PanelQuery($"max by (onggi_family) ({AuditMetrics.Keys}{{{Own(terms)},{Family}}})", "{{onggi_family}}")
        )
        {
            Kind = "bargauge",
            Description = "As the last onggi audit counted them.",
        };
    }

    private static IEnumerable<Panel> Proof(string services)
    {
        yield return new Panel("Memory may answer", "short", new PanelQuery($"onggi_cache_proven{{{services}}}", "{{instance}}"));
        yield return new Panel(
            "Age of the proof",
            "s",
            new PanelQuery($"onggi_cache_proof_age_seconds{{{services}}}", "{{instance}}"),
            new PanelQuery($"max(onggi_cache_staleness_bound_seconds{{{services}}})", "the bound")
        );
        yield return new Panel(
            "Worst staleness seen",
            "s",
            new PanelQuery($"onggi_cache_staleness_worst_seconds{{{services}}}", "{{instance}}"),
            new PanelQuery($"max(onggi_cache_staleness_bound_seconds{{{services}}})", "the bound")
        );
        yield return new Panel(
            "Entries compared, and the bound broken",
            "ops",
            Rate($"onggi_cache_staleness_checks_total{{{services}}}", "instance") with
            {
                Legend = "{{instance}} compared",
            },
            Rate($"onggi_cache_stale_beyond_bound_total{{{services}}}", "instance") with
            {
                Legend = "{{instance}} broken",
            }
        );
        yield return new Panel("Connections for tracked reads", "ops", Rate($"onggi_cache_generations_total{{{services}}}", "instance"))
        {
            Description = "Each begins with an empty memory.",
        };
        yield return new Panel("Rights to fill", "short", new PanelQuery($"onggi_cache_leases{{{services}}}", "{{instance}}"));
    }
}
