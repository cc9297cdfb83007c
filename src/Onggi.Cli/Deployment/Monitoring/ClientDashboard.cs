using static Onggi.Cli.Deployment.Monitoring.DashboardParts;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Redis as the services see it.</summary>
internal static class ClientDashboard
{
    private const string Blocking = "db_operation_name!~\"B[LRZ].*|XREAD.*|WAIT.*\"";

    public static Dashboard Of(MonitoringTerms terms) =>
        new(
            "client",
            "client",
            [ServiceVariable(terms)],
            [
                new("Commands", [.. Commands(Services(terms))]),
                new("Connections", [.. Connections(Services(terms))]),
                new("Network", [.. Network(Services(terms))]),
            ]
        );

    private static IEnumerable<Panel> Commands(string services)
    {
        const string Duration = "db_client_operation_duration_seconds";
        yield return new Panel(
            "How long commands take: 99 %",
            "s",
            Quantile(0.99, $"{Duration}_bucket{{{services},{Blocking}}}", "instance")
        )
        {
            Red = 0.01,
            Description = "From the call to the reply; commands that wait because they are told to are left out.",
        };
        yield return new Panel("Half of them", "s", Quantile(0.5, $"{Duration}_bucket{{{services},{Blocking}}}", "instance"));
        yield return new Panel(
            "The slowest commands: 99 %",
            "s",
            new PanelQuery(
                $"topk(10, histogram_quantile(0.99, {Promql.Rate($"{Duration}_bucket{{{services},{Blocking}}}", Window, "db_operation_name", "le")}))",
                "{{db_operation_name}}"
            )
        );
        yield return new Panel(
            "Commands",
            "ops",
            new PanelQuery(
                $"topk(10, {Promql.Rate($"{Duration}_count{{{services}}}", Window, "db_operation_name")})",
                "{{db_operation_name}}"
            )
        );
        yield return new Panel("By service", "ops", Rate($"{Duration}_count{{{services}}}", "instance"));
        yield return new Panel("Errors", "ops", Seldom($"{Duration}_count{{{services},error_type!=\"\"}}", "instance", "error_type"));
    }

    private static IEnumerable<Panel> Connections(string services)
    {
        yield return new Panel(
            "Connected",
            "short",
            new PanelQuery($"min by (instance) (onggi_client_connected{{{services}}})", "{{instance}}")
        )
        {
            Red = 1,
            RedBelow = true,
        };
        yield return new Panel(
            "Connections",
            "short",
            new PanelQuery($"sum by (instance, onggi_purpose) (onggi_client_connections{{{services}}})", "{{instance}} {{onggi_purpose}}")
        );
        yield return new Panel(
            "Made and lost",
            "ops",
            Rate($"onggi_client_connects_total{{{services}}}", "instance") with
            {
                Legend = "{{instance}} made",
            },
            Seldom($"onggi_client_losses_total{{{services}}}", "instance") with
            {
                Legend = "{{instance}} lost",
            }
        );
        yield return new Panel(
            "Commands that wait for replies",
            "short",
            new PanelQuery($"sum by (instance, onggi_purpose) (onggi_client_in_flight{{{services}}})", "{{instance}} {{onggi_purpose}}")
        );
        yield return new Panel(
            "The oldest of them",
            "s",
            new PanelQuery(
                $"max by (instance, onggi_purpose) (onggi_client_oldest_pending_seconds{{{services}}})",
                "{{instance}} {{onggi_purpose}}"
            )
        );
        yield return new Panel(
            "Readers that another thread replaced",
            "ops",
            Seldom($"onggi_client_take_overs_total{{{services}}}", "instance")
        )
        {
            Description = "Callers block where replies are handed out, or the thread pool starves.",
        };
    }

    private static IEnumerable<Panel> Network(string services)
    {
        yield return new Panel(
            "Replies per read and per send",
            "short",
            new PanelQuery(
                $"{Promql.Rate($"onggi_client_replies_total{{{services}}}", Window, "instance")} / {Promql.Rate($"onggi_client_reads_total{{{services}}}", Window, "instance")}",
                "{{instance}} per read"
            ),
            new PanelQuery(
                $"{Promql.Rate($"onggi_client_replies_total{{{services}}}", Window, "instance")} / {Promql.Rate($"onggi_client_sends_total{{{services}}}", Window, "instance")}",
                "{{instance}} per send"
            )
        )
        {
            Description = "Near 1 under load: something sends one by one.",
        };
        yield return new Panel("Why bytes were sent", "ops", Rate($"onggi_client_flushes_total{{{services}}}", "instance", "onggi_cause"))
        {
            Description = "keeper that grows: a starved thread pool.",
        };
        yield return new Panel(
            "Bytes",
            "Bps",
            Rate($"onggi_client_bytes_sent_bytes_total{{{services}}}", "instance") with
            {
                Legend = "{{instance}} sent",
            },
            Rate($"onggi_client_bytes_received_bytes_total{{{services}}}", "instance") with
            {
                Legend = "{{instance}} received",
            }
        );
    }
}
