using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi;
using Onggi.AspNetCore.Caching;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts ASP.NET's caches on the team's Redis. Each needs a family of the catalog, which is looked for when the host starts; <c>AddOnggi</c> is called beside it.</summary>
public static class OnggiCachesExtensions
{
    extension(IServiceCollection services)
    {
        /// <summary>Adds <see cref="HybridCache"/>, on <see cref="OnggiCache"/>. When Redis fails: see <see cref="OnggiHybridCacheOptions"/>.</summary>
        /// <param name="configure">Sets the options; <c>null</c> leaves them as they are.</param>
        public IServiceCollection AddOnggiHybridCache(Action<OnggiHybridCacheOptions>? configure = null)
        {
            var (seam, make) = Hybrid(nameof(AddOnggiHybridCache), configure);
            return services.AddSeam(seam).AddSingleton(make);
        }

        /// <summary>Adds a further <see cref="HybridCache"/>, which is asked for by a key (<c>[FromKeyedServices("…")]</c>) and has a family of its own.</summary>
        /// <param name="serviceKey">Which one it is.</param>
        /// <param name="configure">Sets the options: at least another <see cref="OnggiHybridCacheOptions.Family"/>.</param>
        public IServiceCollection AddKeyedOnggiHybridCache(object serviceKey, Action<OnggiHybridCacheOptions> configure)
        {
            ArgumentNullException.ThrowIfNull(serviceKey);
            ArgumentNullException.ThrowIfNull(configure);
            var (seam, make) = Hybrid($"{nameof(AddKeyedOnggiHybridCache)}(\"{serviceKey}\")", configure);
            return services.AddSeam(seam).AddKeyedSingleton(serviceKey, (provider, _) => make(provider));
        }

        /// <summary>Adds <see cref="IDistributedCache"/>, which is an <see cref="IBufferDistributedCache"/> as well. When Redis fails: see <see cref="OnggiDistributedCacheOptions"/>.</summary>
        /// <param name="configure">Sets the options; <c>null</c> leaves them as they are.</param>
        public IServiceCollection AddOnggiDistributedCache(Action<OnggiDistributedCacheOptions>? configure = null)
        {
            var (seam, make) = Distributed(nameof(AddOnggiDistributedCache), configure);
            return services.AddSeam(seam).AddSingleton(make);
        }

        /// <summary>Adds a further <see cref="IDistributedCache"/>, which is asked for by a key (<c>[FromKeyedServices("…")]</c>) and has a family of its own.</summary>
        /// <param name="serviceKey">Which one it is.</param>
        /// <param name="configure">Sets the options: at least another <see cref="OnggiDistributedCacheOptions.Family"/>.</param>
        public IServiceCollection AddKeyedOnggiDistributedCache(object serviceKey, Action<OnggiDistributedCacheOptions> configure)
        {
            ArgumentNullException.ThrowIfNull(serviceKey);
            ArgumentNullException.ThrowIfNull(configure);
            var (seam, make) = Distributed($"{nameof(AddKeyedOnggiDistributedCache)}(\"{serviceKey}\")", configure);
            return services.AddSeam(seam).AddKeyedSingleton(serviceKey, (provider, _) => make(provider));
        }

        /// <summary>Adds the output cache's store; <c>AddOutputCache</c> and <c>UseOutputCache</c> are called beside it. When Redis fails: see <see cref="OnggiOutputCacheOptions"/>.</summary>
        /// <param name="configure">Sets the options; <c>null</c> leaves them as they are.</param>
        public IServiceCollection AddOnggiOutputCache(Action<OnggiOutputCacheOptions>? configure = null)
        {
            var options = new OnggiOutputCacheOptions();
            configure?.Invoke(options);
            var seam = new CacheSeam(nameof(AddOnggiOutputCache), options.Family, "5m");
            return services
                .AddSeam(seam)
                .AddHttpContextAccessor()
                .AddSingleton<IOutputCacheStore>(provider =>
                {
                    var family = seam.Find(provider);
                    var cache = CacheOptionsOf(provider);
                    return new OnggiOutputCacheStore(
                        provider.GetRequiredService<RedisClient>(),
                        provider.GetRequiredService<Keyspace>(),
                        family,
                        cache.MaxValueBytes,
                        cache.ClockSkew,
                        provider.GetRequiredService<IHttpContextAccessor>(),
                        provider.GetRequiredService<ILogger<OnggiOutputCacheStore>>(),
                        provider.GetRequiredService<TimeProvider>()
                    );
                });
        }

        private IServiceCollection AddSeam(CacheSeam seam)
        {
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, CacheSeamCheck>());
            return services.AddSingleton(seam);
        }
    }

    private static (CacheSeam Seam, Func<IServiceProvider, HybridCache> Make) Hybrid(
        string method,
        Action<OnggiHybridCacheOptions>? configure
    )
    {
        var options = new OnggiHybridCacheOptions();
        configure?.Invoke(options);
        var seam = new CacheSeam(method, options.Family, "5m", "System.Text.Json.JsonElement");
        return (
            seam,
            provider =>
            {
                var family = seam.Find(provider).Family;
                return new OnggiHybridCache(provider.GetRequiredService<OnggiCache>(), family, options.DefaultEntryOptions);
            }
        );
    }

    private static (CacheSeam Seam, Func<IServiceProvider, IDistributedCache> Make) Distributed(
        string method,
        Action<OnggiDistributedCacheOptions>? configure
    )
    {
        var options = new OnggiDistributedCacheOptions();
        configure?.Invoke(options);
        var seam = new CacheSeam(method, options.Family, "20m");
        return (
            seam,
            provider =>
            {
                var family = seam.Find(provider);
                return new OnggiDistributedCache(
                    provider.GetRequiredService<RedisClient>(),
                    provider.GetRequiredService<Keyspace>(),
                    family,
                    CacheOptionsOf(provider).MaxValueBytes,
                    provider.GetRequiredService<TimeProvider>()
                );
            }
        );
    }

    private static CacheOptions CacheOptionsOf(IServiceProvider provider) =>
        provider.GetRequiredService<IOptions<OnggiOptions>>().Value.Cache;
}
