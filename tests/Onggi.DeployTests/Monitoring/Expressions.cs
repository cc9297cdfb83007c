using System.Text.Json;
using System.Text.RegularExpressions;
using Onggi.Cli.Deployment.Monitoring;

namespace Onggi.DeployTests.Monitoring;

/// <summary>What is asked of Prometheus, and which series are named in it.</summary>
internal static partial class Expressions
{
    /// <summary>The queries of a dashboard's file, with the panel's title.</summary>
    public static IEnumerable<(string Panel, string Expression)> OfDashboard(string json)
    {
        foreach (var panel in JsonElement.Parse(json).GetProperty("panels").EnumerateArray())
        {
            if (!panel.TryGetProperty("targets", out var targets))
                continue;
            foreach (var target in targets.EnumerateArray())
                yield return (panel.GetProperty("title").GetString()!, target.GetProperty("expr").GetString()!);
        }
    }

    /// <summary>The names of series in an expression.</summary>
    public static IReadOnlySet<string> SeriesOf(string expression)
    {
        var bare = Clause().Replace(Selector().Replace(Quoted().Replace(expression, ""), " "), " ");
        return Name()
            .Matches(bare)
            .Select(match => match.Value)
            .Where(name => name.Contains('_', StringComparison.Ordinal) || name.Contains(':', StringComparison.Ordinal) || name == "up")
            .Where(name => !Functions.Contains(name))
            .ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The series that rules and dashboards name.</summary>
    public static IReadOnlySet<string> All() =>
        AlertPlan
            .Groups(Kit.Development)
            .Concat(AlertPlan.Groups(Kit.Production))
            .SelectMany(group => group.Rules)
            .Select(rule => rule.Expression)
            .Concat(
                MonitoringFiles
                    .Dashboards(Kit.Development)
                    .SelectMany(dashboard =>
                        OfDashboard(DashboardWriter.Text(dashboard, Kit.Development)).Select(query => query.Expression)
                    )
            )
            .SelectMany(SeriesOf)
            .ToHashSet(StringComparer.Ordinal);

    private static readonly HashSet<string> Functions = new(StringComparer.Ordinal)
    {
        "histogram_quantile",
        "label_replace",
        "group_left",
        "group_right",
    };

    [GeneratedRegex("\"(?:[^\"\\\\]|\\\\.)*\"", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\{[^}]*\}|\[[^\]]*\]", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Selector();

    // Names of labels stand in these.
    [GeneratedRegex(
        @"\b(by|without|on|ignoring|group_left|group_right) ?\([^)]*\)",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Clause();

    [GeneratedRegex("[a-zA-Z_:][a-zA-Z0-9_:]*", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Name();
}
