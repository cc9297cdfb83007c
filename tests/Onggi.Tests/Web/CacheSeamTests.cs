using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi;

namespace Onggi.Tests.Web;

/// <summary>What a host says at the start when the catalog and its caches do not fit.</summary>
public sealed class CacheSeamTests
{
    [Fact]
    public async Task A_family_that_the_catalog_lacks_is_told_with_the_lines_to_add()
    {
        var told = await FailureAsync(static services => services.AddOnggiHybridCache());

        Assert.Contains("AddOnggiHybridCache: the catalog has no family \"hybrid\"", told, StringComparison.Ordinal);
        Assert.Contains(
            "\"hybrid\": { \"key\": \"cache:hybrid:{key}\", \"kind\": \"cache\", \"value\": \"System.Text.Json.JsonElement\", \"ttl\": \"5m\" }",
            told,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "AddOnggiDistributedCache: the catalog has no family \"distributed\"",
            await FailureAsync(static services => services.AddOnggiDistributedCache()),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "AddOnggiOutputCache: the catalog has no family \"output\"",
            await FailureAsync(static services => services.AddOnggiOutputCache()),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "AddKeyedOnggiHybridCache(\"prices\"): the catalog has no family \"pages\". Did you mean \"page\"?",
            await FailureAsync(static services => services.AddKeyedOnggiHybridCache("prices", static options => options.Family = "pages")),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task The_lines_to_add_are_a_catalog_that_starts()
    {
        Action<IServiceCollection>[] all =
        [
            static services => services.AddOnggiHybridCache(),
            static services => services.AddOnggiDistributedCache(),
            static services => services.AddOnggiOutputCache(),
        ];
        foreach (var add in all)
        {
            var told = await FailureAsync(add);
            await StartAsync(add, told.Split('\n')[1].Trim());
        }
    }

    [Fact]
    public async Task A_family_of_another_kind_or_with_more_identifiers_is_refused()
    {
        Assert.Contains(
            "is of kind lock, not cache",
            await FailureAsync(static services => services.AddOnggiDistributedCache(static options => options.Family = "work")),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "has 2 identifiers",
            await FailureAsync(static services => services.AddOnggiDistributedCache(static options => options.Family = "pair")),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Two_caches_with_one_family_are_refused()
    {
        var told = await FailureAsync(static services =>
            services
                .AddOnggiHybridCache(static options => options.Family = "page")
                .AddKeyedOnggiDistributedCache("second", static options => options.Family = "page")
        );

        Assert.Contains(
            "AddOnggiHybridCache and AddKeyedOnggiDistributedCache(\"second\") both use the family \"page\"",
            told,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Without_AddOnggi_the_message_says_so()
    {
        using var provider = new ServiceCollection().AddOnggiDistributedCache().BuildServiceProvider();

        var told = Assert.Throws<InvalidOperationException>(() => provider.GetRequiredService<IDistributedCache>());
        Assert.Contains("call AddOnggi", told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ours_is_the_one_that_is_given_out_whatever_was_added_before_or_is_tried_after()
    {
        var builder = Builder(
            static services =>
                services
                    .AddDistributedMemoryCache()
                    .AddOutputCache()
                    .AddOnggiHybridCache(static options => options.Family = "page")
                    .AddOnggiDistributedCache(static options => options.Family = "bytes")
                    .AddOnggiOutputCache(static options => options.Family = "responses")
                    .AddOutputCache()
                    .AddDistributedMemoryCache(),
            "\"bytes\": { \"key\": \"cache:bytes:{key}\", \"kind\": \"cache\" }, \"responses\": { \"key\": \"cache:responses:{key}\", \"kind\": \"cache\" }"
        );
        using var host = builder.Build();

        Assert.StartsWith("Onggi", host.Services.GetRequiredService<HybridCache>().GetType().Name, StringComparison.Ordinal);
        Assert.StartsWith("Onggi", host.Services.GetRequiredService<IDistributedCache>().GetType().Name, StringComparison.Ordinal);
        Assert.StartsWith("Onggi", host.Services.GetRequiredService<IOutputCacheStore>().GetType().Name, StringComparison.Ordinal);
        await ((IAsyncDisposable)host).DisposeAsync();
    }

    private static async Task<string> FailureAsync(Action<IServiceCollection> add) =>
        (await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(add))).Message;

    private static async Task StartAsync(Action<IServiceCollection> add, string? families = null)
    {
        var host = Builder(add, families).Build();
        try
        {
            await host.StartAsync();
        }
        finally
        {
            await ((IAsyncDisposable)host).DisposeAsync();
        }
    }

    private static HostApplicationBuilder Builder(Action<IServiceCollection> add, string? families)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        add(builder.Services);
        builder.Services.AddLogging();
        builder.Services.AddOnggi(onggi =>
        {
            // Nobody listens there.
            onggi.ConnectionString = "127.0.0.1:1";
            onggi.ConnectTimeout = TimeSpan.FromMilliseconds(50);
            onggi.Service = "web";
            onggi.Json = CacheSeamJson.Default;
            onggi.Catalog = $$"""
                {
                  "system": "shop", "environment": "test", "services": { "web": {} },
                  "families": {
                    "page": { "key": "page:{id}", "kind": "cache" },
                    "pair": { "key": "pair:{one}:{two}", "kind": "cache" },
                    "work": { "key": "locks:{resource}", "kind": "lock", "ttl": "10s" },
                    {{families ?? "\"more\": { \"key\": \"more:{id}\", \"kind\": \"cache\" }"}}
                  }
                }
                """;
        });
        return builder;
    }
}

/// <summary>What a host with a hybrid cache brings along; of bytes nobody makes JSON.</summary>
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class CacheSeamJson : JsonSerializerContext;
