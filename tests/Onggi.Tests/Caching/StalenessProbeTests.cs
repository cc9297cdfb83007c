using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>What is measured of memory in production: how long it would have served what Redis no longer has.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class StalenessProbeTests
{
    private const string Name = "test:text:a";

    [Fact]
    public void An_entry_that_is_as_in_Redis_is_no_difference() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);

            Check(world, node);

            Assert.Equal((1, 0, TimeSpan.Zero), (node.Cache.Probe.Checked, node.Cache.Probe.Differed, node.Cache.Probe.Worst));
        });

    [Fact]
    public void A_value_that_memory_serves_while_it_has_not_heard_is_timed_and_stays_within_the_bound() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            node.IsPaused = true;
            world.Server[Name] = "\"new\"";

            Check(world, node);

            Assert.Equal((1, 0), (node.Cache.Probe.Differed, node.Cache.Probe.Broken));
            Assert.InRange(node.Cache.Probe.Worst.TotalMilliseconds, 100, 500);
        });

    [Fact]
    public void Memory_that_does_not_keep_its_promise_is_found_out() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            node.IsPaused = true;
            world.Server[Name] = "\"new\"";
            CoherenceMutants.NoProof = true;

            Check(world, node);

            Assert.Equal((1, 1), (node.Cache.Probe.Differed, node.Cache.Probe.Broken));
        });

    [Fact]
    public void Neither_does_one_stay_hidden_whose_hits_go_on_with_what_was_dropped() =>
        CacheWorld.Run(world =>
        {
            var node = WithInMemory(world);
            CoherenceMutants.SlotStays = true;
            world.Server[Name] = "\"new\"";

            Check(
                world,
                node,
                () =>
                {
                    Assert.True(node.Cache.Memory.TryHit(TestKeys.Text("a").Entry, out string? hit) && hit == "old");
                    Assert.Null(node.Cache.Memory.Find(TestKeys.Text("a").Entry));
                    node.Cache.Memory.Clear();
                }
            );

            Assert.Equal((1, 1), (node.Cache.Probe.Differed, node.Cache.Probe.Broken));
        });

    private static WorldNode WithInMemory(CacheWorld world)
    {
        world.Server[Name] = "\"old\"";
        var node = world.AddNode();
        _ = node.Get("a");
        world.Settle();
        Assert.Equal("old", node.Peek("a"));
        return node;
    }

    private static void Check(CacheWorld world, WorldNode node, Action? end = null)
    {
        var entry = node.Cache.Memory.Find(TestKeys.Text("a").Entry);
        Assert.NotNull(entry);
        var check = node.Cache.Probe.CheckAsync(entry).AsTask();
        world.Pass(700);
        end?.Invoke();
        node.IsPaused = false;
        world.Pass(50);
        Assert.True(check.IsCompletedSuccessfully, $"{check.Status} {check.Exception}");
    }
}
