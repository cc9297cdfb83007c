using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Onggi.Caching;
using Onggi.Keys;

namespace Onggi.Benchmarks.Coherence;

/// <summary>The cache, made as a service makes it.</summary>
internal sealed class OnggiSubject : ISubject
{
    private readonly OnggiCache _cache;
    private readonly Source _source;
    private readonly CacheKey<Item>[] _keys = [.. Enumerable.Range(0, Schedule.Keys).Select(BenchKeys.KeyOf)];

    private OnggiSubject(IHost host, Source source)
    {
        _source = source;
        _cache = host.Services.GetRequiredService<OnggiCache>();
    }

    /// <summary>The bound that the cache promises.</summary>
    public static TimeSpan MaxStaleness => TimeSpan.FromMilliseconds(500);

    public static async Task<ISubject> StartAsync(int port, Source source, bool isSlow)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOnggi(options =>
        {
            options.ConnectionString = $"127.0.0.1:{port}";
            options.Service = "node";
            options.Catalog = isSlow ? BenchKeys.ShortCatalog : BenchKeys.Catalog;
            options.Json = CoherenceJson.Default;
            options.RequireRedisAtStart = true;
            options.ConnectTimeout = TimeSpan.FromSeconds(30);
        });
        var host = builder.Build();
        await host.StartAsync();
        return new OnggiSubject(host, source);
    }

    public ValueTask<Item?> ReadAsync(int key) =>
        _cache.GetOrLoadAsync(_keys[key], (_source, key), static (state, _) => state._source.LoadAsync(state.key));

    // The one place that knows how a strength is asked for.
    public ValueTask InvalidateAsync(int key, Strength strength) =>
        _cache.InvalidateAsync(_keys[key], strength == Strength.Strict ? Invalidation.Strict : Invalidation.Fast, CancellationToken.None);

    public long MemoryHits(Strength strength) => _cache.Statistics(strength == Strength.Fast ? "fast" : "strict").MemoryHits;
}
