using System.Globalization;
using Onggi.Caching;
using Onggi.Client.Routing;
using Onggi.Scripts;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>The cache's scripts on redis-server, one at a time, and the mistakes that only a real server can show.</summary>
[Collection(Name)]
public sealed class CoherenceScriptTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    internal const string Name = "switched mutants";

    private RedisServerProcess Server => fixture.Server;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_value_that_was_invalidated_while_it_was_loaded_is_not_stored(bool withoutLease)
    {
        var key = "test:text:lease" + withoutLease;
        var fill = LuaScript.Source("fill.lua");
        // mutant: NoLease, in the script itself.
        if (withoutLease)
            fill = fill.Replace("if lease then", "lease = lease or (ARGV[1] .. '|-2') if lease then", StringComparison.Ordinal);
        await AskAsync(key, "token");

        await Server.CommandAsync("UNLINK", key, Lease(key));
        await Server.CommandAsync("EVAL", fill, "2", key, Lease(key), "token@epoch", "old", "60000");

        Assert.Equal(withoutLease ? "1" : "0", await Server.CommandAsync("EXISTS", key));
    }

    [Theory]
    [InlineData("SET", "1")]
    [InlineData("DEL", "0")]
    public async Task A_foreign_change_of_the_value_alone_is_respected(string change, string exists)
    {
        var key = "test:text:foreign" + change;
        // Past its life, within its grace.
        await Server.CommandAsync("SET", key, "stale", "PX", "30000");
        await AskAsync(key, "token", grace: 60_000);

        await Server.CommandAsync(change == "SET" ? ["SET", key, "foreign"] : ["DEL", key]);
        await FillAsync(key, "token", "loaded");

        Assert.Equal(exists, await Server.CommandAsync("EXISTS", key));
        Assert.NotEqual("loaded", await Server.CommandAsync("GET", key));
        Assert.Equal("0", await Server.CommandAsync("EXISTS", Lease(key)));
    }

    [Theory]
    [InlineData("SET", "0", "0")]
    [InlineData("DEL", "0", "0")]
    [InlineData("PTTL", "1", "1")]
    public async Task A_lease_is_not_lengthened_behind_a_foreign_change_of_the_value(string change, string done, string exists)
    {
        var key = "test:text:renewed" + change;
        await Server.CommandAsync("SET", key, "stale", "PX", "30000");
        await AskAsync(key, "token", grace: 60_000);

        await Server.CommandAsync(change == "SET" ? ["SET", key, "foreign"] : [change, key]);
        var renew = LuaScript.Source("renew.lua").Replace("return done", "return tostring(done[1])", StringComparison.Ordinal);

        Assert.Equal(done, await Server.CommandAsync("EVAL", renew, "2", key, Lease(key), "token@epoch", "2000"));
        // Nobody is to wait for what can fill nothing any more.
        Assert.Equal(exists, await Server.CommandAsync("EXISTS", Lease(key)));
    }

    [Theory]
    [InlineData("before", "before", true)]
    [InlineData("before", "epoch", false)]
    [InlineData("-", "epoch", true)]
    [InlineData("before", "-", true)]
    public async Task A_lease_of_another_epoch_is_not_waited_for_where_both_are_known(string holder, string asking, bool isHeld)
    {
        var key = $"test:text:epoch:{holder}:{asking}";
        await Server.CommandAsync("SET", Lease(key), $"token@{holder}|-2", "PX", "20000");

        await AskAsync(key, "mine", epoch: asking);

        var lease = await Server.CommandAsync("GET", Lease(key));
        Assert.StartsWith(isHeld ? $"token@{holder}|" : $"mine@{asking}|", lease, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_question_that_is_asked_twice_finds_its_own_lease_and_another_s_token_does_not_fill()
    {
        const string key = "test:text:twice";
        await AskAsync(key, "mine");
        var before = await Server.CommandAsync("GET", Lease(key));
        await AskAsync(key, "mine");
        await AskAsync(key, "other");
        Assert.Equal(before, await Server.CommandAsync("GET", Lease(key)));

        await FillAsync(key, "other", "of the other");
        Assert.Equal("0", await Server.CommandAsync("EXISTS", key));
        await FillAsync(key, "mine", "mine");
        Assert.Equal("mine", await Server.CommandAsync("GET", key));
    }

    [Fact]
    public async Task What_was_written_before_the_epoch_is_neither_believed_nor_is_its_lease()
    {
        const string key = "test:text:epoch";
        await Server.CommandAsync("SET", key, "old", "PX", "50000");
        await Server.CommandAsync("SET", Lease(key), "token@before|-2", "PX", "2000");
        var began =
            long.Parse(
                (await Server.CommandAsync("EVAL", "local t = redis.call('TIME') return tostring(t[1] * 1000)", "0"))!,
                CultureInfo.InvariantCulture
            ) + 1000;

        // An entry that lives for a minute and has 50 seconds left was written ten seconds ago.
        await AskAsync(key, "mine", began: began);
        Assert.StartsWith("mine@epoch|", await Server.CommandAsync("GET", Lease(key)), StringComparison.Ordinal);
        var read = LuaScript.Source("read.lua").Replace("return replies", "return tostring(replies[1][1])", StringComparison.Ordinal);
        Assert.Equal("false", await Server.CommandAsync("EVAL", read, "1", key, $"{began}", "60000", "20000"));
        Assert.Equal("old", await Server.CommandAsync("EVAL", read, "1", key, "0", "60000", "20000"));
    }

    [Fact]
    public async Task A_life_that_slides_begins_anew_with_each_read_of_Redis()
    {
        await using var node = await CacheNode.StartAsync(
            Server.ConnectionString,
            static options => options.Cache.ForFamily("text", static family => family.Sliding = true)
        );
        // The family lives for 30 minutes, with a minute of grace.
        await Server.CommandAsync("SET", "test:text:slides", "\"value\"", "PX", "100000");

        var read = await node.Cache.GetOrLoadResultAsync(CacheNode.Text("slides"), static _ => new("loaded")).Within();

        Assert.Equal("value", read.Value);
        var left = int.Parse((await Server.CommandAsync("PTTL", "test:text:slides"))!, CultureInfo.InvariantCulture);
        Assert.InRange(TimeSpan.FromMilliseconds(left), TimeSpan.FromMinutes(29), TimeSpan.FromMinutes(31));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Own_writes_are_told_too(bool noLoop)
    {
        try
        {
            TrackedLink.NoLoop = noLoop;
            await using var node = await CacheNode.StartAsync(Server.ConnectionString);
            var key = CacheNode.Text("loop" + noLoop);
            await Server.CommandAsync("SET", "test:text:loop" + noLoop, "\"old\"", "PX", "600000");
            await CacheNode.UntilAsync(() => node.Cache.Link.Epoch is not null);
            await node.Cache.GetAsync(key).Within();
            await CacheNode.UntilAsync(() => node.Cache.TryPeek(key, out _));

            // Stored by a fill of this node; the push stands directly behind the reply to it, so before the reply to the next read.
            await node.Cache.RefreshAsync(key, static _ => new("new")).Within();
            await node.Cache.GetAsync(CacheNode.Text("another")).Within();

            if (noLoop)
                await CacheNode.UntilAsync(() => node.Cache.TryPeek(key, out var kept) && kept.Value == "old");
            else
                Assert.False(node.Cache.TryPeek(key, out _));
        }
        finally
        {
            TrackedLink.NoLoop = false;
        }
    }

    private static string Lease(string key) => "{" + key + "}:l";

    private Task<string?> AskAsync(string key, string token, long began = 0, long grace = 0, string epoch = "epoch") =>
        Server.CommandAsync(
            "EVAL",
            LuaScript.Source("ask.lua").Replace("return replies", "return 'done'", StringComparison.Ordinal),
            "2",
            key,
            Lease(key),
            token,
            "60000",
            epoch,
            $"{began}",
            $"{grace}",
            "20000",
            "0",
            "0",
            "60000"
        );

    private Task<string?> FillAsync(string key, string token, string value) =>
        Server.CommandAsync("EVAL", LuaScript.Source("fill.lua"), "2", key, Lease(key), token + "@epoch", value, "60000");
}

/// <summary>Tests that turn static switches on run by themselves, after the others.</summary>
[CollectionDefinition(CoherenceScriptTests.Name, DisableParallelization = true)]
public sealed class SwitchedMutants;
