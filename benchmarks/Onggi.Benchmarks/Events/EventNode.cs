using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Benchmarks.Events;

/// <summary>The payload of the benchmark's events.</summary>
internal sealed record Happened(string Line, string What, long Number);

/// <summary>How it is written and read.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Happened))]
internal sealed partial class EventBenchJson : JsonSerializerContext;

/// <summary>A service with events, made as a service makes it.</summary>
internal sealed class EventNode : IAsyncDisposable
{
    public const string Head = "bench:events:head:bill.happened";
    public const string Ring = "{bench:events:head:bill.happened}:ring";
    public const string Channel = "bench:events:global:bill.happened";

    public static readonly EventType<Happened> Type = new("bill.happened");

    public static readonly Happened Data = new("010-1234-5678", "the bill was paid", 42);

    private const string Catalog = """
        {
          "system": "events", "environment": "bench", "prefix": "{environment}:",
          "services": { "node": {} },
          "families": {},
          "events": { "bill.happened": { "payload": "Onggi.Benchmarks.Events.Happened" } }
        }
        """;

    private readonly IHost _host;

    private EventNode(IHost host)
    {
        _host = host;
        Events = host.Services.GetRequiredService<OnggiEvents>();
        Redis = host.Services.GetRequiredService<RedisClient>();
    }

    public OnggiEvents Events { get; }

    public RedisClient Redis { get; }

    public static async Task<EventNode> StartAsync(int port)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}";
            options.Service = "node";
            options.Catalog = Catalog;
            options.Json = EventBenchJson.Default;
            options.RequireRedisAtStart = true;
            options.ConnectTimeout = TimeSpan.FromSeconds(30);
            options.CommandTimeout = TimeSpan.FromSeconds(30);
        });
        var host = builder.Build();
        await host.StartAsync();
        return new EventNode(host);
    }

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();
}
