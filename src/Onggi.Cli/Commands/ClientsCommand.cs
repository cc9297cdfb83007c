using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Operations;
using Onggi.Cli.Output;
using Onggi.Client;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi clients</c>: who is connected, and what each costs.</summary>
internal static class ClientsCommand
{
    public static Command Create(ToolOutput output)
    {
        var redis = Inputs.Redis();
        var all = new Option<bool>("--all", "-a") { Description = "Shows each connection by itself." };
        var json = Inputs.Json();
        var command = new Command(
            "clients",
            "Shows who is connected: by name and user, how many connections, how long they have been idle, and what waits in their buffers, the largest first."
        )
        {
            redis,
            all,
            json,
        };
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var client = await Inputs.ConnectAsync(parsed.GetValue(redis), cancellationToken).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    var text = await client.SendAsync(["CLIENT", "LIST"], ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
                    var clients = ClientLine.Parse(text ?? "").OrderByDescending(line => line.Bytes).ToList();
                    if (parsed.GetValue(json))
                        output.Json(writer => Write(writer, clients));
                    else
                        Show(clients, parsed.GetValue(all), output);
                    return OnggiTool.Ok;
                }
            }
        );
        return command;
    }

    private static void Show(List<ClientLine> clients, bool each, ToolOutput output)
    {
        var table = ToolOutput.Table(
            "name",
            "user",
            "connections",
            "idle",
            "oldest",
            "unread",
            "unsent",
            "memory",
            "last command",
            "library"
        );
        foreach (var column in (int[])[2, 5, 6, 7])
            table.Columns[column].RightAligned();
        var groups = each
            ? clients.Select(line => (Name: $"{Or(line.Name)} {line.Address}", Lines: (IReadOnlyList<ClientLine>)[line]))
            : clients
                .GroupBy(line => (line.Name, line.User))
                .Select(group => (Name: Or(group.Key.Name), Lines: (IReadOnlyList<ClientLine>)[.. group]));
        foreach (var (name, lines) in groups.OrderByDescending(group => group.Lines.Sum(line => line.Bytes)))
            table.AddRow(
                new Text(Words.Key(name)),
                new Text(Words.Key(lines[0].User)),
                new Text(lines.Count.ToString(CultureInfo.InvariantCulture)),
                new Text(Span(lines.Min(line => line.Idle), lines.Max(line => line.Idle))),
                new Text(Words.Time(lines.Max(line => line.Age))),
                new Text(Words.Size(lines.Sum(line => line.InBytes))),
                new Text(Words.Size(lines.Sum(line => line.OutBytes))),
                new Text(Words.Size(lines.Sum(line => line.Bytes))),
                new Text(string.Join(", ", lines.Select(line => line.Command).Distinct().Take(4))),
                new Text(Words.Key(Or(lines[0].Library)))
            );
        output.Console.Write(table);
        output.Text.WriteLine(
            $"{Words.Count(clients.Count, "connection", "connections")}, {Words.Size(clients.Sum(line => line.Bytes))}. Names say which service it is; who has none should set ClientName."
        );
    }

    private static void Write(Utf8JsonWriter json, List<ClientLine> clients)
    {
        json.WriteStartArray();
        foreach (var line in clients)
        {
            json.WriteStartObject();
            json.WriteNumber("id", line.Id);
            json.WriteString("address", line.Address);
            json.WriteString("name", line.Name);
            json.WriteString("user", line.User);
            json.WriteNumber("ageSeconds", line.Age.TotalSeconds);
            json.WriteNumber("idleSeconds", line.Idle.TotalSeconds);
            json.WriteString("command", line.Command);
            json.WriteNumber("unreadBytes", line.InBytes);
            json.WriteNumber("unsentBytes", line.OutBytes);
            json.WriteNumber("bytes", line.Bytes);
            json.WriteNumber("subscriptions", line.Subscriptions);
            json.WriteBoolean("tracking", line.IsTracking);
            if (line.Library.Length > 0)
                json.WriteString("library", line.Library);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string Or(string text) => text.Length > 0 ? text : Words.None;

    private static string Span(TimeSpan least, TimeSpan most) =>
        least == most ? Words.Time(least) : $"{Words.Time(least)} – {Words.Time(most)}";
}
