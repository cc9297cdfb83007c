using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Locks;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Locks;

/// <summary>One process of a team, as far as Redis can tell: a host with connections of its own.</summary>
internal sealed class LockNode : IAsyncDisposable
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "billing": {} },
          "families": {
            "run": { "key": "locks:run:{id}", "kind": "lock", "ttl": "30s" },
            "long": { "key": "locks:long:{id}", "kind": "lock", "ttl": "10m" },
            "brief": { "key": "locks:brief:{id}", "kind": "lock", "ttl": "1s" },
            "middle": { "key": "locks:middle:{id}", "kind": "lock", "ttl": "3s" },
            "state": { "key": "cache:state:{id}", "kind": "cache", "ttl": "10m" }
          }
        }
        """;

    private readonly IHost _host;

    private LockNode(IHost host) => _host = host;

    public OnggiLocks Locks => _host.Services.GetRequiredService<OnggiKeyspace>().Locks;

    public RedisClient Redis => _host.Services.GetRequiredService<RedisClient>();

    /// <summary>A lock with a lease of 30 s.</summary>
    public static LockKey Run(string id) => new(new EntryKey(new KeyFamily("run", "id"), id));

    /// <summary>A lock with a lease of ten minutes: longer than any test lasts, its renewals included.</summary>
    public static LockKey Long(string id) => new(new EntryKey(new KeyFamily("long", "id"), id));

    /// <summary>A lock with a lease of one second.</summary>
    public static LockKey Brief(string id) => new(new EntryKey(new KeyFamily("brief", "id"), id));

    /// <summary>A lock with a lease of three seconds: short enough to be waited for, long enough for a machine that is busy.</summary>
    public static LockKey Middle(string id) => new(new EntryKey(new KeyFamily("middle", "id"), id));

    public static EntryKey State(string id) => new(new KeyFamily("state", "id"), id);

    public static async Task<LockNode> StartAsync(
        string connectionString,
        Action<OnggiOptions>? configure = null,
        TimeProvider? time = null
    )
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        if (time is not null)
            builder.Services.AddSingleton(time);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = connectionString;
            options.Service = "billing";
            options.Catalog = CatalogJson;
            // Where no test waits for it, it is far longer than anything takes on a busy machine.
            options.CommandTimeout = TimeSpan.FromSeconds(15);
            options.ConnectTimeout = TimeSpan.FromSeconds(15);
            options.RequireRedisAtStart = true;
            configure?.Invoke(options);
        });
        var host = builder.Build();
        await host.StartAsync();
        // The cache runs a script when a node starts: what tests count must be their own questions.
        await Until.TrueAsync(
            () => Task.FromResult(host.Services.GetRequiredService<OnggiKeyspace>().Cache.Link.Epoch is not null),
            "the cache has greeted the server"
        );
        return new LockNode(host);
    }

    public async ValueTask DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();
}

/// <summary>What tests of locks ask and do besides.</summary>
internal static class LockAsking
{
    /// <summary>Ends when the lease is known to be over.</summary>
    public static async Task<long> LostAsync(this LockLease lease)
    {
        var lost = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lease.Lost.Register(() => lost.TrySetResult(Stopwatch.GetTimestamp()));
        return await lost.Task.Within();
    }

    /// <summary>Ends when the server has seen the lease renewed so often: its time to live has grown.</summary>
    public static async Task RenewedAsync(this RedisServerProcess server, string wire, int times)
    {
        var left = long.MaxValue;
        await Until.TrueAsync(
            async () =>
            {
                var now = long.Parse((await server.CommandAsync("PTTL", wire))!, CultureInfo.InvariantCulture);
                times -= now > left ? 1 : 0;
                left = now;
                return times <= 0;
            },
            $"{wire} was renewed"
        );
    }

    /// <summary>How often the server has run scripts.</summary>
    public static async Task<long> ScriptsRunAsync(this RedisServerProcess server)
    {
        var stats = (await server.CommandAsync("INFO", "commandstats"))!;
        return stats
            .Split('\n')
            .Where(line =>
                line.StartsWith("cmdstat_evalsha:", StringComparison.Ordinal) || line.StartsWith("cmdstat_eval:", StringComparison.Ordinal)
            )
            .Sum(line => long.Parse(line.Split("calls=")[1].Split(',')[0], CultureInfo.InvariantCulture));
    }
}

/// <summary>The clock of the machine; the test hears of each look at it.</summary>
internal sealed class WatchedTime : TimeProvider
{
    public Action? Asked { get; set; }

    public override long GetTimestamp()
    {
        Asked?.Invoke();
        return base.GetTimestamp();
    }
}
