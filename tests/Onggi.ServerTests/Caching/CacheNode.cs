using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.ServerTests.Client;

namespace Onggi.ServerTests.Caching;

public sealed record Customer(string LineNumber, string Name, string? Nickname = null);

public sealed record CustomerUpdated(string LineNumber);

[JsonDerivedType(typeof(Card), "card")]
[JsonDerivedType(typeof(Transfer), "transfer")]
public abstract record Payment(decimal Amount);

public sealed record Card(decimal Amount, string Brand) : Payment(Amount);

public sealed record Transfer(decimal Amount, string Bank) : Payment(Amount);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Customer))]
[JsonSerializable(typeof(CustomerUpdated))]
[JsonSerializable(typeof(Payment))]
[JsonSerializable(typeof(string))]
public sealed partial class NodeJson : JsonSerializerContext;

/// <summary>One replica of a service, as its host has it: options, connection, events and cache.</summary>
internal sealed class CacheNode : IAsyncDisposable, ILoggerProvider, ILogger
{
    /// <summary>Long enough to tell one time-out from two on a busy machine.</summary>
    public static readonly TimeSpan ShortTimeout = TimeSpan.FromSeconds(1);

    public static readonly EventType<CustomerUpdated> CustomerUpdated = new("customer.updated");

    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "defaults": { "ttl": "30m", "jitter": "10%", "grace": "1m", "negativeTtl": "20s" },
          "services": { "shop": {} },
          "events": {
            "customer.updated": { "payload": "Onggi.ServerTests.Caching.CustomerUpdated", "keys": { "customer": { "lineNumber": "data.lineNumber" } } }
          },
          "families": {
            "customer": { "key": "customer:{lineNumber}", "kind": "cache", "value": "Onggi.ServerTests.Caching.Customer", "invalidatedBy": ["customer.updated"] },
            "payment": { "key": "payment:{id}", "kind": "cache", "value": "Onggi.ServerTests.Caching.Payment" },
            "text": { "key": "text:{id}", "kind": "cache", "value": "string" },
            "note": { "key": "note:{id}", "kind": "cache", "value": "string" }
          }
        }
        """;

    private static readonly KeyFamily CustomerFamily = new("customer", "lineNumber");
    private static readonly KeyFamily PaymentFamily = new("payment", "id");
    private static readonly KeyFamily TextFamily = new("text", "id");
    private static readonly KeyFamily NoteFamily = new("note", "id");

    private readonly ConcurrentQueue<(int Id, string Text)> _log = new();
    private readonly IHost _host;

    private CacheNode(string connectionString, Action<OnggiOptions>? configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(this);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = connectionString;
            options.Service = "shop";
            options.Catalog = CatalogJson;
            options.Json = NodeJson.Default;
            // Where no test waits for it, it is far longer than anything takes on a busy machine.
            options.CommandTimeout = TimeSpan.FromSeconds(15);
            configure?.Invoke(options);
        });
        _host = builder.Build();
    }

    public OnggiCache Cache => _host.Services.GetRequiredService<OnggiCache>();

    public OnggiKeyspace Keyspace => _host.Services.GetRequiredService<OnggiKeyspace>();

    public OnggiEvents Events => _host.Services.GetRequiredService<OnggiEvents>();

    public RedisClient Redis => _host.Services.GetRequiredService<RedisClient>();

    public IReadOnlyCollection<(int Id, string Text)> Log => _log;

    public static CacheKey<Customer> Customer(string lineNumber) => new(new EntryKey(CustomerFamily, lineNumber));

    public static CacheKey<Payment> Payment(string id) => new(new EntryKey(PaymentFamily, id));

    public static CacheKey<string> Text(string id) => new(new EntryKey(TextFamily, id));

    public static CacheKey<string> Note(string id) => new(new EntryKey(NoteFamily, id));

    public static async Task<CacheNode> StartAsync(string connectionString, Action<OnggiOptions>? configure = null)
    {
        var node = new CacheNode(connectionString, configure);
        await node._host.StartAsync().Within();
        await UntilAsync(() => node.Events.IsListening);
        return node;
    }

    /// <summary>For tests that wait for the time-out.</summary>
    public static void Impatient(OnggiOptions options) => options.CommandTimeout = ShortTimeout;

    /// <summary>Looks again and again, because nothing tells when another process's news have arrived.</summary>
    public static async Task UntilAsync(Func<bool> reached)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        for (; !reached(); await Task.Yield())
            patience.Token.ThrowIfCancellationRequested();
    }

    /// <inheritdoc cref="UntilAsync(Func{bool})"/>
    public static async Task UntilAsync(Func<Task<bool>> reached)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        for (; !await reached(); await Task.Delay(5, patience.Token))
            patience.Token.ThrowIfCancellationRequested();
    }

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();

    public ILogger CreateLogger(string categoryName) => this;

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    void ILogger.Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter
    ) => _log.Enqueue((eventId.Id, formatter(state, exception)));

    public void Dispose() { }
}
