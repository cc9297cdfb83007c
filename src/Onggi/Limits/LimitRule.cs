using System.Globalization;

namespace Onggi.Limits;

/// <summary>One bound of a budget. A policy has one or several, and spends from all of them or from none.</summary>
public sealed record LimitRule
{
    private const int MostPermits = 1_000_000_000;

    private LimitRule(char kind, int permits, TimeSpan period, int burst) =>
        (Kind, Permits, Period, Burst) = (kind, permits, period, burst);

    /// <summary>How many permits there are per <see cref="Period"/>; of places, how many there are.</summary>
    public int Permits { get; }

    /// <summary>The period or window; zero for places.</summary>
    public TimeSpan Period { get; }

    /// <summary>The most that can be spent at once.</summary>
    public int Burst { get; }

    /// <summary>g, s, f or p, as the script knows it.</summary>
    internal char Kind { get; }

    /// <summary>What the script keeps the state under: where a period changes, the old state means nothing.</summary>
    internal string Name => string.Create(CultureInfo.InvariantCulture, $"{Kind}{PeriodUs}");

    internal long PeriodUs => Period.Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>How long until all is full again at the most, of an empty budget.</summary>
    internal TimeSpan Fills => Kind == 'g' ? Period * ((double)Burst / Permits) : Period;

    /// <summary>An even flow (GCRA): permits come back one by one, so that no window's edge lets through double.</summary>
    /// <param name="permits">How many per period.</param>
    /// <param name="per">The period.</param>
    /// <param name="burst">How many can be spent at once when nothing was spent for long; <c>null</c> for as many as there are per period.</param>
    public static LimitRule Even(int permits, TimeSpan per, int? burst = null) => Checked('g', permits, per, burst ?? permits);

    /// <summary>A window that slides: at most so many in the last period, where the one before counts with the part that is still in sight.</summary>
    /// <remarks>It takes what was spent in the window before as spread evenly. Windows that begin at multiples of the period are exact.</remarks>
    /// <param name="permits">How many per window.</param>
    /// <param name="per">The window.</param>
    public static LimitRule Sliding(int permits, TimeSpan per) => Checked('s', permits, per, permits);

    /// <summary>Windows that begin at multiples of the period since 1970, UTC: at most so many in each. Around an edge, double that can pass in one period.</summary>
    /// <param name="permits">How many per window.</param>
    /// <param name="per">The window: a day begins at midnight UTC.</param>
    public static LimitRule Fixed(int permits, TimeSpan per) => Checked('f', permits, per, permits);

    /// <summary>Places: at most so many at the same time. A place is given back, or ends by itself when its process dies.</summary>
    /// <param name="places">How many there are.</param>
    public static LimitRule Concurrent(int places)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(places, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(places, MostPermits);
        return new LimitRule('p', places, TimeSpan.Zero, places);
    }

    private static LimitRule Checked(char kind, int permits, TimeSpan per, int burst)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(permits, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(permits, MostPermits);
        ArgumentOutOfRangeException.ThrowIfLessThan(burst, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(burst, MostPermits);
        if (per < TimeSpan.FromMilliseconds(1) || per > TimeSpan.FromDays(31))
            throw new ArgumentOutOfRangeException(nameof(per), per, "A period is from a millisecond to 31 days.");
        if (permits > per.Ticks / TimeSpan.TicksPerMicrosecond)
            throw new ArgumentOutOfRangeException(
                nameof(permits),
                permits,
                "The server's clock counts microseconds: at most one permit in each."
            );
        return new LimitRule(kind, permits, per, burst);
    }
}
