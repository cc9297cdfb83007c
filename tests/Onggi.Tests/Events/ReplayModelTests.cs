using Onggi.Events.Replay;
using Onggi.Testing;
using Onggi.Tests.Caching;

namespace Onggi.Tests.Events;

/// <summary>The order and the completeness of what a subscription hands over, on a model of server and link; and that mistakes would be noticed.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class ReplayModelTests
{
    private const int Runs = 400;
    private const int Steps = 600;

    private static readonly ReplayWorld Calm = new()
    {
        Ring = int.MaxValue,
        Echoes = true,
        Kills = true,
    };
    private static readonly ReplayWorld Bad = new()
    {
        Failovers = true,
        Restarts = true,
        Expiries = true,
        Echoes = true,
        Kills = true,
    };

    [Fact]
    public void Nothing_is_lost_repeated_or_out_of_order_while_the_ring_has_it() => AssertRight("calm", Calm);

    [Fact]
    public void What_is_lost_is_told_whatever_happens_to_the_server() => AssertRight("bad", Bad);

    [Fact]
    public void A_failover_with_a_large_ring_loses_nothing_that_the_server_still_has() =>
        AssertRight("failovers", Calm with { Failovers = true, Restarts = true });

    [Fact]
    public void Mistakes_are_found()
    {
        AssertFound("repeats", static on => EventMutants.RepeatsHandedOver = on);
        AssertFound("arrivals", static on => EventMutants.OldArrivalsTrusted = on);
        AssertFound("holes", static on => EventMutants.HolesIgnored = on);
        AssertFound("gaps", static on => EventMutants.GapsUntold = on);
        AssertFound("epoch", static on => EventMutants.EpochIgnored = on);
        AssertFound("position", static on => EventMutants.PositionIgnored = on);
        AssertFound("history", static on => EventMutants.HistoryTrusted = on);
    }

    private static void AssertRight(string name, ReplayWorld world)
    {
        var random = Seed.For(name);
        for (var run = 0; run < Runs; run++)
        {
            var seed = random.Next();
            if (new ReplayModel(world, new Random(seed)).Run(Steps) is { } mistake)
                Assert.Fail($"{mistake} ({name}, run {run}, seed {seed}; {Seed.Line})");
        }
    }

    private static void AssertFound(string name, Action<bool> mutant)
    {
        var random = Seed.For(name);
        mutant(true);
        try
        {
            Assert.True(
                Enumerable.Range(0, Runs).Any(_ => new ReplayModel(Bad, new Random(random.Next())).Run(Steps) is not null),
                $"{name} was not found ({Seed.Line})"
            );
        }
        finally
        {
            mutant(false);
        }
    }
}
