using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Metrics;

namespace Microsoft.AspNetCore.Builder;

/// <summary>The Prometheus endpoint.</summary>
public static class OnggiMetricsEndpoints
{
    extension(IEndpointRouteBuilder endpoints)
    {
        /// <summary>
        /// Serves what the meters <c>Onggi.*</c> of this host measured in the Prometheus text format (version 0.0.4). Counting begins
        /// with this call. A scrape makes no round trip to Redis, so it answers when Redis is slow or gone too.
        /// </summary>
        /// <param name="pattern">The route.</param>
        /// <param name="configure">More meters, another limit of series.</param>
        /// <returns>The endpoint, to which hosts, ports or authorization can be added: what it tells is not for the outside.</returns>
        /// <exception cref="ArgumentOutOfRangeException"><see cref="OnggiMetricsOptions.MaxSeries"/> is under 1.</exception>
        public IEndpointConventionBuilder MapOnggiMetrics(string pattern = "/metrics", Action<OnggiMetricsOptions>? configure = null)
        {
            var options = new OnggiMetricsOptions();
            configure?.Invoke(options);
            var services = endpoints.ServiceProvider;
            var exporter = new PrometheusExporter(
                options,
                services.GetService<IMeterFactory>(),
                services.GetRequiredService<ILoggerFactory>().CreateLogger("Onggi.AspNetCore.Metrics")
            );
            services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopped.Register(exporter.Dispose);
            return endpoints
                .MapGet(pattern, context => ServeAsync(context, exporter))
                .ExcludeFromDescription()
                .WithDisplayName("Onggi metrics");
        }
    }

    private static async Task ServeAsync(HttpContext context, PrometheusExporter exporter)
    {
        context.Response.ContentType = PrometheusText.ContentType;
        exporter.Write(context.Response.BodyWriter);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }
}
