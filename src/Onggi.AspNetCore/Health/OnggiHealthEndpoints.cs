using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Health;
using Onggi.Diagnostics;

namespace Microsoft.AspNetCore.Builder;

/// <summary>The health endpoint.</summary>
public static class OnggiHealthEndpoints
{
    extension(IEndpointRouteBuilder endpoints)
    {
        /// <summary>
        /// Answers whether Redis is <c>up</c>, <c>degraded</c> or <c>down</c> as JSON with the reasons and the latency; 200 when it can be
        /// used, 503 when not. Two round trips, each ended by the time-out of the health options, so it answers when Redis hangs too.
        /// </summary>
        /// <remarks>
        /// It tells of Redis, not of this process: a service whose loaders can do without Redis should not be restarted, nor taken out of
        /// the load balancer, because of it.
        /// </remarks>
        /// <param name="pattern">The route.</param>
        /// <returns>The endpoint, to which hosts, ports or authorization can be added: its reasons name the address of Redis.</returns>
        /// <exception cref="InvalidOperationException"><c>AddOnggi</c> was not called.</exception>
        public IEndpointConventionBuilder MapOnggiHealth(string pattern = "/health")
        {
            var health = endpoints.ServiceProvider.GetRequiredService<OnggiHealth>();
            return endpoints
                .MapGet(pattern, context => ServeAsync(context, health))
                .ExcludeFromDescription()
                .WithDisplayName("Onggi health");
        }
    }

    private static async Task ServeAsync(HttpContext context, OnggiHealth health)
    {
        var report = await health.CheckAsync(context.RequestAborted);
        context.Response.StatusCode =
            report.State == OnggiHealthState.Down ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsJsonAsync(
            HealthBody.Of(report),
            AspNetCoreJson.Default.HealthBody,
            contentType: null,
            context.RequestAborted
        );
    }
}
