using Microsoft.EntityFrameworkCore;
using Onggi.Caching;
using PhoneBill.Contracts;

namespace PhoneBill.ProductChange;

public static class ProductEndpoints
{
    public static void MapProducts(this WebApplication app)
    {
        var api = app.MapGroup("/api/products").RequireAuthorization();

        api.MapGet("/", ListAsync).Answers<IReadOnlyList<Product>>("All products.");

        api.MapGet(
                "/{code}",
                async (string code, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(
                        await reads.ProductAsync(code, cancellationToken),
                        $"There is no product '{code}'. GET /api/products lists all."
                    )
            )
            .Answers<Product>("One product.");

        api.MapGet(
                "/available/{customerType}",
                async (string customerType, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    Inputs.CustomerType(customerType) is { } problem
                        ? (IResult)problem
                        : http.Answer(await reads.AvailableProductsAsync(customerType, cancellationToken), "There are none.")
            )
            .Answers<AvailableProducts>("The products that a type of customer may change to.");
    }

    /// <summary>All products: the codes from the database, the products from the cache, in one round trip; only what is missing is queried.</summary>
    private static async Task<IEnumerable<Product>> ListAsync(
        OnggiCache cache,
        IDbContextFactory<PhoneBillDb> databases,
        CancellationToken cancellationToken
    )
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var codes = await db.Products.Select(product => product.Code).ToListAsync(cancellationToken);
        var products = await cache.GetOrLoadManyAsync(
            codes.ConvertAll(Keys.Product),
            async (missing, load) =>
            {
                await using var loading = await databases.CreateDbContextAsync(load.CancellationToken);
                var wanted = missing.Select(key => key.Entry.First).ToList();
                var rows = await loading.Products.Where(row => wanted.Contains(row.Code)).ToListAsync(load.CancellationToken);
                return rows.ToDictionary(row => Keys.Product(row.Code), Product? (row) => row.ToProduct());
            },
            cancellationToken
        );
        return products.Values.Select(result => result.Value).OfType<Product>().OrderByDescending(product => product.MonthlyFee);
    }
}
