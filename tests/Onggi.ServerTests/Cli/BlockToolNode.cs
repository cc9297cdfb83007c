using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Limits;

namespace Onggi.ServerTests.Cli;

/// <summary>A service with all blocks and warm-ups, for the tool to look at from outside.</summary>
internal sealed class BlockToolNode : IAsyncDisposable
{
    public const string Token = "a-token";

    public const int Customers = 1000;

    public const string CatalogJson = """
        {
          "system": "shop", "environment": "dev", "prefix": "{environment}:",
          "services": { "auth": {} },
          "events": {
            "order.placed": { "payload": "System.String" },
            "customer.moved": { "payload": "System.String", "keys": { "customer": { "id": "metadata.id" } } }
          },
          "families": {
            "customer": { "key": "customer:{id}", "value": "string", "owner": "auth", "personal": ["id"], "invalidatedBy": ["customer.moved"] },
            "run": { "key": "locks:run:{id}", "kind": "lock", "ttl": "30s", "owner": "auth" },
            "login": { "key": "rate_limit:login:{user}", "kind": "limit", "ttl": "1d", "owner": "auth" },
            "session": { "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "8h" }
          },
          "environments": { "production": { "personalIdentifiers": "hmac" } }
        }
        """;

    private readonly WebApplication _app;

    private BlockToolNode(WebApplication app) => _app = app;

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    public OnggiKeyspace Keyspace => _app.Services.GetRequiredService<OnggiKeyspace>();

    public static async Task<BlockToolNode> StartAsync(string connectionString)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        builder.Services.AddOnggi(onggi =>
        {
            onggi.ConnectionString = connectionString;
            onggi.Service = "auth";
            onggi.Catalog = CatalogJson;
            onggi.Json = BlockToolJson.Default;
            onggi.CommandTimeout = TimeSpan.FromSeconds(15);
            onggi.Limits.ForFamily("login", policy => policy.With(LimitRule.Even(10, TimeSpan.FromHours(1))).With(LimitRule.Concurrent(3)));
        });
        AddWarmUp(
            builder.Services,
            "customers",
            static (cache, progress, cancellation) => cache.WarmAsync("customers", CustomersAsync(), progress, cancellation)
        );
        AddWarmUp(builder.Services, "broken", static (_, _, _) => throw new InvalidOperationException("The database is away."));
        AddWarmUp(
            builder.Services,
            "endless",
            static async (_, _, cancellation) =>
            {
                await Task.Delay(Timeout.Infinite, cancellation);
                throw new InvalidOperationException();
            }
        );
        var app = builder.Build();
        app.Use(
            async (context, next) =>
            {
                if (
                    context.Request.Path.StartsWithSegments("/api", StringComparison.Ordinal)
                    && context.Request.Headers.Authorization != $"Bearer {Token}"
                )
                    context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                else
                    await next(context);
            }
        );
        app.MapOnggiWarmUp();
        app.MapGet("/elsewhere", () => "hello");
        await app.StartAsync();
        return new BlockToolNode(app);
    }

    private static void AddWarmUp(
        IServiceCollection services,
        string name,
        Func<OnggiCache, IProgress<WarmProgress>, CancellationToken, ValueTask<WarmReport>> run
    ) =>
        services.AddOnggiWarmUp(
            name,
            (provider, progress, cancellation) => run(provider.GetRequiredService<OnggiCache>(), progress, cancellation),
            options => options.WhenEmpty = false
        );

    private static async IAsyncEnumerable<KeyValuePair<CacheKey<string>, string?>> CustomersAsync()
    {
        for (var i = 0; i < Customers; i++)
        {
            await Task.Yield();
            yield return new(new CacheKey<string>(new EntryKey(new KeyFamily("customer", "id"), $"{i}")), "somebody");
        }
    }

    public static LockKey Run(string id) => new(new EntryKey(new KeyFamily("run", "id"), id));

    public static LimitKey Login(string user) => new(new EntryKey(new KeyFamily("login", "user"), user));

    public static EventType<string> Event(string name) => new(name);

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(soon.Token);
        await _app.DisposeAsync();
    }
}

[JsonSerializable(typeof(string))]
internal sealed partial class BlockToolJson : JsonSerializerContext;
