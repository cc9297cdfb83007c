using System.Text.Json;
using System.Xml;
using Onggi.Cli.Checks;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Verification;

/// <summary>What people and programs read of it.</summary>
internal enum VerifyFormat
{
    /// <summary>A table, then what is wrong.</summary>
    Table,

    /// <summary>What is wrong only.</summary>
    Short,

    /// <summary>Everything, for programs.</summary>
    Json,

    /// <summary>JUnit's XML, for CI.</summary>
    Junit,

    /// <summary>SARIF 2.1.0, for code hosts.</summary>
    Sarif,
}

/// <summary>Results of checks in each form.</summary>
internal static class VerifyWriter
{
    public static void Write(IReadOnlyList<CheckResult> results, VerifyFormat format, string subject, ToolOutput output)
    {
        switch (format)
        {
            case VerifyFormat.Json:
                WriteJson(results, subject, output);
                break;
            case VerifyFormat.Junit:
                WriteJunit(results, output);
                break;
            case VerifyFormat.Sarif:
                WriteSarif(results, output);
                break;
            default:
                if (format == VerifyFormat.Table)
                    WriteTable(results, output);
                WriteFindings(results, output);
                output.Text.WriteLine($"{subject}: {Summary(results)}");
                break;
        }
    }

    /// <summary>How many checks ended how.</summary>
    public static string Summary(IReadOnlyCollection<CheckResult> results)
    {
        var counts = results.CountBy(result => result.State).ToDictionary();
        int Of(CheckState state) => counts.GetValueOrDefault(state);
        return $"{Words.Count(results.Count, "check", "checks")}: {Of(CheckState.Ok)} ok, {Of(CheckState.Finding)} with findings, {Of(CheckState.Warning)} with warnings, {Of(CheckState.Skipped)} skipped, {Of(CheckState.Failed)} could not be asked.";
    }

    /// <summary>One page with everything.</summary>
    public static string Html(IReadOnlyList<CheckResult> results, string subject, DateTimeOffset when)
    {
        var page = new HtmlReport($"onggi verify: {subject}", $"{when:yyyy-MM-dd HH:mm} UTC. {Summary(results)}")
            .Figures([
                .. results.CountBy(result => result.State).OrderBy(pair => pair.Key).Select(pair => (Word(pair.Key), $"{pair.Value}")),
            ])
            .Section("Findings", results.All(result => result.Findings.Count == 0) ? "None." : null);
        if (results.Any(result => result.Findings.Count > 0))
            page.Table(
                ["", "code", "where", "what", "why", "what to do"],
                results.SelectMany(result =>
                    result.Findings.Select(finding =>
                        (IReadOnlyList<string>)
                            [
                                finding.IsWarning ? "warning" : Word(result.State),
                                finding.Code,
                                finding.Where,
                                finding.What,
                                finding.Why,
                                $"{finding.Fix}\n{finding.Link}",
                            ]
                    )
                )
            );
        foreach (var category in results.GroupBy(result => result.Check.Category))
            page.Section(category.Key)
                .Table(
                    ["", "code", "check", "expected", "observed", "item of the plan"],
                    category.Select(result =>
                        (IReadOnlyList<string>)
                            [
                                Word(result.State),
                                result.Check.Code,
                                result.Check.Name,
                                result.Check.Expected,
                                result.Observed,
                                result.Check.Item ?? "",
                            ]
                    )
                );
        return page.ToString();
    }

    /// <summary>The checks themselves.</summary>
    public static void WriteList(IReadOnlyList<VerifyCheck> checks, bool asJson, ToolOutput output)
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartArray();
                foreach (var check in checks)
                {
                    json.WriteStartObject();
                    WriteCheck(json, check);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return;
        }

