using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.ServerTests.Web;

[JsonSerializable(typeof(string))]
public sealed partial class WarmJson : JsonSerializerContext;

public sealed class WarmUpServerTests
{
    private const string Mark = "test:onggi:warmed:web:texts";
    private const string CatalogJson = """
        {
          "system": "test", "environment": "test", "prefix": "{environment}:", "services": { "web": {} },
          "families": { "text": { "key": "text:{id}", "kind": "cache", "value": "string", "ttl": "1h" } }
        }
        """;

    // Less than the minute after which everybody looks by themselves: it is the word that must have done it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);
    private static readonly KeyFamily Text = new("text", "id");

    private int _runs;

    [Fact]
    public async Task Of_two_hosts_one_warms_a_Redis_that_is_empty_and_again_when_it_came_back_empty()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var one = await StartAsync(redis);
        await using var other = await StartAsync(redis);
        await WarmedAsync(redis);
        Assert.Equal(1, Runs);
        Assert.Equal("100", await redis.CommandAsync("EVAL", "return #redis.call('KEYS', 'test:text:*')", "0"));

        await redis.RestartAsync(kill: true);

        await WarmedAsync(redis);
        Assert.Equal(2, Runs);
        Assert.Equal("100", await redis.CommandAsync("EVAL", "return #redis.call('KEYS', 'test:text:*')", "0"));

        await redis.CommandAsync("FLUSHALL");

