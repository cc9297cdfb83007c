namespace Onggi.Keys.Catalog;

/// <summary>The patterns of all keys that a family's kind makes besides the one in the catalog.</summary>
internal static class KindPatterns
{
    /// <summary>The family's own pattern first; then, of sessions, the index of a user's sessions and the deadlines of a shard's.</summary>
    public static IReadOnlyList<IReadOnlyList<KeySegment>> Of(FamilyModel family)
    {
        var own = family.Key!.Value.Segments;
        return family.KindWord == KindRules.Session && own is [{ IsIdentifier: false }, { Text: KindRules.Session }, _]
            ?
            [
                own,
                [own[0], new KeySegment("session-user", isIdentifier: false), new KeySegment("userId", isIdentifier: true)],
                [own[0], new KeySegment("session-due", isIdentifier: false), new KeySegment("shard", isIdentifier: true)],
            ]
            : [own];
    }
}
