using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Onggi.AspNetCore;
using Onggi.AspNetCore.Health;
using Onggi.Diagnostics;
using Onggi.Testing;

namespace Onggi.Tests.Web;

public class HealthTests
{
    [Fact]
    public void The_body_tells_state_reasons_and_latency()
    {
        var report = new OnggiHealthReport(
            OnggiHealthState.Degraded,
            ["A round trip took 80 ms."],
            TimeSpan.FromMicroseconds(80_500),
            1_024,
            null
        );

        Assert.Equal(
            """{"status":"degraded","reasons":["A round trip took 80 ms."],"latencyMilliseconds":80.5,"usedMemoryBytes":1024}""",
            JsonSerializer.Serialize(HealthBody.Of(report), AspNetCoreJson.Default.HealthBody)
        );
    }

    [Fact]
    public async Task Redis_away_is_503_with_the_reason()
    {
        await using var host = await HostAsync(_ => { });

        using var answer = await host.Client.GetAsync("/health");
        using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("down", body.RootElement.GetProperty("status").GetString());
        Assert.Contains("Not connected to Redis", body.RootElement.GetProperty("reasons")[0].GetString());
    }

    [Theory]
    [InlineData(null, HealthStatus.Unhealthy)]
    [InlineData(HealthStatus.Degraded, HealthStatus.Degraded)]
    public async Task The_health_check_says_what_its_registration_says_when_Redis_is_away(HealthStatus? registered, HealthStatus expected)
    {
        await using var host = await HostAsync(services => services.AddHealthChecks().AddOnggi(failureStatus: registered));

        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.Equal(expected, report.Entries["onggi"].Status);
        Assert.Contains("Not connected to Redis", report.Entries["onggi"].Description);
    }

    [Fact]
    public async Task Without_AddOnggi_the_endpoint_is_refused_at_start() =>
        await Assert.ThrowsAsync<InvalidOperationException>(() => WebHost.StartAsync(_ => { }, app => app.MapOnggiHealth()));

    private static Task<WebHost> HostAsync(Action<IServiceCollection> services) =>
        WebHost.StartAsync(
            all =>
            {
                all.AddOnggi(onggi =>
                {
                    // Nobody listens on a port that was free a moment ago.
                    onggi.ConnectionString = $"127.0.0.1:{LoopbackPorts.Free()}";
                    onggi.ConnectTimeout = TimeSpan.FromMilliseconds(100);
                    onggi.Service = "web";
                    onggi.Catalog = """{ "system": "test", "environment": "dev", "services": { "web": {} }, "families": {} }""";
                });
                services(all);
            },
            app => app.MapOnggiHealth()
        );
}
