namespace Onggi.AspNetCore;

/// <summary>When a warm-up runs by itself. Each time it runs in one replica of the service only.</summary>
public sealed class OnggiWarmUpOptions
{
    /// <summary>
    /// Whether it runs when Redis does not know that it was run: at the first start of the service, and whenever Redis has come back empty. Data that survived a restart or a
    /// failover brings the mark of the last run along, and nothing runs.
    /// </summary>
    /// <value>Default <c>true</c>.</value>
    public bool WhenEmpty { get; set; } = true;

    /// <summary>The time of day at which it runs, by the clock of <see cref="TimeZone"/>. A round that no replica was there for is made up for by the first that starts.</summary>
    /// <value>Default <c>null</c>: not by the day.</value>
    public TimeOnly? DailyAt { get; set; }

    /// <summary>The period at which it runs, counted from midnight UTC of the first day of 1970, so that all replicas mean the same moments. At least one second.</summary>
    /// <value>Default <c>null</c>: not periodically. Not together with <see cref="DailyAt"/>.</value>
    public TimeSpan? Every { get; set; }

    /// <summary>Whose clock <see cref="DailyAt"/> is read from. A time that a clock change leaves out comes as much later; one that it repeats counts the second time.</summary>
    /// <value>Default UTC.</value>
    public TimeZoneInfo TimeZone { get; set; } = TimeZoneInfo.Utc;

    /// <summary>
    /// How long after its time a round may begin. The delay is a function of service and name, always the same for one warm-up, so that those of all services do not fall upon
    /// the database together and a round still comes exactly one period after the one before.
    /// </summary>
    /// <value>Default 1 minute, or a tenth of <see cref="Every"/> where that is less. From zero to half the period.</value>
    public TimeSpan? Spread { get; set; }

    internal bool IsAutomatic => WhenEmpty || IsScheduled;

    internal bool IsScheduled => DailyAt is not null || Every is not null;

    /// <exception cref="ArgumentException">They mean nothing.</exception>
    internal void Check(string name)
    {
        if (DailyAt is not null && Every is not null)
            throw Mistake(name, "has both DailyAt and Every. Take one of them away; for another rhythm add a second warm-up.");
        if (Every is { } every && (every < TimeSpan.FromSeconds(1) || every > TimeSpan.FromDays(365)))
            throw Mistake(name, $"has Every {every}; it must be from 1 second to 365 days.");
        var most = (Every ?? TimeSpan.FromDays(1)) / 2;
        if (Spread is { } spread && (spread < TimeSpan.Zero || spread > most))
            throw Mistake(
                name,
                $"has Spread {spread}; it must be from 00:00:00 to half the period ({most}), or a round could begin in the next one's place."
            );
    }

    private static ArgumentException Mistake(string name, string what) => new($"The warm-up '{name}' {what}");
}
