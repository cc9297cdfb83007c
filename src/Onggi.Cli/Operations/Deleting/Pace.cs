namespace Onggi.Cli.Operations.Deleting;

/// <summary>How many keys are taken at a time, so that others wait no longer than they may.</summary>
/// <remarks>
/// Additive increase, multiplicative decrease, as TCP does: each batch after which the others waited for less than half of what they may is followed by a slightly larger one; half of it is too near, and the whole is
/// too much. What is measured is another client's wait, so whoever else keeps the server busy slows us down, too. Where even the smallest batch is too much, there are pauses.
/// </remarks>
/// <param name="budget">How long another client may wait for its answer.</param>
internal sealed class Pace(TimeSpan budget)
{
    public const int Least = 64;
    public const int Most = 1024;

    private const int AtFirst = 256;
    private const int Step = 32;

    /// <summary>How many keys the next batch has.</summary>
    public int Keys { get; private set; } = AtFirst;

    /// <summary>After how many batches somebody had waited for too long.</summary>
    public int Overruns { get; private set; }

    /// <summary>Learns how long others waited during the last batch.</summary>
    /// <returns>How long to leave the server alone before the next one.</returns>
    public TimeSpan After(TimeSpan waited)
    {
        if (waited <= budget / 2)
        {
            Keys = Math.Min(Most, Keys + Step);
            return TimeSpan.Zero;
        }

        var atLeast = Keys == Least;
        if (waited <= budget)
        {
            Keys = Math.Max(Least, Keys * 4 / 5);
            return TimeSpan.Zero;
        }

        Overruns++;
        Keys = Math.Max(Least, Keys / 2);
        return atLeast ? budget : TimeSpan.Zero;
    }
}
