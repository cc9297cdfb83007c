using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>The cache on a cluster of three primaries: without memory, and otherwise whole.</summary>
public sealed class CacheOnClusterTests : IAsyncLifetime
{
    private RedisClusterProcesses _cluster = null!;

    public async Task InitializeAsync() => _cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 0);

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Fact]
    public async Task Entries_of_all_slots_are_loaded_once_found_by_others_changed_and_cleared()
    {
        await using var node = await CacheNode.StartAsync(_cluster.ConnectionString);
        await using var other = await CacheNode.StartAsync(_cluster.ConnectionString);
        CacheKey<string>[] keys = [.. Enumerable.Range(0, 100).Select(static i => CacheNode.Text($"{i}"))];

        var calls = 0;
        var loaded = await node
            .Cache.GetOrLoadManyAsync(
                keys,
                (missing, _) =>
                {
                    calls++;
                    return new(missing.ToDictionary(static key => key, static key => (string?)("of " + key.Entry.First)));
                }
            )
            .Within();
        var read = await other.Cache.GetManyAsync(keys).Within();

        Assert.Equal(1, calls);
        Assert.All(keys, key => Assert.Equal(("of " + key.Entry.First, CacheTier.Loader), (loaded[key].Value, loaded[key].Tier)));
        Assert.All(keys, key => Assert.Equal(("of " + key.Entry.First, CacheTier.Redis), (read[key].Value, read[key].Tier)));
        // What is proven is proven by one server.
        Assert.All(keys, key => Assert.False(other.Cache.TryPeek(key, out _)));
        Assert.Contains(node.Log, static line => line.Id == 2012);

        await node.Cache.SetManyAsync(keys.ToDictionary(static key => key, static _ => (string?)"set")).Within();
        await node.Cache.InvalidateManyAsync([.. keys.Take(50)], Invalidation.Strict).Within();
        read = await other.Cache.GetManyAsync(keys).Within();
        Assert.Equal(50, read.Values.Count(static result => result.Found));
        Assert.Equal("set", read[keys[99]].Value);

        Assert.Equal(50, await other.Cache.ClearAsync("text").Within());
        Assert.DoesNotContain((await node.Cache.GetManyAsync(keys).Within()).Values, static result => result.Found);
    }

    [Fact]
    public async Task The_lease_of_a_long_load_is_lengthened_and_waited_for_and_a_load_that_was_overtaken_is_not_stored()
    {
        await using var node = await CacheNode.StartAsync(_cluster.ConnectionString);
        await using var other = await CacheNode.StartAsync(_cluster.ConnectionString);
        var (slow, overtaken) = (new Held(), new Held());
        var first = node.Cache.GetOrLoadAsync(CacheNode.Text("slow"), slow.LoadAsync).AsTask();
        var old = node.Cache.GetOrLoadAsync(CacheNode.Text("overtaken"), overtaken.LoadAsync).AsTask();
        await Task.WhenAll(slow.Begun, overtaken.Begun).Within();
        var waiting = other.Cache.GetOrLoadAsync(CacheNode.Text("slow"), static _ => new("a second load")).AsTask();
        await other.Cache.InvalidateAsync(CacheNode.Text("overtaken")).Within();

        // It is lengthened, on whatever server it is.
        var left = long.MaxValue;
        await CacheNode.UntilAsync(async () =>
        {
            var before = left;
            left = await node.Redis.SendAsync(["PTTL", "{test:text:slow}:l"], ReplyParsers.Int64).Within();
            return left > before;
        });
        Assert.False(waiting.IsCompleted);
        slow.End("value");
        overtaken.End("old");

        Assert.Equal(("value", "value", "old"), (await first.Within(), await waiting.Within(), await old.Within()));
        Assert.Equal("new", await other.Cache.GetOrLoadAsync(CacheNode.Text("overtaken"), static _ => new("new")).Within());
    }

    private sealed class Held
    {
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<string?> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Begun => _begun.Task;

        public void End(string value) => _end.SetResult(value);

        public async ValueTask<string?> LoadAsync(LoadContext context)
        {
            _begun.TrySetResult();
            return await _end.Task;
        }
    }
}
