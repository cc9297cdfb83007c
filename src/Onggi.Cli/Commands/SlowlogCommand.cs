using System.CommandLine;
using System.Globalization;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi slowlog</c>: the commands that kept the server busy.</summary>
internal static class SlowlogCommand
{
    private const int DefaultCount = 25;

    public static Command Create(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("Without one, keys cannot be told from values, and are hidden like them.");
        var environment = Inputs.Environment();
        var count = new Option<int>("--count", "-n")
        {
            Description = "How many of the newest.",
            DefaultValueFactory = _ => DefaultCount,
            HelpName = "COUNT",
        };
        Inputs.Bound(count, 1, 10_000);
        var arguments = new Option<bool>("--arguments")
        {
            Description = "Shows all arguments, cut; values and personal keys are among them.",
        };
        var json = Inputs.Json();
        var command = new Command(
            "slowlog",
            "Shows the commands that took the server longest, the newest first: how long, whose keys, who gave them. Values are shown as their lengths, and keys of persons as their family."
        )
        {
            redis,
            catalog,
            environment,
            count,
            arguments,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.FindKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var entries = await SlowCommand
                        .ReadAsync(client, parsed.GetValue(count), keyspace, parsed.GetValue(arguments), cancellationToken)
                        .ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        WriteJson(entries, output);
                    else
                        Write(entries, output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static void Write(IReadOnlyList<SlowCommand> entries, ToolOutput output)
    {
        if (entries.Count == 0)
        {
            output.Text.WriteLine("The slow log is empty: no command took longer than slowlog-log-slower-than says.");
            return;
        }

        var table = ToolOutput.Table("when", "took", "by", "family", "command");
        table.Columns[1].RightAligned();
        foreach (var entry in entries)
            table.AddRow(
                new Text(entry.At.ToString("u", CultureInfo.InvariantCulture)),
                new Text($"{entry.Took.TotalMilliseconds.ToString("0.0", CultureInfo.InvariantCulture)} ms"),
                new Text(entry.Client),
                new Text(Words.List([.. entry.Families])),
                new Text(entry.Text)
            );
        output.Console.Write(table);
    }

    private static void WriteJson(IReadOnlyList<SlowCommand> entries, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var entry in entries)
            {
                json.WriteStartObject();
                json.WriteNumber("id", entry.Id);
                json.WriteString("at", entry.At);
                json.WriteNumber("microseconds", entry.Took.TotalMicroseconds);
                json.WriteString("command", entry.Text);
                json.WriteStartArray("families");
                foreach (var family in entry.Families)
                    json.WriteStringValue(family);
                json.WriteEndArray();
                json.WriteString("client", entry.Client);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
}
