using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>A family of large values: what is asked for them goes over another connection, where nobody is told of changes.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class LargeFamilyTests
{
    [Fact]
    public void Who_waits_for_a_large_value_is_woken_when_it_is_stored_and_memory_keeps_none() =>
        CacheWorld.Run(static world =>
        {
            var (node, other) = (world.AddNode(Large), world.AddNode(Large));
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => new("own"));
            world.Settle();
            Assert.False(waiting.IsCompleted);

            // No time passes.
            gate.Release("value");
            world.Settle();

            Assert.Equal("value", waiting.Result);
            Assert.Null(other.Peek("a"));
        });

    [Fact]
    public void A_lease_that_ended_before_it_was_looked_at_is_not_waited_for() =>
        CacheWorld.Run(static world =>
        {
            var (node, other) = (world.AddNode(Large), world.AddNode(Large));
            var gate = new Gate<string?>();
            _ = node.Load("a", gate.LoadAsync);
            world.Settle();
            var waiting = other.Load("a", static _ => new("own"));
            while (other.Store.Count("WATCH") == 0)
                Assert.True(other.Step());

            gate.Release("value");
            while (node.Step()) { }
            world.Settle();

            Assert.Equal("value", waiting.Result);
        });

    private static void Large(CacheOptions options) => options.ForFamily("text", static family => family.Large = true);
}
