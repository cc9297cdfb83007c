using Onggi.Cli.Checks;

namespace Onggi.Cli.Verification;

/// <summary>How a check ended.</summary>
internal enum CheckState
{
    /// <summary>It is as it should be.</summary>
    Ok,

    /// <summary>It can be lived with, knowingly.</summary>
    Warning,

    /// <summary>It is not as it should be.</summary>
    Finding,

    /// <summary>It was not asked, and the reason is said.</summary>
    Skipped,

    /// <summary>It could not be asked.</summary>
    Failed,
}

/// <summary>What a check looks at.</summary>
internal enum CheckSource
{
    /// <summary>Files only: no server is asked.</summary>
    Files,

    /// <summary>A running Redis.</summary>
    Server,

    /// <summary>Something else that is named on the command line.</summary>
    Other,
}

/// <summary>One thing that is wrong, with the check's own code and reason unless it says others.</summary>
internal sealed record Problem(
    string What,
    string Fix,
    bool IsWarning = false,
    string? Where = null,
    string? Code = null,
    string? Why = null
);

/// <summary>What a check saw.</summary>
/// <param name="State">How it ended.</param>
/// <param name="Observed">What was seen, in a sentence without secrets.</param>
/// <param name="Problems">What is wrong.</param>
internal sealed record CheckOutcome(CheckState State, string Observed, IReadOnlyList<Problem> Problems)
{
    /// <summary>Whether it was left out because somebody said no.</summary>
    public bool WasDeclined { get; init; }

    public static CheckOutcome Ok(string observed) => new(CheckState.Ok, observed, []);

    public static CheckOutcome Skip(string reason) => new(CheckState.Skipped, reason, []);

    /// <summary>It was left out, since the answer to its question was no.</summary>
    public static CheckOutcome No() => Skip("not done: the answer was no") with { WasDeclined = true };

    /// <summary>It could not be asked.</summary>
    public static CheckOutcome Fail(string reason, string fix) => new(CheckState.Failed, reason, [new Problem(reason, fix)]);

    /// <summary>Found, where there are problems; right otherwise.</summary>
    public static CheckOutcome Of(string observed, params IReadOnlyList<Problem> problems) =>
        new(
            problems.Count == 0 ? CheckState.Ok
                : problems.All(problem => problem.IsWarning) ? CheckState.Warning
                : CheckState.Finding,
            observed,
            problems
        );
}

/// <summary>One check.</summary>
/// <param name="Code">Its code, stable; of several, the first and the last.</param>
/// <param name="Category">What it belongs to.</param>
/// <param name="Name">What it asks, in a few words.</param>
/// <param name="Expected">What should be seen.</param>
/// <param name="Why">What comes of it otherwise.</param>
/// <param name="Source">What it looks at.</param>
/// <param name="RunAsync">Asks.</param>
internal sealed record VerifyCheck(
    string Code,
    string Category,
    string Name,
    string Expected,
    string Why,
    CheckSource Source,
    Func<VerifyTarget, CancellationToken, Task<CheckOutcome>> RunAsync
)
{
    /// <summary>The check without which this one means nothing; <c>null</c> for none.</summary>
    public string? Needs { get; init; }

    /// <summary>The item of the install plan's list that it answers; <c>null</c> for none.</summary>
    public string? Item { get; init; }

    /// <summary>Whether it judges what services do, and so means nothing before they run.</summary>
    public bool NeedsTraffic { get; init; }

    /// <summary>The code of findings that say no other.</summary>
    public string FirstCode => Code.Split('–')[0];
}

/// <summary>A check with what it saw.</summary>
internal sealed record CheckResult(VerifyCheck Check, CheckState State, string Observed, IReadOnlyList<Finding> Findings)
{
    /// <summary>Whether it was left out because somebody said no.</summary>
    public bool WasDeclined { get; init; }

    public bool IsBad => State is CheckState.Finding or CheckState.Failed;
}
