using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>What is wrong with a key that was looked into.</summary>
internal static class KeyRules
{
    /// <summary>Looks at type, time to live and size.</summary>
    public static void Check(KeyFacts key, FamilyTally tally, AuditTerms terms, AuditFindings findings)
    {
        if (key.Bytes >= terms.Big)
            AddBig(key, tally, findings);
        if (key.Family is not { } family)
            return;
        if (AuditRules.TypesOf(key.Name, family) is { } types && !types.Contains(key.Type))
            AddType(key, tally, family, types, findings);
        if (key.TtlMs == -1 && AuditRules.MustEnd(key.Name, family))
            AddEndless(key, tally, family, findings);
        else if (AuditRules.LongestOf(key.Name, family) is { } longest && key.TtlMs > longest.Own.TotalMilliseconds)
            AddLong(key, tally, family, key.TtlMs > longest.Most.TotalMilliseconds, findings);
    }

    public static void AddUnreadable(KeyFacts key, FamilyTally tally, AuditFindings findings) =>
        findings.Add(
            "ONG084",
            key.Family!.Family.Name,
            key.Name,
            tally,
            (count, examples) =>
                findings.Here(
                    "ONG084",
                    $"family {key.Family.Family.Name}",
                    $"{count} hold no JSON: {examples}.",
                    "Readers take it for a miss and load again, each time; others fail.",
                    $"Find who writes them, with what serializer: the value is {key.Family.ValueType} as JSON. Then remove them."
                )
        );

    public static void AddOrphan(KeyFacts key, FamilyTally tally, string what, AuditFindings findings) =>
        findings.Add(
            "ONG087",
            $"{what} {key.Family!.Family.Name}",
            key.Name,
            tally,
            (count, examples) =>
                findings.Here(
                    "ONG087",
                    $"family {key.Family.Family.Name}",
                    $"{what}: {count}, {examples}.",
                    "Somebody deleted or evicted a part of what belongs together: counts are wrong, and people are signed in or out who should not be.",
                    "See that nothing is evicted (ONG041) and that nobody deletes by hand; sign the user out: the rest goes with it."
                )
        );

    private static void AddBig(KeyFacts key, FamilyTally tally, AuditFindings findings) =>
        findings.Add(
            "ONG091",
            key.Family?.Family.Name ?? NameRules.Nobodys,
            key.Name,
            tally,
            (count, examples) =>
                findings.Here(
                    "ONG091",
                    $"family {key.Family?.Family.Name ?? NameRules.Nobodys}",
                    $"{count} that are big, the first of {Words.Size(key.Bytes)}: {examples}.",
                    "Each read keeps everybody else waiting while it is sent.",
                    "Store parts under keys of their own, or only what readers need.",
                    isWarning: true
                )
        );

    private static void AddType(KeyFacts key, FamilyTally tally, FamilySettings family, string[] types, AuditFindings findings) =>
        findings.Add(
            "ONG083",
            $"{family.Family.Name} {key.Type}",
            key.Name,
            tally,
            (count, examples) =>
                findings.Here(
                    "ONG083",
                    $"family {family.Family.Name}",
                    $"{count} of type {key.Type} instead of {string.Join(" or ", types)}: {examples}.",
                    "Readers get WRONGTYPE, or take it for a miss each time.",
                    "Find who writes them, and give him a family of his own; then remove them."
                )
        );

    private static void AddEndless(KeyFacts key, FamilyTally tally, FamilySettings family, AuditFindings findings) =>
        findings.Add(
            "ONG081",
            family.Family.Name,
            key.Name,
            tally,
            (count, examples) =>
                findings.Here(
                    "ONG081",
                    $"family {family.Family.Name}",
                    $"{count} never end: {examples}. The family's time is {Words.Time(family.Ttl)}.",
                    "What never ends is stale for ever and fills the memory.",
                    $"Write them through Onggi, or with SET … PX {(long)family.Ttl.TotalMilliseconds}; for those that stand: EXPIRE."
                )
        );

    private static void AddLong(KeyFacts key, FamilyTally tally, FamilySettings family, bool isBeyondAll, AuditFindings findings) =>
        findings.Add(
            "ONG082",
            $"{family.Family.Name} {isBeyondAll}",
            key.Name,
            tally,
            (count, examples) =>
                findings.Here(
                    "ONG082",
                    $"family {family.Family.Name}",
                    $"{count} with longer to live than the family's {Words.Time(family.Ttl)}, the first {Words.Time(TimeSpan.FromMilliseconds(key.TtlMs))}: {examples}.",
                    isBeyondAll
                        ? "They outlive every change for longer than the rules of their kind allow."
                        : "A loader may choose a time of its own; somebody who writes by hand may not.",
                    $"Write them with the catalog's time, or change it there: \"ttl\" of {family.Family.Name}.",
                    !isBeyondAll
                )
        );
}
