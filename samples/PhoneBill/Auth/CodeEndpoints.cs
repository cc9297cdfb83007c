using Microsoft.EntityFrameworkCore;
using Onggi.AspNetCore;
using Onggi.Caching;
using Onggi.Keys;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

public static class CodeEndpoints
{
    public static void MapCodes(this WebApplication app) =>
        app.MapGet(
                "/api/codes/{group}",
                async (string group, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.CodesAsync(group, cancellationToken), $"There are no codes '{group}'.")
            )
            .Answers<CommonCodes>("A group of codes and what they mean.")
            .RequireAuthorization();

    /// <summary>Products and codes: one replica fills them by itself when Redis is empty, and <c>POST /api/cache/warmup/products</c> and <c>/codes</c> whenever it is asked for.</summary>
    public static void AddAuthWarmUps(this IServiceCollection services)
    {
        services.AddOnggiWarmUp(
            "products",
            async (provider, progress, cancellationToken) =>
            {
                await using var db = await OpenAsync(provider, cancellationToken);
                var codes = await db.Products.Select(row => row.Code).ToListAsync(cancellationToken);
                // Products are edited at any time. By lease: what is edited in the middle of this is not overwritten with what it was.
                return await provider
                    .GetRequiredService<OnggiCache>()
                    .PrefetchAsync(
                        codes.ConvertAll(Keys.Product),
                        (keys, load) => ProductsAsync(provider, keys, load),
                        progress,
                        new WarmOptions { Anew = true },
                        cancellationToken
                    );
            }
        );

        services.AddOnggiWarmUp(
            "codes",
            async (provider, progress, cancellationToken) =>
            {
                await using var db = await OpenAsync(provider, cancellationToken);
                var groups = (await db.Codes.ToListAsync(cancellationToken)).GroupBy(row => row.Group);
                var codes = groups.Select(group =>
                    Entry(Keys.Codes(group.Key), new CommonCodes(group.Key, group.ToDictionary(row => row.Code, row => row.Name)))
                );
                return await provider
                    .GetRequiredService<OnggiCache>()
                    .WarmAsync("codes", codes.ToAsyncEnumerable(), progress, cancellationToken);
            }
        );
    }

    private static async ValueTask<IReadOnlyDictionary<CacheKey<Product>, Product?>> ProductsAsync(
        IServiceProvider provider,
        IReadOnlyList<CacheKey<Product>> keys,
        LoadContext load
    )
    {
        await using var db = await OpenAsync(provider, load.CancellationToken);
        var wanted = keys.Select(key => key.Entry.First).ToList();
        var rows = await db.Products.Where(row => wanted.Contains(row.Code)).ToListAsync(load.CancellationToken);
        return rows.ToDictionary(row => Keys.Product(row.Code), Product? (row) => row.ToProduct());
    }

    private static Task<PhoneBillDb> OpenAsync(IServiceProvider provider, CancellationToken cancellationToken) =>
        provider.GetRequiredService<IDbContextFactory<PhoneBillDb>>().CreateDbContextAsync(cancellationToken);

    private static KeyValuePair<CacheKey<T>, T?> Entry<T>(CacheKey<T> key, T value)
        where T : class => new(key, value);
}
