using Microsoft.Extensions.Diagnostics.HealthChecks;
using Onggi.AspNetCore.Health;
using Onggi.Diagnostics;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds Onggi to the health checks of a host.</summary>
public static class OnggiHealthExtensions
{
    extension(IServiceCollection services)
    {
        /// <summary>Adds the health checks of the host, with Onggi's among them: the same as <c>AddHealthChecks().AddOnggi()</c>.</summary>
        /// <returns>The builder, to add other checks.</returns>
        public IHealthChecksBuilder AddOnggiHealthChecks() => services.AddHealthChecks().AddOnggi();
    }

    extension(IHealthChecksBuilder builder)
    {
        /// <summary>Adds a check that asks Redis (two round trips, each ended by the time-out of the health options).</summary>
        /// <param name="name">Its name among the checks.</param>
        /// <param name="failureStatus">
        /// What it says when Redis cannot be used; <c>null</c> for <see cref="HealthStatus.Unhealthy"/>. A service whose loaders can do
        /// without Redis may say <see cref="HealthStatus.Degraded"/>, so that not every replica leaves the load balancer at once.
        /// </param>
        /// <param name="tags">Tags to choose checks by; <c>null</c> for none.</param>
        public IHealthChecksBuilder AddOnggi(string name = "onggi", HealthStatus? failureStatus = null, IEnumerable<string>? tags = null) =>
            builder.Add(
                new HealthCheckRegistration(
                    name,
                    static services => new OnggiHealthCheck(services.GetRequiredService<OnggiHealth>()),
                    failureStatus,
                    tags
                )
            );
    }
}
