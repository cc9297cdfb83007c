using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Benchmarks.L2;

/// <summary>One node of a fleet, made as a service makes it: its own connections, its own memory.</summary>
internal sealed class L2Node : IAsyncDisposable
{
    public const int KeyCount = 1024;

    // Without grace or jitter there would be fewer steps to measure, and no service that has them.
    private const string Catalog = """
        {
          "system": "l2", "environment": "bench", "prefix": "{environment}:",
          "defaults": { "ttl": "1h", "grace": "5m", "jitter": "10%", "negativeTtl": "1s" },
          "services": { "node": {} },
          "families": {
            "unkept": { "key": "unkept:{id}", "kind": "cache", "value": "string" },
            "plain": { "key": "plain:{id}", "kind": "cache", "value": "string" },
            "lease": { "key": "lease:{id}", "kind": "cache", "value": "string" },
            "kept": { "key": "kept:{id}", "kind": "cache", "value": "string" }
          }
        }
        """;

    private static readonly Keyspace Keyspace = Keyspace.Load(Catalog);

    private readonly IHost _host;

    private L2Node(IHost host)
    {
        _host = host;
        Cache = host.Services.GetRequiredService<OnggiCache>();
        Redis = host.Services.GetRequiredService<RedisClient>();
    }

    /// <summary>Of a family with memory off.</summary>
    public static CacheKey<string>[] Unkept { get; } = KeysOf(new KeyFamily("unkept", "id"));

    /// <summary>Of a family with memory on.</summary>
    public static CacheKey<string>[] Plain { get; } = KeysOf(new KeyFamily("plain", "id"));

    /// <summary>Read by the script, kept by no memory.</summary>
    public static CacheKey<string>[] Lease { get; } = KeysOf(new KeyFamily("lease", "id"));

    /// <summary>Kept in memory.</summary>
    public static CacheKey<string>[] Kept { get; } = KeysOf(new KeyFamily("kept", "id"));

    public OnggiCache Cache { get; }

    public RedisClient Redis { get; }

    public static async Task<L2Node> StartAsync(int port, Action<OnggiOptions>? configure = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{port}";
            options.Service = "node";
            options.Catalog = Catalog;
            options.Json = BenchJson.Default;
            options.RequireRedisAtStart = true;
            options.ConnectTimeout = TimeSpan.FromSeconds(30);
            options.CommandTimeout = TimeSpan.FromSeconds(30);
            // What is larger is asked for in the same way as everything else, and not kept.
            options.Cache.MemoryMaxValueBytes = 16;
            options.Cache.ForFamily("unkept", static family => family.Memory = false);
            options.Cache.ForFamily(
                "lease",
                static family =>
                {
                    family.Memory = false;
                    family.ReadMode = ReadMode.Lease;
                }
            );
            configure?.Invoke(options);
        });
        var host = builder.Build();
        await host.StartAsync();
        return new L2Node(host);
    }

    /// <summary>A key's name in Redis.</summary>
    public static string WireName(CacheKey<string> key) => Keyspace.WireName(key.Entry);

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();

    private static CacheKey<string>[] KeysOf(KeyFamily family) =>
        [
            .. Enumerable
                .Range(0, KeyCount)
                .Select(i => new CacheKey<string>(new EntryKey(family, i.ToString("0000", CultureInfo.InvariantCulture)))),
        ];
}
