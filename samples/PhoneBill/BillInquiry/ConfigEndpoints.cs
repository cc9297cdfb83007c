using Microsoft.EntityFrameworkCore;
using Onggi.AspNetCore;
using Onggi.Caching;
using Onggi.Keys;
using PhoneBill.Contracts;

namespace PhoneBill.BillInquiry;

public static class ConfigEndpoints
{
    public static void MapConfig(this WebApplication app) =>
        app.MapGet(
                "/api/config/{system}",
                async (string system, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.ConfigAsync(system, cancellationToken), $"There is no configuration '{system}'.")
            )
            .Answers<SystemConfig>("The settings of a system.")
            .RequireAuthorization();

    /// <summary>Filled by one of the replicas when Redis is empty, and by <c>POST /api/cache/warmup/config</c>.</summary>
    public static void AddConfigWarmUp(this IServiceCollection services) =>
        services.AddOnggiWarmUp(
            "config",
            async (provider, progress, cancellationToken) =>
            {
                var databases = provider.GetRequiredService<IDbContextFactory<PhoneBillDb>>();
                await using var db = await databases.CreateDbContextAsync(cancellationToken);
                var systems = (await db.Settings.ToListAsync(cancellationToken)).GroupBy(row => row.System);
                var configs = systems.Select(system => new KeyValuePair<CacheKey<SystemConfig>, SystemConfig?>(
                    Keys.Config(system.Key),
                    new SystemConfig(system.Key, system.ToDictionary(row => row.Name, row => row.Value))
                ));
                var cache = provider.GetRequiredService<OnggiCache>();
                return await cache.WarmAsync("config", configs.ToAsyncEnumerable(), progress, cancellationToken);
            }
        );
}
