using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

/// <summary>Loads of one key by several nodes, and by one node again and again.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class SharedLoadTests
{
    private const string Name = "test:text:a";

    [Fact]
    public void Who_asks_for_what_another_node_loads_waits_and_is_woken_when_it_is_there() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => throw new InvalidOperationException("a second load"));
            world.Pass(1500);
            Assert.False(waiting.IsCompleted);

            var before = world.Now;
            gate.Release("value");
            world.Settle();

            // No time has passed: it was told.
            Assert.Equal("value", waiting.Result);
            Assert.Equal(before, world.Now);
            Assert.Equal(CacheTier.Memory, Tier(other));
        });

    [Fact]
    public void A_lease_is_lengthened_while_its_loader_runs() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => throw new InvalidOperationException("a second load"));

            world.Pass(9000);
            Assert.False(waiting.IsCompleted);
            gate.Release("value");
            world.Settle();

            Assert.Equal("value", waiting.Result);
        });

    [Fact]
    public void When_the_holder_dies_the_next_takes_over_when_the_lease_ends() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => new("taken over"));
            world.Settle();

            node.IsPaused = true;
            node.Time.Freeze();
            world.Pass(1900);
            Assert.False(waiting.IsCompleted);
            world.Pass(120);

            Assert.Equal("taken over", waiting.Result);
            Assert.Equal("\"taken over\"", world.Server[Name]);

            // And what the one who was thought dead has in hand is stored no more.
            node.Time.Thaw();
            node.IsPaused = false;
            gate.Release("late");
            world.Settle();
            Assert.Equal("\"taken over\"", world.Server[Name]);
        });

    [Fact]
    public void When_the_holder_s_loader_fails_the_next_loads_at_once() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var gate = new Gate<string?>();
            var failing = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => new("better"));
            world.Settle();

            gate.Fail(new FormatException());
            world.Settle();

            Assert.IsType<FormatException>(failing.Exception!.InnerException);
            Assert.Equal("better", waiting.Result);
        });

    [Theory]
    [InlineData(WhenHeld.Load)]
    [InlineData(WhenHeld.Throw)]
    public void Who_has_waited_for_another_s_load_long_enough_loads_itself_or_gives_up(WhenHeld what) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var other = world.AddNode(options =>
            {
                options.Defaults.LeaseWait = TimeSpan.FromSeconds(3);
                options.Defaults.WhenHeld = what;
            });
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => new("own"));

            world.Pass(2980);
            Assert.False(waiting.IsCompleted);
            world.Pass(40);

            Assert.True(waiting.IsCompleted);
            if (what == WhenHeld.Throw)
                Assert.IsType<LoadTimeoutException>(waiting.Exception!.InnerException);
            else
                Assert.Equal("own", waiting.Result);
            // The other's load is the one that is stored.
            Assert.Null(world.Server[Name]);
            gate.Release("value");
            world.Settle();
            Assert.Equal("\"value\"", world.Server[Name]);
        });

    [Fact]
    public void A_family_that_does_not_wait_for_others_loads_at_once_and_stores_nothing_of_it() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var other = world.AddNode(static options => options.ForFamily("text", static family => family.WaitForOthers = false));
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();

            var own = other.Load("a", static _ => new("own"));
            world.Settle();

            Assert.Equal("own", own.Result);
            Assert.Null(world.Server[Name]);
        });

    [Fact]
    public void Batches_that_wait_for_each_other_s_keys_do_not_wait_for_ever() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var (a, b) = (new Gate<string?>(), new Gate<string?>());
            _ = node.Load("a", a.LoadAsync);
            _ = other.Load("b", b.LoadAsync);
            world.Settle();
            var first = Many(node, "b", "c", "x");
            world.Settle();
            var second = Many(other, "a", "x", "c");
            world.Settle();
            Assert.False(first.IsCompleted || second.IsCompleted);

            a.Release("of a");
            b.Release("of b");
            world.Settle();

            Assert.Equal(["c", "of b", "x"], first.Result.Values.Select(static result => result.Value).Order(StringComparer.Ordinal));
            Assert.Equal(3, second.Result.Count);
            Assert.Equal("of a", second.Result[TestKeys.Text("a")].Value);
            Assert.Equal("\"x\"", world.Server["test:text:x"]);
        });

    [Fact]
    public void A_load_of_this_node_that_was_not_confirmed_for_a_bound_is_asked_about_and_then_joined() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var gate = new Gate<string?>();
            var first = node.Load("a", gate.LoadAsync);
            world.Settle();
            node.IsPaused = true;
            world.Pass(600);

            var second = node.Load("a", static _ => throw new InvalidOperationException("a second load"));
            node.IsPaused = false;
            world.Settle();
            gate.Release("value");
            world.Settle();

            Assert.Equal(("value", "value"), (first.Result, second.Result));
            Assert.Equal(1, gate.Runs);
            Assert.Equal(2, node.Store.Count("ASK"));
        });

    [Fact]
    public void Who_has_joined_an_older_load_of_this_node_is_not_cancelled_with_those_who_began_it() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var gate = new Gate<string?>();
            using var leave = new CancellationTokenSource();
            var first = node.Load("a", gate.LoadAsync, leave.Token);
            world.Settle();
            node.IsPaused = true;
            world.Pass(600);
            var second = node.Load("a", static _ => new("own"));
            node.IsPaused = false;
            world.Settle();

            leave.Cancel();
            gate.Fail(new OperationCanceledException(gate.Token));
            world.Settle();

            Assert.True(first.IsCanceled);
            Assert.Equal("own", second.Result);
        });

    [Fact]
    public void A_load_that_was_invalidated_elsewhere_is_not_joined_once_its_lease_is_known_to_be_gone() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var gate = new Gate<string?>();
            var first = node.Load("a", gate.LoadAsync);
            world.Settle();
            _ = other.Invalidate("a");
            // Long enough for the lease to be asked for again.
            world.Pass(300);

            var second = node.Load("a", static _ => new("new"));
            world.Settle();

            Assert.Equal("new", second.Result);
            gate.Release("old");
            world.Settle();
            Assert.Equal("old", first.Result);
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_load_that_all_have_left_keeps_nobody_waiting_though_its_loader_goes_on() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var gate = new Gate<string?>();
            using var leave = new CancellationTokenSource();
            _ = node.Load("a", gate.LoadAsync, leave.Token);
            world.Settle();
            var waiting = other.Load("a", static _ => new("next"));
            world.Settle();

            leave.Cancel();
            world.Settle();

            Assert.Equal("next", waiting.Result);
            gate.Release("late");
            world.Settle();
            Assert.Equal("\"next\"", world.Server[Name]);
        });

    [Fact]
    public void A_loader_that_does_not_heed_its_token_keeps_nobody_waiting_beyond_its_time() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.LoaderTimeout = TimeSpan.FromSeconds(5));
            var other = world.AddNode();
            var gate = new Gate<string?>();
            var first = node.Load("a", gate.LoadAsync);
            world.Pass(3000);
            var joined = node.Load("a", static _ => throw new InvalidOperationException("a second load"));
            var waiting = other.Load("a", static _ => new("next"));
            world.Pass(1980);
            Assert.False(first.IsCompleted || joined.IsCompleted || waiting.IsCompleted);

            world.Pass(40);
            Assert.True(first.IsCompleted && joined.IsCompleted && waiting.IsCompleted);
            Assert.IsType<LoadTimeoutException>(first.Exception!.InnerException);
            Assert.IsType<LoadTimeoutException>(joined.Exception!.InnerException);
            Assert.True(gate.Token.IsCancellationRequested);
            Assert.Equal("next", waiting.Result);

            // What it makes after all is stored nowhere, and its lease is lengthened no more.
            gate.Release("late");
            world.Pass(1000);
            Assert.Equal("\"next\"", world.Server[Name]);
            Assert.Null(world.Server["{test:text:a}:l"]);
            var later = node.Load("a", static _ => throw new InvalidOperationException("a second load"));
            world.Settle();
            Assert.Equal("next", later.Result);
        });

    [Fact]
    public void A_load_is_not_joined_where_the_clock_s_own_error_could_make_it_older_than_the_bound() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            node.IsPaused = true;
            // The bound, by a clock that may be a millisecond behind.
            world.Pass(500);

            var second = node.Load("a", static _ => throw new InvalidOperationException("a second load"));
            node.IsPaused = false;
            world.Settle();
            Assert.Equal(2, node.Store.Count("ASK"));

            gate.Release("value");
            world.Settle();
            Assert.Equal("value", second.Result);
        });

    [Fact]
    public void A_Redis_that_falls_silent_behind_the_loader_costs_one_time_out_though_a_part_is_not_to_be_stored() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.MaxValueBytes = 64);
            var gate = new Gate<string?>();
            var many = node
                .Cache.GetOrLoadManyAsync(
                    [TestKeys.Text("small"), TestKeys.Text("large")],
                    async (keys, context) =>
                    {
                        var value = await gate.LoadAsync(context);
                        return new Dictionary<CacheKey<string>, string?> { [keys[0]] = value, [keys[1]] = new string('x', 100) };
                    }
                )
                .AsTask();
            world.Settle();
            node.Store.Stall();
            gate.Release("value");
            world.Pass(1_990);
            Assert.False(many.IsCompleted);
            world.Pass(20);

            Assert.True(many.IsCompletedSuccessfully);
            Assert.Equal("value", many.Result[TestKeys.Text("small")].Value);
        });

    [Fact]
    public void A_connection_that_is_lost_behind_the_loader_costs_one_time_out_for_storing() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var gate = new Gate<string?>();
            var read = node.Load("a", gate.LoadAsync);
            world.Settle();
            node.Store.Stall();
            gate.Release("value");
            world.Pass(1_500);
            node.Store.Break();
            world.Pass(490);
            Assert.False(read.IsCompleted);
            world.Pass(20);

            Assert.True(read.IsCompleted);
            Assert.Equal("value", read.Result);
        });

    [Fact]
    public void When_a_part_of_a_question_for_many_fails_nothing_stays_of_what_the_other_part_was_given() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var (held, gate) = (new Gate<string?>(), new Gate<string?>());
            _ = other.Load("held", held.LoadAsync);
            world.Settle();
            node.Store.Refuse = static text =>
                text.StartsWith("ASK test:graced", StringComparison.Ordinal) ? new RedisTimeoutException("No reply.", Sent.Maybe) : null;
            var many = node
                .Cache.GetOrLoadManyAsync(
                    [TestKeys.Text("held"), TestKeys.Text("free"), CacheWorld.Graced("a")],
                    async (keys, context) =>
                    {
                        var value = await gate.LoadAsync(context);
                        return keys.ToDictionary(static key => key, _ => value);
                    }
                )
                .AsTask();
            world.Settle();
            Assert.Equal(2, node.Store.Count("ASK"));
            Assert.Equal(1, gate.Runs);

            // Nobody waits for the entry that another holds, and nobody is kept from the one that was free.
            Assert.Equal(0, node.Cache.Waits.Count);
            var next = other.Load("free", static _ => new("of the other"));
            world.Settle();
            Assert.True(next.IsCompleted);
            Assert.Equal("of the other", next.Result);

            gate.Release("value");
            world.Settle();
            Assert.All(many.Result.Values, static result => Assert.Equal("value", result.Value));
            Assert.Equal("\"of the other\"", world.Server["test:text:free"]);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Two_refreshes_of_a_key_leave_the_newest_value_there(bool laterEndsFirst) =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            world.Server[Name] = "\"old\"";
            var (before, after) = (new Gate<string?>(), new Gate<string?>());
            var loads = 0;
            var first = node
                .Cache.RefreshAsync(TestKeys.Text("a"), context => ++loads == 1 ? before.LoadAsync(context) : new("newest"))
                .AsTask();
            world.Settle();
            var second = other.Cache.RefreshAsync(TestKeys.Text("a"), after.LoadAsync).AsTask();
            world.Settle();

            if (laterEndsFirst)
            {
                after.Release("newer");
                world.Settle();
                Assert.Equal("\"newer\"", world.Server[Name]);
            }

            before.Release("new");
            world.Settle();
            if (!laterEndsFirst)
            {
                // It waits for the other, and readers have what there is meanwhile.
                Assert.False(first.IsCompleted);
                Assert.Equal("\"old\"", world.Server[Name]);
                after.Release("newer");
                world.Settle();
            }

            Assert.True(first.IsCompleted && second.IsCompleted);
            Assert.Equal(("newest", "newer"), (first.Result, second.Result));
            Assert.Equal("\"newest\"", world.Server[Name]);
            Assert.Equal(0, node.Store.Count("UNLINK") + other.Store.Count("UNLINK"));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_refresh_that_is_refused_twice_removes_the_old_value(bool fails) =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            world.Server[Name] = "\"old\"";
            Gate<string?>[] gates = [new(), new()];
            var loads = 0;
            var refreshed = node.Cache.RefreshAsync(TestKeys.Text("a"), context => gates[loads++].LoadAsync(context)).AsTask();
            world.Settle();
            _ = other.Invalidate("a");
            world.Settle();
            gates[0].Release("first");
            world.Settle();
            Assert.Equal(2, loads);

            world.Server[Name] = "\"foreign\"";
            if (fails)
                gates[1].Fail(new FormatException());
            else
                gates[1].Release("second");
            world.Settle();

            Assert.True(refreshed.IsCompleted);
            Assert.Equal(fails ? "first" : "second", refreshed.Result);
            Assert.Null(world.Server[Name]);
        });

    [Fact]
    public void A_refresh_takes_the_lease_of_who_began_before_the_change() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var old = new Gate<string?>();
            var first = node.Load("a", old.LoadAsync);
            world.Settle();

            var refreshed = other.Cache.RefreshAsync(TestKeys.Text("a"), static _ => new("new")).AsTask();
            world.Settle();
            old.Release("old");
            world.Settle();

            Assert.Equal(("old", "new"), (first.Result, refreshed.Result));
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_refresh_that_cannot_be_stored_removes_the_old_value() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            world.Server[Name] = "\"old\"";
            world.Server.IsFull = true;

            var refreshed = node.Cache.RefreshAsync(TestKeys.Text("a"), static _ => new("new")).AsTask();
            world.Settle();

            Assert.Equal("new", refreshed.Result);
            Assert.Null(world.Server[Name]);
        });

    private static CacheTier Tier(WorldNode node)
    {
        _ = node.Get("a");
        foreach (var _ in Enumerable.Range(0, 20))
            node.Step();
        return node.Cache.TryPeek(TestKeys.Text("a"), out var result) ? result.Tier : CacheTier.None;
    }

    private static Task<IReadOnlyDictionary<CacheKey<string>, CacheResult<string>>> Many(WorldNode node, params string[] ids) =>
        node
            .Cache.GetOrLoadManyAsync(
                [.. ids.Select(TestKeys.Text)],
                static (keys, _) => new(keys.ToDictionary(static key => key, static key => (string?)key.Entry.First))
            )
            .AsTask();
}
