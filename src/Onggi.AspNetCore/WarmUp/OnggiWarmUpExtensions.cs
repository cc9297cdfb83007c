using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Onggi.AspNetCore;
using Onggi.AspNetCore.WarmUp;
using Onggi.Caching;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds warm-ups to a host.</summary>
public static class OnggiWarmUpExtensions
{
    extension(IServiceCollection services)
    {
        /// <summary>
        /// Adds a warm-up that <c>MapOnggiWarmUp</c> offers by its name, and that runs by itself, in one replica of the service: when Redis is empty, and at the times that the
        /// options say. It should be safe to run twice: a replica that is paused in the middle may find that another one has begun.
        /// </summary>
        /// <param name="name">Its name in the address: letters, digits, <c>-</c>, <c>_</c> and <c>.</c>.</param>
        /// <param name="run">
        /// Does it, usually by <c>OnggiCache.WarmAsync</c> or <c>PrefetchAsync</c>. It gets the services of a scope of its own, what to
        /// tell of its progress, and a token that is cancelled when the host stops; callers that leave do not end it.
        /// </param>
        /// <param name="configure">When it runs by itself; <c>null</c>: when Redis is empty.</param>
        /// <exception cref="ArgumentException">The name has other characters, or the options mean nothing.</exception>
        public IServiceCollection AddOnggiWarmUp(
            string name,
            Func<IServiceProvider, IProgress<WarmProgress>, CancellationToken, ValueTask<WarmReport>> run,
            Action<OnggiWarmUpOptions>? configure = null
        )
        {
            ArgumentException.ThrowIfNullOrEmpty(name);
            ArgumentNullException.ThrowIfNull(run);
            if (name.Any(one => !char.IsAsciiLetterOrDigit(one) && one is not ('-' or '_' or '.')))
                throw new ArgumentException($"'{name}' stands in an address: use letters, digits, '-', '_' and '.' only.", nameof(name));
            var options = new OnggiWarmUpOptions();
            configure?.Invoke(options);
            options.Check(name);
            services.AddSingleton(new WarmUpRegistration(name, run, options));
            services.TryAddSingleton(TimeProvider.System);
            services.TryAddSingleton<WarmUps>();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, WarmUpService>());
            return services;
        }
    }
}