        var table = ToolOutput.Table("code", "category", "check", "expected", "item of the plan");
        foreach (var check in checks)
            table.AddRow([
                .. new[] { check.Code, check.Category, check.Name, check.Expected, check.Item ?? "" }.Select(cell => new Markup(
                    Markup.Escape(cell)
                )),
            ]);
        output.Console.Write(table);
    }

    private static void WriteTable(IReadOnlyList<CheckResult> results, ToolOutput output)
    {
        var table = ToolOutput.Table("", "code", "category", "check", "observed");
        foreach (var result in results)
        {
            var colour = result.State switch
            {
                CheckState.Ok => "green",
                CheckState.Warning => "yellow",
                CheckState.Skipped => "grey",
                _ => "red",
            };
            table.AddRow(
                new Markup($"[{colour}]{Word(result.State)}[/]"),
                new Markup(Markup.Escape(result.Check.Code)),
                new Markup(Markup.Escape(result.Check.Category)),
                new Markup(Markup.Escape(result.Check.Name)),
                new Markup(Markup.Escape(result.Observed))
            );
        }

        output.Console.Write(table);
    }

    private static void WriteFindings(IReadOnlyList<CheckResult> results, ToolOutput output)
    {
        foreach (var result in results)
        foreach (var finding in result.Findings)
        {
            FindingWriter.WriteHead(finding, output);
            output.Text.WriteLine($"    expected: {result.Check.Expected}");
            if (finding.Why.Length > 0)
                output.Text.WriteLine($"    why: {finding.Why}");
            output.Text.WriteLine($"    do: {finding.Fix}");
            output.Text.WriteLine($"    see: {finding.Link}");
        }
    }

    private static void WriteJson(IReadOnlyList<CheckResult> results, string subject, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("subject", subject);
            json.WriteString("summary", Summary(results));
            json.WriteStartArray("checks");
            foreach (var result in results)
            {
                json.WriteStartObject();
                WriteCheck(json, result.Check);
                json.WriteString("state", Word(result.State));
                json.WriteString("observed", result.Observed);
                json.WritePropertyName("findings");
                FindingWriter.WriteArray(result.Findings, json);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });

    private static void WriteCheck(Utf8JsonWriter json, VerifyCheck check)
    {
        json.WriteString("code", check.Code);
        json.WriteString("category", check.Category);
        json.WriteString("name", check.Name);
        json.WriteString("expected", check.Expected);
        if (check.Item is not null)
            json.WriteString("item", check.Item);
        if (check.Needs is not null)
            json.WriteString("needs", check.Needs);
    }

    private static void WriteJunit(IReadOnlyList<CheckResult> results, ToolOutput output)
    {
        using (
            var xml = XmlWriter.Create(
                output.Text,
                new XmlWriterSettings
                {
                    Indent = true,
                    OmitXmlDeclaration = true,
                    NewLineChars = "\n",
                }
            )
        )
        {
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", "onggi verify");
            xml.WriteAttributeString("tests", $"{results.Count}");
            xml.WriteAttributeString("failures", $"{results.Count(result => result.State == CheckState.Finding)}");
            xml.WriteAttributeString("errors", $"{results.Count(result => result.State == CheckState.Failed)}");
            xml.WriteAttributeString("skipped", $"{results.Count(result => result.State == CheckState.Skipped)}");
            foreach (var result in results)
            {
                xml.WriteStartElement("testcase");
                xml.WriteAttributeString("classname", result.Check.Category);
                xml.WriteAttributeString("name", $"{result.Check.Code} {result.Check.Name}");
                var text = string.Join(
                    '\n',
                    result.Findings.Select(finding => $"{finding.Code} {finding.Where}: {finding.What} {finding.Fix}")
                );
                switch (result.State)
                {
                    case CheckState.Skipped:
                        xml.WriteStartElement("skipped");
                        xml.WriteAttributeString("message", result.Observed);
                        xml.WriteEndElement();
                        break;
                    case CheckState.Finding or CheckState.Failed:
                        xml.WriteStartElement(result.State == CheckState.Failed ? "error" : "failure");
                        xml.WriteAttributeString("message", result.Observed);
                        xml.WriteString(text);
                        xml.WriteEndElement();
                        break;
                    default:
                        xml.WriteElementString("system-out", text.Length > 0 ? text : result.Observed);
                        break;
                }

                xml.WriteEndElement();
            }

            xml.WriteEndElement();
        }

        output.Text.WriteLine();
    }

    private static void WriteSarif(IReadOnlyList<CheckResult> results, ToolOutput output)
    {
        var findings = results.SelectMany(result => result.Findings).ToList();
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("version", "2.1.0");
            json.WriteString("$schema", "https://json.schemastore.org/sarif-2.1.0.json");
            json.WriteStartArray("runs");
            json.WriteStartObject();
            json.WriteStartObject("tool");
            json.WriteStartObject("driver");
            json.WriteString("name", "onggi verify");
            json.WriteStartArray("rules");
            foreach (var code in findings.Select(finding => finding.Code).Distinct().Order(StringComparer.Ordinal))
            {
                json.WriteStartObject();
                json.WriteString("id", code);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteStartArray("results");
            foreach (var finding in findings)
                WriteSarif(json, finding);
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static void WriteSarif(Utf8JsonWriter json, Finding finding)
    {
        json.WriteStartObject();
        json.WriteString("ruleId", finding.Code);
        json.WriteString("level", finding.IsWarning ? "warning" : "error");
        json.WriteStartObject("message");
        json.WriteString("text", $"{finding.Where}: {finding.What} {finding.Why} {finding.Fix}");
        json.WriteEndObject();
        // Only a file and its line are a place there.
        var colon = finding.Where.LastIndexOf(':');
        if (colon > 0 && int.TryParse(finding.Where.AsSpan(colon + 1), out var line) && File.Exists(finding.Where[..colon]))
        {
            json.WriteStartArray("locations");
            json.WriteStartObject();
            json.WriteStartObject("physicalLocation");
            json.WriteStartObject("artifactLocation");
            json.WriteString("uri", finding.Where[..colon].Replace('\\', '/'));
            json.WriteEndObject();
            json.WriteStartObject("region");
            json.WriteNumber("startLine", line);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static string Word(CheckState state) =>
        state switch
        {
            CheckState.Ok => "ok",
            CheckState.Warning => "warning",
            CheckState.Finding => "finding",
            CheckState.Skipped => "skipped",
            _ => "failed",
        };
}
