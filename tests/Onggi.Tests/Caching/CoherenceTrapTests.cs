using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>Each known mistake of the protocol, shown right and, with its switch on, shown wrong. Those of memory alone are in <see cref="CoherenceMutantTests"/>.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class CoherenceTrapTests
{
    private const string Name = "test:text:a";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_loaded_before_an_invalidation_is_not_stored_after_it(bool noLease) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.NoLease = noLease;
            Assert.Equal(noLease, StoresWhatWasInvalidated(world));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_invalidation_of_an_absent_key_takes_the_lease_away(bool leaseStays) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.LeaseStays = leaseStays;
            Assert.Equal(leaseStays, StoresWhatWasInvalidated(world));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_lease_is_one_load_s_alone(bool tokenReuse) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.TokenReuse = tokenReuse;
            var node = world.AddNode();
            var (old, @new) = (new Gate<string?>(), new Gate<string?>());
            _ = node.Load("a", old.LoadAsync);
            world.Settle();
            _ = node.Invalidate("a");
            world.Settle();
            _ = node.Load("a", @new.LoadAsync);
            world.Settle();

            old.Release("old");
            world.Settle();
            @new.Release("new");
            world.Settle();

            Assert.Equal(tokenReuse ? "\"old\"" : "\"new\"", world.Server[Name]);
        });

    /// <summary>No cache can see this: whoever invalidates before the change is committed lets others load and store what was before.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_invalidation_belongs_after_the_commit(bool beforeCommit) =>
        CacheWorld.Run(world =>
        {
            var (writer, reader) = (world.AddNode(), world.AddNode());
            var source = "old";
            if (beforeCommit)
                _ = writer.Invalidate("a");
            world.Settle();
            _ = reader.Load("a", _ => new(source));
            world.Settle();
            source = "new";
            if (!beforeCommit)
                _ = writer.Invalidate("a");
            world.Settle();

            var read = reader.Load("a", _ => new(source));
            world.Settle();

            Assert.Equal(beforeCommit ? "old" : "new", read.Result);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_proof_is_dated_by_the_question(bool proofReceived) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.ProofReceived = proofReceived;
            var node = WithOldInMemory(world);
            // The next beat is executed; then the key changes, and neither is read for a long time.
            while (node.Store.Unexecuted == 0)
                world.Wait(1);
            node.Store.ExecuteNext();
            world.Server.Remove(Name);
            world.Wait(700);

            node.Store.ReadNext();

            Assert.Equal(proofReceived ? "old" : null, node.Peek("a"));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Memory_is_filled_on_the_reading_loop(bool lateInsert) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.LateInsert = lateInsert;
            var node = world.AddNode();
            world.Server[Name] = "\"old\"";
            var read = node.Get("a");
            while (node.Store.ExecuteNext()) { }
            world.Server.Remove(Name);
            node.Store.ReadAll();
            // Only now does the caller go on, who was held up.
            world.Settle();

            Assert.Equal("old", read.Result.Value);
            Assert.Equal(lateInsert ? "old" : null, node.Peek("a"));
            world.Pass(2000);
            Assert.Equal(lateInsert ? "old" : null, node.Peek("a"));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Own_writes_are_told_too(bool noLoop) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.NoLoop = noLoop;
            var node = WithOldInMemory(world);

            // The value is stored by this node itself, by way of a fill.
            _ = node.Cache.RefreshAsync(TestKeys.Text("a"), static _ => new("new")).AsTask();
            world.Settle();
            world.Pass(2000);

            Assert.Equal("\"new\"", world.Server[Name]);
            Assert.Equal(noLoop ? "old" : null, node.Peek("a"));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Only_a_load_that_was_known_to_be_good_a_bound_ago_is_joined(bool joinAny) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.JoinAny = joinAny;
            var (node, other) = (world.AddNode(), world.AddNode());
            var (old, @new) = (new Gate<string?>(), new Gate<string?>());
            _ = node.Load("a", old.LoadAsync);
            world.Settle();
            node.IsPaused = true;
            var invalidated = other.Invalidate("a");
            world.Pass(600);
            Assert.True(invalidated.IsCompletedSuccessfully);

            var late = node.Load("a", @new.LoadAsync);
            old.Release("old");
            @new.Release("new");
            node.IsPaused = false;
            world.Settle();

            Assert.Equal(joinAny ? "old" : "new", late.Result);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_strict_invalidation_returns_when_nobody_can_answer_with_the_old_value(bool noWait) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.NoWait = noWait;
            var node = WithOldInMemory(world);
            var other = world.AddNode();
            node.IsPaused = true;

            var invalidated = other.Invalidate("a", Invalidation.Strict);
            world.Settle();
            for (var passed = 0; !invalidated.IsCompleted && passed < 5000; passed++)
                world.Pass(1);

            Assert.True(invalidated.IsCompletedSuccessfully);
            Assert.Equal(noWait ? "old" : null, node.Peek("a"));
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_value_that_a_failover_brought_back_is_not_believed(bool failoverValue) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.FailoverValue = failoverValue;
            var (node, other) = (world.AddNode(Strict), world.AddNode(Strict));
            _ = node.Load("a", static _ => new("old"));
            world.Settle();
            var replica = world.Server.Snapshot();
            world.Pass(5000);
            _ = other.Invalidate("a");
            world.Settle();

            FailOver(world, replica);
            var read = node.Load("a", static _ => new("new"));
            world.Settle();

            Assert.Equal(failoverValue ? "old" : "new", read.Result);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_value_that_a_failover_brought_back_is_not_read_either(bool many) =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(Strict), world.AddNode(Strict));
            _ = node.Load("a", static _ => new("old"));
            world.Settle();
            var replica = world.Server.Snapshot();
            world.Pass(5000);
            _ = other.Invalidate("a");
            world.Settle();

            FailOver(world, replica);
            var read = many ? ReadMany() : node.Get("a");
            world.Settle();

            Assert.False(read.Result.Found);

            async Task<CacheResult<string>> ReadMany() =>
                (await node.Cache.GetManyAsync([TestKeys.Text("a"), TestKeys.Text("b")]))[TestKeys.Text("a")];
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_lease_that_a_failover_brought_back_fills_nothing(bool failoverLease) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.FailoverLease = failoverLease;
            var (node, other) = (world.AddNode(Strict), world.AddNode(Strict));
            var old = new Gate<string?>();
            _ = node.Load("a", old.LoadAsync);
            world.Settle();
            var replica = world.Server.Snapshot();
            _ = other.Invalidate("a");
            world.Settle();

            FailOver(world, replica);
            old.Release("old");
            world.Settle();

            Assert.Equal(failoverLease ? "\"old\"" : null, world.Server[Name]);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_fill_that_was_under_way_is_not_sent_to_the_server_that_took_over(bool wasExecuted) =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(Strict), world.AddNode(Strict));
            var old = new Gate<string?>();
            var read = node.Load("a", old.LoadAsync);
            world.Settle();
            var replica = world.Server.Snapshot();
            old.Release("old");
            if (wasExecuted)
                node.Store.ExecuteNext();
            _ = other.Invalidate("a");
            while (other.Step()) { }

            FailOver(world, replica);

            Assert.Null(world.Server[Name]);
            Assert.Equal("old", read.Result);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_fill_that_is_handed_over_while_its_connection_ends_does_not_wait_for_the_server_that_takes_over(bool fillAnywhere) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.FillAnywhere = fillAnywhere;
            var (node, other) = (world.AddNode(Strict), world.AddNode(Strict));
            var old = new Gate<string?>();
            var read = node.Load("a", old.LoadAsync);
            world.Settle();
            var replica = world.Server.Snapshot();
            _ = other.Invalidate("a");
            world.Settle();
            // Between the look at the connection and the place in its queue.
            Interleave.Hook = point =>
            {
                if (point != "fill")
                    return;
                Interleave.Hook = null;
                world.Server.BeginNewLife(replica);
            };
            old.Release("old");
            world.Settle();
            Assert.Null(Interleave.Hook);

            foreach (var one in world.Nodes)
                one.Store.Connect();
            world.Settle();

            Assert.Equal(fillAnywhere ? "\"old\"" : null, world.Server[Name]);
            Assert.Equal("old", read.Result);
        });

    [Fact]
    public void A_lease_that_a_failover_brings_back_is_neither_lengthened_nor_given_back_and_ends() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var (slow, left) = (new Gate<string?>(), new Gate<string?>());
            using var leave = new CancellationTokenSource();
            _ = node.Load("a", slow.LoadAsync);
            _ = node.Load("b", left.LoadAsync, leave.Token);
            world.Settle();
            FailOver(world, world.Server.Snapshot());
            var before = node.Store.Commands.Count;

            var read = other.Load("a", static _ => new("new"));
            leave.Cancel();
            world.Pass(2100);

            Assert.DoesNotContain(
                node.Store.Commands.Skip(before),
                static command =>
                    command.StartsWith("RENEW", StringComparison.Ordinal) || command.StartsWith("GIVEBACK", StringComparison.Ordinal)
            );
            Assert.Equal("new", read.Result);
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_lease_that_a_failover_brings_back_is_not_waited_for() =>
        CacheWorld.Run(world =>
        {
            var (node, other) = (world.AddNode(), world.AddNode());
            var slow = new Gate<string?>();
            _ = node.Load("a", slow.LoadAsync);
            world.Settle();
            FailOver(world, world.Server.Snapshot());

            var read = other.Load("a", static _ => new("new"));
            world.Settle();

            // No time has passed.
            Assert.True(read.IsCompleted);
            Assert.Equal("new", read.Result);
            slow.Release("old");
            world.Settle();
            Assert.Equal("\"new\"", world.Server[Name]);
        });

    [Fact]
    public void A_right_that_a_question_of_before_a_failover_was_given_behind_it_is_not_waited_for() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var read = node.Load("a", static _ => new("value"));
            // The question is on its way, with the old epoch, and is asked again on the next connection before that is greeted.
            FailOver(world, world.Server.Snapshot());

            Assert.True(read.IsCompleted);
            Assert.Equal("value", read.Result);
            Assert.Equal("\"value\"", world.Server[Name]);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_read_whose_answer_comes_over_the_next_connection_is_asked_again_and_is_no_miss(bool isStrict) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(options =>
                options.Defaults.FailoverSafety = isStrict ? FailoverSafety.Strict : FailoverSafety.Relaxed
            );
            world.Pass(3_000);
            world.Server.Set(Name, "\"value\"", TimeSpan.FromSeconds(60));
            var one = node.Get("a");
            var many = node.Cache.GetManyAsync([TestKeys.Text("a"), TestKeys.Text("b")]).AsTask();

            node.Store.Reconnect();
            world.Settle();

            Assert.Equal("value", one.Result.Value);
            Assert.Equal("value", many.Result[TestKeys.Text("a")].Value);
        });

    [Fact]
    public void A_family_that_is_cleared_over_a_failover_is_cleared_on_the_server_that_took_over() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            world.Server[Name] = "\"old\"";
            object? replica = world.Server.Snapshot();
            var cleared = node.Cache.ClearAsync("text", progress: new Told(() => replica = FailOverOnce(world, replica))).AsTask();
            world.Settle();

            Assert.Null(replica);
            Assert.Equal(2, cleared.Result);
            Assert.Null(world.Server[Name]);
        });

    [Fact]
    public void A_lease_of_who_may_not_greet_is_waited_for() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            world.Server["{test:text:a}:l"] = "other@-|-2";
            var read = node.Load("a", static _ => new("value"));
            world.Pass(500);
            Assert.False(read.IsCompleted);

            world.Server.Remove("{test:text:a}:l");
            world.Settle();

            Assert.Equal("value", read.Result);
        });

    [Fact]
    public void A_fill_that_was_under_way_is_sent_again_to_the_same_server() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var gate = new Gate<string?>();
            var read = node.Load("a", gate.LoadAsync);
            world.Settle();
            gate.Release("value");

            node.Store.Break();
            node.Store.Connect();
            world.Settle();

            Assert.Equal("value", read.Result);
            Assert.Equal("\"value\"", world.Server[Name]);
        });

    [Fact]
    public void A_right_that_was_given_on_a_connection_that_was_lost_before_the_answer_is_found_to_be_ours() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var read = node.Load("a", static _ => new("value"));
            node.Store.ExecuteNext();
            Assert.NotNull(world.Server["{test:text:a}:l"]);

            node.Store.Break();
            node.Store.Connect();
            world.Settle();

            // Without waiting for the end of the lease.
            Assert.Equal("value", read.Result);
            Assert.Equal("\"value\"", world.Server[Name]);
        });

    // The server is lost behind the first removal, of which its replica has not heard.
    private static object? FailOverOnce(CacheWorld world, object? replica)
    {
        if (replica is not null)
        {
            world.Server.BeginNewLife(replica);
            foreach (var node in world.Nodes)
                node.Store.Connect();
        }

        return null;
    }

    private sealed class Told(Action tell) : IProgress<ClearProgress>
    {
        public void Report(ClearProgress value) => tell();
    }

    private static void Strict(CacheOptions options) => options.Defaults.FailoverSafety = FailoverSafety.Strict;

    private static void FailOver(CacheWorld world, object replica)
    {
        world.Server.BeginNewLife(replica);
        foreach (var node in world.Nodes)
            node.Store.Connect();
        world.Settle();
    }

    private static WorldNode WithOldInMemory(CacheWorld world)
    {
        var node = world.AddNode();
        world.Server[Name] = "\"old\"";
        _ = node.Get("a");
        world.Settle();
        Assert.Equal("old", node.Peek("a"));
        return node;
    }

    private static bool StoresWhatWasInvalidated(CacheWorld world)
    {
        var (node, other) = (world.AddNode(), world.AddNode());
        var gate = new Gate<string?>();
        var read = node.Load("a", gate.LoadAsync);
        world.Settle();
        var invalidated = other.Invalidate("a");
        world.Settle();
        Assert.True(invalidated.IsCompletedSuccessfully);

        gate.Release("old");
        world.Settle();

        Assert.Equal("old", read.Result);
        return world.Server[Name] is not null;
    }
}
