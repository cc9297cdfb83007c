using System.Text;
using System.Text.Json;
using Spectre.Console;

namespace Onggi.Cli.Output;

/// <summary>Where a command writes, and whom it can ask: plain text, tables, JSON, progress, questions.</summary>
/// <param name="output">The result.</param>
/// <param name="error">Everything that is not the result: progress, warnings, questions.</param>
/// <param name="input">Answers to questions; <c>null</c> for those of a terminal, if there is one.</param>
/// <param name="time">The clock of progress; <c>null</c> for the system's.</param>
internal sealed class ToolOutput(TextWriter output, TextWriter error, TextReader? input = null, TimeProvider? time = null)
{
    private const int WidthWithoutTerminal = 220;

    /// <summary>Plain text, for what other programs may read.</summary>
    public TextWriter Text { get; } = output;

    public TextWriter Error { get; } = error;

    /// <summary>What is piped in, for commands that read it.</summary>
    public TextReader Input => input ?? System.Console.In;

    public TimeProvider Time { get; } = time ?? TimeProvider.System;

    /// <summary>Tables and colours; plain where the output is no terminal, and where NO_COLOR is set.</summary>
    public IAnsiConsole Console { get; } = CreateConsole(output, IsTerminalOut(output));

    /// <summary>The same for what is not the result.</summary>
    public IAnsiConsole ErrorConsole { get; } = CreateConsole(error, IsTerminalError(error));

    /// <summary>Whether a person sees the result as it is written.</summary>
    public bool IsTerminal { get; } = IsTerminalOut(output);

    /// <summary>Whether a person sees the progress.</summary>
    public bool IsErrorTerminal { get; } = IsTerminalError(error);

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

    /// <summary>Does long work and shows how far it has come.</summary>
    /// <inheritdoc cref="ProgressView.ShowAsync"/>
    public Task<T> ShowAsync<T>(string what, string unit, Func<ToolProgress, Task<T>> work, CancellationToken cancellationToken) =>
        ProgressView.ShowAsync(this, what, unit, work, cancellationToken);

    /// <summary>Asks the person at the terminal to type a word before something that cannot be taken back.</summary>
    /// <param name="question">What will happen, and to how much.</param>
    /// <param name="word">What is to be typed; anything else is a no.</param>
    /// <param name="option">The option that answers in advance, for scripts.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether the word was typed.</returns>
    /// <exception cref="ToolException">There is nobody to ask.</exception>
    public async Task<bool> AskAsync(string question, string word, string option, CancellationToken cancellationToken)
    {
        var answers = input ?? (System.Console.IsInputRedirected ? null : System.Console.In);
        if (answers is null)
            throw new ToolException($"{question} There is no terminal to ask on: add {option} if that is meant.");
        await Error.WriteAsync($"{question}\nType \"{word}\" to go on: ".AsMemory(), cancellationToken).ConfigureAwait(false);
        await Error.FlushAsync(cancellationToken).ConfigureAwait(false);
        // Reading a line from a terminal heeds no token; Ctrl-C is answered all the same.
        var answer = await answers.ReadLineAsync(cancellationToken).AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
        return string.Equals(answer?.Trim(), word, StringComparison.Ordinal);
    }

    /// <summary>The same where a no ends the command: it was not done then, as when it could not be, and the exit code is the same.</summary>
    /// <param name="question">What will happen, and to how much.</param>
    /// <param name="word">What is to be typed; anything else is a no.</param>
    /// <param name="option">The option that answers in advance, for scripts.</param>
    /// <param name="otherwise">What a no means: <c>nothing was removed</c>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ToolException">There is nobody to ask, or the answer was no.</exception>
    public async Task NeedYesAsync(string question, string word, string option, string otherwise, CancellationToken cancellationToken)
    {
        if (!await AskAsync(question, word, option, cancellationToken).ConfigureAwait(false))
            throw new ToolException($"the answer was no: {otherwise}.");
    }

    /// <summary>All that is piped in.</summary>
    /// <exception cref="ToolException">Nothing is.</exception>
    public async Task<string> ReadPipeAsync(CancellationToken cancellationToken)
    {
        var pipe = input ?? (System.Console.IsInputRedirected ? System.Console.In : null);
        return pipe is null
            ? throw new ToolException("nothing is piped in, and a terminal is not waited for.")
            : await pipe.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
    }

    public static Table Table(params string[] columns)
    {
        var table = new Table().RoundedBorder();
        foreach (var column in columns)
            table.AddColumn(new TableColumn(Markup.Escape(column)) { NoWrap = column == columns[0] });
        return table;
    }

    private static bool IsTerminalOut(TextWriter writer) =>
        ReferenceEquals(writer, System.Console.Out) && !System.Console.IsOutputRedirected;

    private static bool IsTerminalError(TextWriter writer) =>
        ReferenceEquals(writer, System.Console.Error) && !System.Console.IsErrorRedirected;

    private static IAnsiConsole CreateConsole(TextWriter writer, bool isTerminal)
    {
        // https://no-color.org: set and not empty.
        var plain = !isTerminal || !string.IsNullOrEmpty(System.Environment.GetEnvironmentVariable("NO_COLOR"));
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(writer),
                Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
                ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
                Interactive = InteractionSupport.No,
            }
        );
        if (!isTerminal)
            console.Profile.Width = WidthWithoutTerminal;
        return console;
    }
}
