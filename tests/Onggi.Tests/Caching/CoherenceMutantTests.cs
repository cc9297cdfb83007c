using Onggi.Caching;

namespace Onggi.Tests.Caching;

/// <summary>Each known mistake of memory, shown right and, with its switch on, shown wrong: so the test can see it.</summary>
[Collection(SwitchedMutants.Name)]
public sealed class CoherenceMutantTests : IDisposable
{
    public void Dispose()
    {
        Interleave.Hook = null;
        CoherenceMutants.EntryFirst = CoherenceMutants.NoProof = CoherenceMutants.NoFlush = CoherenceMutants.TornSlot = false;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_reader_that_is_held_up_does_not_judge_an_old_entry_by_a_new_proof(bool entryFirst)
    {
        CoherenceMutants.EntryFirst = entryFirst;
        using var tier = new ProvenHarness();
        tier.Keep("a", "old");
        tier.Memory.Prove(ProvenHarness.Generation, tier.Clock.Now + 500);
        At(
            "memory.proof",
            () =>
            {
                // So long that the first proof is over; meanwhile the change is heard of, and with it the next proof.
                tier.Pass(600);
                tier.Memory.Drop(tier.WireName("a"));
                tier.Memory.Prove(ProvenHarness.Generation, tier.Clock.Now + 500);
            }
        );

        var found = tier.Find("a");

        Assert.Equal(entryFirst, found is not null);
    }

    [Fact]
    public void Nor_does_one_whose_hit_looks_no_further()
    {
        using var tier = new ProvenHarness();
        tier.Keep("a", "old")!.TryShare("old");
        Assert.Equal("old", tier.Hit("a"));
        At(
            "memory.proof",
            () =>
            {
                tier.Memory.Drop(tier.WireName("a"));
                tier.Memory.Prove(ProvenHarness.Generation, tier.Clock.Now + 500);
            }
        );

        Assert.Null(tier.Hit("a"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_hit_that_is_held_up_while_it_reads_takes_nothing_that_was_changed(bool tornSlot)
    {
        CoherenceMutants.TornSlot = tornSlot;
        using var tier = new ProvenHarness();
        tier.Keep("a", "old")!.TryShare("old");
        // What it has read so far is of the entry that stood there; another is shown in the same slot now.
        At(
            "memory.slot",
            () =>
            {
                tier.Memory.Drop(tier.WireName("a"));
                tier.Keep("a", "new")!.TryShare("new");
            }
        );

        Assert.Equal(tornSlot ? "old" : null, tier.Hit("a"));
        Assert.Equal("new", tier.Hit("a"));
    }

    [Fact]
    public void Nothing_is_shown_while_it_is_being_written()
    {
        using var tier = new ProvenHarness();
        tier.Keep("a", "old")!.TryShare("old");
        var (hit, found) = ("nothing asked", (ProvenEntry?)null);
        At("memory.show", () => (hit, found) = (tier.Hit("a"), tier.Find("a")));

        tier.Memory.Shorten(tier.WireName("a"), tier.Clock.Now + 10);

        Assert.Null(hit);
        Assert.NotNull(found);
        Assert.Equal("old", tier.Hit("a"));
    }

    [Fact]
    public void The_proof_of_one_connection_says_nothing_of_what_came_over_the_next()
    {
        using var tier = new ProvenHarness();
        foreach (var ask in (Func<object?>[])[() => tier.Hit("a"), () => tier.Find("a")])
        {
            tier.Memory.Begin(ProvenHarness.Generation + 1);
            tier.Memory.Prove(ProvenHarness.Generation + 1, long.MaxValue);
            At(
                "memory.proof",
                () =>
                {
                    tier.Memory.Begin(ProvenHarness.Generation + 2);
                    tier.Keep("a", "new", ProvenHarness.Generation + 2)!.TryShare("new");
                }
            );

            Assert.Null(ask());
        }
    }

    [Fact]
    public void Nor_does_one_whose_entry_only_gets_other_times()
    {
        using var tier = new ProvenHarness();
        tier.Keep("a", "old")!.TryShare("old");
        At(
            "memory.slot",
            () =>
            {
                tier.Memory.Shorten(tier.WireName("a"), tier.Clock.Now + 10);
                tier.Pass(10);
            }
        );

        Assert.Null(tier.Hit("a"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Nothing_is_served_when_the_proof_is_over_or_gone(bool noProof)
    {
        CoherenceMutants.NoProof = noProof;
        using var tier = new ProvenHarness();
        tier.Keep("a");

        tier.Memory.Prove(ProvenHarness.Generation, tier.Clock.Now - 1);
        var late = tier.Find("a");
        tier.Memory.Unprove();
        var without = tier.Find("a");

        Assert.Equal((noProof, noProof), (late is not null, without is not null));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_came_over_a_lost_connection_is_not_proven_by_the_next(bool noFlush)
    {
        CoherenceMutants.NoFlush = noFlush;
        using var tier = new ProvenHarness();
        tier.Keep("a", "old");

        tier.Memory.Begin(2);
        tier.Keep("b", "late", generation: 1);
        tier.Memory.Prove(2, long.MaxValue);

        Assert.Equal((noFlush, noFlush), (tier.Find("a") is not null, tier.Find("b") is not null));
    }

    private static void At(string point, Action happens) =>
        Interleave.Hook = name =>
        {
            if (name != point)
                return;
            Interleave.Hook = null;
            happens();
        };
}
