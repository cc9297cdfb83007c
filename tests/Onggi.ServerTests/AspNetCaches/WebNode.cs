using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.ServerTests.AspNetCaches;

public sealed record Price(string Product, int Won);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Price))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(int))]
public sealed partial class PriceJson : JsonSerializerContext;

/// <summary>One replica of a web service with all of ASP.NET's caches on one Redis.</summary>
internal sealed class WebNode : IAsyncDisposable
{
    public static readonly TimeSpan ShortTimeout = TimeSpan.FromSeconds(1);

    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "defaults": { "ttl": "30m", "negativeTtl": "20s" },
          "services": { "web": {} },
          "families": {
            "hybrid": { "key": "cache:hybrid:{key}", "kind": "cache" },
            "prices": { "key": "cache:prices:{key}", "kind": "cache", "ttl": "1h" },
            "brief": { "key": "cache:brief:{key}", "kind": "cache" },
            "distributed": { "key": "cache:distributed:{key}", "kind": "cache", "ttl": "20m" },
            "visits": { "key": "cache:visits:{key}", "kind": "cache" },
            "output": { "key": "cache:output:{key}", "kind": "cache" }
          }
        }
        """;

    private readonly WebApplication _app;

    private WebNode(WebApplication app)
    {
        _app = app;
        Client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
    }

    public HttpClient Client { get; }

    public IServiceProvider Services => _app.Services;

    public HybridCache Hybrid => Services.GetRequiredService<HybridCache>();

    public HybridCache Prices => Services.GetRequiredKeyedService<HybridCache>("prices");

    public IDistributedCache Distributed => Services.GetRequiredService<IDistributedCache>();

    public IDistributedCache Visits => Services.GetRequiredKeyedService<IDistributedCache>("visits");

    public IOutputCacheStore Output => Services.GetRequiredService<IOutputCacheStore>();

    public OnggiCache Cache => Services.GetRequiredService<OnggiCache>();

    public Keyspace Keys => Services.GetRequiredService<Keyspace>();

    public RedisClient Redis => Services.GetRequiredService<RedisClient>();

    public static async Task<WebNode> StartAsync(
        string connectionString,
        Action<OnggiOptions>? configure = null,
        Action<IServiceCollection>? services = null,
        Action<WebApplication>? map = null
    )
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        builder.Services.AddOnggi(onggi =>
        {
            onggi.ConnectionString = connectionString;
            onggi.Service = "web";
            onggi.Catalog = CatalogJson;
            onggi.Json = PriceJson.Default;
            // Where no test waits for it, it is far longer than anything takes on a busy machine.
            onggi.CommandTimeout = TimeSpan.FromSeconds(15);
            configure?.Invoke(onggi);
        });
        builder.Services.AddOnggiHybridCache();
        builder.Services.AddKeyedOnggiHybridCache("prices", static options => options.Family = "prices");
        builder.Services.AddKeyedOnggiHybridCache(
            "brief",
            static options =>
            {
                options.Family = "brief";
                options.DefaultEntryOptions = new()
                {
                    Expiration = TimeSpan.FromMinutes(2),
                    Flags = HybridCacheEntryFlags.DisableLocalCache,
                };
            }
        );
        builder.Services.AddOnggiDistributedCache();
        builder.Services.AddKeyedOnggiDistributedCache("visits", static options => options.Family = "visits");
        builder.Services.AddOutputCache();
        builder.Services.AddOnggiOutputCache();
        services?.Invoke(builder.Services);
        var app = builder.Build();
        app.UseOutputCache();
        map?.Invoke(app);
        await app.StartAsync();
        return new WebNode(app);
    }

    public static void Impatient(OnggiOptions options) => options.CommandTimeout = ShortTimeout;

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }
}

/// <summary>What a test asks the server itself.</summary>
internal static class Asking
{
    public static async Task<long> NumberAsync(this RedisServerProcess server, params string[] command) =>
        long.Parse((await server.CommandAsync(command))!, CultureInfo.InvariantCulture);

    /// <summary>All keys, by SCAN as a tool would find them.</summary>
    public static async Task<List<string>> KeysAsync(this WebNode node)
    {
        var keys = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var key in node.Redis.ScanAsync("*"))
            keys.Add(key);
        return [.. keys.Order(StringComparer.Ordinal)];
    }
}
