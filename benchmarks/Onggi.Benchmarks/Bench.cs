using System.Globalization;

namespace Onggi.Benchmarks;

/// <summary>One benchmark of <c>./bench</c>.</summary>
internal interface IBench
{
    /// <summary>Its name on the command line.</summary>
    string Name { get; }

    /// <summary>What it measures, in one line.</summary>
    string Summary { get; }

    /// <summary>Measures.</summary>
    Task<IReadOnlyList<Row>> RunAsync(BenchRun run);
}

/// <summary>What the command line asks of a benchmark, and what the benchmark tells of where it ran.</summary>
internal sealed class BenchRun
{
    /// <summary>Whether less time is to be spent, at the price of more noise.</summary>
    public bool Quick { get; init; }

    /// <summary>How long to run, for those that run for a time.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>Measure only the rows whose names hold this; <c>null</c> for all.</summary>
    public string? Only { get; init; }

    /// <summary>How many commands to give, for those that count them.</summary>
    public long? Commands { get; init; }

    /// <summary>Ends the run: what was started is stopped.</summary>
    public CancellationToken Stop { get; init; }

    /// <summary>How busy the machine was before the run; <c>null</c> where that is not known.</summary>
    public string? LoadBefore { get; } = Machine.Load();

    /// <summary>The version of the Redis that took part; <c>null</c> when none did.</summary>
    public string? Redis { get; set; }

    /// <summary>Lines for the page, beneath the table: what the rows mean.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>Whether a row is to be measured.</summary>
    public bool Wants(string row) => Only is null || row.Contains(Only, StringComparison.Ordinal);

    /// <summary>Says what is going on, on the standard error, so that the standard output stays the table.</summary>
    public static void Say(string what) => Console.Error.WriteLine(what);
}

/// <summary>One measured number, with what it is compared with in the same run.</summary>
/// <param name="Name">A name that stays the same from run to run.</param>
/// <param name="Unit">The unit of both values.</param>
/// <param name="Value">Ours.</param>
/// <param name="Baseline">What it is compared with; <c>null</c> when the number stands for itself.</param>
/// <param name="BaselineValue">The value of that.</param>
/// <param name="Goal">What is asked of it; <c>null</c> when nothing is.</param>
/// <param name="Pass">Whether it is met; <c>null</c> when there is no goal.</param>
internal sealed record Row(
    string Name,
    string Unit,
    double Value,
    string? Baseline = null,
    double? BaselineValue = null,
    string? Goal = null,
    bool? Pass = null
)
{
    /// <summary>A number that must not be over a bound.</summary>
    public static Row AtMost(string name, string unit, double value, double most) =>
        new(name, unit, value, Goal: string.Create(CultureInfo.InvariantCulture, $"≤ {most:0.##}"), Pass: value <= most);

    /// <summary>A number that must not be under a bound.</summary>
    public static Row AtLeast(string name, string unit, double value, double least) =>
        new(name, unit, value, Goal: string.Create(CultureInfo.InvariantCulture, $"≥ {least:#,0.##}"), Pass: value >= least);

    /// <summary>Ours divided by the other; <c>null</c> where there is no other.</summary>
    public double? Ratio => BaselineValue is { } other and not 0 ? Value / other : null;
}
