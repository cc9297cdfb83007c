namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>Rules that are evaluated together.</summary>
internal sealed record RuleGroup(string Name, IReadOnlyList<Rule> Rules);

/// <summary>A rule of Prometheus.</summary>
/// <param name="Name">The alert's or the series's name.</param>
/// <param name="Expression">PromQL.</param>
internal abstract record Rule(string Name, string Expression);

/// <summary>A series that is made of others.</summary>
/// <param name="Name">As its users ask for it.</param>
/// <param name="Expression">PromQL.</param>
/// <param name="Labels">Added to it.</param>
internal sealed record RecordRule(string Name, string Expression, IReadOnlyList<(string Name, string Value)> Labels)
    : Rule(Name, Expression);

/// <summary>Something that somebody must know of.</summary>
/// <param name="Name">Its name, which is the anchor of its section in the runbook, too.</param>
/// <param name="Severity">Who is told, and when.</param>
/// <param name="Wait">How long it must be so, by Prometheus's words: <c>5m</c>.</param>
/// <param name="Expression">PromQL; its value is what the description tells.</param>
internal sealed record AlertRule(string Name, Severity Severity, string Wait, string Expression) : Rule(Name, Expression)
{
    /// <summary>What is wrong, in half a sentence.</summary>
    public required string Summary { get; init; }

    /// <summary>What was seen, with the value, and what comes of it.</summary>
    public required string Description { get; init; }

    /// <summary>What to do first; the runbook has the rest.</summary>
    public required string Action { get; init; }

    /// <summary>Whether it also follows when Redis is down, which is told by another alert.</summary>
    public bool FollowsRedis { get; init; }
}

/// <summary>Who is told of an alert, and when.</summary>
internal enum Severity
{
    /// <summary>Somebody looks at it on a working day.</summary>
    Warning,

    /// <summary>Somebody is called.</summary>
    Critical,
}
