using Onggi.Caching;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

public sealed class EntryTableTests
{
    private static readonly KeyFamily Pair = new("pair", "a", "b");

    // Others are told apart by their tags, but for one in two thousand: so these are looked for.
    [Theory]
    [InlineData("{0:000000}")]
    [InlineData("{0:0000000000}")]
    [InlineData("{0:00000000-0000-0000-0000-000000000000}")]
    [InlineData("고객-{0}")]
    [InlineData("first/{0}")]
    public void A_hit_tells_keys_apart_that_have_one_tag_and_lie_near(string shape)
    {
        using var tier = new ProvenHarness();
        var one = KeyOf(shape, 0);
        var alike = Enumerable.Range(1, 1_000_000).Select(number => KeyOf(shape, number)).First(other => IsMetBy(other, one));
        tier.Memory.Keep(ProvenHarness.Generation, one, "one", tier.Family, [], long.MaxValue, long.MaxValue)!.TryShare("one");

        Assert.True(tier.Memory.TryHit<string>(one, out _));
        Assert.False(tier.Memory.TryHit<string>(alike, out _));
        Assert.Null(tier.Memory.Find(alike));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Who_has_found_an_entry_may_meet_a_table_that_was_emptied(bool byBegin)
    {
        var clock = new TrapClock();
        using var tier = new ProvenHarness(clock: clock);
        var key = ProvenHarness.Key("last");
        for (var i = 0; i < 1000; i++)
            tier.Keep($"{i}");
        tier.Memory.Keep(ProvenHarness.Generation, key, tier.WireName("last"), tier.Family, "1"u8.ToArray(), long.MaxValue, refreshAt: 1);
        // It is found in a table that has grown; the one in its place is small again.
        clock.Happens = () =>
        {
            if (byBegin)
                tier.Memory.Begin(ProvenHarness.Generation + 1);
            else
                tier.Memory.Clear();
        };

        var entry = tier.Memory.Find(key, out var refresh);

        Assert.True(refresh);
        Assert.True(entry!.TryShare("1"));
        Assert.Null(tier.Hit("last"));
        Assert.Null(tier.Find("last"));
    }

    // One or two identifiers, where the shape has a stroke.
    private static EntryKey KeyOf(string shape, int number)
    {
        var parts = string.Format(shape, number).Split('/');
        return parts.Length == 1 ? ProvenHarness.Key(parts[0]) : new EntryKey(Pair, parts[0], parts[1]);
    }

    // Whether who looks for the first comes by the second, in the smallest table.
    private static bool IsMetBy(EntryKey looked, EntryKey there)
    {
        var (from, at) = (EntryHash.Of(looked), EntryHash.Of(there));
        return (from >> 24 | 1) == (at >> 24 | 1) && (int)(at & 255) - (int)(from & 255) is >= 0 and < 16 && HasFormOf(looked, there);
    }

    private static bool HasFormOf(EntryKey one, EntryKey other) => HitSlot.Form(one, out _) == HitSlot.Form(other, out _);

    /// <summary>Lets something happen between the look at the table and what follows from it.</summary>
    private sealed class TrapClock : IClock
    {
        public Action? Happens { get; set; }

        public long Resolution => 1;

        public long Now
        {
            get
            {
                var happens = Happens;
                Happens = null;
                happens?.Invoke();
                return 1;
            }
        }
    }
}
