using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>Who reaches whom on which port, as a matrix.</summary>
internal static class MatrixWriter
{
    private const string Legend =
        "yes: open, and something says that it has to be. open: open, and nothing says so. OPEN: the same, and the data is behind it. CLOSED: closed, though it has to be open. –: closed.";

    public static void Write(IReadOnlyList<Way> ways, bool asJson, ToolOutput output)
    {
        if (asJson)
            WriteJson(ways, output);
        else
            WriteTable(ways, output);
    }

    private static void WriteTable(IReadOnlyList<Way> ways, ToolOutput output)
    {
        var ports = ways.Select(way => (way.To, way.Port)).Distinct().ToList();
        var table = ToolOutput.Table(["from", .. ports.Select(port => $"{port.To.Object.Name}:{port.Port}")]);
        foreach (var row in ways.GroupBy(way => way.From.Name))
        {
            var cells = ports.Select(port => Word(row.FirstOrDefault(way => way.To == port.To && way.Port == port.Port)));
            table.AddRow([new Markup(Markup.Escape(row.Key)), .. cells.Select(cell => new Markup(Colour(cell)))]);
        }

        output.Console.Write(table);
        output.Text.WriteLine(Legend);
    }

    private static string Word(Way? way) =>
        way switch
        {
            null => "",
            { IsBroken: true } => "CLOSED",
            { IsUnwanted: true } => "OPEN",
            { IsOpen: true, Wanted: not null } => "yes",
            { IsOpen: true } => "open",
            _ => Words.None,
        };

    private static string Colour(string cell) =>
        cell switch
        {
            "CLOSED" or "OPEN" => $"[red]{cell}[/]",
            "yes" => "[green]yes[/]",
            _ => Markup.Escape(cell),
        };

    private static void WriteJson(IReadOnlyList<Way> ways, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var way in ways)
            {
                json.WriteStartObject();
                json.WriteString("from", way.From.Name);
                json.WriteString("to", way.To.Id);
                json.WriteNumber("port", way.Port);
                json.WriteBoolean("open", way.IsOpen);
                json.WriteString("wanted", way.Wanted);
                json.WriteBoolean("wrong", way.IsBroken || way.IsUnwanted);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
}
