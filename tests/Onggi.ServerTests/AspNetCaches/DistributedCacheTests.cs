using System.Buffers;
using System.Text;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.AspNetCaches;

/// <summary>IDistributedCache, with ASP.NET's own in memory as the yardstick.</summary>
public sealed class DistributedCacheTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private static int s_key;

    private string _key = $"session {Interlocked.Increment(ref s_key)}";

    private RedisServerProcess Server => fixture.Server;

    private string Wire => $"test:cache:distributed:{_key.Replace(" ", "%20", StringComparison.Ordinal)}";

    private string Sliding => $"{{{Wire}}}:s";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_does_what_the_cache_in_memory_does(bool isAsync)
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        var ours = await StoryAsync(node.Distributed, isAsync, _key + isAsync);
        var theirs = await StoryAsync(
            new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions())),
            isAsync,
            _key + isAsync
        );

        Assert.Equal(theirs, ours);
    }

    [Fact]
    public async Task Values_are_the_bytes_as_they_are_in_both_forms_of_the_interface()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        var cache = Assert.IsAssignableFrom<IBufferDistributedCache>(node.Distributed);
        var bytes = new byte[100_000];
        new Random(1).NextBytes(bytes);
        var pieces = Pieces(bytes, 30_000);

        foreach (var isAsync in (bool[])[false, true])
        {
            var key = _key + isAsync;
            if (isAsync)
                await cache.SetAsync(key, pieces, new());
            else
                cache.Set(key, pieces, new());
            Assert.Equal(bytes, cache.Get(key));
            Assert.Equal(bytes, await cache.GetAsync(key));
            var buffer = new ArrayBufferWriter<byte>();
            Assert.True(isAsync ? await cache.TryGetAsync(key, buffer) : cache.TryGet(key, buffer));
            Assert.True(buffer.WrittenSpan.SequenceEqual(bytes));
            buffer.ResetWrittenCount();
            Assert.False(isAsync ? await cache.TryGetAsync(key + "?", buffer) : cache.TryGet(key + "?", buffer));
            Assert.Equal(0, buffer.WrittenCount);
        }
    }

    [Fact]
    public async Task An_entry_that_names_no_end_gets_the_family_s_and_none_lives_longer_than_the_rules_allow()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);

        await node.Distributed.SetStringAsync(_key, "v");
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 1_100_000, 1_200_000);
        Assert.Equal(0, await Server.NumberAsync("EXISTS", Sliding));

        await node.Distributed.SetStringAsync(_key, "v", Ends(TimeSpan.FromDays(30)));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 6 * 86_400_000L, 7 * 86_400_000L);

        await node.Distributed.SetStringAsync(_key, "v", Slides(TimeSpan.FromDays(30)));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 6 * 86_400_000L, 7 * 86_400_000L);
    }

    [Theory]
    [InlineData("get")]
    [InlineData("getAsync")]
    [InlineData("tryGet")]
    [InlineData("tryGetAsync")]
    [InlineData("refresh")]
    [InlineData("refreshAsync")]
    public async Task Each_read_begins_a_sliding_life_anew(string read)
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        _key += read;
        await node.Distributed.SetStringAsync(_key, "v", Slides(TimeSpan.FromMinutes(10)));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 540_000, 600_000);
        // As if nine minutes had passed.
        await EndsInAsync(60_000);

        await ReadAsync(node.Distributed, read);

        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 540_000, 600_000);
        Assert.Equal(await Server.NumberAsync("PEXPIRETIME", Wire), await Server.NumberAsync("PEXPIRETIME", Sliding));
    }

    [Fact]
    public async Task A_sliding_life_never_goes_beyond_the_fixed_end()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        var before = await ServerTimeAsync();
        await node.Distributed.SetStringAsync(
            _key,
            "v",
            new DistributedCacheEntryOptions
            {
                SlidingExpiration = TimeSpan.FromMinutes(10),
                AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(15),
            }
        );
        var last = await ServerTimeAsync() + 900_000;
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 540_000, 600_000);

        // As if it had been read until it was nearly over: the end that it slid to lies beyond the fixed one.
        await Server.CommandAsync("SET", Sliding, $"600000 {before + 300_000}");
        await EndsInAsync(60_000);
        await node.Distributed.GetAsync(_key);
        Assert.Equal(before + 300_000, await Server.NumberAsync("PEXPIRETIME", Wire));
        await node.Distributed.GetAsync(_key);
        Assert.Equal(before + 300_000, await Server.NumberAsync("PEXPIRETIME", Wire));

        // The fixed end that was written is the one that was asked for.
        await node.Distributed.SetStringAsync(
            _key,
            "v",
            new DistributedCacheEntryOptions
            {
                SlidingExpiration = TimeSpan.FromMinutes(10),
                AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(15),
            }
        );
        var written = (await Server.CommandAsync("GET", Sliding))!.Split(' ');
        Assert.Equal("600000", written[0]);
        Assert.InRange(long.Parse(written[1]), last - 60_000, await ServerTimeAsync() + 900_000);
    }

    [Fact]
    public async Task A_sliding_life_that_nobody_reads_ends()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await node.Distributed.SetStringAsync(_key, "v", Slides(TimeSpan.FromMilliseconds(300)));

        // EXISTS is nobody's read.
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (await Server.NumberAsync("EXISTS", Wire, Sliding) > 0)
            await Task.Delay(20, patience.Token);

        Assert.Null(await node.Distributed.GetAsync(_key));
    }

    [Fact]
    public async Task What_others_write_under_the_name_is_read_and_keeps_their_end()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString);
        await node.Distributed.SetStringAsync(_key, "v", Slides(TimeSpan.FromMinutes(10)));
        await Server.CommandAsync("SET", Wire, "foreign", "PX", "60000");

        Assert.Equal("foreign", await node.Distributed.GetStringAsync(_key));
        Assert.InRange(await Server.NumberAsync("PTTL", Wire), 1, 60_000);

        await Server.CommandAsync("UNLINK", Wire);
        await Server.CommandAsync("RPUSH", Wire, "a", "list");
        Assert.Null(await node.Distributed.GetAsync(_key));
        await node.Distributed.SetStringAsync(_key, "again");
        Assert.Equal("again", await node.Distributed.GetStringAsync(_key));
    }

    [Fact]
    public async Task Every_key_has_an_end_and_belongs_to_its_family()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var node = await WebNode.StartAsync(redis.ConnectionString);
        await node.Distributed.SetStringAsync("plain", "v");
        await node.Distributed.SetStringAsync("slides {}:%", "v", Slides(TimeSpan.FromMinutes(1)));
        await node.Visits.SetStringAsync("plain", "w", Slides(TimeSpan.FromMinutes(1)));
        await node.Output.SetAsync("/a", [1], ["tag:1", "tag 2"], TimeSpan.FromMinutes(1), default);
        await node.Output.EvictByTagAsync("tag 2", default);
        await node.Output.SetAsync("/b", [1], ["tag:1"], TimeSpan.FromMinutes(1), default);
        await node.Hybrid.SetAsync("h", "v");

        var keys = (await node.KeysAsync()).Where(static key => !key.StartsWith("test:onggi:", StringComparison.Ordinal)).ToList();

        Assert.Equal("v", await node.Distributed.GetStringAsync("plain"));
        Assert.Equal("w", await node.Visits.GetStringAsync("plain"));
        Assert.Equal(
            [
                "test:cache:distributed:plain",
                "test:cache:distributed:slides%20%7B%7D%3A%25",
                "test:cache:hybrid:h",
                "test:cache:output:/b",
                "test:cache:visits:plain",
                "{test:cache:distributed:slides%20%7B%7D%3A%25}:s",
                "{test:cache:output:tag%202}:e",
                "{test:cache:output:tag%3A1}:t",
                "{test:cache:visits:plain}:s",
            ],
            keys
        );
        foreach (var key in keys)
        {
            Assert.True(await redis.NumberAsync("PTTL", key) > 0, $"{key} has no end.");
            Assert.Equal(key.Split(':')[2], node.Keys.FamilyOf(key)?.Family.Name);
        }
    }

    [Fact]
    public async Task The_rights_that_the_page_names_are_enough()
    {
        await using var server = await RedisServerProcess.StartAsync();
        const string Page =
            "+evalsha +eval +get +set +exists +unlink +del +pexpiretime +pexpireat +time +zadd +zrem +zscore +zrange +zremrangebyscore";
        string[] keys = ["~test:cache:distributed:*", "~{test:cache:distributed:*", "~test:cache:output:*", "~{test:cache:output:*"];
        await server.CommandAsync(["ACL", "SETUSER", "web", "on", ">secret-of-web", "+@connection", .. keys, .. Page.Split(' ')]);
        await using var node = await WebNode.StartAsync(server.ConnectionString + ",user=web,password=secret-of-web");

        await node.Distributed.SetStringAsync("k", "v", Slides(TimeSpan.FromMinutes(1)));
        Assert.Equal("v", await node.Distributed.GetStringAsync("k"));
        await node.Distributed.RefreshAsync("k");
        await node.Distributed.SetStringAsync("k", "v");
        await node.Distributed.RemoveAsync("k");
        await node.Output.SetAsync("/a", [1], ["tag"], TimeSpan.FromMinutes(1), default);
        await node.Output.SetAsync("/b", [1], ["tag"], TimeSpan.FromMinutes(2), default);
        await node.Output.SetAsync("/c", [1], null, TimeSpan.FromMinutes(2), default);
        await node.Output.EvictByTagAsync("tag", default);
        Assert.Null(await node.Output.GetAsync("/b", default));
        Assert.Equal([1], await node.Output.GetAsync("/c", default));
        await node.Redis.GetAsync("test:cache:visits:x").FailsWith<byte[]?, RedisServerException>();
    }

    [Fact]
    public async Task What_is_too_large_is_refused_before_it_is_sent()
    {
        await using var node = await WebNode.StartAsync(Server.ConnectionString, static onggi => onggi.Cache.MaxValueBytes = 100);

        Assert.Throws<ArgumentException>(() => node.Distributed.Set(_key, new byte[101], new()));
        await Assert.ThrowsAsync<ArgumentException>(() => node.Distributed.SetAsync(_key, new byte[101]));
        Assert.Equal(0, await Server.NumberAsync("EXISTS", Wire));
    }

    [Fact]
    public async Task Each_trouble_of_Redis_is_told_to_callers_that_wait_and_to_those_that_block()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await WebNode.StartAsync(server.ConnectionString, WebNode.Impatient);
        var cache = node.Distributed;
        await cache.SetStringAsync("k", "v", Slides(TimeSpan.FromMinutes(10)));

        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");
        Assert.Equal("v", await cache.GetStringAsync("k"));
        cache.Refresh("k");
        Assert.Equal("OOM", (await cache.SetStringAsync("k", "w").FailsWith<RedisServerException>()).Code);
        Assert.Equal("OOM", Assert.Throws<RedisServerException>(() => cache.SetString("k", "w")).Code);
        Assert.Equal("v", cache.GetString("k"));
        cache.Remove("k");
        Assert.Null(await cache.GetAsync("k"));
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "0");

        server.Pause();
        await cache.GetAsync("k").FailsWith<RedisTimeoutException>();
        Assert.Throws<RedisTimeoutException>(() => cache.Get("k"));
        server.Resume();

        await server.KillAsync();
        await cache.SetStringAsync("k", "v").FailsWith<RedisException>();
        Assert.ThrowsAny<RedisException>(() => cache.SetString("k", "v"));
        await cache.RemoveAsync("k").FailsWith<RedisException>();

        await server.RestartAsync();
        await Caching.CacheNode.UntilAsync(() => node.Redis.IsConnected);
        Assert.Null(await cache.GetAsync("k"));
        // Callers who block have a connection of their own, which comes back in its own time.
        await Caching.CacheNode.UntilAsync(() =>
            Record.Exception(() => cache.SetString("k", "again")) switch
            {
                null => true,
                RedisException => false,
                var other => throw other,
            }
        );
        Assert.Equal("again", await cache.GetStringAsync("k"));
    }

    /// <summary>What a cache answers to a series of calls that ask for all that does not need a clock.</summary>
    private static async Task<List<string>> StoryAsync(IDistributedCache cache, bool isAsync, string key)
    {
        var told = new List<string>();
        await GetAsync("nothing yet");
        await SetAsync("first", new());
        await GetAsync("set");
        await SetAsync("", Slides(TimeSpan.FromMinutes(1)));
        await GetAsync("overwritten with nothing");
        await SetAsync("sliding", Slides(TimeSpan.FromMinutes(1)));
        await Task.Yield();
        await RefreshAsync(key);
        await GetAsync("refreshed");
        await SetAsync("over", new() { AbsoluteExpiration = DateTimeOffset.UtcNow.AddMinutes(-1) });
        await GetAsync("set with an end that has passed");
        await SetAsync(
            "earlier",
            new() { AbsoluteExpiration = DateTimeOffset.UtcNow.AddMinutes(-1), AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1) }
        );
        await GetAsync("of two ends the earlier holds");
        await SetAsync(
            "fixed",
            new() { AbsoluteExpiration = DateTimeOffset.UtcNow.AddHours(1), SlidingExpiration = TimeSpan.FromHours(2) }
        );
        await GetAsync("a fixed end before the sliding one");
        await RemoveAsync(key);
        await GetAsync("removed");
        await RemoveAsync(key);
        await RefreshAsync(key + "never");
        await GetAsync("nothing again");
        told.Add(
            (
                await Assert.ThrowsAnyAsync<ArgumentException>(() =>
                    TryAsync(() => cache.SetAsync(key, null!, new()), () => cache.Set(key, null!, new()))
                )
            )
                .GetType()
                .Name
        );
        told.Add(
            (
                await Assert.ThrowsAnyAsync<ArgumentException>(() =>
                    TryAsync(() => cache.SetAsync(key, [], null!), () => cache.Set(key, [], null!))
                )
            )
                .GetType()
                .Name
        );
        told.Add(
            (await Assert.ThrowsAnyAsync<ArgumentException>(() => TryAsync(() => cache.GetAsync(null!), () => cache.Get(null!))))
                .GetType()
                .Name
        );
        return told;

        async Task GetAsync(string when)
        {
            var value = isAsync ? await cache.GetAsync(key) : cache.Get(key);
            told.Add($"{when}: {(value is null ? "null" : Encoding.UTF8.GetString(value))}");
        }

        Task SetAsync(string value, DistributedCacheEntryOptions options) =>
            TryAsync(
                () => cache.SetAsync(key, Encoding.UTF8.GetBytes(value), options),
                () => cache.Set(key, Encoding.UTF8.GetBytes(value), options)
            );

        Task RefreshAsync(string which) => TryAsync(() => cache.RefreshAsync(which), () => cache.Refresh(which));

        Task RemoveAsync(string which) => TryAsync(() => cache.RemoveAsync(which), () => cache.Remove(which));

        async Task TryAsync(Func<Task> asynchronous, Action blocking)
        {
            if (isAsync)
                await asynchronous();
            else
                blocking();
        }
    }

    private async Task ReadAsync(IDistributedCache cache, string read)
    {
        var buffers = (IBufferDistributedCache)cache;
        switch (read)
        {
            case "get":
                Assert.NotNull(cache.Get(_key));
                break;
            case "getAsync":
                Assert.NotNull(await cache.GetAsync(_key));
                break;
            case "tryGet":
                Assert.True(buffers.TryGet(_key, new ArrayBufferWriter<byte>()));
                break;
            case "tryGetAsync":
                Assert.True(await buffers.TryGetAsync(_key, new ArrayBufferWriter<byte>()));
                break;
            case "refresh":
                cache.Refresh(_key);
                break;
            default:
                await cache.RefreshAsync(_key);
                break;
        }
    }

    private async Task EndsInAsync(long milliseconds)
    {
        var end = $"{await ServerTimeAsync() + milliseconds}";
        await Server.CommandAsync("PEXPIREAT", Wire, end);
        await Server.CommandAsync("PEXPIREAT", Sliding, end);
    }

    private Task<long> ServerTimeAsync() =>
        Server.NumberAsync("EVAL", "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)", "0");

    private static DistributedCacheEntryOptions Slides(TimeSpan life) => new() { SlidingExpiration = life };

    private static DistributedCacheEntryOptions Ends(TimeSpan life) => new() { AbsoluteExpirationRelativeToNow = life };

    private static ReadOnlySequence<byte> Pieces(byte[] bytes, int size)
    {
        var first = new Piece(bytes.AsMemory(0, size), 0);
        var last = first;
        for (var start = size; start < bytes.Length; start += size)
            last = last.Then(bytes.AsMemory(start, Math.Min(size, bytes.Length - start)));
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, long start) => (Memory, RunningIndex) = (memory, start);

        public Piece Then(ReadOnlyMemory<byte> memory)
        {
            var next = new Piece(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
