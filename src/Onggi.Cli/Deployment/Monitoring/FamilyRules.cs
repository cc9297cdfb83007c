using System.Globalization;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>What the catalog says of families, as series: so that rules and dashboards can compare with it.</summary>
internal static class FamilyRules
{
    /// <summary>1 for each family, with its kind and owner.</summary>
    public const string Info = "onggi:family:info";

    /// <summary>Bytes that a family may take.</summary>
    public const string ShareBytes = "onggi:family:share_bytes";

    /// <summary>Bytes that the families without a share may take together.</summary>
    public const string RestBytes = "onggi:families_without_share:bytes";

    /// <summary>What those are called beside the others.</summary>
    public const string Rest = "without a share";

    public static IEnumerable<Rule> All(MonitoringTerms terms)
    {
        foreach (var family in terms.Keyspace.Families)
            yield return new RecordRule(
                Info,
                "vector(1)",
                [("onggi_family", family.Family.Name), ("kind", family.Kind), ("owner", family.Owner ?? "all")]
            );
        if (terms.Keyspace.MemoryLimit is not { } limit)
            yield break;
        foreach (var family in terms.Keyspace.Families)
            if (family.Share is { } share)
                yield return new RecordRule(ShareBytes, Vector((long)(limit * share)), [("onggi_family", family.Family.Name)]);
        if (terms.Rest is > 0 and var rest)
            yield return new RecordRule(RestBytes, Vector(rest), []);
    }

    private static string Vector(long value) => string.Create(CultureInfo.InvariantCulture, $"vector({value})");
}
