using System.CommandLine;
using System.Text.Json;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi get</c> and <c>onggi ttl</c>: one key.</summary>
internal static class GetCommand
{
    private const int DefaultLimit = 100;
    private const int CellCharacters = 160;

    public static Command Create(ToolOutput output)
    {
        var (key, redis, catalog, environment, json) = Shared();
        var limit = new Option<int>("--limit", "-n")
        {
            Description = "How many elements are shown at most; of a string, so many hundred bytes.",
            DefaultValueFactory = _ => DefaultLimit,
            HelpName = "COUNT",
        };
        Inputs.Bound(limit, 1, 1_000_000);
        var personal = new Option<bool>("--show-personal")
        {
            Description = "Shows values that the catalog says are about a person, and those of sessions and tokens.",
        };
        var command = new Command(
            "get",
            "Shows a key: its value by type, whose it is, how long it has to live, how large it is. What is no text is shown as bytes; nothing in a value can disturb the terminal."
        )
        {
            key,
            redis,
            catalog,
            environment,
            limit,
            personal,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var facts = await KeyFacts
                        .ReadAsync(client, parsed.GetRequiredValue(key), keyspace, cancellationToken)
                        .ConfigureAwait(false);
                    var value =
                        facts.IsPersonal && !parsed.GetValue(personal)
                            ? null
                            : await KeyValue
                                .ReadAsync(client, facts.Name, facts.Type, parsed.GetValue(limit), cancellationToken)
                                .ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        output.Json(writer => Write(writer, facts, keyspace is not null, value, isHidden: value is null));
                    else
                        Show(facts, keyspace is not null, value, output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    public static Command CreateTtl(ToolOutput output)
    {
        var (key, redis, catalog, environment, json) = Shared();
        var command = new Command("ttl", "Shows how long a key has to live, when that is, and how long the catalog gives its family.")
        {
            key,
            redis,
            catalog,
            environment,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var facts = await KeyFacts
                        .ReadAsync(client, parsed.GetRequiredValue(key), keyspace, cancellationToken)
                        .ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        output.Json(writer => Write(writer, facts, keyspace is not null, value: null, isHidden: false));
                    else
                        output.Text.WriteLine(
                            $"{TimeOf(facts)}{(facts.Family is { } family ? $"; family {family.Family.Name} gives {Words.Time(family.Ttl)}{(family.Grace > TimeSpan.Zero ? $" and {Words.Time(family.Grace)} of grace" : "")}" : "")}"
                        );
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static (
        Argument<string> Key,
        Option<string?> Redis,
        Option<string?> Catalog,
        Option<string?> Environment,
        Option<bool> Json
    ) Shared() =>
        (
            new Argument<string>("KEY") { Description = "Its name in Redis, prefix and all." }.NoOption(),
            Inputs.Redis(),
            Inputs.Catalog("Without one, it is not known whose the key is, and nothing is hidden."),
            Inputs.Environment(),
            Inputs.Json()
        );

    private static void Show(KeyFacts facts, bool hasCatalog, KeyValue? value, ToolOutput output)
    {
        var whose =
            facts.Family is { } family ? $"family {family.Family.Name}{(family.Owner is null ? "" : $" of {family.Owner}")}"
            : hasCatalog ? "nobody's"
            : "no catalog";
        output.Text.WriteLine(
            $"{Words.Key(facts.Name)}: {facts.Type}, {whose}, {TimeOf(facts)}{(facts.Bytes is { } bytes ? $", {Words.Size(bytes)}" : "")}"
        );
        if (value is null)
        {
            output.Text.WriteLine("The value is about a person, or opens a door, as the catalog says: --show-personal shows it.");
            return;
        }

        if (value.Bytes is not null)
            output.Text.WriteLine(SafeText.Block(value.Bytes));
        else if (value.Rows.Count > 0)
        {
            var table = ToolOutput.Table(value.Columns);
            foreach (var row in value.Rows)
                table.AddRow([.. row.Select(cell => new Text(SafeText.Line(cell, CellCharacters)))]);
            output.Console.Write(table);
        }

        if (value.Read < value.Count)
            output.Text.WriteLine(
                $"The first {value.Read} of {value.Count} {(value.Bytes is null ? "elements" : "bytes")}: --limit shows more."
            );
    }

    private static void Write(Utf8JsonWriter json, KeyFacts facts, bool hasCatalog, KeyValue? value, bool isHidden)
    {
        json.WriteStartObject();
        json.WriteString("key", facts.Name);
        json.WriteString("type", facts.Type);
        if (hasCatalog)
            json.WriteString("family", facts.Family?.Family.Name);
        if (facts.TimeLeft is { } left)
            json.WriteNumber("ttlSeconds", Math.Round(left.TotalSeconds, 3));
        if (facts.EndsAt is { } end)
            json.WriteString("endsAt", end);
        if (facts.Bytes is { } bytes)
            json.WriteNumber("bytes", bytes);
        if (value is not null)
        {
            json.WriteNumber("count", value.Count);
            json.WriteBoolean("whole", value.Read >= value.Count);
            json.WritePropertyName("value");
            value.Write(json);
        }

        if (isHidden)
            json.WriteBoolean("hidden", value: true);
        json.WriteEndObject();
    }

    private static string TimeOf(KeyFacts facts) =>
        facts.TimeLeft is { } left ? $"ends in {Words.Time(left)} ({facts.EndsAt:u})" : "never ends";
}
