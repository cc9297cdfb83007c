using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Locks;
using Onggi.Testing;

namespace Onggi.Benchmarks.Blocks;

/// <summary>A service with locks and limits, made as a service makes it.</summary>
internal sealed class BlockNode : IAsyncDisposable
{
    private const string Catalog = """
        {
          "system": "blocks", "environment": "bench", "prefix": "{environment}:",
          "services": { "node": {} },
          "families": {
            "long": { "key": "locks:long:{id}", "kind": "lock", "ttl": "30s" },
            "brief": { "key": "locks:brief:{id}", "kind": "lock", "ttl": "1s" },
            "even": { "key": "rate_limit:even:{who}", "kind": "limit", "ttl": "1m" },
            "window": { "key": "rate_limit:window:{who}", "kind": "limit", "ttl": "1m" },
            "both": { "key": "rate_limit:both:{who}", "kind": "limit", "ttl": "1d" },
            "tight": { "key": "rate_limit:tight:{who}", "kind": "limit", "ttl": "1m" },
            "open": { "key": "rate_limit:open:{who}", "kind": "limit", "ttl": "1m" },
            "closed": { "key": "rate_limit:closed:{who}", "kind": "limit", "ttl": "1m" },
            "local": { "key": "rate_limit:local:{who}", "kind": "limit", "ttl": "1m" }
          }
        }
        """;

    private readonly IHost _host;

    private BlockNode(IHost host)
    {
        _host = host;
        Locks = host.Services.GetRequiredService<OnggiLocks>();
        Limits = host.Services.GetRequiredService<OnggiLimits>();
        Redis = host.Services.GetRequiredService<RedisClient>();
    }

    public OnggiLocks Locks { get; }

    public OnggiLimits Limits { get; }

    public RedisClient Redis { get; }

    /// <summary>A lease of 30 s.</summary>
    public static LockKey Long(int id) => new(Entry("long", "id", id));

    /// <summary>A lease of a second.</summary>
    public static LockKey Brief(int id) => new(Entry("brief", "id", id));

    public static LimitKey Limit(string family, int who) => new(Entry(family, "who", who));

    public static async Task<BlockNode> StartAsync(int port, TimeSpan clock = default, TimeSpan? commandTimeout = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        if (clock != TimeSpan.Zero)
            builder.Services.AddSingleton<TimeProvider>(new MovedTime(clock));
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{port}";
            options.Service = "node";
            options.Catalog = Catalog;
            options.RequireRedisAtStart = true;
            options.ConnectTimeout = TimeSpan.FromSeconds(30);
            options.CommandTimeout = commandTimeout ?? TimeSpan.FromSeconds(30);
            var second = TimeSpan.FromSeconds(1);
            // What is to be allowed always, and still is counted.
            options
                .Limits.ForFamily("even", policy => Patient(policy).With(LimitRule.Even(1_000_000, second, 1_000_000)))
                .ForFamily("window", policy => Patient(policy).With(LimitRule.Sliding(1_000_000, second)))
                .ForFamily(
                    "both",
                    policy =>
                        Patient(policy)
                            .With(LimitRule.Even(1_000_000, second, 1_000_000))
                            .With(LimitRule.Fixed(1_000_000_000, TimeSpan.FromDays(1)))
                )
                .ForFamily("tight", policy => Patient(policy).With(LimitRule.Even(10, second)))
                .ForFamily("open", policy => policy.FailMode = FailMode.Open)
                .ForFamily("closed", policy => policy.FailMode = FailMode.Closed)
                .ForFamily("local", policy => policy.FailMode = FailMode.Local);
            foreach (var family in (string[])["open", "closed", "local"])
                options.Limits.ForFamily(family, policy => policy.With(LimitRule.Even(10, second)));
        });
        var host = builder.Build();
        await host.StartAsync();
        return new BlockNode(host);
    }

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();

    private static EntryKey Entry(string family, string identifier, int id) =>
        new(new KeyFamily(family, identifier), id.ToString(CultureInfo.InvariantCulture));

    private static LimitPolicy Patient(LimitPolicy policy)
    {
        policy.Timeout = TimeSpan.FromSeconds(30);
        return policy;
    }
}
