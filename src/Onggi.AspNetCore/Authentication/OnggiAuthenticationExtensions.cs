using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Authentication;
using Onggi.AspNetCore.Sessions;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Signing in with Onggi's tokens and sessions. <c>AddOnggi</c> is called beside it.</summary>
public static class OnggiAuthenticationExtensions
{
    extension(AuthenticationBuilder builder)
    {
        /// <summary>Takes bearer tokens, as the scheme <c>Onggi</c>. When Redis fails: see <see cref="OnggiBearerOptions"/>.</summary>
        /// <param name="configure">Sets the options; <c>null</c> leaves them as they are.</param>
        public AuthenticationBuilder AddOnggiBearer(Action<OnggiBearerOptions>? configure = null) =>
            builder.AddOnggiBearer(OnggiBearerDefaults.AuthenticationScheme, configure);

        /// <summary>Takes bearer tokens, as a scheme of another name: a second one, for example, that asks for more.</summary>
        /// <param name="scheme">The scheme's name.</param>
        /// <param name="configure">Sets the options; <c>null</c> leaves them as they are.</param>
        public AuthenticationBuilder AddOnggiBearer(string scheme, Action<OnggiBearerOptions>? configure)
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(scheme);
            builder.Services.TryAddSingleton<BearerOutages>();
            builder.Services.AddSingleton(new BearerScheme(scheme));
            builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, BearerCheck>());
            builder.Services.AddOnggiSignIn();
            return builder.AddScheme<OnggiBearerOptions, BearerHandler>(scheme, configure);
        }

        /// <summary>Keeps the tickets of a cookie scheme in sessions: the cookie holds a secret, and nothing else. When Redis fails: see <see cref="OnggiTicketStoreOptions"/>.</summary>
        /// <param name="configure">Sets the options; <c>null</c> leaves them as they are.</param>
        /// <param name="scheme">The cookie scheme, added by <c>AddCookie</c>.</param>
        public AuthenticationBuilder AddOnggiTicketStore(
            Action<OnggiTicketStoreOptions>? configure = null,
            string scheme = CookieAuthenticationDefaults.AuthenticationScheme
        )
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(scheme);
            var options = new OnggiTicketStoreOptions();
            configure?.Invoke(options);
            builder.Services.AddHttpContextAccessor();
            builder.Services.AddDataProtection();
            builder.Services.AddExceptionHandler<UnavailableExceptions>();
            builder.Services.TryAddSingleton(TimeProvider.System);
            builder.Services.AddOnggiSignIn();
            builder.Services.AddSingleton<IPostConfigureOptions<CookieAuthenticationOptions>>(provider => new TicketStoreSetup(
                scheme,
                options,
                provider.GetRequiredService<OnggiSessions>(),
                provider.GetRequiredService<IDataProtectionProvider>(),
                provider.GetRequiredService<IHttpContextAccessor>(),
                provider.GetRequiredService<ILogger<TicketStore>>(),
                provider.GetRequiredService<TimeProvider>()
            ));
            return builder;
        }
    }

    extension(IServiceCollection services)
    {
        /// <summary>Adds <see cref="OnggiSignIn"/>. The schemes add it, too.</summary>
        public IServiceCollection AddOnggiSignIn()
        {
            services.TryAddSingleton(static provider => new OnggiSignIn(
                provider.GetRequiredService<OnggiSessions>(),
                provider.GetRequiredService<OnggiTokens>()
            ));
            return services;
        }
    }

    extension(HttpContext context)
    {
        /// <summary>Who the request is from, by its bearer token; <c>null</c> for nobody. No round trip: authentication has asked.</summary>
        public OnggiCaller? GetOnggiCaller() => context.Features.Get<OnggiCaller>();
    }
}
