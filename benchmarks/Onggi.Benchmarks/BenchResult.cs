using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace Onggi.Benchmarks;

/// <summary>What a benchmark measured, where and with what: as a table, as JSON, as a page.</summary>
internal sealed class BenchResult(IBench bench, BenchRun run, IReadOnlyList<Row> rows)
{
    private readonly string _date = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
    private readonly string _machine = Machine.Describe();
    private readonly IReadOnlyList<(string Name, string Version)> _versions = Machine.Versions(run.Redis);

    /// <summary>The table for people; columns that no row fills are left out.</summary>
    public Table ToTable()
    {
        var cells = rows.Select(Cells).ToArray();
        var used = Enumerable.Range(0, Headings.Length).Where(column => cells.Any(row => row[column].Length > 0)).ToArray();
        var table = new Table().Border(TableBorder.Rounded).Title(Markup.Escape($"{bench.Name}: {bench.Summary}"));
        foreach (var column in used)
            table.AddColumn(new TableColumn(Headings[column]) { Alignment = IsNumber(column) ? Justify.Right : Justify.Left });
        foreach (var row in cells)
            table.AddRow([.. used.Select(column => Markup.Escape(row[column]))]);
        return table.Caption(
            Markup.Escape($"{_machine}, {_date}, {string.Join(", ", _versions.Select(version => $"{version.Name} {version.Version}"))}")
        );
    }

    public byte[] ToJson()
    {
        using var stream = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var json = new Utf8JsonWriter(stream, options))
        {
            json.WriteStartObject();
            json.WriteString("bench", bench.Name);
            json.WriteString("machine", _machine);
            json.WriteString("date", _date);
            json.WriteStartObject("versions");
            foreach (var (name, version) in _versions)
                json.WriteString(name, version);
            json.WriteEndObject();
            json.WriteStartArray("rows");
            foreach (var row in rows)
                Write(json, row);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        stream.WriteByte((byte)'\n');
        return stream.ToArray();
    }

    /// <summary>Writes the page into the repository and says where.</summary>
    public async Task<string> WritePageAsync()
    {
        var path = Path.Combine("benchmarks", "results", bench.Name + ".md");
        var page = new StringBuilder();
        page.AppendLine(CultureInfo.InvariantCulture, $"# {bench.Name}: {bench.Summary}").AppendLine();
        page.AppendLine(
            CultureInfo.InvariantCulture,
            $"Written by `./bench {bench.Name}{(run.Quick ? " --quick" : "")} --page` on {_date}. Compare the ratios: the other side of each was measured in the same run, in turns with ours; absolute numbers are this machine's."
        );
        page.AppendLine()
            .AppendLine(CultureInfo.InvariantCulture, $"* Machine: {_machine}")
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"* Versions: {string.Join(", ", _versions.Select(version => $"{version.Name} {version.Version}"))}"
            )
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"* Other work on the machine when it began (load average of the last minute): {run.LoadBefore ?? "not known"}"
            )
            .AppendLine();
        page.AppendLine($"| {string.Join(" | ", Headings)} |").AppendLine("|---|---:|---|---|---:|---:|---|---|");
        foreach (var row in rows)
            page.AppendLine($"| {string.Join(" | ", Cells(row).Select(cell => cell.Replace("|", "\\|", StringComparison.Ordinal)))} |");
        if (run.Notes.Count > 0)
            page.AppendLine();
        foreach (var note in run.Notes)
            page.AppendLine(CultureInfo.InvariantCulture, $"* {note}");
        await File.WriteAllTextAsync(Path.Combine(Machine.Root(), path), page.ToString());
        return path;
    }

    private static bool IsNumber(int column) => column is 1 or 4 or 5;

    private static string[] Headings => ["Row", "Value", "Unit", "Baseline", "Its value", "Ratio", "Goal", "Met"];

    private static string[] Cells(Row row) =>
        [
            row.Name,
            Text(row.Value),
            row.Unit,
            row.Baseline ?? "",
            row.BaselineValue is { } other ? Text(other) : "",
            row.Ratio is { } ratio ? ratio.ToString("0.00", CultureInfo.InvariantCulture) : "",
            row.Goal ?? "",
            row.Pass switch
            {
                true => "yes",
                false => "NO",
                null => "",
            },
        ];

    private static string Text(double value) =>
        Math.Abs(value) switch
        {
            0 => "0",
            >= 1000 => value.ToString("#,0", CultureInfo.InvariantCulture),
            >= 100 => value.ToString("0", CultureInfo.InvariantCulture),
            >= 1 => value.ToString("0.0", CultureInfo.InvariantCulture),
            _ => value.ToString("0.000", CultureInfo.InvariantCulture),
        };

    private static void Write(Utf8JsonWriter json, Row row)
    {
        json.WriteStartObject();
        json.WriteString("name", row.Name);
        json.WriteString("unit", row.Unit);
        json.WriteNumber("value", row.Value);
        json.WriteString("baseline", row.Baseline);
        WriteNumber(json, "baselineValue", row.BaselineValue);
        WriteNumber(json, "ratio", row.Ratio);
        json.WriteString("goal", row.Goal);
        if (row.Pass is { } pass)
            json.WriteBoolean("pass", pass);
        else
            json.WriteNull("pass");
        json.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number)
            json.WriteNumber(name, number);
        else
            json.WriteNull(name);
    }
}
