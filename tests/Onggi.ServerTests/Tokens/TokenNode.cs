using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Tokens;

namespace Onggi.ServerTests.Tokens;

/// <summary>Tests that have to do with tokens run one after the other, those of signing in too: some turn switches on that are the process's.</summary>
[CollectionDefinition(Name)]
public sealed class TokenTests
{
    internal const string Name = "tokens";
}

/// <summary>One process of a service that has to do with tokens.</summary>
internal sealed class TokenNode : IAsyncDisposable, IEventSink
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "auth": {}, "orders": {} },
          "families": {
            "blacklist": { "kind": "token", "key": "auth:token:blacklist:{jti}", "owner": "auth", "readers": ["*"], "ttl": "15m" },
            "refresh": { "kind": "token", "key": "auth:token:refresh:{userId}", "owner": "auth", "readers": ["*"], "ttl": "30d" }
          }
        }
        """;

    /// <summary>The keys that all nodes share.</summary>
    public static readonly TokenKeyRing SharedKeys = new(TokenKey.Generate("shared"));

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    private TokenNode(RedisClient redis, Action<TokenOptions>? change, TokenKeyRing? keys, TimeProvider? time)
    {
        Redis = redis;
        var options = new TokenOptions { Issuer = "shop", RefreshSecret = "a secret of refresh tokens, long enough" };
        change?.Invoke(options);
        Tokens = new OnggiTokens(
            redis,
            Keyspace.Load(CatalogJson, service: "auth"),
            options,
            keys ?? SharedKeys,
            this,
            _services.GetRequiredService<IMeterFactory>(),
            new Logger<OnggiTokens>(Log),
            time ?? TimeProvider.System
        );
    }

    public RedisClient Redis { get; }

    public OnggiTokens Tokens { get; }

    public LogLines Log { get; } = new();

    public ConcurrentQueue<object> Told { get; } = new();

    public static async Task<TokenNode> StartAsync(
        string connectionString,
        Action<TokenOptions>? change = null,
        TokenKeyRing? keys = null,
        TimeProvider? time = null,
        Action<RedisClientOptions>? client = null
    )
    {
        var options = RedisClientOptions.Parse(connectionString);
        // Where no test waits for it, it is far longer than anything takes on a busy machine.
        options.CommandTimeout = TimeSpan.FromSeconds(15);
        client?.Invoke(options);
        return new TokenNode(await RedisClient.ConnectAsync(options).Within(), change, keys, time);
    }

    /// <summary>A node over a client that is there.</summary>
    public static TokenNode Over(RedisClient redis, Action<TokenOptions>? change = null) => new(redis, change, null, null);

    public async Task<IssuedTokens> SignInAsync(
        string subject,
        bool withRefresh = true,
        TimeSpan? lifetime = null,
        string? session = null
    ) =>
        await Tokens
            .IssueAsync(
                new TokenRequest
                {
                    Subject = subject,
                    WithRefresh = withRefresh,
                    AccessLifetime = lifetime,
                    SessionId = session,
                    Roles = ["clerk"],
                }
            )
            .Within();

    public async Task<TokenRefusal> RefusalAsync(string? token) => (await Tokens.VerifyAsync(token).Within()).Refusal;

    public async Task<VerifiedToken> ReadAsync(string token) => (await Tokens.InspectAsync(token)).Token!;

    public ValueTask DeliverAsync<TData>(EventType<TData> type, string id, TData data, CancellationToken cancellationToken = default) =>
        NotifyAsync(type, data, cancellationToken);

    public ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default)
    {
        Told.Enqueue(data!);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await Tokens.DisposeAsync();
        await Redis.DisposeAsync();
        await _services.DisposeAsync();
    }
}

/// <summary>The clock of a machine that somebody set wrong.</summary>
internal sealed class WrongClock(TimeSpan off) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + off;
}
