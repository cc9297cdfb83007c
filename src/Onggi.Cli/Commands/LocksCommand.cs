using System.CommandLine;
using System.Globalization;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi locks list</c>: what is being worked on, and by whom.</summary>
internal static class LocksCommand
{
    private const int OwnerCharacters = 60;

    public static Command Create(ToolOutput output) => new("locks", "What only one may work on at a time.") { List(output) };

    private static Command List(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var catalog = Inputs.Catalog("It is needed here.");
        var environment = Inputs.Environment();
        var json = Inputs.Json();
        var command = new Command(
            "list",
            "Shows the locks that are held: by whom, with which fence, for how long if they are not renewed, and how many processes wait."
        )
        {
            redis,
            catalog,
            environment,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var keyspace = Inputs.NeedKeyspace(parsed.GetValue(catalog), parsed.GetValue(environment));
                var families = FamilyChoice.OfKind("lock", keyspace);
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var locks = await HeldLock.ListAsync(client, keyspace, families, cancellationToken).ConfigureAwait(false);
                    if (parsed.GetValue(json))
                        WriteJson(locks, output);
                    else
                        Write(locks, output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static void Write(IReadOnlyList<HeldLock> locks, ToolOutput output)
    {
        if (locks.Count == 0)
        {
            output.Text.WriteLine("No lock is held.");
            return;
        }

        var table = ToolOutput.Table("lock", "family", "held by", "fence", "for at most", "waiting");
        foreach (var held in locks)
            table.AddRow(
                new Text(Words.Key(held.Name)),
                new Text(held.Family.Family.Name),
                new Text(Cut(Words.Key(held.Owner))),
                new Text(held.Fence?.ToString(CultureInfo.InvariantCulture) ?? Words.None),
                new Text(held.TimeLeft is { } left ? Words.Time(left) : "ever"),
                new Text(held.Waiting?.ToString(CultureInfo.InvariantCulture) ?? Words.None)
            );
        output.Console.Write(table);
        output.Text.WriteLine($"{Words.Count(locks.Count, "lock is", "locks are")} held.");
    }

    private static void WriteJson(IReadOnlyList<HeldLock> locks, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var held in locks)
            {
                json.WriteStartObject();
                json.WriteString("lock", held.Name);
                json.WriteString("family", held.Family.Family.Name);
                json.WriteString("owner", held.Owner);
                if (held.Fence is { } fence)
                    json.WriteNumber("fence", fence);
                if (held.TimeLeft is { } left)
                    json.WriteNumber("ttlSeconds", Math.Round(left.TotalSeconds, 3));
                if (held.Waiting is { } waiting)
                    json.WriteNumber("waiting", waiting);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });

    private static string Cut(string text) => text.Length <= OwnerCharacters ? text : text[..OwnerCharacters] + "…";
}
