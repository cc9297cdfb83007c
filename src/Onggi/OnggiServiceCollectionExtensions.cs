using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi;
using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Diagnostics;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Locks;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds Onggi to a host.</summary>
public static class OnggiServiceCollectionExtensions
{
    extension(IServiceCollection services)
    {
        /// <summary>Adds the parts of Onggi with options from configuration, and connects when the host starts.</summary>
        /// <param name="section">The section that holds them, for example <c>configuration.GetSection("Onggi")</c>.</param>
        /// <param name="configure">What stands in code: <c>Catalog</c> and <c>Json</c>. It runs after the section was read.</param>
        public IServiceCollection AddOnggi(IConfiguration section, Action<OnggiOptions>? configure = null)
        {
            ArgumentNullException.ThrowIfNull(section);
            services.AddOptions<OnggiOptions>().Bind(section);
            return services.AddOnggi(configure ?? (static _ => { }));
        }

        /// <summary>Adds the parts of Onggi with options from code, and connects when the host starts.</summary>
        /// <param name="configure">Sets the options.</param>
        public IServiceCollection AddOnggi(Action<OnggiOptions> configure)
        {
            ArgumentNullException.ThrowIfNull(configure);
            services.AddOptions<OnggiOptions>().Configure(configure).ValidateOnStart();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<OnggiOptions>, OnggiOptionsValidator>());
            services.AddMetrics();
            services.TryAddSingleton(TimeProvider.System);

            services.TryAddSingleton(MakeKeys);
            services.TryAddSingleton(MakeRedis);
            services.TryAddSingleton(MakeEvents);
            services.TryAddSingleton<IEventSource>(static provider => provider.GetRequiredService<OnggiEvents>());
            services.TryAddSingleton<IEventSink>(static provider => provider.GetRequiredService<OnggiEvents>());
            services.TryAddSingleton(MakeCache);
            services.TryAddSingleton(MakeSessions);
            services.TryAddSingleton(MakeLocks);
            services.TryAddSingleton(MakeLimits);
            services.TryAddSingleton(MakeTokens);
            services.TryAddSingleton(MakeBatches);
            services.TryAddSingleton(MakeKeyspace);
            services.TryAddSingleton(MakeHealth);
            services.AddHostedService<OnggiStartup>();
            return services;
        }
    }

    private static Keyspace MakeKeys(IServiceProvider provider)
    {
        var options = Options(provider);
        return Keyspace.Load(OnggiOptionsValidator.ReadCatalog(options), options.Environment, options.Service, options.PersonalSecret);
    }

    private static RedisClient MakeRedis(IServiceProvider provider)
    {
        var options = Options(provider);
        var redis = RedisClientOptions.Parse(options.ConnectionString);
        redis.ClientName ??= options.Service;
        // What the connection string says of time-outs holds, unless the options say something else.
        var defaults = new OnggiOptions();
        if (options.CommandTimeout != defaults.CommandTimeout)
            redis.CommandTimeout = options.CommandTimeout;
        if (options.ConnectTimeout != defaults.ConnectTimeout)
            redis.ConnectTimeout = options.ConnectTimeout;
        options.ConfigureClient?.Invoke(redis);
        return new RedisClient(
            redis,
            provider.GetRequiredService<ILoggerFactory>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>()
        );
    }

    private static OnggiEvents MakeEvents(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<Keyspace>(),
            Options(provider).Events,
            Options(provider).Json,
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<OnggiEvents>>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiCache MakeCache(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<Keyspace>(),
            Options(provider).Cache,
            Options(provider).Json,
            provider.GetRequiredService<IEventSource>(),
            provider.GetRequiredService<IEventSink>(),
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<OnggiCache>>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiSessions MakeSessions(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<Keyspace>(),
            Options(provider).Sessions,
            provider.GetRequiredService<IEventSink>(),
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<OnggiSessions>>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiLocks MakeLocks(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<Keyspace>(),
            Options(provider).Locks,
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<OnggiLocks>>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiLimits MakeLimits(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<Keyspace>(),
            Options(provider).Limits,
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<OnggiLimits>>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiTokens MakeTokens(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<Keyspace>(),
            Options(provider).Tokens,
            Options(provider).TokenKeys,
            provider.GetRequiredService<IEventSink>(),
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<ILogger<OnggiTokens>>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiBatches MakeBatches(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<OnggiCache>(),
            Options(provider).Batches,
            provider.GetRequiredService<IMeterFactory>(),
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiKeyspace MakeKeyspace(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<Keyspace>(),
            provider.GetRequiredService<OnggiCache>(),
            provider.GetRequiredService<OnggiSessions>(),
            provider.GetRequiredService<OnggiTokens>(),
            provider.GetRequiredService<OnggiEvents>(),
            provider.GetRequiredService<OnggiLocks>(),
            provider.GetRequiredService<OnggiLimits>(),
            provider.GetRequiredService<OnggiBatches>(),
            provider.GetRequiredService<RedisClient>()
        );

    private static OnggiHealth MakeHealth(IServiceProvider provider) =>
        new(
            provider.GetRequiredService<RedisClient>(),
            provider.GetRequiredService<OnggiEvents>(),
            Options(provider).Health,
            provider.GetRequiredService<TimeProvider>()
        );

    private static OnggiOptions Options(IServiceProvider provider) => provider.GetRequiredService<IOptions<OnggiOptions>>().Value;
}
