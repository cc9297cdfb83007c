using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>Whether families keep to their shares of memory.</summary>
internal static class FamilyShares
{
    /// <summary>What a family may take in bytes; <c>null</c> where the catalog says nothing. Those without a share have together what the others leave.</summary>
    public static double? LimitOf(Keyspace keyspace, string name) =>
        keyspace.MemoryLimit is not { } limit ? null
        : keyspace.Families.FirstOrDefault(family => family.Family.Name == name)?.Share is { } share ? limit * share
        : null;

    /// <summary>Compares.</summary>
    public static void Check(Keyspace keyspace, IReadOnlyList<FamilyTally> tallies, AuditFindings findings)
    {
        if (keyspace.MemoryLimit is not { } limit)
            return;
        foreach (var tally in tallies)
            if (LimitOf(keyspace, tally.Name) is { } most)
                Compare($"family {tally.Name}", tally.Bytes, tally.Error, most, findings);
        var others = keyspace
            .Families.Where(family => family.Share is null)
            .Select(family => family.Family.Name)
            .ToHashSet(StringComparer.Ordinal);
        var rest = tallies.Where(tally => others.Contains(tally.Name) || tally.Name == NameRules.Nobodys).ToList();
        var left = limit * (1 - keyspace.Families.Sum(family => family.Share ?? 0));
        Compare(
            "families without a share",
            rest.Sum(tally => tally.Bytes),
            Math.Sqrt(rest.Sum(tally => tally.Error * tally.Error)),
            left,
            findings
        );
    }

    private static void Compare(string who, double bytes, double error, double most, AuditFindings findings)
    {
        if (bytes <= most)
            return;
        findings.Add(
            findings.Here(
                "ONG086",
                who,
                $"{Words.Size((long)bytes)}{(error > 0 ? $" (± {Words.Size((long)error)})" : "")} of {Words.Size((long)most)} that the catalog gives.",
                "What it takes too much the others lack: they are evicted, or refused.",
                "See the biggest keys; shorten the time to live, store less, or give it a larger share in the catalog.",
                isWarning: bytes - error <= most
            )
        );
    }
}
