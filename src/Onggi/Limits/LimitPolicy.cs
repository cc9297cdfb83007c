namespace Onggi.Limits;

/// <summary>What is answered when Redis cannot be asked.</summary>
public enum FailMode
{
    /// <summary>Everybody is let through: the limit protects comfort, not safety.</summary>
    Open,

    /// <summary>Nobody is: what the limit protects must not be overrun, whatever that costs.</summary>
    Closed,

    /// <summary>This process counts by itself, with its part of the budget: <see cref="LimitPolicy.Nodes"/>.</summary>
    Local,
}

/// <summary>The budget of every subject of one family, and what happens when Redis cannot be asked.</summary>
public sealed class LimitPolicy
{
    /// <summary>The bounds; all of them must allow, and all are charged or none.</summary>
    public IList<LimitRule> Rules { get; } = [];

    /// <summary>What is answered when Redis cannot be asked within <see cref="Timeout"/>.</summary>
    /// <value>Default <see cref="FailMode.Local"/>.</value>
    public FailMode FailMode { get; set; } = FailMode.Local;

    /// <summary>How long a caller waits for Redis.</summary>
    /// <value>Default 250 ms.</value>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Among how many processes <see cref="FailMode.Local"/> divides the budget; each gets one permit at least.</summary>
    /// <value>Default 1: each process has the whole budget while Redis is away.</value>
    public int Nodes { get; set; } = 1;

    /// <summary>For how long a subject that was denied is denied here, without asking Redis again, at most; never longer than it is denied anyway. What others give back meanwhile is noticed only then.</summary>
    /// <value>Default 1 s; zero asks each time.</value>
    public TimeSpan DenyCache { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Adds a bound.</summary>
    /// <returns>This policy, to go on.</returns>
    public LimitPolicy With(LimitRule rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        Rules.Add(rule);
        return this;
    }
}
