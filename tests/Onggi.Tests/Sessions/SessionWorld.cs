using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Sessions;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tests.Events;

namespace Onggi.Tests.Sessions;

/// <summary>Sessions on a scripted server, at a time of the test's own.</summary>
internal sealed class SessionWorld : IAsyncDisposable
{
    private const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:", "services": { "auth": {} },
          "families": {
            "session": { "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "24h" }
          }
        }
        """;

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public SessionWorld(string connectionString, TimeSpan commandTimeout)
    {
        var options = RedisClientOptions.Parse(connectionString);
        options.ConnectTimeout = options.CommandTimeout = commandTimeout;
        Redis = new RedisClient(options);
        Sessions = new OnggiSessions(
            Redis,
            Keyspace.Load(CatalogJson, service: "auth"),
            new SessionOptions { Events = false },
            new FakeEvents(),
            _services.GetRequiredService<IMeterFactory>(),
            new Logger<OnggiSessions>(Log),
            Time
        );
    }

    public RedisClient Redis { get; }

    public ManualTimeProvider Time { get; } = new();

    public LogLines Log { get; } = new();

    public OnggiSessions Sessions { get; }

    public async ValueTask DisposeAsync()
    {
        await Sessions.DisposeAsync();
        await Redis.DisposeAsync();
        await _services.DisposeAsync();
    }
}
