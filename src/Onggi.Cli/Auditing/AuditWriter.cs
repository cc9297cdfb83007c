using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Checks;
using Onggi.Cli.Output;
using Onggi.Keys;
using Spectre.Console;

namespace Onggi.Cli.Auditing;

/// <summary>An audit as people and programs read it.</summary>
internal static class AuditWriter
{
    public static void Write(AuditResult result, Keyspace keyspace, ToolOutput output)
    {
        var table = ToolOutput.Table("family", "keys", "memory", "share", "of its share");
        foreach (var column in table.Columns.Skip(1))
            column.RightAligned();
        foreach (var tally in result.Families)
            table.AddRow([.. Cells(tally, keyspace).Select(cell => new Markup(Markup.Escape(cell)))]);
        output.Console.Write(table);
        WriteKeys("Biggest", result.Biggest, key => Words.Size(key.Bytes), output);
        WriteKeys("Hottest", result.Hottest, key => $"{key.Frequency} of 255", output);
        FindingWriter.Write(result.Findings, result.Server, output);
        output.Text.WriteLine(Depth(result));
        foreach (var note in result.Notes)
            output.Text.WriteLine(note);
    }

    public static void WriteJson(AuditResult result, Keyspace keyspace, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("server", result.Server);
            json.WriteBoolean("exact", result.IsExact);
            json.WriteNumber("keys", result.Keys);
            json.WriteNumber("lookedInto", result.Looked);
            json.WriteNumber("blindBelow", Math.Round(result.Blind, 6));
            json.WriteStartArray("families");
            foreach (var tally in result.Families)
            {
                json.WriteStartObject();
                json.WriteString("name", tally.Name);
                json.WriteNumber("keys", tally.Keys);
                json.WriteNumber("bytes", (long)tally.Bytes);
                json.WriteNumber("bytesError", (long)tally.Error);
                if (FamilyShares.LimitOf(keyspace, tally.Name) is { } limit)
                    json.WriteNumber("shareBytes", (long)limit);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WritePropertyName("findings");
            FindingWriter.WriteArray(result.Findings, json);
            WriteKeys(json, "biggest", result.Biggest);
            WriteKeys(json, "hottest", result.Hottest);
            json.WriteStartArray("notes");
            foreach (var note in result.Notes)
                json.WriteStringValue(note);
            json.WriteEndArray();
            json.WriteEndObject();
        });

    /// <summary>One page with everything.</summary>
    public static string Html(AuditResult result, Keyspace keyspace, DateTimeOffset when)
    {
        var page = new HtmlReport(
            $"onggi audit: {keyspace.System} {keyspace.Environment}",
            $"{result.Server}, {when:yyyy-MM-dd HH:mm} UTC. {Depth(result)}"
        )
            .Figures(
                ("keys", Number(result.Keys)),
                ("looked into", Number(result.Looked)),
                ("findings", $"{result.Findings.Count(finding => !finding.IsWarning)}"),
                ("warnings", $"{result.Findings.Count(finding => finding.IsWarning)}")
            )
            .Section("Findings", result.Findings.Count == 0 ? "None." : null);
        if (result.Findings.Count > 0)
            page.Table(
                ["", "code", "where", "what", "why", "what to do"],
                result.Findings.Select(finding =>
                    (IReadOnlyList<string>)
                        [
                            finding.IsWarning ? "warning" : "finding",
                            finding.Code,
                            finding.Where,
                            finding.What,
                            finding.Why,
                            $"{finding.Fix}\n{finding.Link}",
                        ]
                )
            );
        page.Section("Families")
            .Table(["family", "keys", "memory", "share", "of its share"], result.Families.Select(tally => Cells(tally, keyspace)));
        page.Section("Biggest").Table(["key", "type", "memory"], result.Biggest.Select(key => Row(key, Words.Size(key.Bytes))));
        if (result.Hottest.Count > 0)
            page.Section("Hottest").Table(["key", "type", "use"], result.Hottest.Select(key => Row(key, $"{key.Frequency} of 255")));
        foreach (var note in result.Notes)
            page.Section("Note", note);
        return page.ToString();
    }

    private static IReadOnlyList<string> Row(KeyFacts key, string value) => [PersonalData.Mask(key.Name), key.Type, value];

    private static IReadOnlyList<string> Cells(FamilyTally tally, Keyspace keyspace)
    {
        var limit = FamilyShares.LimitOf(keyspace, tally.Name);
        return
        [
            tally.Name,
            Number(tally.Keys),
            tally.Error > 0 ? $"{Words.Size((long)tally.Bytes)} ± {Words.Size((long)tally.Error)}" : Words.Size((long)tally.Bytes),
            limit is { } most ? Words.Size((long)most) : Words.None,
            limit is > 0 ? $"{tally.Bytes / limit:P0}" : Words.None,
        ];
    }

    private static string Depth(AuditResult result) =>
        result.IsExact
            ? $"{Number(result.Keys)} keys, all looked into."
            : $"{Number(result.Keys)} keys, all names seen; {Number(result.Looked)} looked into, chosen at random: what concerns fewer than {result.Blind:0.###%} of all keys can have been missed. --exact looks into all.";

    private static void WriteKeys(string title, IReadOnlyList<KeyFacts> keys, Func<KeyFacts, string> value, ToolOutput output)
    {
        if (keys.Count == 0)
            return;
        output.Text.WriteLine($"{title}:");
        foreach (var key in keys)
            output.Text.WriteLine($"  {value(key), 12}  {key.Type, -6}  {PersonalData.Mask(key.Name)}");
    }

    private static void WriteKeys(Utf8JsonWriter json, string name, IReadOnlyList<KeyFacts> keys)
    {
        json.WriteStartArray(name);
        foreach (var key in keys)
        {
            json.WriteStartObject();
            json.WriteString("key", PersonalData.Mask(key.Name));
            json.WriteString("type", key.Type);
            json.WriteNumber("bytes", key.Bytes);
            if (key.Frequency is { } frequency)
                json.WriteNumber("frequency", frequency);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
