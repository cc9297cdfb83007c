using System.CommandLine;
using System.Text.Json;
using Onggi.Cli.Output;
using Onggi.Keys;
using Onggi.Keys.Catalog;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi catalog …</c>: checks, shows and documents keyspace.json.</summary>
internal static class CatalogCommands
{
    public static Command Create(ToolOutput output) =>
        new("catalog", "Checks, shows and documents the catalog of keys.") { Check(output), Show(output), Docs(output), Schema(output) };

    private static Command Check(ToolOutput output)
    {
        var file = Inputs.CatalogFile();
        var command = new Command(
            "check",
            "Tells every mistake in a catalog: where, what, why, and what to write instead. Exit code 1 when there is one."
        )
        {
            file,
        };
        command.SetAction(parsed => CheckFile(parsed.GetRequiredValue(file), output));
        return command;
    }

    private static int CheckFile(string file, ToolOutput output)
    {
        var text = Inputs.ReadCatalog(file);
        var catalog = CatalogFile.Read(text, wantsTypes: true);
        if (catalog.Mistakes.Count == 0)
        {
            var model = catalog.Model!;
            output.Text.WriteLine(
                $"{file} is right: {Words.Count(model.Families.Count, "family", "families")}, {Words.Count(model.Events.Count, "event", "events")}, {Words.Count(model.Services.Count, "service", "services")}; environments {string.Join(", ", model.EnvironmentNames)}."
            );
            return OnggiTool.Ok;
        }

        var lines = text.Split(["\r\n", "\n", "\r"], StringSplitOptions.None);
        foreach (var mistake in catalog.Mistakes)
            WriteMistake(file, lines, mistake, output.Text);
        output.Text.WriteLine($"{Words.Count(catalog.Mistakes.Count, "mistake", "mistakes")}.");
        return OnggiTool.Wrong;
    }

    private static void WriteMistake(string file, string[] lines, CatalogMistake mistake, TextWriter text)
    {
        var line = lines[mistake.Line - 1];
        var number = mistake.Line.ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(5);
        // Tabs are kept as they are, so that the mark stands under its text whatever a tab's width.
        var before = string.Concat(
            line.Take(mistake.Column - 1)
                .Select(c =>
                    c == '\t' ? "\t"
                    : IsWide(c) ? "  "
                    : " "
                )
        );
        var length = Math.Max(1, Math.Min(mistake.Length, line.Length - mistake.Column + 1));
        var marked = line.Skip(mistake.Column - 1).Take(length).Sum(c => IsWide(c) ? 2 : 1);
        text.WriteLine($"{file}:{mistake.Line}:{mistake.Column}: error {mistake.Id}: {mistake.What}");
        text.WriteLine($"{number} | {line}");
        text.WriteLine($"      | {before}{new string('^', Math.Max(1, marked))}");
        foreach (var note in new[] { mistake.Why, mistake.Write }.Where(note => note.Length > 0))
            text.WriteLine($"      = {note}");
        text.WriteLine();
    }

    /// <summary>Whether terminals give the character two columns: Hangul, Kana and the Chinese characters.</summary>
    private static bool IsWide(char c) =>
        c
            is (>= '\u1100' and <= '\u115F')
                or (>= '\u2E80' and <= '\uA4CF')
                or (>= '\uAC00' and <= '\uD7A3')
                or (>= '\uFF00' and <= '\uFF60');

    private static Command Show(ToolOutput output)
    {
        var file = Inputs.CatalogFile();
        var environment = Inputs.Environment();
        var json = Inputs.Json();
        var command = new Command("show", "Shows the families of a catalog as one environment has them.") { file, environment, json };
        command.SetAction(parsed =>
        {
            var keyspace = Inputs.LoadKeyspace(parsed.GetRequiredValue(file), parsed.GetValue(environment));
            if (parsed.GetValue(json))
                output.Json(writer => WriteJson(keyspace, writer));
            else
                WriteTable(keyspace, output.Console);
            return OnggiTool.Ok;
        });
        return command;
    }

