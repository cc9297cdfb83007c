using Microsoft.Extensions.DependencyInjection;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Limits;
using Onggi.Keys;
using Onggi.Limits;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Limits for requests.</summary>
public static class OnggiLimitsExtensions
{
    extension(IApplicationBuilder app)
    {
        /// <summary>Answers 429 with <c>Retry-After</c> to requests over the limits that their endpoints ask for, and tells all others how much is left. After <c>UseRouting</c>, and after authentication where users are counted.</summary>
        /// <remarks>
        /// One round trip for each limit of the endpoint; none while it is known that the subject is denied. When Redis cannot be asked, the policy's <see cref="FailMode"/> decides within its time-out.
        /// Headers are those of the IETF draft: <c>RateLimit-Policy: "login";q=10;w=60</c> and <c>RateLimit: "login";r=9;t=6</c>.
        /// </remarks>
        /// <exception cref="InvalidOperationException"><c>AddOnggi</c> was not called.</exception>
        public IApplicationBuilder UseOnggiLimits()
        {
            var limits = app.ApplicationServices.GetRequiredService<OnggiLimits>();
            return app.Use(next => new LimitMiddleware(next, limits).InvokeAsync);
        }
    }

    extension<TBuilder>(TBuilder builder)
        where TBuilder : IEndpointConventionBuilder
    {
        /// <summary>Asks for a limit; several can be asked for, and all must allow. <c>UseOnggiLimits</c> holds it.</summary>
        /// <param name="key">Makes the key of a subject: a method of the generated <c>Keys</c>, for example <c>Keys.Login</c>.</param>
        /// <param name="subject">Whose budget a request is counted to.</param>
        /// <param name="cost">How much a request costs.</param>
        public TBuilder RequireLimit(Func<string, LimitKey> key, LimitSubject subject, int cost = 1)
        {
            ArgumentNullException.ThrowIfNull(key);
            ArgumentNullException.ThrowIfNull(subject);
            ArgumentOutOfRangeException.ThrowIfLessThan(cost, 1);
            var requirement = new LimitRequirement(key, subject, cost);
            builder.Add(endpoint => endpoint.Metadata.Add(requirement));
            return builder;
        }
    }
}
