using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>What a name alone tells.</summary>
internal static class NameRules
{
    /// <summary>What keys of no family are counted under.</summary>
    public const string Nobodys = "(nobody's)";

    /// <summary>Looks at one name.</summary>
    public static void Check(Keyspace keyspace, string name, FamilySettings? family, AuditFindings findings)
    {
        if (PersonalData.In(name) is { } shape)
            AddPersonal(keyspace, name, family, shape, findings);
        if (family is not null)
            return;
        if (name.IndexOf('{', StringComparison.Ordinal) is >= 0 and var open && (open > 0 || !IsAuxiliary(keyspace, name)))
            AddBraces(name, open, findings);
        else
            AddNobodys(keyspace, name, findings);
    }

    private static void AddPersonal(Keyspace keyspace, string name, FamilySettings? family, string shape, AuditFindings findings)
    {
        // The catalog knows of it, and this environment has decided not to hash.
        var isKnown = family?.Personal.Count > 0 && !keyspace.HashesPersonalIdentifiers;
        findings.Add(
            "ONG085",
            $"{shape} {family?.Family.Name}",
            name,
            of: null,
            (count, examples) =>
                findings.Here(
                    "ONG085",
                    family is null ? null : $"family {family.Family.Name}",
                    $"{count} with a {shape} in the name: {examples}.",
                    "Names are seen in SLOWLOG, MONITOR, metrics, dumps, and by every service that may SCAN.",
                    isKnown
                        ? $"The catalog marks it as personal, and {keyspace.Environment} leaves such identifiers plain: write \"personalIdentifiers\": \"hmac\" where the people are real."
                        : "Mark the identifier under \"personal\" in the catalog, with \"personalIdentifiers\": \"hmac\"; then remove these keys.",
                    isKnown
                )
        );
    }

    private static void AddBraces(string name, int open, AuditFindings findings)
    {
        var end = name.IndexOf('}', open);
        var tag = end > open ? name[open..(end + 1)] : name[open..];
        findings.Add(
            "ONG089",
            tag,
            name,
            of: null,
            (count, examples) =>
                findings.Here(
                    "ONG089",
                    null,
                    $"{count} with {PersonalData.Mask(tag)} in the name: {examples}.",
                    "Braces are hash tags: all keys with the same one lie in one slot, on one server of a cluster. A placeholder that nobody filled in is one key for everybody.",
                    "Make names with the generated Keys, which escape braces; then remove these keys."
                )
        );
    }

    private static void AddNobodys(Keyspace keyspace, string name, AuditFindings findings)
    {
        var parts = name.TrimStart('{').Split(':');
        var shape = parts.Length > 1 ? $"{parts[0]}:{(parts.Length > 2 ? parts[1] + ":" : "")}*" : "*";
        findings.Add(
            "ONG080",
            shape,
            name,
            of: null,
            (count, examples) =>
                findings.Here(
                    "ONG080",
                    null,
                    $"{count} of no family: {examples}.{Hint(keyspace, name)}",
                    "Nothing invalidates them, no share holds them, and nobody dares to remove them.",
                    "Name their family in the catalog; or make their names with the generated Keys and remove these."
                )
        );
    }

    // A name under another prefix, or under none, is the commonest way to be nobody's.
    private static string Hint(Keyspace keyspace, string name)
    {
        var parts = name.Split(':');
        for (var from = 0; from < Math.Min(parts.Length, 3); from++)
            if (keyspace.FamilyOf(keyspace.Prefix + string.Join(':', parts.Skip(from))) is { } family)
                return $" Under the prefix {keyspace.Prefix} it would be of {family.Family.Name}.";
        return "";
    }

    // {dev:customer:…}:l of a family that is not there has braces of the right form.
    private static bool IsAuxiliary(Keyspace keyspace, string name) =>
        name.StartsWith($"{{{keyspace.Prefix}", StringComparison.Ordinal) && name.Contains("}:", StringComparison.Ordinal);
}
