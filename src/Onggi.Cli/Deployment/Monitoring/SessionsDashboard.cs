using static Onggi.Cli.Deployment.Monitoring.DashboardParts;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Who is signed in, and with what.</summary>
internal static class SessionsDashboard
{
    public static Dashboard Of(MonitoringTerms terms) =>
        new(
            "sessions",
            "sessions and tokens",
            [ServiceVariable(terms)],
            [new("Sessions", [.. Sessions(Services(terms))]), new("Tokens", [.. Tokens(Services(terms))])]
        );

    private static IEnumerable<Panel> Sessions(string services)
    {
        yield return new Panel("Live sessions", "short", new PanelQuery($"max(onggi_sessions_live{{{services}}})", "live"))
        {
            Description = "Each process knows them all: the maximum, not the sum.",
        };
        yield return new Panel(
            "Begun and ended",
            "ops",
            Rate($"onggi_sessions_created_total{{{services}}}") with
            {
                Legend = "begun",
            },
            Seldom($"onggi_sessions_expired_total{{{services}}}") with
            {
                Legend = "expired",
            },
            Seldom($"onggi_sessions_revoked_total{{{services}}}") with
            {
                Legend = "revoked",
            },
            Seldom($"onggi_sessions_evicted_total{{{services}}}") with
            {
                Legend = "made room for another",
            },
            Seldom($"onggi_sessions_rejected_total{{{services}}}") with
            {
                Legend = "login refused for the limit",
            }
        );
        yield return new Panel("Ids shown", "reqps", Rate($"onggi_sessions_validations_total{{{services}}}", "onggi_outcome"));
        yield return new Panel(
            "How late sessions were ended",
            "s",
            Quantile(0.5, $"onggi_sessions_expiry_delay_seconds_bucket{{{services}}}"),
            Quantile(0.99, $"onggi_sessions_expiry_delay_seconds_bucket{{{services}}}")
        );
        yield return new Panel("Events published again", "ops", Seldom($"onggi_sessions_events_repeated_total{{{services}}}"))
        {
            Description = "Their first publisher had not confirmed them.",
        };
    }

    private static IEnumerable<Panel> Tokens(string services)
    {
        yield return new Panel("Tokens issued", "ops", Rate($"onggi_tokens_issued_total{{{services}}}", "instance"));
        yield return new Panel("Tokens judged", "reqps", Rate($"onggi_tokens_verified_total{{{services}}}", "onggi_outcome"));
        yield return new Panel("Refreshes", "ops", Rate($"onggi_tokens_refreshes_total{{{services}}}", "onggi_outcome"))
        {
            Description = "reused: somebody keeps copies of tokens.",
        };
        yield return new Panel("Revocations", "ops", Rate($"onggi_tokens_revoked_total{{{services}}}", "onggi_scope"));
        yield return new Panel(
            "Revocations asserted again",
            "ops",
            Seldom($"onggi_tokens_reasserted_total{{{services}}}") with
            {
                Legend = "asserted again",
            },
            new PanelQuery($"sum(onggi_tokens_remembered{{{services}}})", "remembered")
        );
        yield return new Panel("Notices dropped", "ops", Seldom($"onggi_tokens_notices_dropped_total{{{services}}}"));
    }
}
