using System.Text.Json;
using Onggi.Cli.Checks;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>How the findings are written.</summary>
internal enum LintFormat
{
    /// <summary>A table, then each with its cure.</summary>
    Table,

    /// <summary>A line each.</summary>
    Short,

    /// <summary>Everything, for programs.</summary>
    Json,
}

/// <summary>Findings, rules and the matrix, as people and programs read them.</summary>
internal static class LintWriter
{
    /// <summary>The findings.</summary>
    /// <param name="findings">Those that are left.</param>
    /// <param name="expired">Suppressions past their day.</param>
    /// <param name="suppressed">How many somebody has decided to live with.</param>
    /// <param name="format">How.</param>
    /// <param name="subject">What was looked at.</param>
    /// <param name="output">Where to.</param>
    public static void Write(
        IReadOnlyList<LintFinding> findings,
        IReadOnlyList<Finding> expired,
        int suppressed,
        LintFormat format,
        string subject,
        ToolOutput output
    )
    {
        if (format == LintFormat.Json)
        {
            WriteJson(findings, expired, suppressed, subject, output);
            return;
        }

        if (format == LintFormat.Table && findings.Count > 0)
            WriteTable(findings, output);
        foreach (var finding in findings)
        {
            FindingWriter.WriteHead(finding.AsFinding(), output);
            if (format == LintFormat.Short)
                continue;
            output.Text.WriteLine($"    expected: {finding.Rule.Expected}");
            output.Text.WriteLine($"    why: {finding.Rule.Why}");
            output.Text.WriteLine($"    do: {finding.Fix}");
            output.Text.WriteLine($"    see: {finding.AsFinding().Link}");
        }

        foreach (var finding in expired)
            FindingWriter.WriteHead(finding, output);
        output.Text.WriteLine($"{subject}: {Summary(findings, expired, suppressed)}");
    }

    /// <summary>How many there are.</summary>
    public static string Summary(IReadOnlyList<LintFinding> findings, IReadOnlyList<Finding> expired, int suppressed)
    {
        var warnings = findings.Count(finding => finding.IsWarning);
        var count = findings.Count - warnings + expired.Count;
        return count + warnings + suppressed == 0
            ? "nothing found."
            : $"{Words.Count(count, "finding", "findings")}, {Words.Count(warnings, "warning", "warnings")}{(suppressed > 0 ? $", {suppressed} suppressed" : "")}.";
    }

    /// <summary>The rules themselves.</summary>
    public static void WriteList(IReadOnlyList<LintRule> rules, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartArray();
                foreach (var rule in rules)
                {
                    json.WriteStartObject();
                    json.WriteString("code", rule.Code);
                    json.WriteString("alias", rule.Alias);
                    json.WriteString("category", rule.Category);
                    json.WriteString("name", rule.Name);
                    json.WriteString("expected", rule.Expected);
                    json.WriteString("why", rule.Why);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return;
        }

        var table = ToolOutput.Table("code", "alias", "category", "check", "expected");
        foreach (var rule in rules)
            table.AddRow(Cells(rule.Code, rule.Alias, rule.Category, rule.Name, rule.Expected));
        output.Console.Write(table);
    }

    private static void WriteTable(IReadOnlyList<LintFinding> findings, ToolOutput output)
    {
        var table = ToolOutput.Table("code", "alias", "", "object", "observed");
        foreach (var finding in findings)
            table.AddRow(
                Cells(finding.Rule.Code, finding.Rule.Alias, finding.IsWarning ? "warning" : "finding", finding.Object, finding.Observed)
            );
        output.Console.Write(table);
    }

    private static IEnumerable<Markup> Cells(params string[] texts) => texts.Select(text => new Markup(Markup.Escape(text)));

    private static void WriteJson(
        IReadOnlyList<LintFinding> findings,
        IReadOnlyList<Finding> expired,
        int suppressed,
        string subject,
        ToolOutput output
    ) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("subject", subject);
            json.WriteString("summary", Summary(findings, expired, suppressed));
            json.WriteNumber("suppressed", suppressed);
            json.WriteStartArray("findings");
            foreach (var finding in findings)
                WriteFinding(json, finding);
            json.WriteEndArray();
            json.WritePropertyName("expiredSuppressions");
            FindingWriter.WriteArray(expired, json);
            json.WriteEndObject();
        });

    private static void WriteFinding(Utf8JsonWriter json, LintFinding finding)
    {
        var colon = finding.Place.LastIndexOf(':');
        json.WriteStartObject();
        json.WriteString("code", finding.Rule.Code);
        json.WriteString("alias", finding.Rule.Alias);
        json.WriteString("severity", finding.IsWarning ? "warning" : "finding");
        if (colon > 0 && int.TryParse(finding.Place.AsSpan(colon + 1), out var line))
        {
            json.WriteString("file", finding.Place[..colon]);
            json.WriteNumber("line", line);
        }
        else
            json.WriteString("file", finding.Place);
        json.WriteString("object", finding.Object);
        json.WriteString("expected", finding.Rule.Expected);
        json.WriteString("observed", finding.Observed);
        json.WriteString("why", finding.Rule.Why);
        json.WriteString("fix", finding.Fix);
        json.WriteString("link", finding.AsFinding().Link);
        json.WriteEndObject();
    }
}
