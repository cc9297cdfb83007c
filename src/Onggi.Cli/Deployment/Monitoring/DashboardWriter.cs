using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>A dashboard as Grafana imports it.</summary>
internal static class DashboardWriter
{
    // https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
    private const int SchemaVersion = 39;
    private const int Columns = 24;
    private const int Height = 7;
    private const int SmallHeight = 4;

    private static readonly JsonWriterOptions Layout = new()
    {
        Indented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static string Text(Dashboard dashboard, MonitoringTerms terms)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Layout))
            Write(dashboard, terms, json);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length) + "\n";
    }

    private static void Write(Dashboard dashboard, MonitoringTerms terms, Utf8JsonWriter json)
    {
        var system = terms.Keyspace.System;
        json.WriteStartObject();
        json.WriteString("uid", $"onggi-{system}-{dashboard.Name}");
        json.WriteString("title", $"{system}: {dashboard.Title}");
        json.WriteString("description", "Made from the catalog by onggi deploy monitoring. Changes belong there.");
        WriteStrings(json, "tags", ["onggi", system]);
        json.WriteString("timezone", "browser");
        json.WriteBoolean("editable", true);
        json.WriteNumber("graphTooltip", 1);
        json.WriteNumber("schemaVersion", SchemaVersion);
        json.WriteNumber("version", 1);
        json.WriteString("refresh", "30s");
        json.WriteStartObject("time");
        json.WriteString("from", "now-6h");
        json.WriteString("to", "now");
        json.WriteEndObject();
        WriteLinks(json, system);
        WriteVariables(dashboard, json);
        WritePanels(dashboard, json);
        json.WriteEndObject();
    }

    private static void WriteLinks(Utf8JsonWriter json, string system)
    {
        json.WriteStartArray("links");
        json.WriteStartObject();
        json.WriteString("type", "dashboards");
        json.WriteString("title", $"{system}: all dashboards");
        WriteStrings(json, "tags", ["onggi", system]);
        json.WriteBoolean("asDropdown", true);
        json.WriteBoolean("keepTime", true);
        json.WriteBoolean("includeVars", true);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteVariables(Dashboard dashboard, Utf8JsonWriter json)
    {
        json.WriteStartObject("templating");
        json.WriteStartArray("list");
        json.WriteStartObject();
        json.WriteString("name", "datasource");
        json.WriteString("label", "Prometheus");
        json.WriteString("type", "datasource");
        json.WriteString("query", "prometheus");
        json.WriteEndObject();
        foreach (var variable in dashboard.Variables)
        {
            json.WriteStartObject();
            json.WriteString("name", variable.Name);
            json.WriteString("label", variable.Label);
            json.WriteBoolean("multi", true);
            json.WriteBoolean("includeAll", true);
            json.WriteString("allValue", ".*");
            if (variable.Query is { } query)
            {
                json.WriteString("type", "query");
                WriteSource(json);
                json.WriteStartObject("query");
                json.WriteString("query", query);
                json.WriteString("refId", variable.Name);
                json.WriteEndObject();
                json.WriteNumber("refresh", 2);
                json.WriteNumber("sort", 1);
            }
            else
            {
                json.WriteString("type", "custom");
                json.WriteString("query", string.Join(',', variable.Values));
            }

            json.WriteStartObject("current");
            WriteStrings(json, "text", ["All"]);
            WriteStrings(json, "value", ["$__all"]);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WritePanels(Dashboard dashboard, Utf8JsonWriter json)
    {
        var (id, x, y) = (0, 0, 0);
        json.WriteStartArray("panels");
        foreach (var row in dashboard.Rows)
        {
            json.WriteStartObject();
            json.WriteNumber("id", ++id);
            json.WriteString("type", "row");
            json.WriteString("title", row.Title);
            json.WriteBoolean("collapsed", false);
            WritePlace(json, 0, y++, Columns, 1);
            json.WriteStartArray("panels");
            json.WriteEndArray();
            json.WriteEndObject();
            var height = 0;
            x = 0;
            foreach (var panel in row.Panels)
            {
                if (x + panel.Width > Columns)
                    (x, y, height) = (0, y + height, 0);
                var own = panel.Kind == "stat" ? SmallHeight : Height;
                WritePanel(panel, ++id, x, y, own, json);
                (x, height) = (x + panel.Width, Math.Max(height, own));
            }

            y += height;
        }

        json.WriteEndArray();
    }

    private static void WritePanel(Panel panel, int id, int x, int y, int height, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteNumber("id", id);
        json.WriteString("type", panel.Kind);
        json.WriteString("title", panel.Title);
        if (panel.Description is { } description)
            json.WriteString("description", description);
        WriteSource(json);
        WritePlace(json, x, y, panel.Width, height);
        WriteField(panel, json);
        json.WriteStartArray("targets");
        var letter = 'A';
        foreach (var query in panel.Queries)
        {
            json.WriteStartObject();
            json.WriteString("refId", $"{letter++}");
            WriteSource(json);
            json.WriteString("expr", query.Expression);
            if (query.Legend.Length > 0)
                json.WriteString("legendFormat", query.Legend);
            if (panel.Kind is not "timeseries")
                json.WriteBoolean("instant", true);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteField(Panel panel, Utf8JsonWriter json)
    {
        json.WriteStartObject("fieldConfig");
        json.WriteStartObject("defaults");
        json.WriteString("unit", panel.Unit);
        if (panel.Kind == "timeseries")
            json.WriteNumber("min", 0);
        if (panel.Red is { } red)
        {
            json.WriteStartObject("thresholds");
            json.WriteString("mode", "absolute");
            json.WriteStartArray("steps");
            WriteStep(json, panel.RedBelow ? "red" : "green", null);
            WriteStep(json, panel.RedBelow ? "green" : "red", red);
            json.WriteEndArray();
            json.WriteEndObject();
            if (panel.Kind == "timeseries")
            {
                json.WriteStartObject("custom");
                json.WriteStartObject("thresholdsStyle");
                json.WriteString("mode", "line");
                json.WriteEndObject();
                json.WriteEndObject();
            }
        }

        json.WriteEndObject();
        json.WriteStartArray("overrides");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteStep(Utf8JsonWriter json, string color, double? value)
    {
        json.WriteStartObject();
        json.WriteString("color", color);
        if (value is { } number)
            json.WriteNumber("value", number);
        else
            json.WriteNull("value");
        json.WriteEndObject();
    }

    private static void WritePlace(Utf8JsonWriter json, int x, int y, int width, int height)
    {
        json.WriteStartObject("gridPos");
        json.WriteNumber("x", x);
        json.WriteNumber("y", y);
        json.WriteNumber("w", width);
        json.WriteNumber("h", height);
        json.WriteEndObject();
    }

    private static void WriteSource(Utf8JsonWriter json)
    {
        json.WriteStartObject("datasource");
        json.WriteString("type", "prometheus");
        json.WriteString("uid", "${datasource}");
        json.WriteEndObject();
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
