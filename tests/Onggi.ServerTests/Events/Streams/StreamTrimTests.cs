using System.Globalization;
using Onggi.Client;
using Onggi.Events.Streams;
using Onggi.Scripts;
using Onggi.Testing;

namespace Onggi.ServerTests.Events.Streams;

/// <summary>Trimming never takes what some group has not settled: random courses against a model of it.</summary>
public sealed class StreamTrimTests
{
    private const string Stream = "s";

    [Fact]
    public async Task Trimming_takes_only_what_every_group_has_settled()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        var random = Seed.For(nameof(Trimming_takes_only_what_every_group_has_settled));

        for (var course = 0; course < 10; course++)
            Assert.True(await RunAsync(redis, random, LuaScript.Load("stream_trim.lua")) is null, Seed.Line);
    }

    [Theory]
    [InlineData("if not slowest or before(low, slowest) then", "if not slowest or before(slowest, low) then")]
    [InlineData("low = pending[2]", "low = low")]
    [InlineData("if #a ~= #b then", "if false then")]
    public async Task A_trim_that_takes_more_is_seen(string line, string instead)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        // The same courses each time: a mistake that is seen once is seen always.
        var random = new Random(5);
        var source = LuaScript.Source("stream_trim.lua");
        Assert.Contains(line, source, StringComparison.Ordinal);
        var wrong = new RedisScript("trim", source.Replace(line, instead, StringComparison.Ordinal));

        var seen = false;
        for (var course = 0; course < 20 && !seen; course++)
            seen = await RunAsync(redis, random, wrong) is not null;

        Assert.True(seen);
    }

    [Fact]
    public async Task What_is_settled_goes_after_its_time_and_a_group_that_does_not_settle_is_reported()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            configure: options =>
            {
                options.KeepSettled = TimeSpan.FromMilliseconds(1);
                options.ReportAfter = TimeSpan.FromMilliseconds(1);
                options.TrimEvery = TimeSpan.FromMilliseconds(200);
            }
        );
        await server.CommandAsync("XGROUP", "CREATE", Orders.Stream, "gone", "0", "MKSTREAM");
        await using var taken = await Taken.ByAsync(service);
        for (var i = 0; i < 250; i++)
            await service.PlaceAsync($"{i}");
        await server.SettledAsync();

        await service.LoggedAsync(7059);
        Assert.Equal(0, await service.Events.Streams.TrimAsync(Orders.Type));
        Assert.Equal(250, await server.LengthAsync());
        var gone = (await service.Events.Streams.GroupsAsync(Orders.Type)).Single(group => group.Group == "gone");
        Assert.Equal((0L, 250L), (gone.Pending, gone.Waiting!.Value));
        Assert.NotNull(gone.Oldest);

        Assert.True(await service.Events.Streams.DropGroupAsync(Orders.Type, "gone"));
        await service.Events.Streams.TrimAsync(Orders.Type);
        Assert.InRange(await server.LengthAsync(), 0, 1);
    }

    [Fact]
    public async Task What_nobody_ever_asked_for_stays_for_its_time()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            configure: options => options.KeepSettled = TimeSpan.Zero
        );
        await service.PlaceAsync("1");

        await service.Events.Streams.TrimAsync(Orders.Type);

        Assert.Equal(1, await server.LengthAsync());
    }

    [Fact]
    public async Task A_consumer_that_has_nothing_is_forgotten_and_one_that_has_something_never()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(server.ConnectionString);
        await server.CommandAsync("XADD", Stream, "1-1", "event", "{}");
        await server.CommandAsync("XGROUP", "CREATE", Stream, "g", "0");
        await server.CommandAsync("XREADGROUP", "GROUP", "g", "busy", "STREAMS", Stream, ">");
        await server.CommandAsync("XGROUP", "CREATECONSUMER", Stream, "g", "idle");

        await TrimAsync(redis, LuaScript.Load("stream_trim.lua"), forgetAfter: -1);

        var left = await server.CommandAsync("XINFO", "CONSUMERS", Stream, "g");
        Assert.Contains("busy", left, StringComparison.Ordinal);
        Assert.DoesNotContain("idle\nidle", left, StringComparison.Ordinal);
        Assert.Equal(1, left!.Split('\n').Count(line => line == "name"));
    }

    /// <summary>One course; what was lost, or <c>null</c>.</summary>
    private static async Task<string?> RunAsync(RedisClient redis, Random random, RedisScript trim)
    {
        await redis.SendAsync(["DEL", Stream], ReplyParsers.Ignore);
        var groups = new List<(string Name, HashSet<string> Settled, HashSet<string> Pending)>();
        var all = new List<string>();
        // Ids of all lengths: they must be compared as numbers, though numbers in Lua have 53 bits.
        var ms = 1UL;
        for (var step = 0; step < 120; step++)
        {
            switch (random.Next(8))
            {
                case 0 or 1 or 2:
                    ms += ms < 100_000_000_000 ? (ulong)random.Next(1, 3) * (ms / 4 + 1) : 1;
                    var id = $"{ms}-{(random.Next(3) == 0 ? ulong.MaxValue - (ulong)random.Next(5) : (ulong)random.Next(20))}";
                    await redis.SendAsync(["XADD", Stream, id, "event", "{}"], ReplyParsers.Ignore);
                    all.Add(id);
                    break;
                case 3 when groups.Count < 4 && all.Count > 0:
                    // A new group begins with what is there.
                    var name = $"g{groups.Count}";
                    await redis.SendAsync(["XGROUP", "CREATE", Stream, name, "0"], ReplyParsers.Ignore);
                    var there = await IdsAsync(redis);
                    groups.Add((name, [.. all.Except(there)], []));
                    break;
                case 4 when groups.Count > 0:
                    var reader = groups[random.Next(groups.Count)];
                    var read = await redis.SendAsync(
                        ["XREADGROUP", "GROUP", reader.Name, "c", "COUNT", random.Next(1, 6), "STREAMS", Stream, ">"],
                        StreamReplies.Read
                    );
                    reader.Pending.UnionWith(read.Select(entry => entry.Id));
                    break;
                case 5 or 6 when groups.Count > 0:
                    var settler = groups[random.Next(groups.Count)];
                    foreach (var one in settler.Pending.Where(_ => random.Next(2) == 0).ToList())
                    {
                        await redis.SendAsync(["XACK", Stream, settler.Name, one], ReplyParsers.Ignore);
                        settler.Pending.Remove(one);
                        settler.Settled.Add(one);
                    }

                    break;
                case 7 when groups.Count > 0:
                    await TrimAsync(redis, trim);
                    var left = (await IdsAsync(redis)).ToHashSet(StringComparer.Ordinal);
                    foreach (var group in groups)
                        if (all.FirstOrDefault(one => !group.Settled.Contains(one) && !left.Contains(one)) is { } lost)
                            return string.Create(CultureInfo.InvariantCulture, $"{lost} of {group.Name}, step {step}");
                    break;
            }
        }

        return null;
    }

    private static async Task<string[]> IdsAsync(RedisClient redis)
    {
        var reply = await redis.ExecuteAsync(["XRANGE", Stream, "-", "+"]);
        return [.. reply.Items.Select(entry => entry.Items[0].Text!)];
    }

    private static ValueTask<TrimReply> TrimAsync(RedisClient redis, RedisScript script, long forgetAfter = 86_400_000) =>
        redis.EvalAsync(script, [Stream, "pace"], [0, 0, 0, 1000, forgetAfter], StreamReplies.Trim);
}
