using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.AspNetCaches;

/// <summary>The output cache of two nodes, through its own middleware.</summary>
public sealed class OutputCacheTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_response_is_made_once_for_all_nodes_until_its_tag_is_evicted_on_any()
    {
        var page = new Page();
        await using var first = await page.StartAsync(Server.ConnectionString);
        await using var second = await page.StartAsync(Server.ConnectionString);

        Assert.Equal("1", await first.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("1", await first.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("1", await second.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("2", await second.Client.GetStringAsync(page.Address("b")));

        await second.Output.EvictByTagAsync("other", default);
        Assert.Equal("1", await first.Client.GetStringAsync(page.Address("a")));

        await second.Output.EvictByTagAsync(page.Tag, default);
        Assert.Equal("3", await first.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("3", await second.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("4", await second.Client.GetStringAsync(page.Address("b")));
    }

    [Fact]
    public async Task A_response_that_was_begun_before_its_tag_was_evicted_is_not_stored()
    {
        var page = new Page();
        await using var first = await page.StartAsync(Server.ConnectionString);
        await using var second = await page.StartAsync(Server.ConnectionString);
        page.Hold();
        var making = first.Client.GetStringAsync(page.Address("a"));
        await page.Begun.Within();

        await second.Output.EvictByTagAsync(page.Tag, default);
        page.Release();

        Assert.Equal("1", await making.Within());
        Assert.Equal("2", await second.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("2", await first.Client.GetStringAsync(page.Address("a")));
    }

    [Fact]
    public async Task Many_responses_under_one_tag_are_all_evicted_and_ended_ones_do_not_pile_up()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        for (var i = 0; i < 700; i++)
            await node.Output.SetAsync("/many/" + i, [1], ["many", "all"], TimeSpan.FromMinutes(1), default);
        await node.Output.SetAsync("/spared", [7], ["all"], TimeSpan.FromMinutes(1), default);
        Assert.Equal(701, await Server.NumberAsync("ZCARD", "{test:cache:output:all}:t"));

        await node.Output.EvictByTagAsync("many", default);

        for (var i = 0; i < 700; i++)
            Assert.Null(await node.Output.GetAsync("/many/" + i, default));
        Assert.Equal([7], await node.Output.GetAsync("/spared", default));
        Assert.Equal(0, await Server.NumberAsync("EXISTS", "{test:cache:output:many}:t"));

        // As if they had ended: the next that is stored clears them away.
        await Server.CommandAsync("ZADD", "{test:cache:output:all}:t", "1", "/long-gone");
        await node.Output.SetAsync("/last", [8], ["all"], TimeSpan.FromMinutes(2), default);
        Assert.Null(await ScoreAsync("all", "/long-gone"));
        Assert.InRange(await Server.NumberAsync("PTTL", "{test:cache:output:all}:t"), 60_001, 120_001);
        await node.Output.SetAsync("/shorter", [8], ["all"], TimeSpan.FromSeconds(1), default);
        Assert.InRange(await Server.NumberAsync("PTTL", "{test:cache:output:all}:t"), 60_001, 120_001);
    }

    [Fact]
    public async Task What_was_stored_anew_while_a_tag_is_evicted_stays_under_it()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await node.Output.SetAsync("/anew", [1], ["anew"], TimeSpan.FromMinutes(1), default);
        const string Tag = "{test:cache:output:anew}:t";
        var old = await ScoreAsync("anew", "test:cache:output:/anew");

        // The steps of an eviction by hand: between the names and their removal another node stores.
        await node.Output.SetAsync("/anew", [2], ["anew"], TimeSpan.FromMinutes(1), default);
        Assert.NotEqual(old, await ScoreAsync("anew", "test:cache:output:/anew"));
        Assert.Equal(1, await Server.NumberAsync("ZCARD", Tag));
        await node.Redis.EvalAsync(
            Scripts.LuaScript.Load("output_evict.lua", typeof(AspNetCore.Caching.OnggiOutputCacheOptions).Assembly),
            [Tag, "{test:cache:output:anew}:e"],
            [1000, 10, "test:cache:output:/anew", old!],
            ReplyParsers.TextArray
        );

        Assert.Equal(1, await Server.NumberAsync("ZCARD", Tag));
        await node.Output.EvictByTagAsync("anew", default);
        Assert.Null(await node.Output.GetAsync("/anew", default));
    }

    [Fact]
    public async Task Without_Redis_responses_are_made_each_time_and_an_eviction_throws()
    {
        await using var server = await RedisServerProcess.StartAsync();
        var page = new Page();
        await using var node = await page.StartAsync(server.ConnectionString, WebNode.Impatient);
        Assert.Equal("1", await node.Client.GetStringAsync(page.Address("a")));

        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");
        Assert.Equal("1", await node.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("2", await node.Client.GetStringAsync(page.Address("b")));
        Assert.Equal("3", await node.Client.GetStringAsync(page.Address("b")));
        await node.Output.EvictByTagAsync(page.Tag, default).Within();
        Assert.Equal("4", await node.Client.GetStringAsync(page.Address("a")));
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "0");

        server.Pause();
        Assert.Equal("5", await node.Client.GetStringAsync(page.Address("a")).Within());
        await node.Output.EvictByTagAsync(page.Tag, default).FailsWith<RedisException>();
        server.Resume();

        await server.KillAsync();
        Assert.Equal("6", await node.Client.GetStringAsync(page.Address("a")).Within());
        await node.Output.EvictByTagAsync(page.Tag, default).FailsWith<RedisException>();

        await server.RestartAsync();
        await Caching.CacheNode.UntilAsync(() => node.Redis.IsConnected);
        Assert.Equal("7", await node.Client.GetStringAsync(page.Address("a")));
        Assert.Equal("7", await node.Client.GetStringAsync(page.Address("a")));
    }

    [Fact]
    public async Task On_a_cluster_tags_bytes_and_sliding_lives_work_too()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 0);
        var page = new Page();
        await using var first = await page.StartAsync(
            cluster.ConnectionString,
            static onggi => onggi.Cache.ClockSkew = TimeSpan.FromMilliseconds(1)
        );
        await using var second = await page.StartAsync(cluster.ConnectionString);
        for (var i = 0; i < 20; i++)
            Assert.Equal($"{i + 1}", await first.Client.GetStringAsync(page.Address($"{i}")));
        for (var i = 0; i < 20; i++)
            Assert.Equal($"{i + 1}", await second.Client.GetStringAsync(page.Address($"{i}")));

        page.Hold();
        var making = first.Client.GetStringAsync(page.Address("held"));
        await page.Begun.Within();
        await second.Output.EvictByTagAsync(page.Tag, default);
        page.Release();
        Assert.Equal("21", await making.Within());
        Assert.Equal("22", await second.Client.GetStringAsync(page.Address("0")));
        Assert.Equal("23", await second.Client.GetStringAsync(page.Address("held")));

        await first.Distributed.SetAsync("k", [1, 2], new() { SlidingExpiration = TimeSpan.FromMinutes(1) });
        Assert.Equal([1, 2], second.Distributed.Get("k"));
        second.Distributed.Remove("k");
        Assert.Null(await first.Distributed.GetAsync("k"));
        Assert.Equal("v", await first.Hybrid.GetOrCreateAsync("k", static _ => ValueTask.FromResult("v")));
        Assert.Equal("v", await second.Hybrid.GetOrCreateAsync("k", static _ => ValueTask.FromResult("w")));
    }

    private async Task<string?> ScoreAsync(string tag, string member)
    {
        var score = await Server.CommandAsync("ZSCORE", $"{{test:cache:output:{tag}}}:t", member);
        return string.IsNullOrEmpty(score) ? null : score;
    }

    /// <summary>A page that says how often it was made, and can be held while it is.</summary>
    private sealed class Page
    {
        private static int s_count;

        private readonly string _path = $"/page{Interlocked.Increment(ref s_count)}/";
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _isHeld;
        private int _made;

        public string Tag => "tag of " + _path;

        public Task Begun => _begun.Task;

        public string Address(string name) => _path + name;

        public void Hold() => _isHeld = true;

        public void Release()
        {
            _isHeld = false;
            _open.SetResult();
        }

        public Task<WebNode> StartAsync(string connectionString, Action<OnggiOptions>? configure = null) =>
            WebNode.StartAsync(
                connectionString,
                configure,
                map: app =>
                    app.MapGet(_path + "{name}", MakeAsync)
                        .CacheOutput(policy =>
                            policy
                                .Expire(TimeSpan.FromMinutes(5))
                                .Tag(Tag, "all pages")
                                // The host's port is no part of what is cached.
                                .VaryByValue(static _ => new KeyValuePair<string, string>("same", "for all"))
                                .SetVaryByHost(false)
                        )
            );

        private async Task MakeAsync(HttpContext context)
        {
            var number = Interlocked.Increment(ref _made);
            if (_isHeld)
            {
                _begun.TrySetResult();
                await _open.Task;
            }

            await context.Response.WriteAsync($"{number}");
        }
    }
}
