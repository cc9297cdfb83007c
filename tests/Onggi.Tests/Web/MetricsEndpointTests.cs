using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Onggi.Tests.Web;

public class MetricsEndpointTests
{
    [Fact]
    public async Task The_page_is_of_the_type_that_Prometheus_reads()
    {
        await using var host = await WebHost.StartAsync(services => services.AddMetrics(), app => app.MapOnggiMetrics());
        host.Services.GetRequiredService<IMeterFactory>().Create("Onggi.Test").CreateCounter<int>("onggi.x").Add(1);

        using var answer = await host.Client.GetAsync("/metrics");

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        Assert.Contains("onggi_x_total 1\n", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Other_meters_are_added_by_option()
    {
        await using var host = await WebHost.StartAsync(
            services => services.AddMetrics(),
            app => app.MapOnggiMetrics("/m", options => options.Meters.Add("Microsoft.AspNetCore.*"))
        );
        (await host.Client.GetAsync("/m")).Dispose();

        // A request is counted after its answer has gone out: the page may be asked for before the first one is.
        var page = "";
        for (var left = 200; left > 0 && !page.Contains("http_server_request_duration_seconds_count", StringComparison.Ordinal); left--)
            page = await host.Client.GetStringAsync("/m");

        Assert.Contains("http_server_request_duration_seconds_count", page);
    }

    [Fact]
    public async Task A_limit_of_no_series_is_refused_at_start() =>
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() =>
            WebHost.StartAsync(_ => { }, app => app.MapOnggiMetrics(configure: options => options.MaxSeries = 0))
        );
}
