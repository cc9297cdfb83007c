using Onggi.Cli.Checks;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Verification;

/// <summary>All checks, in the order in which they are asked; and which of them are wanted.</summary>
internal static class VerifyPlan
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<VerifyCheck> All() =>
        [
            .. FileChecks.All(),
            .. ConnectionChecks.All(),
            .. AccessChecks.All(),
            .. ServerChecks.All(),
            .. KeyChecks.All(),
            .. TrafficChecks.All(),
            .. MetricsChecks.All(),
            .. DrillChecks.All(),
            .. ReadinessChecks.All(),
        ];

    /// <summary>Those that are wanted, and those that they need.</summary>
    /// <param name="checks">All.</param>
    /// <param name="categories">The categories; none for all.</param>
    /// <param name="keep">What else must hold.</param>
    /// <exception cref="ToolException">There is no such category.</exception>
    public static IReadOnlyList<VerifyCheck> Choose(
        IReadOnlyList<VerifyCheck> checks,
        IReadOnlyCollection<string> categories,
        Func<VerifyCheck, bool> keep
    )
    {
        var known = checks.Select(check => check.Category).Distinct().ToList();
        foreach (var category in categories.Where(category => !known.Contains(category)))
            throw new ToolException($"there is no category \"{category}\". {CatalogWords.Suggest(category, known, "")}");
        var wanted = checks.Where(check => keep(check) && (categories.Count == 0 || categories.Contains(check.Category))).ToList();
        var needed = new HashSet<string>(StringComparer.Ordinal);
        for (var more = wanted; more.Count > 0; )
        {
            var names = more.Select(check => check.Needs).OfType<string>().Where(needed.Add).ToHashSet(StringComparer.Ordinal);
            more = [.. checks.Where(check => names.Contains(check.Code))];
        }

        return [.. checks.Where(check => wanted.Contains(check) || needed.Contains(check.Code))];
    }
}

/// <summary>Asks the checks, one after the other.</summary>
internal static class VerifyRun
{
    /// <summary>One round.</summary>
    /// <exception cref="ToolException">A file that was named cannot be read, or there is nobody to ask.</exception>
    public static async Task<IReadOnlyList<CheckResult>> AskAsync(
        IReadOnlyList<VerifyCheck> checks,
        VerifyTarget target,
        CancellationToken cancellationToken
    )
    {
        var results = new List<CheckResult>();
        var states = new Dictionary<string, CheckState>(StringComparer.Ordinal);
        foreach (var check in checks)
        {
            var outcome =
                check.Needs is { } needed && states.GetValueOrDefault(needed) != CheckState.Ok
                    ? CheckOutcome.Skip($"means nothing without {needed}")
                    : await AskAsync(check, target, cancellationToken).ConfigureAwait(false);
            states[check.Code] = outcome.State;
            results.Add(Judge(check, outcome, target));
        }

        return results;
    }

    private static async Task<CheckOutcome> AskAsync(VerifyCheck check, VerifyTarget target, CancellationToken cancellationToken)
    {
        try
        {
            return await check.RunAsync(target, cancellationToken).ConfigureAwait(false);
        }
        catch (Onggi.Client.RedisServerException refusal) when (refusal.Code == "NOPERM")
        {
            return CheckOutcome.Fail(
                $"this user may not ask: {refusal.Message}",
                "Log in as the operator: onggi acl show says what it may."
            );
        }
        catch (Onggi.Client.RedisException problem)
        {
            return CheckOutcome.Fail($"it could not be asked: {problem.Message}", "Try again: onggi verify --wait 1m.");
        }
    }

    private static CheckResult Judge(VerifyCheck check, CheckOutcome outcome, VerifyTarget target)
    {
        var today = DateOnly.FromDateTime(target.Time.GetUtcNow().UtcDateTime);
        var found = outcome
            .Problems.Select(problem => new Finding(
                problem.Code ?? check.FirstCode,
                problem.Where ?? PlaceOf(check, target),
                problem.What,
                problem.Why ?? check.Why,
                problem.Fix,
                problem.IsWarning
            ))
            .ToList();
        var left = found.Where(finding => !target.Settings.Suppressions.Covers(finding, today)).ToList();
        if (left.Count == found.Count || outcome.State == CheckState.Failed)
            return new CheckResult(check, outcome.State, outcome.Observed, found) { WasDeclined = outcome.WasDeclined };
        var state =
            left.Count == 0 ? CheckState.Skipped
            : left.TrueForAll(finding => finding.IsWarning) ? CheckState.Warning
            : CheckState.Finding;
        return new CheckResult(check, state, $"{outcome.Observed}; {found.Count - left.Count} suppressed", left);
    }

    private static string PlaceOf(VerifyCheck check, VerifyTarget target) =>
        check.Source == CheckSource.Files ? target.Settings.CatalogFile : Commands.Inputs.OptionsOf(target.Settings.Redis).ToString();
}
