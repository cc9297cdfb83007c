using System.Diagnostics;

namespace Onggi.Benchmarks;

/// <summary>Two ways to do the same, measured in turns.</summary>
/// <param name="Name">The row's name.</param>
/// <param name="Unit">The unit of both.</param>
/// <param name="Baseline">What the other way is.</param>
/// <param name="Ours">Measures ours for so long.</param>
/// <param name="Theirs">Measures the other for so long.</param>
/// <param name="Goal">What is asked of the ratio.</param>
internal sealed record Duel(
    string Name,
    string Unit,
    string Baseline,
    Func<TimeSpan, Task<double>> Ours,
    Func<TimeSpan, Task<double>> Theirs,
    Goal? Goal = null
)
{
    /// <summary>Runs all of them in rounds and takes medians: what disturbs the machine for a while disturbs both sides, and few rounds.</summary>
    public static async Task<List<Row>> RunAsync(IReadOnlyList<Duel> duels, int rounds, TimeSpan slice, CancellationToken stop)
    {
        var ours = duels.Select(_ => new List<double>()).ToArray();
        var theirs = duels.Select(_ => new List<double>()).ToArray();
        for (var round = -1; round < rounds; round++)
        {
            BenchRun.Say(round < 0 ? "warming up" : $"round {round + 1} of {rounds}");
            for (var i = 0; i < duels.Count; i++)
            {
                stop.ThrowIfCancellationRequested();

                // Who goes first changes from round to round.
                var (first, second) = round % 2 == 0 ? (duels[i].Ours, duels[i].Theirs) : (duels[i].Theirs, duels[i].Ours);
                var (one, other) = (await first(slice), await second(slice));
                if (round < 0)
                    continue;
                ours[i].Add(round % 2 == 0 ? one : other);
                theirs[i].Add(round % 2 == 0 ? other : one);
            }
        }

        return [.. duels.Select((duel, i) => duel.RowOf(Median(ours[i]), Median(theirs[i])))];
    }

    private Row RowOf(double ours, double theirs) => new(Name, Unit, ours, Baseline, theirs, Goal?.Text, Goal?.IsMet(ours / theirs));

    /// <summary>The middle one.</summary>
    public static double Median(List<double> values)
    {
        values.Sort();
        return values.Count % 2 == 1 ? values[values.Count / 2] : (values[(values.Count / 2) - 1] + values[values.Count / 2]) / 2;
    }

    /// <summary>The timestamp at which a slice that begins now ends.</summary>
    public static long EndOf(TimeSpan slice) => Stopwatch.GetTimestamp() + (long)(slice.TotalSeconds * Stopwatch.Frequency);
}

/// <summary>A bound for a ratio.</summary>
internal sealed record Goal(double Ratio, bool AtMost)
{
    public string Text => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{(AtMost ? "≤" : "≥")} {Ratio:0.0#}");

    public bool IsMet(double ratio) => AtMost ? ratio <= Ratio : ratio >= Ratio;
}
