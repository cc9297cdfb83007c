using System.Text;
using System.Text.Json;
using Spectre.Console;

namespace Onggi.Cli;

/// <summary>Where a command writes: plain text, tables, JSON.</summary>
internal sealed class ToolOutput(TextWriter output, TextWriter error)
{
    private const int WidthWithoutTerminal = 220;

    /// <summary>Plain text, for what other programs may read.</summary>
    public TextWriter Text { get; } = output;

    public TextWriter Error { get; } = error;

    /// <summary>Tables and colours; plain where the output is no terminal.</summary>
    public IAnsiConsole Console { get; } = CreateConsole(output);

    /// <summary>Writes one JSON document.</summary>
    public void Json(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (
            var json = new Utf8JsonWriter(
                stream,
                new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
            )
        )
            write(json);
        Text.WriteLine(Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length));
    }

    public static Table Table(params string[] columns)
    {
        var table = new Table().RoundedBorder();
        foreach (var column in columns)
            table.AddColumn(new TableColumn(Markup.Escape(column)) { NoWrap = column == columns[0] });
        return table;
    }

    private static IAnsiConsole CreateConsole(TextWriter output)
    {
        var isTerminal = ReferenceEquals(output, System.Console.Out) && !System.Console.IsOutputRedirected;
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(output),
                Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
                ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
                Interactive = InteractionSupport.No,
            }
        );
        if (!isTerminal)
            console.Profile.Width = WidthWithoutTerminal;
        return console;
    }
}
