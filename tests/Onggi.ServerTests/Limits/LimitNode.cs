using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Limits;

/// <summary>One process of a team, as far as Redis can tell, with policies for its limits.</summary>
internal sealed class LimitNode : IAsyncDisposable
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "web": {} },
          "families": {
            "calls": { "key": "rate_limit:calls:{who}", "kind": "limit", "ttl": "1m" },
            "both": { "key": "rate_limit:both:{who}", "kind": "limit", "ttl": "1d" },
            "open": { "key": "rate_limit:open:{who}", "kind": "limit", "ttl": "1m" },
            "closed": { "key": "rate_limit:closed:{who}", "kind": "limit", "ttl": "1m" },
            "jobs": { "key": "rate_limit:jobs:{who}", "kind": "limit", "ttl": "3s" },
            "rooms": { "key": "rate_limit:rooms:{who}", "kind": "limit", "ttl": "1h" },
            "lock": { "key": "locks:x:{who}", "kind": "lock", "ttl": "1s" }
          }
        }
        """;

    public static readonly TimeSpan Timeout = TimeSpan.FromMilliseconds(300);

    private readonly IHost _host;

    private LimitNode(IHost host, LogLines log) => (_host, Log) = (host, log);

    /// <summary>What the node has logged.</summary>
    public LogLines Log { get; }

    public RedisClient Redis => _host.Services.GetRequiredService<RedisClient>();

    public OnggiLimits Limits => _host.Services.GetRequiredService<OnggiKeyspace>().Limits;

    /// <summary>Ten in a second, ten at once.</summary>
    public static LimitKey Calls(string who) => Key("calls", who);

    /// <summary>Five in a second, and eight in a day.</summary>
    public static LimitKey Both(string who) => Key("both", who);

    /// <summary>Two at a time.</summary>
    public static LimitKey Jobs(string who) => Key("jobs", who);

    public static LimitKey Key(string family, string who) => new(new EntryKey(new KeyFamily(family, "who"), who));

    public static async Task<LimitNode> StartAsync(
        string connectionString,
        Action<OnggiOptions>? configure = null,
        TimeProvider? time = null
    )
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        var log = new LogLines();
        builder.Services.AddSingleton<ILoggerFactory>(log);
        if (time is not null)
            builder.Services.AddSingleton(time);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = connectionString;
            options.Service = "web";
            options.Catalog = CatalogJson;
            options.CommandTimeout = TimeSpan.FromSeconds(15);
            options.ConnectTimeout = TimeSpan.FromSeconds(15);
            options.RequireRedisAtStart = true;
            var second = TimeSpan.FromSeconds(1);
            options
                .Limits.ForFamily("calls", policy => Patient(policy).With(LimitRule.Even(10, second)))
                .ForFamily("both", policy => Patient(policy).With(LimitRule.Even(5, second)).With(LimitRule.Fixed(8, TimeSpan.FromDays(1))))
                .ForFamily("open", policy => Failing(policy, FailMode.Open))
                .ForFamily("closed", policy => Failing(policy, FailMode.Closed))
                .ForFamily("jobs", policy => Patient(policy).With(LimitRule.Concurrent(2)));
            configure?.Invoke(options);
        });
        var host = builder.Build();
        await host.StartAsync();
        // The cache runs a script when a node starts: what tests count must be their own questions.
        await Until.TrueAsync(
            () => Task.FromResult(host.Services.GetRequiredService<OnggiKeyspace>().Cache.Link.Epoch is not null),
            "the cache has greeted the server"
        );
        return new LimitNode(host, log);
    }

    public ValueTask<Decision> TakeAsync(string who, int cost = 1) => Limits.TakeAsync(Calls(who), cost);

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();

    // Where no test waits for it, it is far longer than anything takes on a busy machine.
    private static LimitPolicy Patient(LimitPolicy policy)
    {
        policy.Timeout = TimeSpan.FromSeconds(15);
        return policy;
    }

    private static void Failing(LimitPolicy policy, FailMode mode)
    {
        (policy.FailMode, policy.Timeout) = (mode, Timeout);
        policy.With(LimitRule.Even(2, TimeSpan.FromSeconds(1)));
    }
}
