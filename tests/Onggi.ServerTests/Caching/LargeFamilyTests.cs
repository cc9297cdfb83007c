using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Scripts;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>Families of large values beside others, by redis-server's own word on which connection it was asked.</summary>
public sealed class LargeFamilyTests : IAsyncLifetime
{
    private const string Epoch = "test:onggi:epoch";

    private RedisServerProcess _redis = null!;

    public async Task InitializeAsync() => _redis = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task Large_values_go_over_a_connection_of_their_own_and_rights_and_removals_over_that_of_the_cache()
    {
        await using var node = await CacheNode.StartAsync(_redis.ConnectionString, Large);
        await CacheNode.UntilAsync(() => node.Cache.Link.Epoch is not null);
        using var monitor = await RedisMonitor.StartAsync(_redis.Port);
        var (large, plain) = (CacheNode.Text("a"), CacheNode.Note("a"));

        foreach (var key in (CacheKey<string>[])[large, plain])
        {
            Assert.Equal("loaded", await node.Cache.GetOrLoadAsync(key, static _ => new("loaded")).Within());
            await node.Cache.RefreshAsync(key, static _ => new("anew")).Within();
            await node.Cache.SetAsync(key, "set").Within();
            Assert.Equal("set", (await node.Cache.GetAsync(key).Within()).Value);
        }

        // Both kinds in one call: in one script each.
        await node.Cache.SetManyAsync(new Dictionary<CacheKey<string>, string?> { [large] = "many", [plain] = "many" }).Within();
        var many = await node.Cache.GetManyAsync([large, plain]).Within();
        var loaded = await node
            .Cache.GetOrLoadManyAsync(
                [CacheNode.Text("b"), CacheNode.Note("b")],
                static (keys, _) => new(keys.ToDictionary(key => key, _ => (string?)"b"))
            )
            .Within();
        await node.Cache.InvalidateManyAsync([large, plain]).Within();
        var seen = new List<MonitoredCommand>();
        await CacheNode.UntilAsync(async () =>
        {
            await _redis.CommandAsync("ECHO", "done");
            seen.AddRange(await monitor.ReadUntilEchoAsync("done").Within());
            return seen.Exists(static command => command.Args is ["GET", Epoch]);
        });

        Assert.All(many.Values, static result => Assert.Equal("many", result.Value));
        Assert.All(loaded.Values, static result => Assert.Equal("b", result.Value));
        seen.RemoveAll(static command => command.Source == "lua");
        var ours = Assert.Single(SourcesOf(seen, static command => command.Args is ["GET", Epoch]));
        var values = SourcesOf(seen, static command => IsOf(command, "test:text:") && !IsSmall(command));
        Assert.True(values.Count == 1, string.Join('\n', seen));
        var apart = values.Single();
        Assert.NotEqual(ours, apart);
        Assert.Equal([ours], SourcesOf(seen, static command => IsOf(command, "test:note:")));
        Assert.Equal([ours], SourcesOf(seen, static command => IsOf(command, "test:text:") && IsSmall(command)));
        Assert.DoesNotContain(
            seen,
            static command => IsOf(command, "test:text:") && IsOf(command, "test:note:") && command.Args[0] != "UNLINK"
        );
    }

    [Fact]
    public async Task Memory_keeps_no_large_values_and_nobody_is_told_of_their_changes()
    {
        await using var node = await CacheNode.StartAsync(_redis.ConnectionString, Large);
        await _redis.CommandAsync("SET", "test:text:a", "\"value\"", "PX", "600000");

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(CacheTier.Redis, (await node.Cache.GetAsync(CacheNode.Text("a")).Within()).Tier);
            Assert.Equal(
                CacheTier.Redis,
                (await node.Cache.GetOrLoadResultAsync(CacheNode.Text("a"), static _ => new("loaded")).Within()).Tier
            );
        }

        Assert.False(node.Cache.TryPeek(CacheNode.Text("a"), out _));
        var tracked = await _redis.CommandAsync(
            "EVAL",
            "return string.match(redis.call('INFO', 'stats'), 'tracking_total_keys:(%d+)')",
            "0"
        );
        Assert.Equal("1", tracked);
    }

    /// <summary>The connection for large values is not greeted: it may lead to a server that took over, and a lagging replica may have brought the lease there.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_large_value_is_stored_only_by_the_server_that_gave_its_lease(bool gave)
    {
        await using var node = await CacheNode.StartAsync(_redis.ConnectionString, Large);
        await CacheNode.UntilAsync(() => node.Cache.Link.Epoch is not null);
        var loading = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var end = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var read = node.Cache.GetOrLoadAsync(
            CacheNode.Text("a"),
            async _ =>
            {
                loading.SetResult();
                return await end.Task;
            }
        );
        await loading.Task.Within();
        await using var client = await RedisClient.ConnectAsync(_redis.ConnectionString);
        var store = new CacheStore(client, Epoch);
        var lease = (await _redis.CommandAsync("GET", "{test:text:a}:l"))!;
        var holder = lease[..lease.LastIndexOf('|')];
        if (!gave)
        {
            // As the same lease stands on the server that took over, which has another name.
            holder = holder[..(holder.IndexOf('@', StringComparison.Ordinal) + 1)] + new string('0', 24);
            await _redis.CommandAsync("SET", "{test:text:a}:l", holder + "|-2", "PX", "60000");
        }

        var codes = await store
            .FillAsync(holder, [new FilledEntry("test:text:a", "\"filled\""u8.ToArray(), 60_000, IsLarge: true)], 0)
            .Within();

        Assert.Equal([gave ? FillCode.Stored : FillCode.LeaseLost], codes);
        Assert.Equal(gave ? "\"filled\"" : null, await _redis.CommandAsync("GET", "test:text:a"));
        end.SetResult("loaded");
        Assert.Equal("loaded", await read.Within());
    }

    private static void Large(Onggi.OnggiOptions options) => options.Cache.ForFamily("text", static family => family.Large = true);

    private static HashSet<string> SourcesOf(List<MonitoredCommand> seen, Func<MonitoredCommand, bool> which) =>
        [.. seen.Where(which).Select(static command => command.Source)];

    private static bool IsOf(MonitoredCommand command, string head) =>
        command.Args.Any(arg => arg.StartsWith(head, StringComparison.Ordinal) || arg.StartsWith('{' + head, StringComparison.Ordinal));

    // What carries no value. A script that the server does not know yet comes as its source.
    private static bool IsSmall(MonitoredCommand command) =>
        command.Args[0] is "UNLINK" or "EXISTS"
        || (command.Args[0] == "EVALSHA" && command.Args[1] == LuaScript.Load("renew.lua").Digest)
        || (command.Args[0] == "EVAL" && command.Args[1].StartsWith("-- Purpose: lengthens leases", StringComparison.Ordinal));
}
