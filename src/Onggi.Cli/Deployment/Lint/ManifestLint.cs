using Onggi.Cli.Deployment.Lint.Rules;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>Looks at everything, by every rule.</summary>
internal static class ManifestLint
{
    /// <summary>All that is found, in the order of objects, and of lines within a file.</summary>
    /// <exception cref="ToolException">A redis.conf among the manifests cannot be read.</exception>
    public static IReadOnlyList<LintFinding> Check(LintContext context)
    {
        IEnumerable<LintFinding> found =
        [
            .. ServiceRules.Check(context),
            .. NetworkRules.Check(context),
            .. PodRules.Check(context),
            .. ImageRules.Check(context),
            .. SecurityRules.Check(context),
            .. SecretRules.Check(context),
            .. ProbeRules.Check(context),
            .. CapacityRules.Check(context),
            .. VolumeRules.Check(context),
            .. ReferenceRules.Check(context),
            .. ClientRules.Check(context),
            .. SettingsRules.Check(context),
        ];
        var order = context.Manifests.Objects.Select(one => one.Id).Distinct().Index().ToDictionary(pair => pair.Item, pair => pair.Index);
        return
        [
            .. found
                // Settings that several workloads share are wrong once.
                .DistinctBy(finding => (finding.Rule.Code, finding.Object, finding.Place, finding.Observed))
                .OrderBy(finding => order.GetValueOrDefault(finding.Object, int.MaxValue))
                .ThenBy(finding => finding.Rule.Code, StringComparer.Ordinal)
                .ThenBy(finding => LineOf(finding.Place)),
        ];
    }

    private static int LineOf(string place) => int.TryParse(place.AsSpan(place.LastIndexOf(':') + 1), out var line) ? line : 0;
}
