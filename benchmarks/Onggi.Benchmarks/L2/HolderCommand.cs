using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Caching;
using Onggi.Keys;

namespace Onggi.Benchmarks.L2;

/// <summary>The process behind <c>holder PORT ID</c>, which only tests start: loads one entry, says so, and goes on loading until its input ends or it is killed.</summary>
internal static class HolderCommand
{
    public const string Name = "holder";

    private const string Catalog = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "defaults": { "ttl": "30m", "grace": "1m" },
          "services": { "shop": {} },
          "families": { "text": { "key": "text:{id}", "kind": "cache", "value": "string" } }
        }
        """;

    public static async Task<int> RunAsync(string port, string id)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{int.Parse(port, CultureInfo.InvariantCulture)}";
            options.Service = "shop";
            options.Catalog = Catalog;
            options.Json = BenchJson.Default;
            options.RequireRedisAtStart = true;
            options.CommandTimeout = TimeSpan.FromSeconds(30);
            options.Cache.Defaults.LoaderTimeout = TimeSpan.FromMinutes(5);
        });
        using var host = builder.Build();
        await host.StartAsync();
        var loading = host
            .Services.GetRequiredService<OnggiCache>()
            .GetOrLoadAsync(
                new CacheKey<string>(new EntryKey(new KeyFamily("text", "id"), id)),
                static async context =>
                {
                    Console.WriteLine("loading");
                    await Task.Delay(Timeout.InfiniteTimeSpan, context.CancellationToken);
                    return (string?)"never";
                }
            )
            .AsTask();
        var ended = Task.Run(Console.In.ReadLine);
        await Task.WhenAny(loading, ended);
        return 0;
    }
}
