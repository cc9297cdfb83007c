using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Client;
using Onggi.Events;
using Onggi.Events.Streams;

namespace Onggi.Benchmarks.Streams;

internal sealed record Job(long Number);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Job))]
internal sealed partial class JobJson : JsonSerializerContext;

/// <summary>A service with events that are delivered at least once, made as a service makes it.</summary>
internal sealed class StreamNode : IAsyncDisposable
{
    public const string Type = "job.placed";
    public const string Service = "node";
    public const string Stream = "bench:events:stream:job.placed";

    private const string Catalog = """
        {
          "system": "streams", "environment": "bench", "prefix": "{environment}:",
          "services": { "node": {} },
          "events": { "job.placed": { "payload": "Onggi.Benchmarks.Streams.Job", "delivery": "atLeastOnce" } },
          "families": { "unused": { "key": "cache:unused:{id}", "value": "Onggi.Benchmarks.Streams.Job", "ttl": "1m" } }
        }
        """;

    public static readonly EventType<Job> Placed = new(Type);

    private readonly IHost _host;

    private StreamNode(IHost host)
    {
        _host = host;
        Events = host.Services.GetRequiredService<OnggiEvents>();
        Redis = host.Services.GetRequiredService<RedisClient>();
    }

    public OnggiEvents Events { get; }

    public RedisClient Redis { get; }

    public static async Task<StreamNode> StartAsync(int port, Action<StreamOptions>? configure = null, TimeSpan? commandTimeout = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{port}";
            options.Service = Service;
            options.Catalog = Catalog;
            options.Json = JobJson.Default;
            options.ConnectTimeout = TimeSpan.FromSeconds(30);
            options.CommandTimeout = commandTimeout ?? TimeSpan.FromSeconds(30);
            configure?.Invoke(options.Events.Streams);
        });
        var host = builder.Build();
        await host.StartAsync();
        return new StreamNode(host);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        await ((IAsyncDisposable)_host).DisposeAsync();
    }
}