        await WarmedAsync(redis);
        Assert.Equal(3, Runs);
    }

    [Fact]
    public async Task A_Redis_that_came_back_with_its_data_is_left_alone()
    {
        await using var redis = await RedisServerProcess.StartAsync("--save", "3600 1");
        await using var one = await StartAsync(redis);
        await WarmedAsync(redis);
        var epoch = await redis.CommandAsync("GET", "test:onggi:epoch");

        // It saves as it is asked to end.
        await redis.RestartAsync();

        // Whoever is greeted by the new life of the server has had the word; the mark is asked for right after.
        await UntilAsync(async () => await redis.CommandAsync("GET", "test:onggi:epoch") != epoch);
        await UntilAsync(async () => await LooksAsync(redis) > 0);
        Assert.Equal(1, Runs);
    }

    [Fact]
    public async Task The_mark_and_the_claim_have_a_time_to_live_and_belong_to_the_system_family()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var one = await StartAsync(redis);
        await WarmedAsync(redis);

        var left = long.Parse((await redis.CommandAsync("PTTL", Mark))!, CultureInfo.InvariantCulture);
        Assert.InRange(left, TimeSpan.FromDays(6).TotalMilliseconds, TimeSpan.FromDays(7).TotalMilliseconds);
        var keyspace = one.Services.GetRequiredService<Keyspace>();
        Assert.Equal("onggi", keyspace.FamilyOf(Mark)?.Family.Name);
        Assert.Equal("onggi", keyspace.FamilyOf("{" + Mark + "}:l")?.Family.Name);
    }

    [Fact]
    public async Task Of_many_who_ask_at_once_one_gets_the_claim()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var client = await RedisClient.ConnectAsync(redis.ConnectionString);
        var marks = Marks(client);

        var asked = await Task.WhenAll(
            Enumerable.Range(0, 64).Select(i => marks.ClaimAsync("texts", $"holder {i}", TimeSpan.FromSeconds(30), 0, default).AsTask())
        );

        Assert.Single(asked, static mark => mark.State == WarmState.Claimed);
        Assert.All(
            asked.Where(static mark => mark.State != WarmState.Claimed),
            static mark =>
            {
                Assert.Equal(WarmState.Held, mark.State);
                Assert.InRange(mark.Left, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
            }
        );
    }

    [Fact]
    public async Task A_claim_is_the_holder_s_alone_and_ends_when_nobody_lengthens_it()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var client = await RedisClient.ConnectAsync(redis.ConnectionString);
        var marks = Marks(client);
        await marks.ClaimAsync("texts", "a", TimeSpan.FromSeconds(30), 0, default);

        Assert.False(await marks.KeepAsync("texts", "b", TimeSpan.FromSeconds(30), default));
        Assert.False(await marks.DoneAsync("texts", "b", 0, default));
        Assert.True(await marks.KeepAsync("texts", "a", TimeSpan.FromMilliseconds(50), default));
        await UntilAsync(async () =>
            (await marks.ClaimAsync("texts", "b", TimeSpan.FromSeconds(30), 0, default)).State == WarmState.Claimed
        );
        // It was away for too long: what it did does not count.
        Assert.False(await marks.DoneAsync("texts", "a", 0, default));
        Assert.True(await marks.DoneAsync("texts", "b", 0, default));
        Assert.Equal(WarmState.Warm, (await marks.ClaimAsync("texts", "c", TimeSpan.FromSeconds(30), 0, default)).State);
    }

    [Fact]
    public async Task A_later_round_is_claimed_whatever_round_was_run_before()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var client = await RedisClient.ConnectAsync(redis.ConnectionString);
        var marks = Marks(client);
        await marks.ClaimAsync("texts", "a", TimeSpan.FromSeconds(30), 1000, default);
        await marks.DoneAsync("texts", "a", 1000, default);

        Assert.Equal(
            new WarmMark(WarmState.Warm, TimeSpan.Zero, 1000),
            await marks.ClaimAsync("texts", "b", TimeSpan.FromSeconds(30), 1000, default)
        );
        Assert.Equal(
            new WarmMark(WarmState.Claimed, TimeSpan.Zero, 1000),
            await marks.ClaimAsync("texts", "b", TimeSpan.FromSeconds(30), 2000, default)
        );
        Assert.True(await marks.KeepAsync("texts", "b", TimeSpan.Zero, default));
        Assert.Null(await redis.CommandAsync("GET", "{" + Mark + "}:l"));
    }

    [Fact]
    public async Task A_mark_lives_as_long_as_somebody_asks_for_it()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var client = await RedisClient.ConnectAsync(redis.ConnectionString);
        await redis.CommandAsync("SET", Mark, "0", "PX", "100000");

        await Marks(client).ClaimAsync("texts", "a", TimeSpan.FromSeconds(30), 0, default);

        var left = long.Parse((await redis.CommandAsync("PTTL", Mark))!, CultureInfo.InvariantCulture);
        Assert.True(left > TimeSpan.FromDays(6).TotalMilliseconds);
    }

    [Fact]
    public async Task Who_cannot_store_does_not_claim()
    {
        await using var redis = await RedisServerProcess.StartAsync();
        await using var client = await RedisClient.ConnectAsync(redis.ConnectionString);

        await Assert.ThrowsAsync<RedisConnectionException>(() =>
            Marks(client, cacheIsAway: true).ClaimAsync("texts", "a", TimeSpan.FromSeconds(30), 0, default).AsTask()
        );

        Assert.Equal(WarmState.Claimed, (await Marks(client).ClaimAsync("texts", "b", TimeSpan.FromSeconds(30), 0, default)).State);
    }

    private int Runs => Volatile.Read(ref _runs);

    private static WarmMarks Marks(RedisClient client, bool cacheIsAway = false) =>
        new(client, Keyspace.Load(CatalogJson, service: "web"), () => cacheIsAway);

    private static async Task WarmedAsync(RedisServerProcess redis) =>
        await UntilAsync(async () => await redis.CommandAsync("GET", Mark) == "0");

    private static async Task<int> LooksAsync(RedisServerProcess redis)
    {
        var commands = await redis.CommandAsync("INFO", "commandstats") ?? "";
        // Of all that the hosts do here only the look asks for it.
        var line = commands.Split('\n').FirstOrDefault(static text => text.StartsWith("cmdstat_pttl:calls=", StringComparison.Ordinal));
        return line is null
            ? 0
            : int.Parse(line["cmdstat_pttl:calls=".Length..line.IndexOf(',', StringComparison.Ordinal)], CultureInfo.InvariantCulture);
    }

    private static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, "it does not happen");
            await Task.Delay(10);
        }
    }

    private async Task<WebApplication> StartAsync(RedisServerProcess redis)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        builder.Services.AddOnggi(onggi =>
        {
            onggi.ConnectionString = redis.ConnectionString;
            onggi.Service = "web";
            onggi.Catalog = CatalogJson;
            onggi.Json = WarmJson.Default;
        });
        builder.Services.AddOnggiWarmUp(
            "texts",
            async (provider, progress, cancellation) =>
            {
                Interlocked.Increment(ref _runs);
                var texts = Enumerable
                    .Range(0, 100)
                    .Select(i => KeyValuePair.Create(new CacheKey<string>(new EntryKey(Text, $"{i}")), (string?)"warm"));
                return await provider
                    .GetRequiredService<OnggiCache>()
                    .WarmAsync("texts", texts.ToAsyncEnumerable(), progress, cancellation);
            }
        );
        var app = builder.Build();
        await app.StartAsync();
        return app;
    }
}
