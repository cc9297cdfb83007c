using Onggi.Caching;
using Onggi.Client;

namespace Onggi.Tests.Caching;

/// <summary>Who may join a load that runs, and what they are given.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class JoinedLoadTests
{
    private const string Name = "test:text:a";
    private const string GracedName = "test:graced:a";

    [Theory]
    [InlineData(StaleMode.IfError)]
    [InlineData(StaleMode.WhileRevalidate)]
    public void A_load_of_before_another_program_s_write_is_not_joined_beyond_the_bound(StaleMode mode) =>
        CacheWorld.Run(world =>
        {
            var node = WithStale(world, family => family.WhenStale = mode);
            var slow = new Gate<string?>();
            _ = node.LoadGraced("a", slow.LoadAsync);
            world.Settle();
            Assert.Equal(1, slow.Runs);

            world.Server.Set(GracedName, "\"foreign\"", TimeSpan.FromMinutes(5));
            world.Pass(600);
            var later = node.LoadGraced("a", static _ => throw new InvalidOperationException("a second load"));
            world.Settle();

            Assert.True(later.IsCompleted);
            Assert.Equal(("foreign", false), (later.Result.Value, later.Result.IsStale));
            slow.Release("old");
            world.Settle();
            Assert.Equal("\"foreign\"", world.Server[GracedName]);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_load_of_before_another_program_wrote_what_was_absent_is_not_joined_beyond_the_bound(bool renewBlind) =>
        CacheWorld.Run(world =>
        {
            CoherenceMutants.RenewBlind = renewBlind;
            var node = world.AddNode();
            var slow = new Gate<string?>();
            _ = node.Load("a", slow.LoadAsync);
            world.Settle();

            world.Server[Name] = "\"foreign\"";
            world.Pass(600);
            var later = node.Load("a", static _ => throw new InvalidOperationException("a second load"));
            world.Settle();

            Assert.Equal(!renewBlind, later.IsCompleted);
            slow.Release("old");
            world.Settle();
            Assert.Equal(renewBlind ? "old" : "foreign", later.Result);
            Assert.Equal("\"foreign\"", world.Server[Name]);
        });

    [Fact]
    public void A_load_that_another_program_s_removal_has_made_worthless_keeps_nobody_waiting() =>
        CacheWorld.Run(static world =>
        {
            var node = WithStale(world, static _ => { });
            var other = world.AddNode();
            var slow = new Gate<string?>();
            var first = node.LoadGraced("a", slow.LoadAsync);
            world.Settle();

            // The value alone: its lease stays, and can fill nothing any more.
            world.Server.Remove(GracedName);
            var waiting = other.LoadGraced("a", static _ => new("new"));
            world.Pass(600);

            Assert.True(waiting.IsCompleted);
            Assert.Equal("new", waiting.Result.Value);
            slow.Release("old");
            world.Settle();
            Assert.Equal("old", first.Result.Value);
            Assert.Equal("\"new\"", world.Server[GracedName]);
        });

    [Fact]
    public void The_natural_end_of_a_value_past_its_life_ends_no_load_of_it() =>
        CacheWorld.Run(static world =>
        {
            var (node, other) = (WithStale(world, static _ => { }), world.AddNode());
            world.Pass(58_000);
            var slow = new Gate<string?>();
            var first = node.LoadGraced("a", slow.LoadAsync);
            world.Settle();
            world.Pass(3_000);
            Assert.Null(world.Server[GracedName]);

            var waiting = other.LoadGraced("a", static _ => throw new InvalidOperationException("a second load"));
            world.Pass(1_000);
            slow.Release("new");
            world.Settle();

            Assert.Equal(("new", "new"), (first.Result.Value, waiting.Result.Value));
            Assert.Equal("\"new\"", world.Server[GracedName]);
        });

    [Fact]
    public void Who_is_given_the_value_of_an_older_load_of_this_node_has_an_object_of_their_own() =>
        CacheWorld.Run(static world =>
        {
            var node = world.AddNode();
            var gate = new Gate<Basket?>();
            var first = node.Cache.GetOrLoadAsync(TestKeys.As<Basket>("a"), gate.LoadAsync).AsTask();
            world.Settle();
            node.IsPaused = true;
            world.Pass(600);
            var second = node.Cache.GetOrLoadAsync(TestKeys.As<Basket>("a"), gate.LoadAsync).AsTask();
            node.IsPaused = false;
            world.Settle();
            gate.Release(new Basket { Things = ["apple"] });
            world.Settle();

            Assert.Equal(1, gate.Runs);
            Assert.Equal((string[])["apple"], second.Result!.Things);
            Assert.NotSame(first.Result, second.Result);
        });

    [Fact]
    public void Without_a_connection_loads_are_joined_for_no_longer_than_the_operator_s_ceiling_allows() =>
        CacheWorld.Run(static world =>
        {
            var node = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(5));
            world.Server.SetBound(200, 0);
            world.Pass(2_000);
            Assert.Equal(200, node.Cache.Link.BoundMs);
            node.Store.Break();

            Assert.Equal(("1", "1", "2"), LoadThrice(world, node, 190));
        });

    [Fact]
    public void Before_the_first_connection_loads_are_joined_for_no_longer_than_every_fleet_allows() =>
        CacheWorld.Run(static world =>
        {
            // Nobody knows of this one, so nobody waits for what it asks for.
            world.Server.RefusesHello = "LOADING Redis is loading the dataset in memory";
            var node = world.AddNode(static options => options.MaxStaleness = TimeSpan.FromSeconds(5));
            Assert.Null(node.Cache.Link.Epoch);
            node.Store.Break();

            Assert.Equal(("1", "1", "2"), LoadThrice(world, node, 90));
        });

    // At once, within a time, and shortly behind it.
    private static (string?, string?, string?) LoadThrice(CacheWorld world, WorldNode node, int milliseconds)
    {
        var loads = 0;
        string?[] read = [Read(), After(milliseconds), After(20)];
        Assert.Empty(node.Store.Commands);
        return (read[0], read[1], read[2]);

        string? After(int passed)
        {
            world.Pass(passed);
            return Read();
        }

        string? Read()
        {
            var load = node.Load("a", _ => new((++loads).ToString()));
            world.Settle();
            return load.Result;
        }
    }

    // Stored for life and grace of a minute each; the life is over.
    private static WorldNode WithStale(CacheWorld world, Action<CacheFamilyOptions> configure)
    {
        var node = world.AddNode(options => options.ForFamily("graced", configure));
        var load = node.LoadGraced("a", static _ => new("stale"));
        world.Settle();
        Assert.Equal("stale", load.Result.Value);
        world.Pass(61_000);
        return node;
    }
}
