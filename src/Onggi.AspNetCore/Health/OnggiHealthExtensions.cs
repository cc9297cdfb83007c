using Microsoft.Extensions.Diagnostics.HealthChecks;
using Onggi.AspNetCore.Health;
using Onggi.Diagnostics;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds Onggi to the health checks of a host.</summary>
public static class OnggiHealthExtensions
{
    /// <summary>Adds the health checks of the host, with Onggi's among them: the same as <c>AddHealthChecks().AddOnggi()</c>.</summary>
    /// <param name="services">The services of the host.</param>
    /// <returns>The builder, to add other checks.</returns>
    public static IHealthChecksBuilder AddOnggiHealthChecks(this IServiceCollection services) => services.AddHealthChecks().AddOnggi();

    /// <summary>Adds a check that asks Redis (two round trips, each ended by the time-out of the health options).</summary>
    /// <param name="builder">The host's checks.</param>
    /// <param name="name">Its name among the checks.</param>
    /// <param name="failureStatus">
    /// What it says when Redis cannot be used; <c>null</c> for <see cref="HealthStatus.Unhealthy"/>. A service whose loaders can do
    /// without Redis may say <see cref="HealthStatus.Degraded"/>, so that not every replica leaves the load balancer at once.
    /// </param>
    /// <param name="tags">Tags to choose checks by; <c>null</c> for none.</param>
    public static IHealthChecksBuilder AddOnggi(
        this IHealthChecksBuilder builder,
        string name = "onggi",
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null
    ) =>
        builder.Add(
            new HealthCheckRegistration(
                name,
                static services => new OnggiHealthCheck(services.GetRequiredService<OnggiHealth>()),
                failureStatus,
                tags
            )
        );
}
