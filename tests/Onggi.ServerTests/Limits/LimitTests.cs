using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Limits;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Locks;
using Onggi.Testing;

namespace Onggi.ServerTests.Limits;

/// <summary>Limits as callers see them, on a real server.</summary>
public sealed class LimitTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task Five_hundred_callers_of_four_nodes_with_clocks_an_hour_apart_never_exceed_the_policy()
    {
        var nodes = await Task.WhenAll(
            Enumerable
                .Range(-1, 4)
                .Select(hour => LimitNode.StartAsync(Server.ConnectionString, time: new MovedTime(TimeSpan.FromHours(hour))))
        );
        foreach (var node in nodes)
            await node.TakeAsync("warm");
        var began = await ServerTimeAsync();
        var end = Stopwatch.StartNew();

        var allowed = await Task.WhenAll(
            Enumerable
                .Range(0, 500)
                .Select(async i =>
                {
                    var mine = 0;
                    while (end.Elapsed < TimeSpan.FromSeconds(2))
                    {
                        var decision = await nodes[i % 4].TakeAsync("all");
                        mine += decision.Allowed ? 1 : 0;
                        Assert.NotEqual(DecisionSource.FailMode, decision.Source);
                        if (!decision.Allowed)
                            await Task.Delay(decision.RetryAfter);
                    }

                    return mine;
                })
        );
        var seconds = await ServerTimeAsync() - began;

        Assert.InRange(allowed.Sum(), 20, 10 + (10 * seconds) + 1e-3);
        foreach (var node in nodes)
            await node.DisposeAsync();
    }

    [Fact]
    public async Task Rules_are_charged_together_or_not_at_all()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);
        var key = LimitNode.Both("a");

        Assert.True((await node.Limits.TakeAsync(key, 4)).Allowed);
        // Of the day four are left; of the second only one, or little more on a slow machine.
        await node.Limits.PeekAsync(key, 4);
        var decision = await node.Limits.TakeAsync(key, 4);
        while (!decision.Allowed)
        {
            Assert.Equal(LimitRule.Even(5, TimeSpan.FromSeconds(1)), decision.Rule);
            await Task.Delay(decision.RetryAfter);
            decision = await node.Limits.TakeAsync(key, 4);
        }

        Assert.Equal(0, decision.Remaining);
        var over = await node.Limits.TakeAsync(key);
        Assert.Equal(LimitRule.Fixed(8, TimeSpan.FromDays(1)), over.Rule);
        Assert.InRange(over.RetryAfter, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(1));
        Assert.Equal(1, await NumberAsync("EXISTS", "test:rate_limit:both:a"));
        Assert.InRange(await NumberAsync("PTTL", "test:rate_limit:both:a"), 1, 86_400_001);
    }

    [Fact]
    public async Task A_process_that_does_not_know_a_rule_yet_does_not_end_what_is_counted_for_it()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);
        await using var old = await LimitNode.StartAsync(
            Server.ConnectionString,
            options => options.Limits.ForFamily("both", policy => policy.Rules.RemoveAt(1))
        );

        Assert.True((await node.Limits.TakeAsync(LimitNode.Both("deployed"))).Allowed);
        var before = await NumberAsync("PTTL", "test:rate_limit:both:deployed");
        Assert.True((await old.Limits.TakeAsync(LimitNode.Both("deployed"))).Allowed);

        // The old one counts by the second, and days are counted in the same key.
        Assert.InRange(await NumberAsync("PTTL", "test:rate_limit:both:deployed"), Math.Max(1, before - 60_000), before);
    }

    [Fact]
    public async Task A_cost_that_is_never_allowed_is_a_mistake_and_not_a_denial()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await node.TakeAsync("b", 11));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await node.TakeAsync("b", 0));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await node.Limits.PeekAsync(LimitNode.Both("b"), 6));
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await node.Limits.TakeAsync(LimitNode.Key("unknown", "b")));
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await node.Limits.TakeAsync(LimitNode.Jobs("b")));
    }

    [Fact]
    public async Task What_was_not_used_is_given_back()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);
        var key = LimitNode.Both("c");

        var first = await node.Limits.TakeAsync(key, 5);
        Assert.True(await node.Limits.RefundAsync(key, first));
        Assert.False(await node.Limits.RefundAsync(key, await node.Limits.PeekAsync(key)));

        var second = await node.Limits.TakeAsync(key, 5);
        Assert.True(second.Allowed);
        Assert.InRange(second.Remaining, 0, 3);
    }

    [Fact]
    public async Task Places_are_given_back_kept_while_they_are_used_and_end_with_their_process()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);
        var key = LimitNode.Jobs("e");
        await using var first = await node.Limits.EnterAsync(key);
        var second = await node.Limits.EnterAsync(key);
        var third = await node.Limits.EnterAsync(key);

        Assert.Equal((true, true, false), (first.Decision.Allowed, second.Decision.Allowed, third.Decision.Allowed));
        Assert.InRange(third.Decision.RetryAfter, TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(3));
        await second.DisposeAsync();
        await using var fourth = await node.Limits.EnterAsync(key);
        Assert.True(fourth.Decision.Allowed);
        // Longer than a place lasts that nobody keeps.
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.False((await node.Limits.PeekAsync(key)).Allowed);

        // A place of a process that is gone.
        await Server.CommandAsync("ZADD", "{test:rate_limit:jobs:f}:places", "1000", "dead");
        Assert.Equal(2, (await node.Limits.PeekAsync(LimitNode.Jobs("f"))).Remaining);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_place_whose_caller_no_longer_waits_is_free_again(bool cancelled)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(
            server.ConnectionString,
            options =>
                options.Limits.ForFamily(
                    "rooms",
                    policy =>
                    {
                        (policy.FailMode, policy.Timeout) = (FailMode.Open, cancelled ? TimeSpan.FromSeconds(15) : LimitNode.Timeout);
                        policy.With(LimitRule.Concurrent(2));
                    }
                )
        );
        var key = LimitNode.Key("rooms", "a");
        await (await node.Limits.EnterAsync(key)).DisposeAsync();
        var before = await server.ScriptsRunAsync();
        server.Pause();

        using var caller = new CancellationTokenSource();
        var entering = node.Limits.EnterAsync(key, cancellationToken: caller.Token).AsTask();
        if (cancelled)
        {
            await caller.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => entering.Within());
        }
        else
        {
            await using var place = await entering.Within();
            Assert.Equal(DecisionSource.FailMode, place.Decision.Source);
        }

        server.Resume();
        Decision peeked = default;
        await Until.TrueAsync(
            async () => (peeked = await node.Limits.PeekAsync(key)).Source == DecisionSource.Redis,
            "Redis decides again"
        );
        // It was asked for the place, and before we looked the place was given back.
        Assert.True(await server.ScriptsRunAsync() >= before + 2);
        Assert.Equal(2, peeked.Remaining);
        Assert.Equal(0, await NumberOfAsync(server, "ZCARD", "{test:rate_limit:rooms:a}:places"));
    }

    [Fact]
    public async Task A_place_that_is_lost_while_it_is_used_is_said()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);
        await using var place = await node.Limits.EnterAsync(LimitNode.Jobs("lost"));
        Assert.True(place.Decision.Allowed);

        await Server.CommandAsync("DEL", "{test:rate_limit:jobs:lost}:places");

        // It is kept by a question each third of its three seconds.
        await Until.TrueAsync(() => Task.FromResult(node.Log.All.Any(static line => line.Id == 4003)), "it is said");
        var said = Assert.Single(node.Log.All, static line => line.Id == 4003).Text;
        Assert.Contains("limit jobs", said, StringComparison.Ordinal);
        Assert.DoesNotContain(":lost", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_silence_keeps_callers_from_asking_and_not_one_slow_answer_among_others()
    {
        await using var node = await LimitNode.StartAsync(Server.ConnectionString);
        var time = new ManualTimeProvider();
        var watch = new LimitWatch(new RedisSilence(() => node.Redis.IsKnownDown, time), NullLogger.Instance);
        var terms = node.Limits.PolicyOf("calls")!;

        // Another's answer came while the slow one was waited for.
        var heard = watch.Heard;
        watch.Answered("calls");
        watch.DecidedWithout(terms, "it was slow.", heard);
        Assert.True(watch.MayAsk());
        Assert.True(watch.MayAsk());

        // Nothing came since this one left: one caller in a second asks.
        watch.DecidedWithout(terms, "it hangs.", watch.Heard);
        Assert.False(watch.MayAsk());
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(watch.MayAsk());
        Assert.False(watch.MayAsk());

        watch.Answered("calls");
        Assert.True(watch.MayAsk());
        Assert.True(watch.MayAsk());
    }

    [Fact]
    public async Task Each_question_is_one_script()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(server.ConnectionString);
        await node.TakeAsync("warm");
        var before = await server.ScriptsRunAsync();

        await node.TakeAsync("g");
        await node.Limits.PeekAsync(LimitNode.Both("g"));
        await node.Limits.TakeAsync(LimitNode.Both("g"));

        Assert.Equal(before + 3, await server.ScriptsRunAsync());
    }

    [Theory]
    [InlineData("open", true)]
    [InlineData("closed", false)]
    public async Task When_Redis_is_gone_the_policy_decides_at_once(string family, bool allowed)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(server.ConnectionString);
        await server.KillAsync();

        for (var i = 0; i < 20; i++)
        {
            var decision = await node.Limits.TakeAsync(LimitNode.Key(family, "a")).Within();
            Assert.Equal((allowed, DecisionSource.FailMode), (decision.Allowed, decision.Source));
        }
    }

    [Fact]
    public async Task When_Redis_is_gone_a_process_counts_its_part()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(
            server.ConnectionString,
            options => options.Limits.ForFamily("calls", policy => policy.Nodes = 5)
        );
        await server.KillAsync();
        var watch = Stopwatch.StartNew();

        var allowed = 0;
        for (var i = 0; i < 100; i++)
            allowed += (await node.TakeAsync("a").Within()).Allowed ? 1 : 0;

        // A fifth of ten at once, and a fifth of ten in each second.
        Assert.InRange(allowed, 2, 2 + (2 * watch.Elapsed.TotalSeconds) + 1e-3);
    }

    [Fact]
    public async Task When_Redis_is_full_the_policy_decides()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LimitNode.StartAsync(server.ConnectionString);
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        Assert.Equal(DecisionSource.FailMode, (await node.Limits.TakeAsync(LimitNode.Key("open", "a"))).Source);
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "0");
        Assert.Equal(DecisionSource.Redis, (await node.Limits.TakeAsync(LimitNode.Key("open", "a"))).Source);
    }

    [Theory]
    [InlineData("unknown", "does not name")]
    [InlineData("lock", "of kind \"lock\"")]
    [InlineData("jobs", "\"ttl\" of at least")]
    public async Task A_policy_that_does_not_fit_the_catalog_fails_the_start(string family, string says)
    {
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            LimitNode.StartAsync(
                Server.ConnectionString,
                options => options.Limits.ForFamily(family, policy => policy.With(LimitRule.Fixed(1, TimeSpan.FromHours(1))))
            )
        );

        Assert.Contains(says, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cluster_keeps_a_budget_and_its_places_in_one_slot()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync(replicas: 0);
        await using var node = await LimitNode.StartAsync(cluster.ConnectionString);

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(DecisionSource.Redis, (await node.TakeAsync($"{i}")).Source);
            await using var place = await node.Limits.EnterAsync(LimitNode.Jobs($"{i}"));
            Assert.Equal((true, DecisionSource.Redis), (place.Decision.Allowed, place.Decision.Source));
        }
    }

    private async Task<double> ServerTimeAsync()
    {
        var parts = (await Server.CommandAsync("TIME"))!.Split('\n');
        return double.Parse(parts[0], CultureInfo.InvariantCulture) + (double.Parse(parts[1], CultureInfo.InvariantCulture) / 1e6);
    }

    private Task<long> NumberAsync(params string[] command) => NumberOfAsync(Server, command);

    private static async Task<long> NumberOfAsync(RedisServerProcess server, params string[] command) =>
        long.Parse((await server.CommandAsync(command))!, CultureInfo.InvariantCulture);
}
