using Onggi.Caching;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

/// <summary>Loads ahead of the end of a life: where lives are chosen, where no memory says that it is time, and for many at once.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class RefreshAheadTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_life_that_was_chosen_shorter_is_not_taken_for_one_that_is_nearly_over(bool isSet) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(static options => options.Defaults.RefreshAfter = 0.5);
            var loads = 0;
            ValueTask<string?> LoadAsync(LoadContext context)
            {
                context.Ttl = TimeSpan.FromSeconds(10);
                return new((++loads).ToString());
            }

            if (isSet)
            {
                _ = node.Cache.SetAsync(TestKeys.Text("a"), "0", TimeSpan.FromSeconds(10)).AsTask();
                world.Settle();
            }

            var first = isSet ? "0" : "1";
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal(first, Read(world, node, LoadAsync));
                world.Pass(900);
            }

            Assert.Equal(isSet ? 0 : 1, loads);
            world.Pass(1_000);
            // Half of it is over.
            Assert.Equal(first, Read(world, node, LoadAsync));
            Assert.Equal(isSet ? 1 : 2, loads);
        });

    [Theory]
    [InlineData(ReadMode.Plain)]
    [InlineData(ReadMode.Lease)]
    public void What_no_memory_keeps_is_loaded_anew_before_its_end_too(ReadMode mode) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(options => WithoutMemory(options, mode));
            var loads = 0;
            ValueTask<string?> LoadAsync(LoadContext _) => new((++loads).ToString());
            Read(world, node, LoadAsync);
            world.Pass(29_900);
            Assert.Equal("1", Read(world, node, LoadAsync));
            Assert.Equal(1, loads);

            world.Pass(200);
            Assert.Equal("1", Read(world, node, LoadAsync));
            Assert.Equal(2, loads);
            Assert.Equal("\"2\"", world.Server["test:text:a"]);
            Assert.Equal("2", Read(world, node, LoadAsync));
            Assert.Equal(2, loads);
        });

    [Fact]
    public void Where_no_memory_keeps_it_a_source_that_fails_is_asked_once_a_second() =>
        CacheWorld.Run(static world =>
        {
            var node = world.AddNode(static options => WithoutMemory(options, ReadMode.Plain));
            var failures = 0;
            ValueTask<string?> FailAsync(LoadContext _)
            {
                failures++;
                throw new FormatException();
            }

            Read(world, node, static _ => new("value"));
            world.Pass(30_100);
            for (var i = 0; i < 5; i++)
                Assert.Equal("value", Read(world, node, FailAsync));
            Assert.Equal(1, failures);

            world.Pass(1_010);
            Assert.Equal("value", Read(world, node, FailAsync));
            Assert.Equal(2, failures);
        });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Who_asks_for_many_has_them_loaded_anew_before_their_end_with_one_call(bool memory) =>
        CacheWorld.Run(world =>
        {
            var node = world.AddNode(options => (options.Defaults.RefreshAfter, options.Defaults.Memory) = (0.5, memory));
            var calls = new List<int>();
            string? ReadMany()
            {
                var read = node
                    .Cache.GetOrLoadManyAsync(
                        [TestKeys.Text("a"), TestKeys.Text("b"), TestKeys.Text("c")],
                        (keys, _) =>
                        {
                            calls.Add(keys.Count);
                            return new(keys.ToDictionary(static key => key, key => (string?)calls.Count.ToString()));
                        }
                    )
                    .AsTask();
                world.Settle();
                return string.Concat(read.Result.Values.Select(static result => result.Value));
            }

            ReadMany();
            ReadMany();
            world.Pass(30_100);
            Assert.Equal("111", ReadMany());
            Assert.Equal([3, 3], calls);
            Assert.Equal("222", ReadMany());
            Assert.Equal("222", ReadMany());
            Assert.Equal([3, 3], calls);
        });

    private static void WithoutMemory(CacheOptions options, ReadMode mode) =>
        (options.Defaults.RefreshAfter, options.Defaults.Memory, options.Defaults.ReadMode) = (0.5, false, mode);

    private static string? Read(CacheWorld world, WorldNode node, Func<LoadContext, ValueTask<string?>> loader)
    {
        var read = node.Load("a", loader);
        world.Settle();
        return read.Result;
    }
}