    private static void WriteTable(Keyspace keyspace, IAnsiConsole console)
    {
        var memory = keyspace.MemoryLimit is { } limit ? $", memory {CatalogWords.SpellSize(limit)}" : "";
        var personal = keyspace.HashesPersonalIdentifiers ? "hashed" : "plain";
        console.MarkupLineInterpolated(
            $"[bold]{keyspace.System}[/] in [bold]{keyspace.Environment}[/]: prefix \"{keyspace.Prefix}\"{memory}, personal identifiers {personal}"
        );
        var table = ToolOutput.Table("family", "key", "kind", "ttl", "grace", "jitter", "share", "owner", "readers", "invalidated by");
        foreach (var family in keyspace.Families)
            table.AddRow([
                .. new[]
                {
                    family.Family.Name,
                    family.Pattern,
                    family.Kind,
                    TimeOf(family),
                    family.Grace > TimeSpan.Zero ? Words.Time(family.Grace) : Words.None,
                    family.Jitter > 0 ? Words.Percent(family.Jitter) : Words.None,
                    Words.Percent(family.Share),
                    family.Owner ?? "every service",
                    Words.List(family.Readers),
                    Words.List(family.InvalidatedBy),
                }.Select(cell => new Markup(Markup.Escape(cell))),
            ]);
        console.Write(table);
        if (keyspace.Events.Count == 0)
            return;
        var events = ToolOutput.Table("event", "delivery", "channel or stream", "payload", "published by", "invalidates");
        foreach (var known in keyspace.Events)
            events.AddRow([
                .. new[]
                {
                    known.Type,
                    KeyspacePage.DeliveryOf(known),
                    KeyspacePage.PlaceOf(keyspace, known),
                    known.PayloadType ?? Words.None,
                    KeyspacePage.PublishersOf(known),
                    Words.List(known.Families),
                }.Select(cell => new Markup(Markup.Escape(cell))),
            ]);
        console.Write(events);
    }

    private static string TimeOf(FamilySettings family) =>
        family.IdleTtl is { } idle ? $"{Words.Time(idle)} unused, {Words.Time(family.Ttl)} in all" : Words.Time(family.Ttl);

    private static void WriteJson(Keyspace keyspace, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("system", keyspace.System);
        json.WriteString("environment", keyspace.Environment);
        json.WriteString("prefix", keyspace.Prefix);
        json.WriteBoolean("hashesPersonalIdentifiers", keyspace.HashesPersonalIdentifiers);
        if (keyspace.MemoryLimit is { } limit)
            json.WriteNumber("memoryLimitBytes", limit);
        json.WriteStartArray("families");
        foreach (var family in keyspace.Families)
        {
            json.WriteStartObject();
            json.WriteString("name", family.Family.Name);
            json.WriteString("key", family.Pattern);
            json.WriteString("kind", family.Kind);
            if (family.ValueType is not null)
                json.WriteString("value", family.ValueType);
            if (family.Owner is not null)
                json.WriteString("owner", family.Owner);
            WriteList(json, "readers", family.Readers);
            WriteList(json, "writers", family.Writers);
            json.WriteNumber("ttlSeconds", family.Ttl.TotalSeconds);
            if (family.IdleTtl is { } idle)
                json.WriteNumber("idleSeconds", idle.TotalSeconds);
            json.WriteNumber("graceSeconds", family.Grace.TotalSeconds);
            json.WriteNumber("negativeTtlSeconds", family.NegativeTtl.TotalSeconds);
            json.WriteNumber("jitter", family.Jitter);
            if (family.Share is { } share)
                json.WriteNumber("share", share);
            WriteList(json, "personal", family.Personal);
            WriteList(json, "invalidatedBy", family.InvalidatedBy);
            WriteList(json, "scanPatterns", family.ScanPatterns);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("events");
        foreach (var known in keyspace.Events)
        {
            json.WriteStartObject();
            json.WriteString("type", known.Type);
            var isStream = known.Delivery == EventDelivery.AtLeastOnce;
            json.WriteString("delivery", isStream ? KindRules.AtLeastOnce : KindRules.AtMostOnce);
            json.WriteString(isStream ? "stream" : "channel", KeyspacePage.PlaceOf(keyspace, known));
            if (known.PayloadType is not null)
                json.WriteString("payload", known.PayloadType);
            if (!isStream)
                json.WriteNumber("ttlSeconds", known.Ttl.TotalSeconds);
            WriteList(json, "publishers", known.Publishers);
            WriteList(json, "invalidates", known.Families);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteList(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }

    private static Command Schema(ToolOutput output)
    {
        var command = new Command(
            "schema",
            "Prints the JSON Schema of the catalog, for editors: put it beside the catalog and name it under \"$schema\"."
        );
        command.SetAction(_ =>
        {
            output.Text.Write(KeyspaceSchema.Json);
            return OnggiTool.Ok;
        });
        return command;
    }

    private static Command Docs(ToolOutput output)
    {
        var file = Inputs.CatalogFile();
        var environment = Inputs.Environment();
        var command = new Command("docs", "Prints a Markdown page of every key and event in a catalog.") { file, environment };
        command.SetAction(parsed =>
        {
            KeyspacePage.Write(Inputs.LoadKeyspace(parsed.GetRequiredValue(file), parsed.GetValue(environment)), output.Text);
            return OnggiTool.Ok;
        });
        return command;
    }
}
