using Onggi.Caching;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>A replica that has not heard of an invalidation becomes the primary.</summary>
public sealed class FailoverSafetyTests
{
    [Theory]
    [InlineData(ReadMode.Auto)]
    [InlineData(ReadMode.Lease)]
    [InlineData(ReadMode.Plain)]
    public async Task What_a_lagging_replica_brings_back_is_not_believed_by_a_strict_family_and_is_by_a_relaxed_one(ReadMode mode)
    {
        await using var old = await RedisServerProcess.StartAsync("--repl-diskless-sync-delay", "0");
        await using var replica = await RedisServerProcess.StartAsync("--replicaof", "127.0.0.1", $"{old.Port}");
        await using var node = await CacheNode.StartAsync(
            old.ConnectionString,
            options =>
            {
                options.Cache.Defaults.ReadMode = mode;
                // Both have the clock of this machine; with an allowance nothing would be believed yet that is a part of the test.
                options.Cache.ClockSkew = TimeSpan.Zero;
                options.Cache.ForFamily("text", static family => family.FailoverSafety = FailoverSafety.Strict);
            }
        );
        // What is written before the epoch begins is not of it.
        await CacheNode.UntilAsync(() => node.Cache.Link.Epoch is not null);
        string[] ids = ["get", "many", "load", "load-many", "absent", "leased"];
        foreach (var id in ids[..5])
        {
            await node.Cache.SetAsync(CacheNode.Text(id), id == "absent" ? null : "old").Within();
            await node.Cache.SetAsync(CacheNode.Customer(id), new Customer(id, "old")).Within();
            Assert.True((await node.Cache.GetAsync(CacheNode.Text(id)).Within()).Found);
            Assert.Equal("old", (await node.Cache.GetAsync(CacheNode.Customer(id)).Within()).Value?.Name);
        }

        // A load is under way, and its right to fill reaches the replica as well.
        var release = new TaskCompletionSource();
        var late = node
            .Cache.GetOrLoadAsync(
                CacheNode.Text("leased"),
                async _ =>
                {
                    await release.Task;
                    return (string?)"old";
                }
            )
            .AsTask();
        await Until.TrueAsync(
            async () =>
                await replica.CommandAsync(["EXISTS", "{test:text:leased}:l", .. ids[..5].Select(id => $"test:text:{id}")]) == "6"
                && await replica.CommandAsync(["EXISTS", .. ids[..5].Select(id => $"test:customer:{id}")]) == "5",
            "the replica has everything"
        );

        // From here on it lags, and nobody ever tells it of these.
        await replica.CommandAsync("REPLICAOF", "NO", "ONE");
        foreach (var id in ids)
        {
            await node.Cache.InvalidateAsync(CacheNode.Text(id)).Within();
            await node.Cache.InvalidateAsync(CacheNode.Customer(id)).Within();
        }

        // It takes the address over, as after a failover.
        var before = node.Cache.Link.Generation;
        await old.KillAsync();
        await replica.CommandAsync("CONFIG", "SET", "port", $"{old.Port}");
        await CacheNode.UntilAsync(() =>
            node.Cache.Link.Generation > before && node.Cache.Link.Epoch is not null && node.Redis.IsConnected
        );
        release.SetResult();
        Assert.Equal("old", await late.Within());

        Assert.False((await node.Cache.GetAsync(CacheNode.Text("get")).Within()).Found);
        Assert.False((await node.Cache.GetManyAsync([CacheNode.Text("many")]).Within())[CacheNode.Text("many")].Found);
        Assert.False((await node.Cache.GetAsync(CacheNode.Text("absent")).Within()).Found);
        foreach (var id in ids)
            Assert.Equal("new", await node.Cache.GetOrLoadAsync(CacheNode.Text(id), static _ => new("new")).Within());
        var many = await node
            .Cache.GetOrLoadManyAsync(
                [.. ids.Select(CacheNode.Text)],
                static (missing, _) => new(missing.ToDictionary(key => key, _ => (string?)"newer"))
            )
            .Within();
        Assert.DoesNotContain(many.Values, result => result.Value == "old");

        // The control: without the rule it is there again.
        Assert.Equal("old", (await node.Cache.GetAsync(CacheNode.Customer("get")).Within()).Value?.Name);
        Assert.Equal(
            "old",
            (await node.Cache.GetOrLoadAsync(CacheNode.Customer("load"), static _ => new(new Customer("load", "new"))).Within())?.Name
        );
    }
}
