using Microsoft.Extensions.DependencyInjection.Extensions;
using Onggi.AspNetCore.WarmUp;
using Onggi.Caching;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds warm-ups to a host.</summary>
public static class OnggiWarmUpExtensions
{
    extension(IServiceCollection services)
    {
        /// <summary>Adds a warm-up that <c>MapOnggiWarmUp</c> offers by its name.</summary>
        /// <param name="name">Its name in the address: letters, digits, <c>-</c>, <c>_</c> and <c>.</c>.</param>
        /// <param name="run">
        /// Does it, usually by <c>OnggiCache.WarmAsync</c> or <c>PrefetchAsync</c>. It gets the services of a scope of its own, what to
        /// tell of its progress, and a token that is cancelled when the host stops; callers that leave do not end it.
        /// </param>
        /// <exception cref="ArgumentException">The name has other characters.</exception>
        public IServiceCollection AddOnggiWarmUp(
            string name,
            Func<IServiceProvider, IProgress<WarmProgress>, CancellationToken, ValueTask<WarmReport>> run
        )
        {
            ArgumentException.ThrowIfNullOrEmpty(name);
            ArgumentNullException.ThrowIfNull(run);
            if (name.Any(one => !char.IsAsciiLetterOrDigit(one) && one is not ('-' or '_' or '.')))
                throw new ArgumentException($"'{name}' stands in an address: use letters, digits, '-', '_' and '.' only.", nameof(name));
            services.AddSingleton(new WarmUpRegistration(name, run));
            services.TryAddSingleton(TimeProvider.System);
            services.TryAddSingleton<WarmUps>();
            return services;
        }
    }
}
