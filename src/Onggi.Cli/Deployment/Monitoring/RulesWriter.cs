using System.Globalization;
using System.Text;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Rules as Prometheus reads them from a file, and as its operator reads them from Kubernetes.</summary>
internal static class RulesWriter
{
    private const int MostOnALine = 110;

    /// <summary>A file of rules.</summary>
    public static string File(MonitoringTerms terms) => Head(terms).Append("groups:\n").Append(Groups(terms, indent: 2)).ToString();

    /// <summary>The same as an object of Kubernetes.</summary>
    public static string Resource(MonitoringTerms terms)
    {
        var text = Head(terms);
        text.Append("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: onggi-rules\n  labels:\n");
        text.Append("    app.kubernetes.io/name: onggi-rules\n");
        text.Append(CultureInfo.InvariantCulture, $"    app.kubernetes.io/part-of: {terms.Keyspace.System}\n");
        return text.Append("spec:\n  groups:\n").Append(Groups(terms, indent: 4)).ToString();
    }

    private static StringBuilder Head(MonitoringTerms terms) =>
        new StringBuilder().Append(
            CultureInfo.InvariantCulture,
            $"# Alerts of {terms.Keyspace.System}, {terms.Keyspace.Environment}: made from the catalog by onggi deploy monitoring. Do not edit; make it anew.\n"
        );

    private static string Groups(MonitoringTerms terms, int indent)
    {
        var text = new StringBuilder();
        var margin = new string(' ', indent);
        foreach (var group in AlertPlan.Groups(terms))
        {
            text.Append(CultureInfo.InvariantCulture, $"{margin}- name: {group.Name}\n{margin}  rules:\n");
            foreach (var rule in group.Rules)
            {
                var lines = rule switch
                {
                    RecordRule record => Lines(record, terms),
                    AlertRule alert => Lines(alert, terms),
                    _ => throw new InvalidOperationException($"Nobody has said how {rule.GetType().Name} is written."),
                };
                foreach (var line in lines)
                    text.Append(margin).Append("    ").Append(line).Append('\n');
            }
        }

        return text.ToString();
    }

    private static IEnumerable<string> Lines(RecordRule rule, MonitoringTerms terms)
    {
        yield return $"- record: {rule.Name}";
        foreach (var line in Field("  expr", rule.Expression))
            yield return line;
        yield return "  labels:";
        foreach (var (name, value) in Whose(terms).Concat(rule.Labels))
        foreach (var line in Field($"    {name}", value))
            yield return line;
    }

    private static IEnumerable<string> Lines(AlertRule rule, MonitoringTerms terms)
    {
        yield return $"- alert: {rule.Name}";
        foreach (var line in Field("  expr", rule.Expression))
            yield return line;
        if (rule.Wait != "0s")
            yield return $"  for: {terms.Wait ?? rule.Wait}";
        yield return "  labels:";
        yield return $"    severity: {rule.Severity.ToString().ToLowerInvariant()}";
        foreach (var (name, value) in Whose(terms))
        foreach (var line in Field($"    {name}", value))
            yield return line;
        if (rule.FollowsRedis)
            yield return "    follows: redis";
        yield return "  annotations:";
        (string Name, string Text)[] annotations =
        [
            ("summary", rule.Summary),
            ("description", rule.Description),
            ("action", rule.Action),
            ("runbook_url", $"{terms.Runbook}#{rule.Name.ToLowerInvariant()}"),
        ];
        foreach (var (name, text) in annotations)
        foreach (var line in Field($"    {name}", text))
            yield return line;
    }

    private static IEnumerable<(string Name, string Value)> Whose(MonitoringTerms terms) =>
        [("system", terms.Keyspace.System), ("environment", terms.Keyspace.Environment)];

    // On one line in single quotes, which leave everything as it is but themselves; what is longer is folded: YAML makes each line's end a blank again.
    private static IEnumerable<string> Field(string name, string text)
    {
        if (text.Length <= MostOnALine || text.Contains("  ", StringComparison.Ordinal))
        {
            yield return $"{name}: '{text.Replace("'", "''", StringComparison.Ordinal)}'";
            yield break;
        }

        yield return $"{name}: >-";
        var margin = new string(' ', name.Length - name.TrimStart().Length + 2);
        var line = new StringBuilder();
        foreach (var word in text.Split(' '))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > MostOnALine)
            {
                yield return margin + line;
                line.Clear();
            }

            line.Append(line.Length > 0 ? " " : "").Append(word);
        }

        yield return margin + line;
    }
}
