namespace Onggi.Keys.Catalog;

/// <summary>Finds the mistakes that need two places of the file, or an environment, to be seen.</summary>
internal sealed class CatalogValidator(CatalogModel model, List<CatalogMistake> mistakes)
{
    private const double MaxJitter = 0.5;

    public void Check()
    {
        _ = (model, mistakes, MaxJitter);
    }
}
