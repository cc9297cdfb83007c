using System.Globalization;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Scripts;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Limits;

/// <summary>The scripts of limits on a real server whose clock the test moves: the one line that asks for the time reads two keys instead.</summary>
public sealed class LimitScriptTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const long Start = 1_790_000_000_000_000;

    private const string AsksTime = "redis.call('TIME')";

    private static readonly (string Right, string Wrong)[] Mistakes =
    [
        // The next window is taken to be empty: what was spent in this one is not weighed.
        ("wait = wait + math.max(0, math.ceil(period - (limit - cost) * period / current + 1e-6))", ""),
        // A rule is charged although another has denied.
        ("if allowed == 1 and ARGV[1] == 'take' then\n  if #write", "if ARGV[1] == 'take' then\n  if #write"),
        // Rounded in favour of who asks.
        ("math.ceil((at + interval * cost) * 4) / 4", "math.floor((at + interval * cost) / 10000) * 10000"),
        // The first rule that denies tells for how long.
        ("if allowed == 1 or wait > retry then", "if allowed == 1 then"),
        // The window before counts for nothing.
        ("previous = tonumber(a)\n    end\n    if kind", "previous = 0\n    end\n    if kind"),
        // A budget is refilled from the time of the last call on.
        ("math.max(tonumber(states[i] or 0) or 0, now)", "(tonumber(states[i] or 0) or now)"),
    ];

    public static TheoryData<int> MistakeNumbers => [.. Enumerable.Range(0, Mistakes.Length)];

    [Fact]
    public async Task No_policy_is_exceeded_all_or_nothing_is_spent_and_the_time_to_try_again_is_true()
    {
        for (var round = 0; round < 12; round++)
        {
            var wrong = await RunAsync(LuaScript.Source("limit_take.lua"), round, Seed.For($"limits {round}"));
            Assert.True(wrong is null, wrong);
        }
    }

    [Theory]
    [MemberData(nameof(MistakeNumbers))]
    public async Task Each_known_mistake_is_seen(int number)
    {
        var (right, wrong) = Mistakes[number];
        var source = LuaScript.Source("limit_take.lua");
        Assert.Contains(right, source, StringComparison.Ordinal);
        var mistaken = source.Replace(right, wrong, StringComparison.Ordinal);
        string? seen = null;
        // The same courses in each run: what is seen once is seen always.
        for (var round = 0; round < 100 && seen is null; round++)
            seen = await RunAsync(mistaken, round, new Random(round));

        Assert.NotNull(seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_given_back_is_never_more_than_there_is_room_for(bool intoAnyWindow)
    {
        var source = LuaScript.Source("limit_refund.lua");
        if (intoAnyWindow)
            source = source.Replace("if tonumber(id) == then_id then", "if true then", StringComparison.Ordinal);
        await using var world = await World.StartAsync(fixture.Server, LuaScript.Source("limit_take.lua"), source);
        var terms = Terms(LimitRule.Even(10, TimeSpan.FromSeconds(1)), LimitRule.Fixed(20, TimeSpan.FromSeconds(10)));

        var taken = await world.TakeAsync(terms, "take", 4);
        world.Now += 200_000;
        for (var i = 0; i < 3; i++)
            await world.RefundAsync(terms, terms.DecisionOf(taken, 4));
        var spent = 0;
        while (spent < 50 && (await world.TakeAsync(terms, "take", 1)).Allowed)
            spent++;

        Assert.Equal(10, spent);
        // A window later nothing of it is left to be given back.
        world.Now += 10_000_000;
        for (var i = 0; i < 10; i++)
            await world.TakeAsync(terms, "take", 1);
        await world.RefundAsync(terms, terms.DecisionOf(taken, 4));
        Assert.Equal(intoAnyWindow, !(await world.StateAsync("f10000000")).EndsWith(":10:0", StringComparison.Ordinal));
    }

    /// <summary>A random policy and a random course of calls; what is wrong with it, or nothing.</summary>
    private async Task<string?> RunAsync(string take, int round, Random random)
    {
        await using var world = await World.StartAsync(fixture.Server, take, LuaScript.Source("limit_refund.lua"));
        var terms = Terms(RandomRules(random));
        var spent = new List<(long At, int Cost)>();
        for (var step = 0; step < 60; step++)
        {
            world.Now += random.Next(4) == 0 ? random.Next(3_000_000) : random.Next(60_000);
            var cost = random.Next(1, Math.Min(terms.MostCost, 4) + 1);
            var before = await world.AllAsync();
            var reply = await world.TakeAsync(terms, "take", cost);
            var story =
                $"{Seed.Line} round {round} step {step}, cost {cost}: {reply} of {string.Join(" and ", terms.Rules.Select(rule => $"{rule.Name} {rule.Permits}/{rule.Burst}"))}";
            if (reply.Allowed)
                spent.Add((world.Now, cost));
            else if (await world.AllAsync() != before)
                return $"A denial has spent something. {story}";
            if (Exceeded(terms.Rules, spent) is { } rule)
                return $"{rule} was exceeded. {story}";
            if (!reply.Allowed && await WrongTimeAsync(world, terms, reply, cost) is { } wrong)
                return $"{wrong} {story}";
            if (
                reply.Allowed
                && await world.LeftMsAsync() is var left
                && (left <= 0 || left > 2 * terms.Rules.Max(one => one.Fills).TotalMilliseconds + 2)
            )
                return $"It lives for {left} ms. {story}";
        }

        return null;
    }

    private static async Task<string?> WrongTimeAsync(World world, LimitTerms terms, TakeReply denied, int cost)
    {
        var now = world.Now;
        try
        {
            world.Now = now + denied.RetryAfterUs;
            if (!(await world.TakeAsync(terms, "peek", cost)).Allowed)
                return "It is still denied after the time it was told.";
            world.Now = now + denied.RetryAfterUs - 1_000;
            return denied.RetryAfterUs > 1_000 && (await world.TakeAsync(terms, "peek", cost)).Allowed
                ? "It was allowed a millisecond earlier."
                : null;
        }
        finally
        {
            world.Now = now;
        }
    }

    private static string? Exceeded(LimitRule[] rules, List<(long At, int Cost)> spent)
    {
        foreach (var rule in rules)
        {
            if (rule.Kind == 'g')
            {
                for (var from = 0; from < spent.Count; from++)
                {
                    var all = spent.Skip(from).Sum(one => one.Cost);
                    var room = rule.Burst + ((double)(spent[^1].At - spent[from].At) * rule.Permits / rule.PeriodUs);
                    if (all > room + 1e-6)
                        return rule.Name;
                }

                continue;
            }

            var last = spent.Count == 0 ? 0 : spent[^1].At / rule.PeriodUs;
            var current = spent.Where(one => one.At / rule.PeriodUs == last).Sum(one => one.Cost);
            var previous = rule.Kind == 's' ? spent.Where(one => one.At / rule.PeriodUs == last - 1).Sum(one => one.Cost) : 0;
            var into = spent.Count == 0 ? 0 : spent[^1].At % rule.PeriodUs;
            if (current + (previous * (decimal)(rule.PeriodUs - into) / rule.PeriodUs) > rule.Permits)
                return rule.Name;
        }

        return null;
    }

    private static LimitRule[] RandomRules(Random random)
    {
        var rules = new List<LimitRule>
        {
            LimitRule.Even(random.Next(1, 40), TimeSpan.FromMilliseconds(random.Next(200, 2_000)), random.Next(1, 12)),
            LimitRule.Sliding(random.Next(2, 15), TimeSpan.FromMilliseconds(random.Next(100, 1_500))),
            LimitRule.Fixed(random.Next(2, 25), TimeSpan.FromMilliseconds(random.Next(100, 3_000))),
        };
        while (rules.Count > 1 && random.Next(2) == 0)
            rules.RemoveAt(random.Next(rules.Count));
        return [.. rules];
    }

    private static LimitTerms Terms(params LimitRule[] rules)
    {
        var policy = new LimitPolicy();
        foreach (var rule in rules)
            policy.With(rule);
        return new LimitTerms(
            new FamilySettings
            {
                Family = new KeyFamily("calls", "who"),
                Kind = "limit",
                Ttl = TimeSpan.FromMinutes(1),
                ScanPatterns = [],
            },
            policy,
            TimeProvider.System
        );
    }

    /// <summary>A subject on the server, and a clock.</summary>
    private sealed class World(RedisClient redis, RedisScript take, RedisScript refund) : IAsyncDisposable
    {
        private readonly string _wire = $"{{limits:{Guid.NewGuid():N}}}";

        public long Now { get; set; } = Start;

        public static async Task<World> StartAsync(RedisServerProcess server, string take, string refund)
        {
            var clock = $"{{ redis.call('GET', KEYS[1] .. 's'), redis.call('GET', KEYS[1] .. 'us') }}";
            Assert.Contains(AsksTime, take, StringComparison.Ordinal);
            return new World(
                await RedisClient.ConnectAsync(server.ConnectionString),
                new RedisScript("take", take.Replace(AsksTime, clock, StringComparison.Ordinal)),
                new RedisScript("refund", refund.Replace(AsksTime, clock, StringComparison.Ordinal))
            );
        }

        public async Task<TakeReply> TakeAsync(LimitTerms terms, string mode, int cost)
        {
            await SetClockAsync();
            return await redis
                .EvalAsync(take, terms.KeysOf(_wire), terms.TakeArgs(mode == "take", cost, ""), LimitScripts.TakeAnswer)
                .Within();
        }

        public async Task RefundAsync(LimitTerms terms, Decision decision)
        {
            await SetClockAsync();
            await redis.EvalAsync(refund, [_wire], terms.RefundArgs(decision), ReplyParsers.Int64).Within();
        }

        public async Task<string> AllAsync() => string.Join(' ', await redis.SendAsync(["HVALS", _wire], ReplyParsers.TextArray).Within());

        public async Task<string> StateAsync(string name) => (await redis.SendAsync(["HGET", _wire, name], ReplyParsers.Text).Within())!;

        public Task<long> LeftMsAsync() => redis.SendAsync(["PTTL", _wire], ReplyParsers.Int64).Within();

        public async ValueTask DisposeAsync() => await redis.DisposeAsync();

        private async Task SetClockAsync() =>
            await redis
                .SendAsync(
                    [
                        "MSET",
                        $"{_wire}s",
                        (Now / 1_000_000).ToString(CultureInfo.InvariantCulture),
                        $"{_wire}us",
                        (Now % 1_000_000).ToString(CultureInfo.InvariantCulture),
                    ],
                    ReplyParsers.Ignore
                )
                .Within();
    }
}
