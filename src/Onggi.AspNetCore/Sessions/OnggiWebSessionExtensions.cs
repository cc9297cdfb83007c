using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Caching;
using Onggi.AspNetCore.Sessions;
using Onggi.Client;
using Onggi.Keys;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>ASP.NET's <c>HttpContext.Session</c> on the team's Redis. <c>AddOnggi</c> is called beside it.</summary>
public static class OnggiWebSessionExtensions
{
    extension(IServiceCollection services)
    {
        /// <summary>Adds sessions for <c>app.UseSession()</c>, in place of <c>AddSession</c>. It needs a family of the catalog, which is looked for when the host starts. When Redis fails: see <see cref="OnggiWebSessionOptions"/>.</summary>
        /// <param name="configure">Sets ASP.NET's options: cookie, idle time; <c>null</c> leaves them as they are.</param>
        /// <param name="store">Sets ours; <c>null</c> leaves them as they are.</param>
        public IServiceCollection AddOnggiWebSession(Action<SessionOptions>? configure = null, Action<OnggiWebSessionOptions>? store = null)
        {
            var options = new OnggiWebSessionOptions();
            store?.Invoke(options);
            var seam = new CacheSeam(nameof(AddOnggiWebSession), options.Family, "20m");
            // What AddSession adds but for its store: that one is not for trimmed hosts.
            services.AddOptions<SessionOptions>().Configure(configure ?? (static _ => { }));
            services.AddDataProtection();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, CacheSeamCheck>());
            services.AddSingleton(seam);
            return services.Replace(
                ServiceDescriptor.Singleton<ISessionStore>(provider => new WebSessionStore(
                    provider.GetRequiredService<RedisClient>(),
                    provider.GetRequiredService<Keyspace>(),
                    seam.Find(provider),
                    provider.GetRequiredService<IOptions<OnggiOptions>>().Value.Cache.MaxValueBytes,
                    provider.GetRequiredService<ILoggerFactory>()
                ))
            );
        }
    }
}
