using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>An event that was heard, and when.</summary>
internal sealed record HeardEvent(string Type, string Id, SessionEvent Data, long Timestamp);

/// <summary>One replica of the service that owns the sessions, as its host has it.</summary>
internal sealed class SessionNode : IAsyncDisposable, ILoggerProvider, ILogger
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "auth": {}, "orders": {} },
          "families": {
            "session": {
              "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth", "readers": ["*"],
              "idle": "30m", "absolute": "24h", "limit": "1000", "policy": "leastRecent"
            }
          }
        }
        """;

    private readonly ConcurrentQueue<(int Id, string Text)> _log = new();
    private readonly ConcurrentQueue<HeardEvent> _heard = new();
    private readonly IHost _host;

    private SessionNode(string connectionString, Action<OnggiOptions>? configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(this).SetMinimumLevel(LogLevel.Trace);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = connectionString;
            options.Service = "auth";
            options.Catalog = CatalogJson;
            options.CommandTimeout = TimeSpan.FromSeconds(15);
            configure?.Invoke(options);
        });
        _host = builder.Build();
    }

    public OnggiKeyspace Keyspace => _host.Services.GetRequiredService<OnggiKeyspace>();

    public OnggiSessions Sessions => Keyspace.Sessions;

    public RedisClient Redis => Keyspace.Redis;

    public IReadOnlyCollection<(int Id, string Text)> Log => _log;

    /// <summary>The session events that were heard.</summary>
    public IReadOnlyCollection<HeardEvent> Heard => _heard;

    /// <summary>A node that hears, sweeps and publishes, unless the options say otherwise.</summary>
    public static async Task<SessionNode> StartAsync(
        string connectionString,
        Action<SessionOptions>? configure = null,
        Action<OnggiOptions>? host = null
    )
    {
        var node = new SessionNode(
            connectionString,
            options =>
            {
                configure?.Invoke(options.Sessions);
                host?.Invoke(options);
            }
        );
        await node._host.StartAsync().Within();
        return node;
    }

    /// <summary>A node that neither sweeps nor publishes: what a test sees is what it asked for.</summary>
    public static Task<SessionNode> QuietAsync(string connectionString, Action<SessionOptions>? configure = null) =>
        StartAsync(
            connectionString,
            options =>
            {
                options.Sweep = false;
                options.Events = false;
                configure?.Invoke(options);
            }
        );

    /// <summary>Begins to write down what is published about sessions.</summary>
    public async Task ListenAsync()
    {
        EventType<SessionEvent>[] types =
        [
            OnggiEventTypes.AuthSessionCreated,
            OnggiEventTypes.AuthSessionExpired,
            OnggiEventTypes.AuthSessionRevoked,
        ];
        foreach (var type in types)
            await Keyspace.Events.SubscribeAsync(
                type,
                (heard, _) =>
                {
                    _heard.Enqueue(new HeardEvent(heard.Type, heard.Id, heard.Data!, Stopwatch.GetTimestamp()));
                    return ValueTask.CompletedTask;
                }
            );
    }

    public IEnumerable<HeardEvent> HeardOf(string kind) => _heard.Where(heard => heard.Type == $"auth.session_{kind}");

    /// <summary>All names of keys on a server or in a cluster.</summary>
    public async Task<List<string>> KeysAsync()
    {
        var keys = new List<string>();
        await foreach (var key in Redis.ScanAsync("*"))
            keys.Add(key);
        return keys;
    }

    public string SessionKey(string handle) => $"test:auth:session:{handle}";

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
    ) => _log.Enqueue((eventId.Id, $"{formatter(state, exception)} {exception}"));

    public void Dispose() { }
}

/// <summary>Turns a mutant on until it is disposed. Tests that use one run by themselves, since the switches are the process's.</summary>
internal sealed class SessionMutantSwitch : IDisposable
{
    private readonly Action _off;

    private SessionMutantSwitch(Action off) => _off = off;

    public static SessionMutantSwitch Script((string Script, string Line, string Instead) mutant)
    {
        SessionMutants.Script = mutant;
        return new SessionMutantSwitch(() => SessionMutants.Script = null);
    }

    public static SessionMutantSwitch On(Action on, Action off)
    {
        on();
        return new SessionMutantSwitch(off);
    }

    public void Dispose() => _off();
}
