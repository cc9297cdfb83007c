using System.Diagnostics.Metrics;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Tests.Events;

public sealed record UserUpdated(string UserId, string Name);

public sealed record NobodyKnowsMe(int Number);

[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(UserUpdated))]
public sealed partial class TestJson : JsonSerializerContext;

/// <summary>An event bus without a server: tests hand it the messages of a channel themselves.</summary>
internal sealed class TestBus : IAsyncDisposable
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "users": {}, "orders": {} },
          "events": {
            "user.updated": { "payload": "Onggi.Tests.Events.UserUpdated", "keys": { "user": { "userId": "data.userId" } } },
            "user.deleted": { "payload": "Onggi.Tests.Events.UserUpdated" }
          },
          "families": {
            "user": { "key": "cache:user:{userId}", "kind": "cache", "ttl": "10m", "value": "Onggi.Tests.Events.UserUpdated", "owner": "users", "invalidatedBy": ["user.updated"] }
          }
        }
        """;

    public static readonly EventType<UserUpdated> UserUpdated = new("user.updated");
    public static readonly EventType<UserUpdated> UserDeleted = new("user.deleted");

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly RedisClient _redis;

    public TestBus(EventOptions? options = null, TimeProvider? time = null)
    {
        // Nobody listens on port 1; the waits are short because nothing here waits for Redis.
        _redis = new RedisClient(
            new RedisClientOptions
            {
                Port = 1,
                CommandTimeout = TimeSpan.FromMilliseconds(20),
                ConnectTimeout = TimeSpan.FromMilliseconds(20),
            }
        );
        _redis.Options.ConnectTimeout = TimeSpan.Zero;
        Meters = _services.GetRequiredService<IMeterFactory>();
        Events = new OnggiEvents(
            _redis,
            Keyspace.Load(CatalogJson, service: "users"),
            options ?? new EventOptions(),
            TestJson.Default,
            Meters,
            new Logger<OnggiEvents>(Log),
            time ?? TimeProvider.System
        );
    }

    public OnggiEvents Events { get; }

    public IMeterFactory Meters { get; }

    public LogLines Log { get; } = new();

    public void Receive(string type, string json) =>
        Events.Receive(type, new RedisMessage { Channel = "test:events:global:" + type, Payload = Encoding.UTF8.GetBytes(json) });

    public void Receive(string type, int number) =>
        Receive(
            type,
            $$$"""{"epoch":"e","seq":{{{number}}},"id":"id-{{{number}}}","type":"{{{type}}}","source":"users","metadata":{},"data":{"userId":"{{{number}}}","name":"secret name"}}"""
        );

    public void Interrupt(string type) =>
        Events.Receive(
            type,
            new RedisMessage
            {
                Channel = "",
                Payload = default,
                Interrupted = true,
            }
        );

    /// <summary>What a host that ends may do before the last work is done.</summary>
    public ValueTask CloseClientAsync() => _redis.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await Events.DisposeAsync();
        await _redis.DisposeAsync();
        await _services.DisposeAsync();
    }
}

/// <summary>Keeps what was logged.</summary>
internal sealed class LogLines : ILoggerFactory, ILoggerProvider, ILogger
{
    private readonly Lock _gate = new();
    private readonly List<(LogLevel Level, int Id, string Text)> _lines = [];

    /// <summary>Told the number of each line after it was written.</summary>
    public event Action<int>? Written;

    public IReadOnlyList<(LogLevel Level, int Id, string Text)> All
    {
        get
        {
            lock (_gate)
                return [.. _lines];
        }
    }

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) { }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter
    )
    {
        lock (_gate)
            _lines.Add((logLevel, eventId.Id, formatter(state, exception)));
        Written?.Invoke(eventId.Id);
    }

    public void Dispose() { }
}
