using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary>The keys by family, under their kinds, as a tree in a table.</summary>
internal static class FamilyTable
{
    private const string NobodysKind = "nobody's";
    private const string UnknownKind = "names";

    private const int FullWidth = 110;

    // From nothing to all.
    private const string Bars = " ▁▂▃▄▅▆▇█";

    /// <summary>The table.</summary>
    /// <param name="survey">What was found.</param>
    /// <param name="hasCatalog">Whether what is of no family is nobody's.</param>
    /// <param name="width">How many characters there are in a line: in a short one the least needed columns are left out.</param>
    public static Table Of(KeyspaceSurvey survey, bool hasCatalog, int width)
    {
        var table = ToolOutput.Table("family", "keys", "size", "share", "each", string.Join(' ', SurveyGroup.TimeNames), "types", "");
        foreach (var column in (int[])[1, 2, 3, 4])
            table.Columns[column].RightAligned();
        foreach (var column in table.Columns)
            column.NoWrap();
        var all = Math.Max(1, survey.Groups.Sum(group => group.Bytes));
        var kinds = survey
            .Groups.GroupBy(group => group.Family?.Kind ?? (hasCatalog ? NobodysKind : UnknownKind))
            .OrderByDescending(kind => kind.Sum(group => group.Bytes));
        foreach (var kind in kinds)
        {
            table.AddRow(
                new Markup($"[bold]{Markup.Escape(kind.Key)}[/]"),
                new Markup(Keys(survey, kind.Sum(group => group.Count))),
                new Markup(Size(survey, kind.Sum(group => group.Bytes))),
                new Markup(Percent(kind.Sum(group => group.Bytes), all)),
                Text.Empty,
                Text.Empty,
                Text.Empty,
                Text.Empty
            );
            foreach (var group in kind)
                table.AddRow(
                    new Text("  " + group.Name),
                    new Markup(Keys(survey, group.Count)),
                    new Markup(Size(survey, group.Bytes)),
                    new Markup(Percent(group.Bytes, all)),
                    new Markup(Words.Size(group.Count > 0 ? group.Bytes / group.Count : 0)),
                    new Text(Histogram(group)),
                    new Text(string.Join(", ", group.Types.Keys)),
                    new Markup(Mark(group) is { } mark ? $"[yellow]{Markup.Escape(mark)}[/]" : "")
                );
        }

        return width < FullWidth ? Without(table, 6, 4) : table;
    }

    private static Table Without(Table table, params int[] columns)
    {
        var rest = new Table().RoundedBorder();
        var kept = Enumerable.Range(0, table.Columns.Count).Except(columns).ToList();
        foreach (var column in kept)
            rest.AddColumn(table.Columns[column]);
        foreach (var row in table.Rows)
            rest.AddRow(kept.Select(column => row[column]));
        return rest;
    }

    public static void WriteJson(Utf8JsonWriter json, KeyspaceSurvey survey)
    {
        json.WriteNumber("looked", survey.Looked);
        json.WriteBoolean("exact", survey.IsExact);
        json.WriteStartArray("families");
        foreach (var group in survey.Groups)
        {
            json.WriteStartObject();
            json.WriteString(group.Family is null ? "names" : "family", group.Name);
            if (group.Family is { } family)
            {
                json.WriteString("kind", family.Kind);
                if (family.Owner is not null)
                    json.WriteString("owner", family.Owner);
            }

            json.WriteNumber("keys", Math.Round(group.Count * survey.Factor));
            json.WriteNumber("keysError", Math.Round(survey.ErrorOf(group)));
            json.WriteNumber("bytes", Math.Round(group.Bytes * survey.Factor));
            json.WriteStartObject("timeLeft");
            for (var i = 0; i < SurveyGroup.TimeNames.Count; i++)
                json.WriteNumber(SurveyGroup.TimeNames[i], Math.Round(group.Times[i] * survey.Factor));
            json.WriteEndObject();
            json.WriteStartObject("types");
            foreach (var (type, count) in group.Types)
                json.WriteNumber(type, Math.Round(count * survey.Factor));
            json.WriteEndObject();
            if (Mark(group) is { } mark)
                json.WriteString("mark", mark);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>What is wrong with a group, in words; <c>null</c> when nothing is.</summary>
    public static string? Mark(SurveyGroup group) =>
        group.IsNobodys ? "nobody's"
        : group.Endless > 0 ? $"{Words.Count(group.Endless, "has", "have")} no time to live"
        : null;

    // One bar under each bound, as wide as its name.
    private static string Histogram(SurveyGroup group)
    {
        var most = Math.Max(1, group.Count);
        var cells = SurveyGroup.TimeNames.Select(
            (name, i) =>
            {
                var times = group.Times[i];
                var bar = times == 0 ? Bars[0] : Bars[Math.Max(1, (int)(times * (Bars.Length - 1) / most))];
                return new string(bar, name.Length);
            }
        );
        return string.Join(' ', cells);
    }

    private static string Keys(KeyspaceSurvey survey, long count) =>
        About(survey) + ((long)(count * survey.Factor)).ToString("N0", CultureInfo.InvariantCulture);

    private static string Size(KeyspaceSurvey survey, long bytes) => About(survey) + Words.Size((long)(bytes * survey.Factor));

    private static string About(KeyspaceSurvey survey) => survey.IsExact ? "" : "~";

    private static string Percent(long part, long all) => (100.0 * part / all).ToString("0.0", CultureInfo.InvariantCulture) + " %";
}
