namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>A dashboard of Grafana.</summary>
/// <param name="Name">Its file's name, and the end of its uid.</param>
/// <param name="Title">As people see it.</param>
/// <param name="Variables">What can be chosen at its top, beside the data source.</param>
/// <param name="Rows">From top to bottom.</param>
internal sealed record Dashboard(string Name, string Title, IReadOnlyList<DashboardVariable> Variables, IReadOnlyList<DashboardRow> Rows);

/// <summary>Something to choose.</summary>
/// <param name="Name">As queries name it, after a dollar sign.</param>
/// <param name="Label">As people see it.</param>
/// <param name="Query">What Prometheus is asked for the choices; <c>null</c> where they are known.</param>
/// <param name="Values">The choices, where they are known.</param>
internal sealed record DashboardVariable(string Name, string Label, string? Query, IReadOnlyList<string> Values);

/// <summary>Panels under a heading.</summary>
internal sealed record DashboardRow(string Title, IReadOnlyList<Panel> Panels);

/// <summary>One picture.</summary>
/// <param name="Title">Its heading.</param>
/// <param name="Unit">Grafana's name of the unit: <c>s</c>, <c>bytes</c>, <c>percentunit</c>, <c>ops</c>, <c>short</c>.</param>
/// <param name="Queries">What it shows.</param>
internal sealed record Panel(string Title, string Unit, params IReadOnlyList<PanelQuery> Queries)
{
    /// <summary>How it shows it: <c>timeseries</c>, <c>stat</c>, <c>bargauge</c>, <c>table</c>.</summary>
    public string Kind { get; init; } = "timeseries";

    /// <summary>Of the 24 columns of a dashboard.</summary>
    public int Width { get; init; } = 8;

    /// <summary>What a reader should know of it; <c>null</c> where the heading says all.</summary>
    public string? Description { get; init; }

    /// <summary>From which value on it is red, as the alert says; <c>null</c> for never.</summary>
    public double? Red { get; init; }

    /// <summary>Whether it is red below that value, not above it.</summary>
    public bool RedBelow { get; init; }
}

/// <summary>A question to Prometheus.</summary>
/// <param name="Expression">PromQL, with Grafana's variables.</param>
/// <param name="Legend">Grafana's pattern of the legend.</param>
internal sealed record PanelQuery(string Expression, string Legend = "");
