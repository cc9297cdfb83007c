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

    /// <summary><c>POST /api/cache/warmup/products</c> and <c>/codes</c>: what to call after Redis started empty.</summary>
    public static void AddAuthWarmUps(this IServiceCollection services)
    {
        services.AddOnggiWarmUp(
            "products",
            async (provider, progress, cancellationToken) =>
            {
                await using var db = await OpenAsync(provider, cancellationToken);
                var products = db.Products.AsAsyncEnumerable().Select(row => Entry(Keys.Product(row.Code), row.ToProduct()));
                return await provider.GetRequiredService<OnggiCache>().WarmAsync("products", products, progress, cancellationToken);
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

    private static Task<PhoneBillDb> OpenAsync(IServiceProvider provider, CancellationToken cancellationToken) =>
        provider.GetRequiredService<IDbContextFactory<PhoneBillDb>>().CreateDbContextAsync(cancellationToken);

    private static KeyValuePair<CacheKey<T>, T?> Entry<T>(CacheKey<T> key, T value)
        where T : class => new(key, value);
}
