using System.Diagnostics;
using System.Globalization;
using Onggi.Caching;
using Onggi.Testing;
using Xunit.Abstractions;

namespace Onggi.Tests.Caching;

/// <summary>Random lives of three nodes: the promises hold in each, and each common mistake breaks one within a number of them.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class CoherenceSimulationTests(ITestOutputHelper output)
{
    // One life alone, to look at it.
    private static int? Life { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("ONGGI_LIFE"), CultureInfo.InvariantCulture, out var given) ? given : null;

    [Theory]
    [InlineData(false, 200)]
    [InlineData(true, 120)]
    public void What_is_promised_holds_in_every_life(bool failsOver, int lives)
    {
        var random = Seed.For(nameof(What_is_promised_holds_in_every_life) + failsOver);
        var (reads, fromMemory, writes, stale) = (0, 0, 0, 0);
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < lives; i++)
        {
            var seed = Life ?? random.Next();
            CacheWorld.Run(world =>
            {
                var life = CacheSimulation.Run(world, seed, failsOver);
                Assert.All(world.Nodes, static node => Assert.True(node.Store.Foreign is null, node.Store.Foreign));
                Assert.True(life.Violation is null, $"{life.Violation}; ONGGI_LIFE={seed} {Seed.Line}\n{life.Trace}");
                (reads, fromMemory, writes) = (reads + life.Reads, fromMemory + life.MemoryReads, writes + life.Writes);
                stale += life.StaleReads;
            });
        }

        output.WriteLine(
            $"{lives} lives, {reads} reads, {fromMemory} from memory, {stale} past their lives, {writes} writes, {watch.Elapsed}; {Seed.Line}"
        );
        // A life in which nothing is read proves nothing.
        Assert.InRange(reads, 50 * lives, int.MaxValue);
        Assert.InRange(fromMemory, lives, int.MaxValue);
        // They come in clusters, some fifty in a hundred lives.
        Assert.InRange(stale, 1, int.MaxValue);
    }

    // On average each is found within two hundred lives. The limits are many times that: chance alone must not decide.
    [Theory]
    [InlineData(nameof(CoherenceMutants.NoLease))]
    [InlineData(nameof(CoherenceMutants.LeaseStays))]
    [InlineData(nameof(CoherenceMutants.NoFlush))]
    [InlineData(nameof(CoherenceMutants.NoProof))]
    [InlineData(nameof(CoherenceMutants.NoLoop))]
    [InlineData(nameof(CoherenceMutants.LateInsert))]
    [InlineData(nameof(CoherenceMutants.NoWait))]
    [InlineData(nameof(CoherenceMutants.JoinAny))]
    [InlineData(nameof(CoherenceMutants.ProofReceived))]
    [InlineData(nameof(CoherenceMutants.TokenReuse))]
    [InlineData(nameof(CoherenceMutants.FailoverValue))]
    public void Each_common_mistake_is_found(string mutant)
    {
        var random = Seed.For(nameof(Each_common_mistake_is_found) + mutant);
        const int Lives = 5000;
        var failsOver = mutant.StartsWith("Failover", StringComparison.Ordinal);
        for (var i = 1; i <= Lives; i++)
        {
            string? violation = null;
            var seed = random.Next();
            CacheWorld.Run(world =>
            {
                TurnOn(mutant);
                violation = CacheSimulation.Run(world, seed, failsOver).Violation;
            });
            if (violation is null)
                continue;
            output.WriteLine($"{mutant} found in life {i}: {violation}; {Seed.Line}");
            return;
        }

        Assert.Fail($"{mutant} was not found in {Lives} lives; {Seed.Line}");
    }

    [Fact]
    public void A_life_can_be_repeated()
    {
        var traces = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            CacheWorld.Run(world =>
            {
                CacheSimulation.Run(world, seed: 7);
                traces.Add(string.Join('\n', world.Nodes.SelectMany(static node => node.Store.Commands)));
            });
        }

        Assert.Equal(traces[0], traces[1]);
    }

    private static void TurnOn(string mutant)
    {
        switch (mutant)
        {
            case nameof(CoherenceMutants.NoLoop):
                CoherenceMutants.NoLoop = true;
                break;
            default:
                typeof(CoherenceMutants).GetField(mutant)!.SetValue(null, true);
                break;
        }
    }
}
