using System.Globalization;
using System.Text;
using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>What Prometheus is to know of an audit: a file for a textfile collector.</summary>
internal static class AuditMetrics
{
    public const string Timestamp = "onggi_audit_timestamp_seconds";
    public const string Keys = "onggi_audit_keys";
    public const string FamilyBytes = "onggi_audit_family_bytes";
    public const string Findings = "onggi_audit_findings";
    public const string Refusals = "onggi_audit_refusals";

    /// <summary>The finding that a family is beyond its share, of which the figures themselves tell.</summary>
    public const string ShareCode = "ONG086";

    /// <summary>The page. Nothing on it names a key.</summary>
    public static string Text(AuditResult result, Keyspace keyspace, DateTimeOffset when)
    {
        var text = new StringBuilder();
        var whose =
            $"system=\"{Escaped(keyspace.System)}\",environment=\"{Escaped(keyspace.Environment)}\",server=\"{Escaped(result.Server)}\"";
        Gauge(Timestamp, "When the keys were last compared with the catalog.", [("", when.ToUnixTimeMilliseconds() / 1000.0)]);
        Gauge(Keys, "Keys by family, all counted.", result.Families.Select(tally => (Family(tally), (double)tally.Keys)));
        Gauge(
            FamilyBytes,
            "What a family takes, reckoned from the keys that were looked into.",
            result.Families.Select(tally => (Family(tally), Math.Round(tally.Bytes)))
        );
        Gauge(
            Findings,
            "What is not as the catalog says, by code; nothing where all is well.",
            result
                .Findings.GroupBy(finding => (finding.Code, finding.IsWarning))
                .Select(code =>
                    ($"code=\"{code.Key.Code}\",severity=\"{(code.Key.IsWarning ? "warning" : "finding")}\"", (double)code.Count())
                )
        );
        Gauge(
            Refusals,
            "Refused accesses in the server's ACL log, by user and reason.",
            result.Refusals.Select(refusal =>
                ($"user=\"{Escaped(refusal.User)}\",reason=\"{Escaped(refusal.Reason)}\"", (double)refusal.Count)
            )
        );
        return text.ToString();

        void Gauge(string name, string help, IEnumerable<(string Labels, double Value)> values)
        {
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} gauge\n");
            foreach (var (labels, value) in values)
                text.Append(CultureInfo.InvariantCulture, $"{name}{{{whose}{(labels.Length > 0 ? "," : "")}{labels}}} {value}\n");
        }
    }

    private static string Family(FamilyTally tally) => $"onggi_family=\"{Escaped(tally.Name)}\"";

    // https://prometheus.io/docs/instrumenting/exposition_formats/#comments-help-text-and-type-information
    private static string Escaped(string value) =>
        value
            .Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);
}
