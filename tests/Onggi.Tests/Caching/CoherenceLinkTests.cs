using Onggi.Caching;
using Onggi.Client;

namespace Onggi.Tests.Caching;

/// <summary>What the tracked connection goes through, and what memory says meanwhile.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class CoherenceLinkTests
{
    private const string Name = "test:text:a";

    [Fact]
    public void Memory_falls_silent_when_it_hears_nothing_and_speaks_again_when_it_has_heard_all() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            node.IsPaused = true;
            world.Pass(330);
            Assert.Equal("old", node.Peek("a"));
            world.Pass(170);
            Assert.Null(node.Peek("a"));

            node.IsPaused = false;
            world.Settle();
            Assert.Equal("old", node.Peek("a"));
        });

    [Fact]
    public void What_changed_meanwhile_is_heard_before_the_proof() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            node.IsPaused = true;
            world.Server[Name] = "\"new\"";
            world.Pass(600);
            Assert.Null(node.Peek("a"));

            node.IsPaused = false;
            while (node.Step())
                Assert.Null(node.Peek("a"));
        });

    [Fact]
    public void A_process_that_was_paused_asks_before_it_answers() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            node.IsPaused = true;
            node.Time.Freeze();
            world.Server[Name] = "\"new\"";
            world.Pass(5000);

            // It goes on, and before anything has been read somebody asks.
            node.Time.Thaw();
            Assert.Null(node.Peek("a"));
            node.IsPaused = false;
            var read = node.Get("a");
            world.Settle();
            Assert.Equal("new", read.Result.Value);
        });

    [Fact]
    public void A_connection_that_the_server_has_forgotten_proves_nothing() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            node.Store.Stall();
            world.Server[Name] = "\"new\"";
            Assert.Equal("old", node.Peek("a"));

            world.Pass(510);
            Assert.Null(node.Peek("a"));

            node.Store.Break();
            node.Store.Connect();
            world.Settle();
            var read = node.Get("a");
            world.Settle();
            Assert.Equal("new", read.Result.Value);
        });

    [Fact]
    public void Another_connection_begins_with_an_empty_memory() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            var generation = node.Cache.Link.Generation;

            node.Store.Break();
            Assert.Null(node.Peek("a"));
            world.Server[Name] = "\"new\"";
            node.Store.Connect();
            world.Settle();

            Assert.Null(node.Peek("a"));
            Assert.Equal(generation + 1, node.Cache.Link.Generation);
            Assert.Equal(0, node.Cache.Statistics().MemoryEntries);
        });

    [Fact]
    public void FLUSHALL_empties_memory_and_the_server_is_greeted_again() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            var changes = new List<bool>();
            node.Cache.Link.EpochChanged = (_, wasEmpty) => changes.Add(wasEmpty);
            var gate = new Gate<string?>();
            var loading = node.Load("b", gate.LoadAsync);
            world.Settle();

            world.Server.FlushAll();
            world.Settle();
            Assert.Null(node.Peek("a"));
            world.Pass(300);
            gate.Release("of before");
            world.Settle();

            Assert.Equal([true], changes);
            Assert.Equal("of before", loading.Result);
            Assert.Null(world.Server["test:text:b"]);
            Assert.StartsWith("run1 ", world.Server[FakeServer.EpochName], StringComparison.Ordinal);
        });

    [Fact]
    public void Another_database_in_the_place_of_this_one_is_noticed_within_the_bound() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);

            world.Server.SwapDatabase(new() { [Name] = "\"of the other\"" });
            world.Pass(500);

            Assert.Null(node.Peek("a"));
            var read = node.Get("a");
            world.Settle();
            Assert.Equal("of the other", read.Result.Value);
        });

    [Fact]
    public void A_server_that_comes_back_empty_is_filled_anew() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            var changes = new List<bool>();
            node.Cache.Link.EpochChanged = (_, wasEmpty) => changes.Add(wasEmpty);

            world.Server.BeginNewLife(null);
            Assert.Null(node.Peek("a"));
            node.Store.Connect();
            var read = node.Load("a", static _ => new("loaded"));
            world.Settle();

            Assert.Equal("loaded", read.Result);
            Assert.Equal("\"loaded\"", world.Server[Name]);
            Assert.Equal([true], changes);
        });

    [Fact]
    public void A_strict_invalidation_waits_for_the_largest_bound_of_the_fleet() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var patient = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(2));
            world.Server[Name] = "\"old\"";
            _ = patient.Get("a");
            world.Settle();
            Assert.Equal("old", patient.Peek("a"));
            patient.IsPaused = true;

            var invalidated = node.Invalidate("a", Invalidation.Strict);
            world.Pass(1990);
            Assert.False(invalidated.IsCompleted);
            world.Pass(30);

            Assert.True(invalidated.IsCompletedSuccessfully);
            Assert.Null(patient.Peek("a"));
        });

    [Fact]
    public void A_larger_bound_of_another_node_does_not_lengthen_the_own_one() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(5));
            // The news of it look like another epoch, so memory begins anew.
            world.Pass(200);
            _ = node.Get("a");
            world.Settle();
            Assert.Equal("old", node.Peek("a"));

            node.IsPaused = true;
            world.Pass(510);

            Assert.Null(node.Peek("a"));
            Assert.Equal(500, node.Cache.Link.BoundMs);
        });

    [Fact]
    public void An_operator_s_ceiling_holds_for_every_memory_that_hears_of_it_and_is_waited_for_as_long_as_somebody_may_not_have() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var patient = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(2));
            world.Server[Name] = "\"old\"";
            _ = patient.Get("a");
            world.Settle();
            patient.IsPaused = true;

            var set = world.Server.SetBound(200, 0)!;
            world.Pass(200);
            // Who comes now has never heard of two seconds.
            var late = world.AddNode();
            var bySomebody = node.Invalidate("a", Invalidation.Strict);
            var byLate = late.Invalidate("a", Invalidation.Strict);
            world.Pass(1700);
            Assert.Equal((200, 200), (node.Cache.Link.BoundMs, late.Cache.Link.BoundMs));
            Assert.Equal("old", patient.Peek("a"));
            Assert.False(bySomebody.IsCompleted || byLate.IsCompleted);
            world.Pass(330);
            Assert.True(bySomebody.IsCompletedSuccessfully && byLate.IsCompletedSuccessfully);
            Assert.Null(patient.Peek("a"));

            // The second step; all that is over by now.
            patient.IsPaused = false;
            Assert.Equal(200, world.Server.SetBound(200, set.SinceMs)!.BoundMs);
            world.Pass(2100);
            var quick = node.Invalidate("a", Invalidation.Strict);
            world.Pass(220);
            Assert.True(quick.IsCompletedSuccessfully);
            Assert.Equal(200, patient.Cache.Link.BoundMs);
        });

    [Fact]
    public void An_operator_s_ceiling_stays_over_failovers_and_for_who_asks_for_more_until_it_is_taken_away() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            world.Server.SetBound(200, 0);
            world.Pass(400);
            world.Server.BeginNewLife(world.Server.Snapshot());
            node.Store.Connect();
            var more = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(5));
            world.Pass(400);
            Assert.Equal((200, 200), (node.Cache.Link.BoundMs, more.Cache.Link.BoundMs));
            Assert.Equal(500, node.Cache.Link.LargestBoundMs);

            world.Server.SetBound(0, 0);
            world.Pass(400);

            Assert.Equal((500, 5000), (node.Cache.Link.BoundMs, more.Cache.Link.BoundMs));
            Assert.Equal(5000, node.Cache.Link.LargestBoundMs);
        });

    [Fact]
    public void A_larger_bound_that_Redis_has_lost_is_waited_for_until_nobody_can_keep_to_it_any_more() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var patient = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(2));
            world.Pass(400);
            patient.IsPaused = true;
            world.Server.FlushAll();
            world.Pass(300);
            Assert.Equal(2000, node.Cache.Link.LargestBoundMs);

            world.Pass(2050);

            Assert.Equal(500, node.Cache.Link.LargestBoundMs);
        });

    [Fact]
    public void What_only_a_replica_can_answer_is_not_kept_in_memory() =>
        CacheWorld.Run(world =>
        {
            world.Server.IsReplica = true;
            var node = world.AddNode();
            world.Server[Name] = "\"value\"";

            for (var i = 0; i < 3; i++)
            {
                var read = node.Get("a");
                world.Settle();
                Assert.Equal(CacheTier.Redis, read.Result.Tier);
            }

            Assert.Contains(node.Log.All, line => line.Id == 2012);
        });

    [Fact]
    public void A_greeting_that_is_refused_for_good_is_said_once_for_each_connection() =>
        CacheWorld.Run(world =>
        {
            world.Server.RefusesHello = "NOPERM this user has no permissions";
            var node = world.AddNode();
            world.Pass(10_000);
            Assert.Single(node.Log.All, line => line.Id == 2012);

            node.Store.Reconnect();
            world.Pass(10_000);
            Assert.Equal(2, node.Log.All.Count(line => line.Id == 2012));

            // And is heard of at once when it is allowed.
            world.Server.RefusesHello = null;
            world.Pass(1_100);
            Assert.True(node.Cache.Link.Epoch!.CanProve);
        });

    [Fact]
    public void Who_waits_for_a_greeting_that_ended_with_its_connection_waits_for_the_next() =>
        CacheWorld.Run(world =>
        {
            world.Server.RefusesHello = "NOPERM this user has no permissions";
            var node = world.AddNode();
            Interleave.Hook = point =>
            {
                if (point != "link.learnt")
                    return;
                Interleave.Hook = null;
                node.Store.Break();
            };
            node.Store.Reconnect();
            world.Settle();
            Assert.Null(Interleave.Hook);
            Assert.Null(node.Cache.Link.Epoch);

            // Without a connection there is nothing to go on with; who goes round and round would end with this.
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            var waits = node.Cache.Link.GreetedAsync(patience.Token).AsTask();
            Assert.False(waits.IsCompleted);

            world.Server.RefusesHello = null;
            node.Store.Connect();
            world.Settle();
            Assert.True(waits.Result.CanProve);
        });

    [Fact]
    public void Who_waits_for_a_greeting_that_does_not_come_gives_up_after_the_command_time_out() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            node.Store.Break();
            var waits = node.Cache.Link.GreetedAsync().AsTask();
            world.Settle();
            Assert.False(waits.IsCompleted);

            world.Pass((int)node.Store.CommandTimeout.TotalMilliseconds + 1);

            var late = Assert.IsType<RedisTimeoutException>(waits.Exception?.InnerException);
            Assert.Equal(Sent.No, late.Sent);
        });

    [Fact]
    public void A_greeting_that_is_refused_turns_memory_off_and_nothing_else() =>
        CacheWorld.Run(world =>
        {
            world.Server.RefusesHello = "NOPERM this user has no permissions";
            var node = world.AddNode();
            var load = node.Load("a", static _ => new("value"));
            world.Settle();
            Assert.Equal("value", load.Result);
            var read = node.Get("a");
            world.Settle();
            Assert.Equal(CacheTier.Redis, read.Result.Tier);
            Assert.Null(node.Peek("a"));

            // It is tried again.
            world.Server.RefusesHello = null;
            world.Pass(1100);
            _ = node.Get("a");
            world.Settle();
            Assert.Equal("value", node.Peek("a"));
        });

    [Fact]
    public void Clearing_a_family_removes_values_and_rights_to_fill_and_no_other_family() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            world.Server["test:number:a"] = "1";
            var gate = new Gate<string?>();
            var loading = node.Load("b", gate.LoadAsync);
            world.Settle();

            var clearing = node.Cache.ClearAsync("text").AsTask();
            world.Settle();
            world.Pass(1000);
            gate.Release("of before");
            world.Settle();

            Assert.True(clearing.IsCompletedSuccessfully);
            Assert.Equal("of before", loading.Result);
            Assert.Equal((null, null, "1"), (world.Server[Name], world.Server["test:text:b"], world.Server["test:number:a"]));
            Assert.Null(node.Peek("a"));
        });

    [Fact]
    public void A_load_that_ends_between_the_two_walks_of_a_clearing_leaves_nothing() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            var gate = new Gate<string?>();
            var loading = node.Load("b", gate.LoadAsync);
            world.Settle();
            var walks = new List<string>();
            node.Store.BeforeWalk = pattern =>
            {
                walks.Add(pattern);
                if (walks.Count == 2)
                {
                    gate.Release("of before");
                    world.Settle();
                }

                return Task.CompletedTask;
            };

            var clearing = node.Cache.ClearAsync("text").AsTask();
            world.Settle();
            world.Pass(1000);

            Assert.True(clearing.IsCompletedSuccessfully);
            Assert.Equal(2, walks.Count);
            Assert.Equal("of before", loading.Result);
            Assert.Equal((null, null), (world.Server[Name], world.Server["test:text:b"]));
        });

    [Fact]
    public void While_the_server_loads_nothing_is_believed_where_a_failover_must_bring_nothing_back() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.FailoverSafety = FailoverSafety.Strict);
            world.Pass(10);
            _ = node.Load("a", _ => new("old"));
            world.Settle();
            Assert.Equal("\"old\"", world.Server[Name]);
            var snapshot = world.Server.Snapshot();
            _ = node.Invalidate("a");
            world.Settle();
            Assert.Null(world.Server[Name]);

            node.Store.Break();
            world.Server.RefusesHello = "LOADING Redis is loading the dataset in memory";
            world.Server.BeginNewLife(snapshot);
            node.Store.Connect();
            world.Settle();
            var read = node.Get("a");
            world.Pass(500);
            Assert.False(read.IsCompleted && read.Result.Found);
            world.Server.RefusesHello = null;
            world.Pass(1100);

            Assert.True(read.IsCompleted);
            Assert.False(read.Result.Found);
            Assert.Null(node.Peek("a"));
        });

    [Fact]
    public void Where_the_server_never_greets_nothing_is_believed_where_a_failover_must_bring_nothing_back() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.FailoverSafety = FailoverSafety.Strict);
            world.Server.RefusesHello = "NOPERM this user has no permissions to run the 'eval' command";
            world.Server[Name] = "\"of whenever\"";
            world.Settle();

            var read = node.Get("a");
            world.Pass(100);

            Assert.False(read.Result.Found);
            Assert.Null(node.Peek("a"));
        });

    [Fact]
    public void Who_was_heard_of_is_waited_for_although_Redis_has_lost_it() =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode();
            var patient = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(2));
            world.Server[Name] = "\"old\"";
            _ = node.Get("b");
            _ = patient.Get("a");
            world.Pass(300);
            _ = patient.Get("a");
            world.Settle();
            Assert.Equal("old", patient.Peek("a"));
            patient.Store.Stall();
            world.Server.FlushAll();
            world.Settle();

            var invalidated = node.Invalidate("a", Invalidation.Strict);
            world.Pass(1900);
            Assert.False(invalidated.IsCompleted);
            world.Pass(200);

            Assert.True(invalidated.IsCompletedSuccessfully);
            Assert.Null(patient.Peek("a"));
        });

    private static WorldNode WithInMemory(CacheWorld world)
    {
        var node = world.AddNode();
        world.Server[Name] = "\"old\"";
        _ = node.Get("a");
        world.Settle();
        Assert.Equal("old", node.Peek("a"));
        return node;
    }
}
