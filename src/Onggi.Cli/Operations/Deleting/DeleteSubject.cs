using System.Text;
using Onggi.Keys;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>What is to be removed: the keys of a pattern, or those of a family.</summary>
internal sealed class DeleteSubject
{
    private const string CacheKind = "cache";

    private readonly Keyspace? _keyspace;
    private readonly FamilySettings? _only;

    private DeleteSubject(string name, IReadOnlyList<string> patterns, Keyspace? keyspace, FamilySettings? only)
    {
        Name = name;
        Patterns = patterns;
        _keyspace = keyspace;
        _only = only;
    }

    /// <summary>It, for people and for the state file.</summary>
    public string Name { get; }

    /// <summary>The patterns that are walked, one after another.</summary>
    public IReadOnlyList<string> Patterns { get; }

    /// <summary>Whether it is known whose keys are whose.</summary>
    public bool HasCatalog => _keyspace is not null;

    /// <summary>The family, where it is one.</summary>
    public FamilySettings? Family => _only;

    /// <summary>Whether it is all that this team has in Redis, or all that anybody has.</summary>
    public bool IsEverything { get; private init; }

    /// <summary>The keys that match.</summary>
    /// <param name="pattern">A glob, as Redis has them.</param>
    /// <param name="keyspace">Says whose keys they are; <c>null</c> where there is no catalog.</param>
    public static DeleteSubject Of(string pattern, Keyspace? keyspace) =>
        new($"pattern {pattern}", [pattern], keyspace, only: null) { IsEverything = MatchesAll(pattern, keyspace) };

    /// <summary>The keys of a family and what stands beside them.</summary>
    /// <remarks>Leases come first, as when the cache clears a family: one that is used up while they are walked leaves a value that stands during the whole of the next walk.</remarks>
    public static DeleteSubject Of(FamilySettings family, Keyspace keyspace) =>
        new(
            $"family {family.Family.Name} in {keyspace.Environment}",
            [.. family.ScanPatterns.OrderByDescending(static pattern => pattern.StartsWith('{'))],
            keyspace,
            family
        );

    /// <summary>Whose key it is, and whether it is meant at all: a star also matches colons, so a walk can find a longer family's.</summary>
    public bool IsMeant(byte[] key, out FamilySettings? family)
    {
        family = _keyspace?.FamilyOf(Encoding.UTF8.GetString(key));
        return _only is null || ReferenceEquals(family, _only);
    }

    /// <summary>Whether a key is a cache entry or the right to fill one: they go together.</summary>
    public static bool IsCached(FamilySettings? family) => family?.Kind == CacheKind;

    /// <summary>Whether a pattern spares nothing: it has no letter at all, only the prefix, or it matches a key of every family.</summary>
    private static bool MatchesAll(string pattern, Keyspace? keyspace)
    {
        var head = pattern.TrimStart('{');
        if (!head.Any(char.IsLetterOrDigit))
            return true;
        // Without a catalog nobody can tell whether "dev:*" is an environment or a family.
        if (keyspace is null)
            return NamesNothing(head);
        return keyspace.Families.Count > 0 && keyspace.Families.All(family => Glob.IsMatch(head, Witness(family)));
    }

    // At most one word, which may be what all names begin with, and then whatever there is: "dev:*", "dev*", "[a-z]*".
    private static bool NamesNothing(string pattern)
    {
        var wild = pattern.AsSpan().IndexOfAny('*', '?', '[');
        if (wild < 0)
            return false;
        var (word, rest) = (pattern[..wild], pattern[wild..]);
        var colon = word.IndexOf(':', StringComparison.Ordinal);
        return (colon < 0 || !word[colon..].Any(char.IsLetterOrDigit)) && !WithoutClasses(rest).Any(char.IsLetterOrDigit);
    }

    private static string WithoutClasses(string pattern)
    {
        for (var from = pattern.IndexOf('[', StringComparison.Ordinal); from >= 0; from = pattern.IndexOf('[', StringComparison.Ordinal))
        {
            var to = pattern.IndexOf(']', from);
            pattern = pattern[..from] + (to < 0 ? "" : pattern[(to + 1)..]);
        }

        return pattern;
    }

    // A key of the family whose identifiers no sensible pattern names.
    private static string Witness(FamilySettings family) =>
        string.Join(':', family.Pattern.Split(':').Select(part => part.StartsWith('{') ? "~\u00A4witness\u00A4~" : part));
}
