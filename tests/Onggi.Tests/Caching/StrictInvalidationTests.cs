using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>Removals that wait until nobody's memory can answer any more.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class StrictInvalidationTests
{
    [Fact]
    public void For_keys_of_several_families_is_waited_once() =>
        CacheWorld.Run(static world =>
        {
            var node = world.AddNode();
            var removed = node.Cache.InvalidateManyAsync([TestKeys.Text("a"), CacheWorld.Graced("a")], Invalidation.Strict).AsTask();
            world.Pass(490);
            Assert.False(removed.IsCompleted);
            Assert.Equal(2, node.Store.Count("UNLINK"));
            world.Pass(30);

            Assert.True(removed.IsCompletedSuccessfully);
        });

    [Theory]
    [InlineData(Invalidation.Strict)]
    [InlineData(Invalidation.Fast)]
    public void A_family_that_is_always_waited_for_is_when_it_is_cleared(Invalidation strength) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(options => options.ForFamily("text", family => family.Invalidation = strength));
            world.Server["test:text:a"] = "\"value\"";
            var cleared = node.Cache.ClearAsync("text").AsTask();
            world.Settle();
            Assert.Null(world.Server["test:text:a"]);
            Assert.Equal(strength == Invalidation.Fast, cleared.IsCompleted);
            world.Pass(490);
            Assert.Equal(strength == Invalidation.Fast, cleared.IsCompleted);
            world.Pass(30);

            Assert.Equal(1, cleared.Result);
        });

    [Theory]
    [InlineData("text")]
    [InlineData("graced")]
    public void One_family_that_is_always_waited_for_is_enough(string strict) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(options => options.ForFamily(strict, static family => family.Invalidation = Invalidation.Strict));
            var removed = node.Cache.InvalidateManyAsync([TestKeys.Text("a"), CacheWorld.Graced("a")]).AsTask();
            world.Pass(490);
            Assert.False(removed.IsCompleted);
            Assert.Equal(2, node.Store.Count("UNLINK"));
            world.Pass(30);
            Assert.True(removed.IsCompletedSuccessfully);

            var fast = node.Cache.InvalidateManyAsync([TestKeys.Text("a"), CacheWorld.Graced("a")], Invalidation.Fast).AsTask();
            world.Settle();
            Assert.True(fast.IsCompletedSuccessfully);
        });
}
