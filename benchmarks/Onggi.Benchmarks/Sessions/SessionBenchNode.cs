using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Sessions;

namespace Onggi.Benchmarks.Sessions;

/// <summary>One node of the service that owns the sessions, made as a service makes it.</summary>
internal sealed class SessionBenchNode : IAsyncDisposable
{
    private const string Catalog = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "auth": {}, "orders": {} },
          "families": {
            "session": { "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "24h" }
          }
        }
        """;

    private readonly IHost _host;

    private SessionBenchNode(IHost host)
    {
        _host = host;
        Keyspace = host.Services.GetRequiredService<OnggiKeyspace>();
    }

    public OnggiKeyspace Keyspace { get; }

    public OnggiSessions Sessions => Keyspace.Sessions;

    public static Task<SessionBenchNode> StartAsync(int port, Action<SessionOptions> configure) =>
        StartAsync(string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"), configure);

    public static async Task<SessionBenchNode> StartAsync(string connection, Action<SessionOptions> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = connection;
            options.Service = "auth";
            options.Catalog = Catalog;
            options.RequireRedisAtStart = true;
            options.ConnectTimeout = TimeSpan.FromSeconds(30);
            options.CommandTimeout = TimeSpan.FromSeconds(30);
            configure(options.Sessions);
        });
        var host = builder.Build();
        await host.StartAsync();
        return new SessionBenchNode(host);
    }

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();
}
