using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>Values past their life, loads that are slow or fail, and loads ahead of time.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class StaleAndRefreshTests
{
    private const string Name = "test:graced:a";

    [Fact]
    public void A_value_past_its_life_stands_in_for_a_loader_that_fails() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world);
            var read = node.LoadGraced("a", static _ => throw new FormatException());
            world.Settle();

            Assert.Equal(("old", true, CacheTier.Redis), (read.Result.Value, read.Result.IsStale, read.Result.Tier));
            Assert.Equal(1, node.Cache.Statistics("graced").StaleServed);
            // The right to fill was given back: who comes next tries again.
            var next = node.LoadGraced("a", static _ => new("new"));
            world.Settle();
            Assert.Equal(("new", false), (next.Result.Value, next.Result.IsStale));
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_value_past_its_life_is_not_what_a_read_finds_and_not_kept_in_memory() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world);
            var read = node.Cache.GetAsync(CacheWorld.Graced("a")).AsTask();
            world.Settle();

            Assert.False(read.Result.Found);
            Assert.Equal(0, node.Cache.Statistics().MemoryEntries);
        });

    [Fact]
    public void Beyond_its_grace_and_after_an_invalidation_nothing_stands_in() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world);
            _ = node.Cache.InvalidateAsync(CacheWorld.Graced("a")).AsTask();
            world.Settle();

            var read = node.LoadGraced("a", static _ => throw new FormatException());
            world.Settle();

            Assert.IsType<FormatException>(read.Exception!.InnerException);
        });

    [Fact]
    public void While_it_is_loaded_anew_readers_have_the_value_past_its_life_at_once() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, static family => family.WhenStale = StaleMode.WhileRevalidate);
            var other = world.AddNode(static options => options.Defaults.WhenStale = StaleMode.WhileRevalidate);
            var gate = new Gate<string?>();

            var first = node.LoadGraced("a", gate.LoadAsync);
            world.Settle();
            var second = node.LoadGraced("a", gate.LoadAsync);
            var third = other.LoadGraced("a", gate.LoadAsync);
            world.Settle();
            Assert.All([first, second, third], read => Assert.Equal(("old", true), (read.Result.Value, read.Result.IsStale)));
            Assert.Equal(1, gate.Runs);

            gate.Release("new");
            world.Settle();
            var later = other.LoadGraced("a", gate.LoadAsync);
            world.Settle();
            Assert.Equal(("new", false), (later.Result.Value, later.Result.IsStale));
        });

    [Fact]
    public void A_slow_loader_is_waited_for_until_the_soft_time_out_and_goes_on() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, static family => family.SoftTimeout = TimeSpan.FromMilliseconds(200));
            var gate = new Gate<string?>();
            var read = node.LoadGraced("a", gate.LoadAsync);
            world.Pass(190);
            Assert.False(read.IsCompleted);
            world.Pass(20);

            Assert.Equal(("old", true), (read.Result.Value, read.Result.IsStale));
            Assert.False(gate.Token.IsCancellationRequested);
            gate.Release("new");
            world.Settle();
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void The_soft_time_out_begins_with_the_call_however_often_another_lengthens_its_lease() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, static family => family.SoftTimeout = TimeSpan.FromMilliseconds(400));
            var other = world.AddNode();
            var gate = new Gate<string?>();
            _ = other.LoadGraced("a", gate.LoadAsync);
            world.Settle();
            var read = node.LoadGraced("a", static _ => throw new InvalidOperationException("a second load"));
            world.Pass(380);
            Assert.False(read.IsCompleted);
            world.Pass(40);

            Assert.True(read.IsCompleted);
            Assert.Equal(("old", true), (read.Result.Value, read.Result.IsStale));
            Assert.True(other.Store.Count("RENEW") > 0);
            gate.Release("new");
            world.Settle();
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void The_soft_time_out_counts_the_wait_for_another_whose_loader_failed() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, static family => family.SoftTimeout = TimeSpan.FromMilliseconds(400));
            var other = world.AddNode();
            var (failing, gate) = (new Gate<string?>(), new Gate<string?>());
            _ = other.LoadGraced("a", failing.LoadAsync);
            world.Settle();
            var read = node.LoadGraced("a", gate.LoadAsync);
            world.Pass(300);
            failing.Fail(new FormatException());
            world.Settle();
            Assert.Equal(1, gate.Runs);
            world.Pass(80);
            Assert.False(read.IsCompleted);
            world.Pass(40);

            Assert.True(read.IsCompleted);
            Assert.Equal(("old", true), (read.Result.Value, read.Result.IsStale));
            gate.Release("new");
            world.Settle();
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_loader_that_was_cancelled_by_a_time_out_of_its_own_has_failed() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world);
            var read = node.LoadGraced("a", static _ => throw new TaskCanceledException("the source's own time-out"));
            world.Settle();

            Assert.True(read.IsCompletedSuccessfully);
            Assert.Equal(("old", true), (read.Result.Value, read.Result.IsStale));
        });

    [Fact]
    public void The_hard_time_out_of_a_call_for_many_is_one_for_all_its_keys() =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, static family => family.HardTimeout = TimeSpan.FromMilliseconds(200), "a", "b", "c");
            var gate = new Gate<string?>();
            var read = node
                .Cache.GetOrLoadManyAsync(
                    [CacheWorld.Graced("a"), CacheWorld.Graced("b"), CacheWorld.Graced("c")],
                    async (keys, context) =>
                    {
                        var value = await gate.LoadAsync(context);
                        return keys.ToDictionary(static key => key, _ => value);
                    }
                )
                .AsTask();
            world.Pass(190);
            Assert.False(read.IsCompleted);
            world.Pass(20);

            Assert.True(read.IsCompleted);
            Assert.Equal(3, read.Result.Count);
            Assert.All(read.Result.Values, static result => Assert.Equal(("old", true), (result.Value, result.IsStale)));
            gate.Release("new");
            world.Settle();
            Assert.Equal("\"new\"", world.Server["test:graced:c"]);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void After_the_hard_time_out_there_is_the_stale_value_or_an_error_and_the_load_goes_on(bool stale) =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, static family => family.HardTimeout = TimeSpan.FromMilliseconds(200));
            if (!stale)
                world.Server.Remove(Name);
            var gate = new Gate<string?>();
            var read = node.LoadGraced("a", gate.LoadAsync);
            world.Pass(190);
            Assert.False(read.IsCompleted);
            world.Pass(20);

            if (stale)
                Assert.Equal(("old", true), (read.Result.Value, read.Result.IsStale));
            else
                Assert.IsType<LoadTimeoutException>(read.Exception!.InnerException);
            Assert.False(gate.Token.IsCancellationRequested);
            gate.Release("new");
            world.Settle();
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_loader_is_cancelled_after_its_time() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.LoaderTimeout = TimeSpan.FromSeconds(5));
            var token = default(CancellationToken);
            var read = node.Load(
                "a",
                async context =>
                {
                    token = context.CancellationToken;
                    await new TaskCompletionSource(Rt.Signals).Task.WaitAsync(token);
                    return "never";
                }
            );
            world.Pass(4990);
            Assert.False(read.IsCompleted);
            world.Pass(20);

            Assert.IsType<LoadTimeoutException>(read.Exception!.InnerException);
            Assert.True(token.IsCancellationRequested);
            Assert.Null(world.Server["{test:text:a}:l"]);
        });

    [Fact]
    public void A_value_that_is_asked_for_is_loaded_anew_before_its_end() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.RefreshAfter = 0.5);
            var loads = 0;
            ValueTask<string?> LoadAsync(LoadContext _) => new((++loads).ToString());
            Read(world, node, LoadAsync);
            Read(world, node, LoadAsync);
            world.Pass(29_900);
            Assert.Equal("1", Read(world, node, LoadAsync));
            Assert.Equal(1, loads);

            world.Pass(200);
            // Who gives the cause has the old value; nobody waits.
            Assert.Equal("1", Read(world, node, LoadAsync));
            Assert.Equal(2, loads);
            Assert.Equal("\"2\"", world.Server["test:text:a"]);
            Assert.Equal("2", Read(world, node, LoadAsync));
            Assert.Equal("2", Read(world, node, LoadAsync));
            Assert.Equal(2, loads);
        });

    [Fact]
    public void A_refresh_ahead_of_the_end_that_fails_costs_nobody_the_value() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.RefreshAfter = 0.5);
            Read(world, node, static _ => new("value"));
            Read(world, node, static _ => new("value"));
            world.Pass(30_100);

            Assert.Equal("value", Read(world, node, static _ => throw new FormatException()));
            Assert.Equal("value", Read(world, node, static _ => throw new FormatException()));
            Assert.Equal("\"value\"", world.Server["test:text:a"]);
        });

    [Fact]
    public void A_refresh_ahead_of_the_end_whose_loader_hangs_is_given_up_and_begun_anew() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options =>
            {
                options.Defaults.RefreshAfter = 0.5;
                options.Defaults.LoaderTimeout = TimeSpan.FromSeconds(5);
            });
            Read(world, node, static _ => new("1"));
            Read(world, node, static _ => new("1"));
            world.Pass(30_100);
            var hanging = new Gate<string?>();
            Assert.Equal("1", Read(world, node, hanging.LoadAsync));
            Assert.Equal(1, hanging.Runs);
            world.Pass(5_010);

            // What is read from Redis anew may be refreshed anew.
            node.Cache.Memory.Drop("test:text:a");
            Assert.Equal("1", Read(world, node, static _ => throw new FormatException()));
            Assert.Equal("1", Read(world, node, static _ => new("2")));
            Assert.Equal("\"2\"", world.Server["test:text:a"]);
        });

    [Fact]
    public void That_something_does_not_exist_has_no_grace() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var first = node.LoadGraced("a", static _ => new((string?)null));
            world.Settle();
            Assert.True(first.Result is { Found: true, HasValue: false });
            Assert.Equal(TimeSpan.FromSeconds(20), world.Server.LastTimeToLive);
            world.Pass(19_900);
            var second = node.LoadGraced("a", static _ => throw new FormatException());
            world.Settle();
            Assert.True(second.Result is { Found: true, HasValue: false });

            world.Pass(200);
            var third = node.LoadGraced("a", static _ => new("born"));
            world.Settle();
            Assert.Equal("born", third.Result.Value);
        });

    [Fact]
    public void A_family_that_tells_ages_from_lives_lets_no_loader_choose_one() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.FailoverSafety = FailoverSafety.Strict);
            var read = node.Load(
                "a",
                static context =>
                {
                    context.Ttl = TimeSpan.FromSeconds(5);
                    return new("value");
                }
            );
            world.Settle();

            Assert.Contains(
                "FailoverSafety.Strict",
                Assert.IsType<InvalidOperationException>(read.Exception!.InnerException).Message,
                StringComparison.Ordinal
            );
            Assert.Null(world.Server["test:text:a"]);
            Assert.Null(world.Server["{test:text:a}:l"]);
        });

    private static string? Read(CacheWorld world, WorldNode node, Func<LoadContext, ValueTask<string?>> loader)
    {
        var read = node.Load("a", loader);
        world.Settle();
        return read.Result;
    }

    // Stored for life and grace of a minute each; the life is over.
    private static WorldNode WithStale(CacheWorld world, Action<CacheFamilyOptions>? configure = null) => WithStale(world, configure, "a");

    private static WorldNode WithStale(CacheWorld world, Action<CacheFamilyOptions>? configure, params string[] ids)
    {
        var node = world.AddNode(options => options.ForFamily("graced", configure ?? (static _ => { })));
        foreach (var id in ids)
        {
            var load = node.LoadGraced(id, static _ => new("old"));
            world.Settle();
            Assert.Equal("old", load.Result.Value);
        }

        Assert.Equal(TimeSpan.FromMinutes(2), world.Server.LastTimeToLive);
        world.Pass(61_000);
        return node;
    }
}
