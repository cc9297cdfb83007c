using System.Text.Json;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Checks;

/// <summary>Findings as people and programs read them.</summary>
internal static class FindingWriter
{
    /// <summary>One after the other, each with its cure; then how many there are.</summary>
    public static void Write(IReadOnlyCollection<Finding> findings, string subject, ToolOutput output)
    {
        foreach (var finding in findings)
        {
            WriteHead(finding, output);
            output.Text.WriteLine($"    {finding.Why}");
            output.Text.WriteLine($"    {finding.Fix}");
        }

        var warnings = findings.Count(finding => finding.IsWarning);
        output.Text.WriteLine(
            findings.Count == 0
                ? $"{subject}: nothing found."
                : $"{subject}: {Words.Count(findings.Count - warnings, "finding", "findings")}, {Words.Count(warnings, "warning", "warnings")}."
        );
    }

    /// <summary>What was found and where, on a line of its own however long it is: only a terminal breaks it.</summary>
    public static void WriteHead(Finding finding, ToolOutput output)
    {
        var said = $"{(finding.IsWarning ? "warning " : "")}{finding.Where}: {finding.What}";
        if (output.IsTerminal)
            output.Console.MarkupLine($"[{(finding.IsWarning ? "yellow" : "red")}]{finding.Code}[/] {Markup.Escape(said)}");
        else
            output.Text.WriteLine($"{finding.Code} {said}");
    }

    /// <summary>A list of objects.</summary>
    public static void WriteJson(IEnumerable<Finding> findings, ToolOutput output) => output.Json(json => WriteArray(findings, json));

    /// <summary>The same as a part of a document.</summary>
    public static void WriteArray(IEnumerable<Finding> findings, Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach (var finding in findings)
        {
            json.WriteStartObject();
            json.WriteString("code", finding.Code);
            json.WriteString("severity", finding.IsWarning ? "warning" : "finding");
            json.WriteString("where", finding.Where);
            json.WriteString("what", finding.What);
            json.WriteString("why", finding.Why);
            json.WriteString("fix", finding.Fix);
            json.WriteString("link", finding.Link);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
