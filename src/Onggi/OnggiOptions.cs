using System.Text.Json.Serialization.Metadata;
using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Diagnostics;
using Onggi.Events;
using Onggi.Limits;
using Onggi.Locks;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi;

/// <summary>How a service uses the team's Redis. Checked when the host starts; every mistake is in one message.</summary>
public sealed class OnggiOptions
{
    /// <summary>Where Redis is: <c>host:port,password=…,user=…</c> or <c>redis://user:password@host:port/0</c>. Never logged.</summary>
    /// <value>Default <c>127.0.0.1:6379</c>.</value>
    public string ConnectionString { get; set; } = "127.0.0.1:6379";

    /// <summary>The name of this service as the catalog has it. It is the source of its events and its name in <c>CLIENT LIST</c>. Required.</summary>
    public string Service { get; set; } = "";

    /// <summary>Which of the catalog's environments this is.</summary>
    /// <value>Default <c>null</c>: the one that the catalog names.</value>
    public string? Environment { get; set; }

    /// <summary>The text of the catalog; generated code has it: <c>options.Catalog = Catalog.Json</c>. This or <see cref="CatalogPath"/> is required.</summary>
    public string? Catalog { get; set; }

    /// <summary>The catalog's file, where its text is not compiled in. A relative path starts at the current directory.</summary>
    /// <value>Default <c>null</c>. Not read when <see cref="Catalog"/> is given.</value>
    public string? CatalogPath { get; set; }

    /// <summary>The secret with which personal identifiers are hashed in key names; the same in all services. Never logged.</summary>
    /// <value>Default <c>null</c>: enough for catalogs without personal identifiers.</value>
    public string? PersonalSecret { get; set; }

    /// <summary>How long a caller waits for Redis's answer to one command.</summary>
    /// <value>Default 2 s.</value>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the start of the host waits for Redis, all attempts together.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether the host must not start without Redis. When <c>false</c> it starts, says so loudly, and goes on trying.</summary>
    /// <value>Default <c>false</c>.</value>
    public bool RequireRedisAtStart { get; set; }

    /// <summary>How this process caches.</summary>
    public CacheOptions Cache { get; set; } = new();

    /// <summary>How this process handles sessions.</summary>
    public SessionOptions Sessions { get; set; } = new();

    /// <summary>How tokens are issued and judged. Off while <see cref="TokenOptions.Issuer"/> is empty.</summary>
    public TokenOptions Tokens { get; set; } = new();

    /// <summary>How events are published and handed to handlers.</summary>
    public EventOptions Events { get; set; } = new();

    /// <summary>How locks are held and waited for.</summary>
    public LockOptions Locks { get; set; } = new();

    /// <summary>How much may be done per time, by family.</summary>
    public LimitOptions Limits { get; set; } = new();

    /// <summary>How large batches may be.</summary>
    public BatchOptions Batches { get; set; } = new();

    /// <summary>From when on the service calls its Redis degraded.</summary>
    public HealthOptions Health { get; set; } = new();

    internal IJsonTypeInfoResolver? JsonResolver; // A field: see OnggiJsonOption.

    internal TokenKeyRing? TokenKeyRing; // The same: see OnggiTokenKeysOption.

    internal Action<RedisClientOptions>? ClientConfiguration; // The same: see OnggiClientOption.
}

/// <summary>The option that only code can set.</summary>
/// <remarks>It stands apart because the generator that binds configuration warns of every property whose type it cannot make from text.</remarks>
public static class OnggiJsonOption
{
    extension(OnggiOptions options)
    {
        /// <summary>How values and payloads are read and written: your <c>JsonSerializerContext</c>'s <c>Default</c>.</summary>
        /// <remarks>A context keeps its own options (names, converters, encoder). Several contexts joined by <c>JsonTypeInfoResolver.Combine</c> get those of the web.</remarks>
        /// <value>Default <c>null</c>: the library's own types only.</value>
        public IJsonTypeInfoResolver? Json
        {
            get => options.JsonResolver;
            set => options.JsonResolver = value;
        }
    }
}

/// <summary>The keys of tokens, which configuration does not hold.</summary>
/// <remarks>It stands apart for the same reason as <see cref="OnggiJsonOption"/>.</remarks>
public static class OnggiTokenKeysOption
{
    extension(OnggiOptions options)
    {
        /// <summary>The keys that our tokens are signed and checked with; of a service that only checks, the public ones (<see cref="TokenKeyRing.FromJwks"/>). Later ones: <see cref="OnggiTokens.UseKeys"/>.</summary>
        /// <value>Default <c>null</c>.</value>
        public TokenKeyRing? TokenKeys
        {
            get => options.TokenKeyRing;
            set => options.TokenKeyRing = value;
        }
    }
}

/// <summary>The options of the client that a connection string cannot hold.</summary>
/// <remarks>It stands apart for the same reason as <see cref="OnggiJsonOption"/>.</remarks>
public static class OnggiClientOption
{
    extension(OnggiOptions options)
    {
        /// <summary>Runs last when the service's client is made, on what <see cref="OnggiOptions.ConnectionString"/> and the time-outs have said: the place for <see cref="RedisClientOptions.Credentials"/>.</summary>
        /// <value>Default <c>null</c>.</value>
        public Action<RedisClientOptions>? ConfigureClient
        {
            get => options.ClientConfiguration;
            set => options.ClientConfiguration = value;
        }
    }
}
