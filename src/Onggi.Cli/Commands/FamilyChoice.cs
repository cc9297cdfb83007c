using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary>Families that are named on a command line.</summary>
internal static class FamilyChoice
{
    /// <summary>The family of a name.</summary>
    /// <exception cref="ToolException">There is no catalog, or no such family in it; the message names the nearest.</exception>
    public static FamilySettings Named(string name, Keyspace? keyspace)
    {
        if (keyspace is null)
            throw new ToolException("--family needs a catalog: name it with --catalog.");
        var families = keyspace.Families.ToDictionary(family => family.Family.Name, StringComparer.Ordinal);
        return families.TryGetValue(name, out var known)
            ? known
            : throw new ToolException($"the catalog has no family \"{name}\". {CatalogWords.Suggest(name, families.Keys, "")}");
    }

    /// <summary>The families of a kind.</summary>
    /// <exception cref="ToolException">The catalog has none.</exception>
    public static IReadOnlyList<FamilySettings> OfKind(string kind, Keyspace keyspace)
    {
        var families = keyspace.Families.Where(family => family.Kind == kind).ToList();
        return families.Count > 0 ? families : throw new ToolException($"the catalog has no family of kind \"{kind}\".");
    }
}
