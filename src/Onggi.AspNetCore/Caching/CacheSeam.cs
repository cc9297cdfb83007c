using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.AspNetCore.Caching;

/// <summary>One of ASP.NET's caches as the host was told of it: who asked for it, and under which family of the catalog its keys stand.</summary>
/// <param name="Method">What the user wrote, for messages.</param>
/// <param name="Family">The family's name.</param>
/// <param name="Ttl">A time to live to propose.</param>
/// <param name="Value">A type of values to propose: the generator of typed keys wants one of every cache.</param>
internal sealed record CacheSeam(string Method, string Family, string Ttl, string Value = "byte[]")
{
    /// <summary>The family: a cache with one identifier, which any text may be.</summary>
    /// <exception cref="InvalidOperationException">The catalog has no such family; the message has the lines to add.</exception>
    public FamilySettings Find(Keyspace keyspace)
    {
        var families = keyspace.Families;
        var known = families.FirstOrDefault(family => family.Family.Name == Family);
        if (known is { Kind: "cache", Family.Identifiers.Count: 1 })
            return known;
        var reason =
            known is null
                ? $"the catalog has no family \"{Family}\". {CatalogWords.Suggest(Family, [.. families.Where(static family => family.Kind == "cache").Select(static family => family.Family.Name)], "It has none that is a cache.")}"
            : known.Kind != "cache" ? $"the catalog's family \"{Family}\" is of kind {known.Kind}, not cache."
            : $"the catalog's family \"{Family}\" has {known.Family.Identifiers.Count} identifiers; its keys come as one text.";
        throw new InvalidOperationException(
            $$"""
            {{Method}}: {{reason}} Set options.Family, or add to "families" in keyspace.json:
              "{{Family}}": { "key": "cache:{{Family.Replace('_', '-')}}:{key}", "kind": "cache", "value": "{{Value}}", "ttl": "{{Ttl}}" }
            """
        );
    }

    /// <summary>The same, for who is about to use it.</summary>
    public FamilySettings Find(IServiceProvider services) =>
        Find(
            services.GetService<Keyspace>()
                ?? throw new InvalidOperationException($"{Method}: call AddOnggi, too; it says which Redis and which catalog.")
        );
}

/// <summary>Looks at the start whether the catalog has a family for each of ASP.NET's caches, and each its own.</summary>
internal sealed class CacheSeamCheck(IEnumerable<CacheSeam> seams, IServiceProvider services) : IHostedService
{
    /// <exception cref="InvalidOperationException">It does not; the message has the lines to add.</exception>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        var users = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var seam in seams)
        {
            seam.Find(services);
            if (!users.TryAdd(seam.Family, seam.Method))
            {
                throw new InvalidOperationException(
                    $"{users[seam.Family]} and {seam.Method} both use the family \"{seam.Family}\": one would take the other's values for its own. Give each a family, by options.Family."
                );
            }
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
