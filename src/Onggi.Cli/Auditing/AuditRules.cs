using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>What the catalog says of one key: its type, its time to live, and what it holds.</summary>
internal static class AuditRules
{
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan TokenSlack = Onggi.Tokens.TokenOptionsValidator.MaxSkew + Slack;
    private static readonly TimeSpan LongestLease = TimeSpan.FromMinutes(1);

    /// <summary>The part of an auxiliary key after the braces: <c>l</c>, <c>meta</c>; <c>null</c> where it is the entry itself.</summary>
    public static string? PartOf(string name)
    {
        if (name[0] == '{')
            return name.IndexOf("}:", StringComparison.Ordinal) is > 0 and var end ? name[(end + 2)..] : "";
        return name.LastIndexOf(":~", StringComparison.Ordinal) is > 0 and var tilde ? name[(tilde + 2)..] : null;
    }

    /// <summary>The key beside which an auxiliary key stands.</summary>
    public static string OwnerOf(string name) => name[0] == '{' ? name[1..name.IndexOf('}', StringComparison.Ordinal)] : name;

    /// <summary>Whether it is the index of a user's sessions.</summary>
    public static bool IsSessionIndex(KeyFacts key) =>
        key.Family?.Kind == "session" && PartOf(key.Name) is null && key.Name.Contains(":session-user:", StringComparison.Ordinal);

    /// <summary>Whether it is a session itself.</summary>
    public static bool IsSession(string name, FamilySettings family) =>
        family.Kind == "session" && PartOf(name) is null && name.Contains(":session:", StringComparison.Ordinal);

    /// <summary>The types that it may have; <c>null</c> where nothing is said.</summary>
    public static string[]? TypesOf(string name, FamilySettings family) =>
        (family.Kind, PartOf(name)) switch
        {
            ("cache", null) => ["string"],
            ("cache", "l") => ["string"],
            ("lock", null or "fence" or "guard") => ["string"],
            ("limit", null) => ["hash"],
            ("limit", "places") => ["zset"],
            ("session", null) => IsSession(name, family) ? ["hash"] : ["zset"],
            ("session", "meta") => ["hash"],
            ("session", "out") => ["zset"],
            ("token", null) => ["string", "hash"],
            ("token", "due") => ["zset"],
            ("stream", null) => ["stream"],
            _ => null,
        };

    /// <summary>Whether it must have an end.</summary>
    public static bool MustEnd(string name, FamilySettings family) =>
        Verification.KeyChecks.MustEnd(family) && (PartOf(name) is null or "l" or "meta" or "due" or "places" or "fence");

    /// <summary>The longest that it may live by the family's own time, and by the rules of its kind; <c>null</c> where nothing is said.</summary>
    public static (TimeSpan Own, TimeSpan Most)? LongestOf(string name, FamilySettings family) =>
        (family.Kind, PartOf(name)) switch
        {
            ("cache", "l") => (LongestLease, LongestLease),
            ("session", null) => IsSession(name, family) ? (family.Ttl + Slack, family.Ttl + Slack) : null,
            ("limit", null) => (family.MaxTtl + Slack, family.MaxTtl + Slack),
            // A revocation is remembered beyond the token's own end, for clocks that differ.
            ("token", null) => (family.Ttl + TokenSlack, Max(family.MaxTtl, family.Ttl) + TokenSlack),
            (not "stream" and not "system", null) => (
                family.Ttl + family.Grace + Slack,
                Max(family.MaxTtl, family.Ttl) + family.Grace + Slack
            ),
            _ => null,
        };

    /// <summary>Whether its value is JSON.</summary>
    public static bool IsJson(FamilySettings family) =>
        family is { Kind: "cache", ValueType: not (null or "byte[]" or "System.Byte[]" or "Byte[]") };

    private static TimeSpan Max(TimeSpan left, TimeSpan right) => left > right ? left : right;
}
