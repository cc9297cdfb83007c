using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Testing;
using Onggi.Tests.Caching;
using Onggi.Tests.Events;
using Onggi.Tokens;

namespace Onggi.Tests.Tokens;

/// <summary>Tokens without a server: what is decided before Redis is asked.</summary>
internal sealed class TokenWorld : IAsyncDisposable
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

    public const string Secret = "a secret of refresh tokens, long enough";

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly RedisClient _redis;

    public TokenWorld(
        Action<TokenOptions>? change = null,
        TokenKeyRing? keys = null,
        string connectionString = "127.0.0.1:1",
        TimeSpan? patience = null
    )
    {
        Keys = keys ?? new TokenKeyRing(TokenKey.Generate("first"));
        Options = new TokenOptions { Issuer = "shop", RefreshSecret = Secret };
        change?.Invoke(Options);
        var redis = RedisClientOptions.Parse(connectionString);
        redis.ConnectTimeout = redis.CommandTimeout = connectionString.EndsWith(":1", StringComparison.Ordinal)
            ? TimeSpan.FromMilliseconds(50)
            : TimeSpan.FromSeconds(20);
        redis.CommandTimeout = patience ?? redis.CommandTimeout;
        _redis = new RedisClient(redis);
        Meters = _services.GetRequiredService<IMeterFactory>();
        Tokens = new OnggiTokens(
            _redis,
            Keyspace.Load(CatalogJson, service: "auth"),
            Options,
            Keys,
            Events,
            Meters,
            new Logger<OnggiTokens>(Log),
            Time
        );
    }

    public RedisClient Redis => _redis;

    public TokenKeyRing Keys { get; }

    public TokenOptions Options { get; }

    public ManualTimeProvider Time { get; } = new();

    public FakeEvents Events { get; } = new();

    public LogLines Log { get; } = new();

    public IMeterFactory Meters { get; }

    public OnggiTokens Tokens { get; }

    /// <summary>An access token as the library signs it, at the time of the world.</summary>
    public string Sign(TokenRequest? request = null, TimeSpan? lifetime = null, TimeSpan ago = default, TokenSetup? by = null)
    {
        request ??= new TokenRequest { Subject = "ada" };
        var setup = by ?? Tokens.Setup;
        var subject = setup.Names.Of(request.Subject);
        var first = RefreshToken.First(request, request.Audience ?? setup.Access.Audiences[0], subject.NewId(), setup.Secret());
        return setup
            .Access.Sign(
                first,
                subject.NewId(),
                withFamily: true,
                (Time.GetUtcNow() - ago).ToUnixTimeMilliseconds(),
                lifetime ?? setup.Access.Lifetime
            )
            .Text;
    }

    /// <summary>What is found without asking Redis.</summary>
    public async Task<TokenRefusal> RefusalAsync(string? token) => (await Tokens.InspectAsync(token)).Refusal;

    public async ValueTask DisposeAsync()
    {
        await Tokens.DisposeAsync();
        await _redis.DisposeAsync();
        await _services.DisposeAsync();
    }
}
