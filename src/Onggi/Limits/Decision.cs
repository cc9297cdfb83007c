namespace Onggi.Limits;

/// <summary>Who has decided.</summary>
public enum DecisionSource
{
    /// <summary>Redis, with the budget of all processes.</summary>
    Redis,

    /// <summary>This process, which knows from Redis that the subject is still denied.</summary>
    Remembered,

    /// <summary>The policy's <see cref="FailMode"/>: Redis could not be asked.</summary>
    FailMode,
}

/// <summary>Whether something may be done now, and if not, when.</summary>
public readonly record struct Decision
{
    /// <summary>Whether it may.</summary>
    public bool Allowed { get; init; }

    /// <summary>How much is left of the bound that is nearest, after this. Of what a <see cref="FailMode"/> decided, a guess.</summary>
    public int Remaining { get; init; }

    /// <summary>How long until the same cost is allowed if nobody spends anything meanwhile; zero when it is allowed now. True to the millisecond when Redis decided.</summary>
    public TimeSpan RetryAfter { get; init; }

    /// <summary>How long until the whole budget is there again if nobody spends anything meanwhile.</summary>
    public TimeSpan ResetAfter { get; init; }

    /// <summary>Who has decided.</summary>
    public DecisionSource Source { get; init; }

    /// <summary>The bound that is nearest, or that denied; <c>null</c> when a <see cref="FailMode"/> decided.</summary>
    public LimitRule? Rule { get; init; }

    /// <summary>How long until the part of <see cref="Rule"/> alone is there again.</summary>
    internal TimeSpan RuleResetAfter { get; init; }

    /// <summary>What it has cost, for giving it back.</summary>
    internal int Cost { get; init; }

    /// <summary>The server's time when it was taken, in microseconds.</summary>
    internal long TakenAtUs { get; init; }
}
