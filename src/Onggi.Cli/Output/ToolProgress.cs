using System.Globalization;
using Spectre.Console;

namespace Onggi.Cli.Output;

/// <summary>How far long work has come. Safe from several threads.</summary>
/// <param name="time">The clock of rates.</param>
internal sealed class ToolProgress(TimeProvider time)
{
    private readonly long _began = time.GetTimestamp();
    private long _done;
    private long _total = -1;
    private volatile string _note = "";

    /// <summary>How many are done.</summary>
    public long Done => Interlocked.Read(ref _done);

    /// <summary>How many there are; <c>null</c> while nobody knows.</summary>
    public long? Total => Interlocked.Read(ref _total) is >= 0 and var total ? total : null;

    /// <summary>What is being done just now; may be empty.</summary>
    public string Note
    {
        get => _note;
        set => _note = value;
    }

    /// <summary>How many a second, from the beginning.</summary>
    public double Rate => Done / Math.Max(Elapsed.TotalSeconds, 0.001);

    /// <summary>Since it began.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_began);

    /// <summary>How long it will take yet at this rate; <c>null</c> while that cannot be said.</summary>
    public TimeSpan? Left => Total is { } total && Done > 0 && Rate > 0 ? TimeSpan.FromSeconds(Math.Max(0, total - Done) / Rate) : null;

    /// <summary>So many more are done.</summary>
    public void Add(long count) => Interlocked.Add(ref _done, count);

    /// <summary>So many are done in all.</summary>
    public void Set(long done) => Interlocked.Exchange(ref _done, done);

    /// <summary>So many there are.</summary>
    public void Expect(long total) => Interlocked.Exchange(ref _total, total);

    /// <summary>One line for those without a terminal.</summary>
    public string Describe(string what, string unit)
    {
        var line = $"{what}: {Number(Done)}{(Total is { } total ? $" of {Number(total)}" : "")} {unit}, {Number((long)Rate)}/s";
        if (Left is { } left && left > TimeSpan.Zero)
            line += $", {Words.Time(TimeSpan.FromSeconds(Math.Ceiling(left.TotalSeconds)))} left";
        return _note.Length == 0 ? line : $"{line}; {_note}";
    }

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}

/// <summary>Shows a <see cref="ToolProgress"/> while the work goes on: a bar on a terminal, a line every few seconds elsewhere. On standard error, so that standard output is only the result.</summary>
internal static class ProgressView
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Redraw = TimeSpan.FromMilliseconds(200);

    /// <summary>Does the work, and shows how far it has come.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="what">What is done, in a word or two: <c>copying</c>.</param>
    /// <param name="unit">What is counted, in the plural: <c>keys</c>.</param>
    /// <param name="work">It reports by its argument, and is not changed by being looked at.</param>
    /// <param name="cancellationToken">Ends the showing; the work has it from its caller.</param>
    public static async Task<T> ShowAsync<T>(
        ToolOutput output,
        string what,
        string unit,
        Func<ToolProgress, Task<T>> work,
        CancellationToken cancellationToken
    )
    {
        var progress = new ToolProgress(output.Time);
        return output.IsErrorTerminal
            ? await BarAsync(output, what, progress, work).ConfigureAwait(false)
            : await LinesAsync(output, what, unit, progress, work, cancellationToken).ConfigureAwait(false);
    }

    private static Task<T> BarAsync<T>(ToolOutput output, string what, ToolProgress progress, Func<ToolProgress, Task<T>> work) =>
        output
            .ErrorConsole.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .StartAsync(async bars =>
            {
                var bar = bars.AddTask(Markup.Escape(what), autoStart: true);
                var working = work(progress);
                while (!working.IsCompleted)
                {
                    Draw(bar, what, progress);
                    // Looking must not end before the work does: what it throws is what the caller is to see.
                    await Task.WhenAny(working, Task.Delay(Redraw, output.Time)).ConfigureAwait(false);
                }

                Draw(bar, what, progress);
                return await working.ConfigureAwait(false);
            });

    private static void Draw(ProgressTask bar, string what, ToolProgress progress)
    {
        bar.IsIndeterminate = progress.Total is null;
        bar.MaxValue = Math.Max(1, progress.Total ?? 1);
        bar.Value = progress.Done;
        bar.Description = Markup.Escape(
            string.Create(CultureInfo.InvariantCulture, $"{what} {progress.Done:N0} ({progress.Rate:N0}/s) {progress.Note}")
        );
    }

    private static async Task<T> LinesAsync<T>(
        ToolOutput output,
        string what,
        string unit,
        ToolProgress progress,
        Func<ToolProgress, Task<T>> work,
        CancellationToken cancellationToken
    )
    {
        var working = work(progress);
        while (await Task.WhenAny(working, Task.Delay(Between, output.Time, cancellationToken)).ConfigureAwait(false) != working)
        {
            if (cancellationToken.IsCancellationRequested)
                break;
            await output.Error.WriteLineAsync(progress.Describe(what, unit)).ConfigureAwait(false);
        }

        var result = await working.ConfigureAwait(false);
        if (progress.Elapsed >= Between)
            await output.Error.WriteLineAsync(progress.Describe(what, unit)).ConfigureAwait(false);
        return result;
    }
}
