using Onggi.Cli.Checks;
using Onggi.Cli.Configuration;
using Onggi.Cli.Verification;

namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>redis.conf and files of users inside ConfigMaps, by the rules that <c>onggi conf lint</c> and <c>onggi verify</c> have for them as files.</summary>
internal static class SettingsRules
{
    private const int InstancesPerService = 2;
    private const string OldName = "ONG043";
    private const string OtherLimit = "ONG040";

    private static readonly Dictionary<string, string> Aliases = new(StringComparer.Ordinal)
    {
        ["ONG034"] = "CONF001",
        ["ONG037"] = "CONF002",
        [OldName] = "CONF003",
        ["ONG041"] = "CONF004",
        ["ONG039"] = "CONF005",
        ["ONG042"] = "CONF006",
        ["ONG046"] = "CONF007",
        ["ONG047"] = "CONF007",
        ["ONG051"] = "CONF007",
    };

    /// <summary>What a list of checks says of these.</summary>
    public static IReadOnlyList<LintRule> Listed { get; } =
    [
        new(
            "ONG030–ONG051",
            "CONF",
            "redis.conf",
            "redis.conf in a ConfigMap does no harm",
            "what onggi conf show writes for this catalog",
            ""
        ),
        new(
            "ONG060, ONG061",
            "ACL",
            "users",
            "A file of users lets nobody in unasked, and is the catalog's",
            "what onggi acl file writes",
            ""
        ),
    ];

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [
            .. context.Manifests.Settings.Where(settings => !settings.IsSentinel).SelectMany(settings => Conf(context, settings)),
            .. context.Manifests.Settings.Where(settings => settings.IsSentinel).SelectMany(SentinelSecrets),
            .. Users(context),
        ];

    private static IEnumerable<LintFinding> Conf(LintContext context, RedisSettings settings)
    {
        var instances =
            context.Instances > 0 ? context.Instances : InstancesPerService * Math.Max(1, context.Keyspace?.Services.Count ?? 1);
        var findings = new ConfLint(context.Keyspace, context.IsProduction, instances).Check(settings.File);
        var isShort = settings.Bytes("maxmemory") is { } bytes and > 0 && bytes < context.Keyspace?.MemoryLimit;
        // One file has many old names, and they are one thing to mend.
        var old = findings.Where(finding => finding.Code == OldName).ToList();
        foreach (var finding in findings)
        {
            if (finding.Code == OldName && finding != old[0])
                continue;
            // That it is less than what is shared out is said, and why that is worse than being another.
            if (finding.Code == OtherLimit && isShort)
                continue;
            var what =
                finding.Code == OldName && old.Count > 1
                    ? $"{finding.What} {old.Count - 1} more of the old names: {string.Join(", ", old.Skip(1).Select(other => other.What.Split(' ')[0]))}."
                    : finding.What;
            yield return new LintFinding(
                new LintRule(
                    finding.Code,
                    Aliases.GetValueOrDefault(finding.Code, finding.Code),
                    "redis.conf",
                    "redis.conf",
                    "what onggi conf show writes",
                    finding.Why
                ),
                settings.Object.Id,
                PlaceOf(settings, finding),
                what,
                finding.Fix,
                finding.IsWarning
            );
        }
    }

    // What lacks has no line, and lines of a text that is folded are not those of the file.
    private static string PlaceOf(RedisSettings settings, Finding finding) =>
        finding.Where == settings.File.Name || settings.Part.FirstTextLine is null ? settings.Part.Place : finding.Where;

    private static IEnumerable<LintFinding> SentinelSecrets(RedisSettings settings) =>
        from line in settings.File.Lines
        where
            line is { Name: "requirepass" }
            || line is { Name: "sentinel", Values: ["auth-pass", _, not ['$', ..]] }
            || line is { Name: "sentinel", Values: ["sentinel-pass", not ['$', ..]] }
        select new LintFinding(
            LintRules.PlainSecret,
            settings.Object.Id,
            settings.Part.FirstTextLine is null ? settings.Part.Place : $"{settings.Part.File}:{line.Number}",
            $"{settings.Key} holds a password.",
            "Let the start of the pod write this line from the Secret, into an emptyDir.",
            IsWarning: false
        );

    private static IEnumerable<LintFinding> Users(LintContext context)
    {
        var files =
            from map in context.Manifests.Of("ConfigMap")
            from field in map.Root["data"].Fields
            where field.Name.EndsWith(".acl", StringComparison.Ordinal) && field.Value.Text is not null
            select (map.Id, field.Value.File, Text: field.Value.Text!, First: field.Value.FirstTextLine ?? field.Value.Line);
        if (context.Users is { } named)
            files = files.Append(("the file of users", named.File, named.Text, 1));
        foreach (var (owner, file, text, first) in files)
        {
            var users = AclFile.Parse(text, first);
            foreach (var problem in AclFile.Unsafe(file, users))
                yield return OfUsers("ONG060", AclFile.UnsafeWhy, owner, file, first, problem);
            if (context.Keyspace is { Services.Count: > 0 } keyspace)
                foreach (var problem in AclFile.Foreign(file, users, keyspace))
                    yield return OfUsers("ONG061", AclFile.ForeignWhy, owner, file, first, problem);
        }
    }

    private static LintFinding OfUsers(string code, string why, string owner, string file, int first, Problem problem) =>
        new(
            new LintRule(code, code, "users", "the file of users", "what onggi acl file writes", why),
            owner,
            problem.Where is null || problem.Where == file ? $"{file}:{first}" : problem.Where,
            problem.What,
            problem.Fix,
            problem.IsWarning
        );
}
