namespace Onggi.Keys.Catalog;

/// <summary>What came of reading a catalog: the model, as far as it could be read, and every mistake in the file's order.</summary>
internal sealed class CatalogFile(CatalogModel? model, IReadOnlyList<CatalogMistake> mistakes)
{
    /// <summary>The catalog; parts with mistakes are missing. <c>null</c> when the JSON cannot be read.</summary>
    public CatalogModel? Model { get; } = model;

    public IReadOnlyList<CatalogMistake> Mistakes { get; } = mistakes;

    /// <summary>Reads and checks a catalog.</summary>
    /// <param name="text">The text of <c>keyspace.json</c>.</param>
    /// <param name="wantsTypes">Whether cache families must name their value type: C# code is made from them.</param>
    public static CatalogFile Read(string text, bool wantsTypes)
    {
        var mistakes = new List<CatalogMistake>();
        var root = JsonSource.Parse(text, mistakes);
        CatalogModel? model = null;
        if (root is not null)
        {
            model = new CatalogReader(mistakes, wantsTypes).Read(root);
            new CatalogValidator(model, mistakes).Check();
        }

        var seen = new HashSet<(MistakeCode, int, string)>();
        return new CatalogFile(
            model,
            [
                .. mistakes
                    .Where(mistake => seen.Add((mistake.Code, mistake.Offset, mistake.What)))
                    .OrderBy(mistake => mistake.Offset)
                    .ThenBy(mistake => mistake.Code),
            ]
        );
    }
}
