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

namespace Onggi.ServerTests.Events;

public sealed record UserUpdated(string UserId, string Name);

public sealed record User(string UserId, string Name);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(UserUpdated))]
[JsonSerializable(typeof(User))]
public sealed partial class ServiceJson : JsonSerializerContext;

/// <summary>One service of a team: a host with Onggi, as a program has it.</summary>
internal sealed class ServiceHost : IAsyncDisposable, ILoggerProvider, ILogger
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "users": {}, "orders": {} },
          "events": {
            "user.updated": { "payload": "Onggi.ServerTests.Events.UserUpdated", "keys": { "user": { "userId": "data.userId" } } },
            "user.deleted": { "payload": "Onggi.ServerTests.Events.UserUpdated" }
          },
          "families": {
            "user": { "key": "cache:user:{userId}", "kind": "cache", "ttl": "10m", "value": "Onggi.ServerTests.Events.User", "owner": "users", "invalidatedBy": ["user.updated"] }
          }
        }
        """;

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static readonly EventType<UserUpdated> UserUpdated = new("user.updated");
    public static readonly EventType<UserUpdated> UserDeleted = new("user.deleted");

    private readonly ConcurrentQueue<(int Id, string Text)> _log = new();
    private readonly ConcurrentDictionary<int, TaskCompletionSource> _awaited = new();
    private readonly IHost _host;

    private ServiceHost(string connectionString, string service, Action<OnggiOptions>? configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(this);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = connectionString;
            options.Service = service;
            options.Catalog = CatalogJson;
            options.Json = ServiceJson.Default;
            configure?.Invoke(options);
        });
        _host = builder.Build();
    }

    public IServiceProvider Services => _host.Services;

    public OnggiKeyspace Keyspace => Services.GetRequiredService<OnggiKeyspace>();

    public OnggiEvents Events => Keyspace.Events;

    public OnggiCache Cache => Keyspace.Cache;

    public RedisClient Redis => Keyspace.Redis;

    public IReadOnlyCollection<(int Id, string Text)> Log => _log;

    public static CacheKey<User> UserKey(string id) => new(new EntryKey(new KeyFamily("user", "userId"), id));

    public static async Task<ServiceHost> StartAsync(
        string connectionString,
        string service = "users",
        Action<OnggiOptions>? configure = null
    )
    {
        var host = new ServiceHost(connectionString, service, configure);
        try
        {
            await host._host.StartAsync().WaitAsync(Patience);
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends when a line with that id has been logged.</summary>
    public Task LoggedAsync(int id)
    {
        var awaited = _awaited.GetOrAdd(id, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        if (_log.Any(line => line.Id == id))
            awaited.TrySetResult();
        return awaited.Task.WaitAsync(Patience);
    }

    /// <summary>Ends when Redis has confirmed every channel that this service wants.</summary>
    public async Task ListeningAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        for (; !Events.IsListening; await Task.Yield())
            patience.Token.ThrowIfCancellationRequested();
    }

    public Task StopAsync() => _host.StopAsync().WaitAsync(Patience);

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
    )
    {
        _log.Enqueue((eventId.Id, formatter(state, exception)));
        if (_awaited.TryGetValue(eventId.Id, out var awaited))
            awaited.TrySetResult();
    }

    public void Dispose() { }
}
