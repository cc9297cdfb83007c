using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Events;
using Onggi.Testing;
using Onggi.Tests.Web;

namespace Onggi.ServerTests.Web;

public class EndpointTests
{
    [Fact]
    public async Task Health_follows_a_server_up_and_down()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var app = await StartAsync(redis);
        using var client = Client(app);

        var (code, body) = await HealthAsync(client);
        Assert.Equal(HttpStatusCode.OK, code);
        Assert.Equal("up", body.GetProperty("status").GetString());
        Assert.Empty(body.GetProperty("reasons").EnumerateArray());
        Assert.True(body.GetProperty("latencyMilliseconds").GetDouble() > 0);
        Assert.True(body.GetProperty("usedMemoryBytes").GetInt64() > 0);

        await redis.StopAsync();

        (code, body) = await HealthAsync(client);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, code);
        Assert.Equal("down", body.GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_server_that_is_nearly_full_is_degraded_and_still_200()
    {
        // Less than an empty server needs.
        await using var redis = await RedisServerProcess.StartAsync("--maxmemory", "500kb");
        await using var app = await StartAsync(redis);
        using var client = Client(app);

        var (code, body) = await HealthAsync(client);

        Assert.Equal(HttpStatusCode.OK, code);
        Assert.Equal("degraded", body.GetProperty("status").GetString());
        Assert.Contains("memory", body.GetProperty("reasons")[0].GetString());
    }

    [Fact]
    public async Task A_server_that_hangs_is_down_within_the_time_out()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var app = await StartAsync(redis, onggi => onggi.Health.Timeout = TimeSpan.FromMilliseconds(200));
        using var client = Client(app);
        redis.Pause();

        var (code, body) = await HealthAsync(client);
        redis.Resume();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, code);
        Assert.Contains("PING", body.GetProperty("reasons")[0].GetString());
    }

    [PromtoolFact]
    public async Task Promtool_has_nothing_to_say_to_the_meters_of_a_host_at_work()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var app = await StartAsync(redis);
        using var client = Client(app);
        var keyspace = app.Services.GetRequiredService<OnggiKeyspace>();
        await keyspace.Events.PublishAsync(OnggiEventTypes.CacheWarmed, new CacheWarmed("products", ["product"], 3, 0.1));

        var text = await client.GetStringAsync("/metrics");

        Assert.Contains("db_client_operation_duration_seconds_bucket{", text);
        Assert.Contains("onggi_events_published_total{onggi_event_type=\"cache.warmed\"} 1", text);
        Assert.Contains("onggi_client_connected{", text);
        Assert.Equal("", await Promtool.CheckAsync(text));
    }

    private static async Task<WebApplication> StartAsync(RedisServerProcess redis, Action<OnggiOptions>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        builder.Services.AddOnggi(onggi =>
        {
            onggi.ConnectionString = redis.ConnectionString;
            onggi.RequireRedisAtStart = true;
            onggi.Service = "web";
            onggi.Catalog = """{ "system": "test", "environment": "dev", "services": { "web": {} }, "families": {} }""";
            // A busy machine is not what is tested here.
            onggi.Health.SlowerThan = TimeSpan.FromMilliseconds(150);
            configure?.Invoke(onggi);
        });
        var app = builder.Build();
        app.MapOnggiHealth();
        app.MapOnggiMetrics();
        app.MapOnggiWarmUp();
        await app.StartAsync();
        return app;
    }

    private static HttpClient Client(WebApplication app) => new() { BaseAddress = new Uri(app.Urls.Single()) };

    private static async Task<(HttpStatusCode Code, JsonElement Body)> HealthAsync(HttpClient client)
    {
        using var answer = await client.GetAsync("/health");
        using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        return (answer.StatusCode, body.RootElement.Clone());
    }
}
