using Microsoft.EntityFrameworkCore;
using Onggi;
using Onggi.Caching;
using Onggi.Keys;
using PhoneBill.Contracts;

namespace PhoneBill.ProductChange;

public static class AvailableProductsWarmUp
{
    // Seoul has had no summer time since 1988, and a small container has no table of time zones.
    private static readonly TimeZoneInfo Seoul = TimeZoneInfo.CreateCustomTimeZone("Asia/Seoul", TimeSpan.FromHours(9), "Seoul", "Seoul");

    /// <summary>The lists live for a day. Once a day, at four in the morning, one replica puts them anew; and at once when Redis came back empty.</summary>
    public static void AddAvailableProductsWarmUp(this IServiceCollection services)
    {
        services.AddOnggiWarmUp(
            "available_products",
            async (provider, progress, cancellationToken) =>
            {
                var databases = provider.GetRequiredService<IDbContextFactory<PhoneBillDb>>();
                return await provider
                    .GetRequiredService<OnggiCache>()
                    .PrefetchAsync(
                        [.. Seed.CustomerTypes.Select(Keys.AvailableProducts)],
                        (keys, load) => LoadAsync(databases, keys, load),
                        progress,
                        // By lease: a product that is edited in the middle of this is not overwritten with what it was.
                        new WarmOptions { Anew = true },
                        cancellationToken
                    );
            },
            options =>
            {
                options.DailyAt = new TimeOnly(4, 0);
                options.TimeZone = Seoul;
            }
        );
        // A list whose day ends a moment before the next is there is still good enough for that moment: nobody waits for the database.
        services.Configure<OnggiOptions>(onggi =>
            onggi.Cache.ForFamily("available_products", family => family.WhenStale = StaleMode.WhileRevalidate)
        );
    }

    private static async ValueTask<IReadOnlyDictionary<CacheKey<AvailableProducts>, AvailableProducts?>> LoadAsync(
        IDbContextFactory<PhoneBillDb> databases,
        IReadOnlyList<CacheKey<AvailableProducts>> keys,
        LoadContext load
    )
    {
        await using var db = await databases.CreateDbContextAsync(load.CancellationToken);
        var lists = new Dictionary<CacheKey<AvailableProducts>, AvailableProducts?>();
        foreach (var key in keys)
            lists[key] = await CachedReads.AvailableAsync(db, key.Entry.First, load.CancellationToken);
        return lists;
    }
}
