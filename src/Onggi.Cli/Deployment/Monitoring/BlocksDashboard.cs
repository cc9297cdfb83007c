using static Onggi.Cli.Deployment.Monitoring.DashboardParts;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Events, streams, locks, limits, batches.</summary>
internal static class BlocksDashboard
{
    private const string Type = "onggi_event_type";
    private const string Family = "onggi_family";

    public static Dashboard Of(MonitoringTerms terms) =>
        new(
            "events-locks-limits",
            "events, locks, limits",
            [ServiceVariable(terms)],
            [
                new("Events", [.. Events(Services(terms))]),
                new("Events that are delivered at least once", [.. Streams(Services(terms))]),
                new("Locks", [.. Locks(Services(terms))]),
                new("Limits", [.. Limits(Services(terms))]),
                new("Batches", [.. Batches(Services(terms))]),
            ]
        );

    private static IEnumerable<Panel> Events(string services)
    {
        yield return new Panel("Published", "ops", Rate($"onggi_events_published_total{{{services}}}", Type));
        yield return new Panel("Received", "ops", Rate($"onggi_events_received_total{{{services}}}", Type));
        yield return new Panel(
            "How long handlers take",
            "s",
            Quantile(0.95, $"onggi_events_handler_duration_seconds_bucket{{{services}}}", Type)
        );
        yield return new Panel(
            "Failures",
            "ops",
            Seldom($"onggi_events_publish_failures_total{{{services}}}", Type) with
            {
                Legend = "publish {{onggi_event_type}}",
            },
            Seldom($"onggi_events_handler_failures_total{{{services}}}", Type) with
            {
                Legend = "handle {{onggi_event_type}}",
            }
        );
        yield return new Panel(
            "Missed",
            "ops",
            Seldom($"onggi_events_gaps_total{{{services}}}", Type, "onggi_reason") with
            {
                Legend = "gap {{onggi_event_type}} {{onggi_reason}}",
            },
            Seldom($"onggi_events_dropped_total{{{services}}}", Type, "onggi_reason") with
            {
                Legend = "dropped {{onggi_event_type}} {{onggi_reason}}",
            },
            Seldom($"onggi_events_unkept_total{{{services}}}", Type) with
            {
                Legend = "not kept {{onggi_event_type}}",
            }
        );
        yield return new Panel(
            "Interruptions, and what was got back",
            "ops",
            Seldom($"onggi_events_interruptions_total{{{services}}}", Type) with
            {
                Legend = "interruption {{onggi_event_type}}",
            },
            Seldom($"onggi_events_replayed_total{{{services}}}", Type) with
            {
                Legend = "replayed {{onggi_event_type}}",
            },
            Seldom($"onggi_events_repeated_total{{{services}}}", Type) with
            {
                Legend = "came again {{onggi_event_type}}",
            }
        );
    }

    private static IEnumerable<Panel> Streams(string services)
    {
        string[] by = [Type, "onggi_group"];
        yield return new Panel("Deliveries", "ops", Rate($"onggi_streams_deliveries_total{{{services}}}", [.. by, "onggi_outcome"]));
        yield return new Panel(
            "Behind",
            "short",
            new PanelQuery($"max by ({Type}) (onggi_streams_length{{{services}}})", "{{onggi_event_type}} in the stream"),
            new PanelQuery(
                $"max by ({Type}, onggi_group) (onggi_streams_lag{{{services}}})",
                "{{onggi_group}} {{onggi_event_type}} not handed out"
            ),
            new PanelQuery(
                $"max by ({Type}, onggi_group) (onggi_streams_pending{{{services}}})",
                "{{onggi_group}} {{onggi_event_type}} in hand"
            )
        );
        yield return new Panel(
            "Oldest that is not settled",
            "s",
            new PanelQuery(
                $"max by ({Type}, onggi_group) (onggi_streams_oldest_seconds{{{services}}})",
                "{{onggi_group}} {{onggi_event_type}}"
            )
        )
        {
            Red = 300,
        };
        yield return new Panel(
            "How long handlers take",
            "s",
            Quantile(0.95, $"onggi_streams_handler_duration_seconds_bucket{{{services}}}", by)
        );
        yield return new Panel(
            "Handed out again",
            "ops",
            Seldom($"onggi_streams_redelivered_total{{{services}}}", by) with
            {
                Legend = "again {{onggi_group}} {{onggi_event_type}}",
            },
            Seldom($"onggi_streams_claimed_total{{{services}}}", by) with
            {
                Legend = "taken over {{onggi_group}} {{onggi_event_type}}",
            },
            Rate($"onggi_streams_trimmed_total{{{services}}}", Type) with
            {
                Legend = "settled and removed {{onggi_event_type}}",
            }
        );
        yield return new Panel(
            "In quarantine or gone",
            "ops",
            Seldom($"onggi_streams_quarantined_total{{{services}}}", [.. by, "onggi_reason"]) with
            {
                Legend = "quarantine {{onggi_group}} {{onggi_event_type}} {{onggi_reason}}",
            },
            Seldom($"onggi_streams_gone_total{{{services}}}", by) with
            {
                Legend = "gone {{onggi_group}} {{onggi_event_type}}",
            }
        );
    }

    private static IEnumerable<Panel> Locks(string services)
    {
        yield return new Panel(
            "Asked for",
            "ops",
            Rate($"onggi_lock_acquire_duration_seconds_count{{{services}}}", Family, "onggi_outcome")
        );
        yield return new Panel(
            "How long it took to have one",
            "s",
            Quantile(0.95, $"onggi_lock_acquire_duration_seconds_bucket{{{services},onggi_outcome=\"acquired\"}}", Family)
        );
        yield return new Panel(
            "How long they were held",
            "s",
            Quantile(0.95, $"onggi_lock_held_duration_seconds_bucket{{{services}}}", Family)
        );
        yield return new Panel(
            "Held, and waited for",
            "short",
            new PanelQuery($"sum by ({Family}) (onggi_lock_leases{{{services}}})", "{{onggi_family}} held"),
            new PanelQuery($"sum by ({Family}) (onggi_lock_waiting{{{services}}})", "{{onggi_family}} waiting")
        );
        yield return new Panel("Renewals", "ops", Rate($"onggi_lock_renewals_total{{{services}}}", Family, "onggi_outcome"));
        yield return new Panel("Lost in use", "ops", Seldom($"onggi_lock_losses_total{{{services}}}", Family, "onggi_reason"));
    }

    private static IEnumerable<Panel> Limits(string services)
    {
        yield return new Panel(
            "Decisions",
            "ops",
            Rate($"onggi_limit_decisions_total{{{services}}}", Family, "onggi_outcome", "onggi_source")
        );
        yield return new Panel("How long they took", "s", Quantile(0.95, $"onggi_limit_duration_seconds_bucket{{{services}}}", Family));
        yield return new Panel(
            "Made without Redis, and places held",
            "short",
            Seldom($"onggi_limit_failures_total{{{services}}}", Family) with
            {
                Legend = "{{onggi_family}} failed",
            },
            new PanelQuery($"sum by ({Family}) (onggi_limit_places{{{services}}})", "{{onggi_family}} places")
        );
    }

    private static IEnumerable<Panel> Batches(string services)
    {
        yield return new Panel("Entries", "ops", Rate($"onggi_batch_entries_total{{{services}}}", "onggi_operation", "onggi_outcome"))
        {
            Width = 12,
        };
        yield return new Panel(
            "How long batches take",
            "s",
            Quantile(0.95, $"onggi_batch_duration_seconds_bucket{{{services}}}", "onggi_kind")
        )
        {
            Width = 12,
        };
    }
}
