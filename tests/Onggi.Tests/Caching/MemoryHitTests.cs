using System.Runtime.CompilerServices;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

/// <summary>What a hit that looks no further finds, and what it leaves to who does.</summary>
public sealed class MemoryHitTests : IDisposable
{
    private ProvenHarness Tier { get; } = new();

    private ProvenMemory Memory => Tier.Memory;

    public void Dispose() => Tier.Dispose();

    [Theory]
    [InlineData("7", "8")]
    [InlineData("1", "01")]
    [InlineData("seven77", "seven7")]
    [InlineData("eight888", "eight889")]
    [InlineData("sixteen-16161616", "sixteen-16161617")]
    [InlineData("sixteen-16161616", "sixteen-26161616")]
    [InlineData("seventeen-1717171", "seventeen-1717172")]
    [InlineData("6f1c1d2e-0000-0000-0000-000000000001", "6f1c1d2e-0000-0000-0000-000000000002")]
    [InlineData("a\u0100b", "a\u0000b")]
    [InlineData("eight88\u0131", "eight881")]
    [InlineData("\u00e9t\u00e9", "\u00e9t\u0119")]
    [InlineData("고객", "고갹")]
    [InlineData("a\0", "a")]
    public void A_hit_tells_texts_apart_however_they_are_compared(string one, string other)
    {
        Tier.Keep(one, "one")!.TryShare("one");
        Assert.Equal("one", Tier.Hit(new string(one.AsSpan())));
        Assert.Null(Tier.Hit(other));

        Tier.Keep(other, "other")!.TryShare("other");

        Assert.Equal(("one", "other"), (Tier.Hit(one), Tier.Hit(other)));
        Memory.Drop(Tier.WireName(one));
        Assert.Equal((null, "other"), (Tier.Hit(one), Tier.Hit(other)));
    }

    [Fact]
    public void A_hit_of_another_type_or_family_looks_further()
    {
        Tier.Keep("a", "one")!.TryShare("one");

        Assert.False(Memory.TryHit<int>(ProvenHarness.Key("a"), out _));
        Assert.False(Memory.TryHit<object>(ProvenHarness.Key("a"), out _));
        Assert.False(Memory.TryHit<string>(new EntryKey(new KeyFamily("other", "a"), "a"), out _));
        // The same family under another object: not at once, but all the same.
        var (family, id) = (ProvenHarness.Key("a").Family, ProvenHarness.Key("a").First);
        var again = new EntryKey(new KeyFamily(family.Name, [.. family.Identifiers]), id);
        Assert.False(Memory.TryHit<string>(again, out _));
        Assert.NotNull(Memory.Find(again));
    }

    [Fact]
    public void A_hit_tells_keys_of_several_identifiers_apart()
    {
        var (pair, triple) = (new KeyFamily("pair", "a", "b"), new KeyFamily("triple", "a", "b", "c"));
        EntryKey[] keys =
        [
            new(pair, "a", "b"),
            new(pair, "a", "c"),
            new(pair, "c", "b"),
            new(triple, "a", "b", "c"),
            new(triple, "a", "b", "d"),
            new(triple, "a", "d", "c"),
        ];
        foreach (var key in keys)
            Assert.False(Memory.TryHit<string>(key, out _));

        foreach (var key in keys)
        {
            var text = $"{key.First}{key.Second}{key.Third}";
            Memory
                .Keep(ProvenHarness.Generation, key, $"test:{key.Family.Name}:{text}", Tier.Family, [], long.MaxValue, long.MaxValue)!
                .TryShare(text);
        }

        foreach (var key in keys)
        {
            // Nobody asks with the very texts that were kept.
            var asked = new EntryKey(key.Family, Copy(key.First)!, Copy(key.Second), Copy(key.Third));
            Assert.True(Memory.TryHit<string>(asked, out var text));
            Assert.Equal($"{key.First}{key.Second}{key.Third}", text);
            Memory.Drop($"test:{key.Family.Name}:{text}");
            Assert.False(Memory.TryHit<string>(asked, out _));
        }

        static string? Copy(string? text) => text is null ? null : new string(text.AsSpan());
    }

    [Fact]
    public void A_hit_is_quiet_only_until_it_is_time_to_refresh_and_again_while_somebody_does()
    {
        var key = ProvenHarness.Key("a");
        Memory
            .Keep(ProvenHarness.Generation, key, Tier.WireName("a"), Tier.Family, "1"u8.ToArray(), expires: 100, refreshAt: 80)!
            .TryShare("1");
        Tier.Pass(79);
        Assert.Equal("1", Tier.Hit("a"));
        Tier.Pass(1);
        Assert.Null(Tier.Hit("a"));

        Assert.NotNull(Memory.Find(key, out var refresh));

        Assert.True(refresh);
        Assert.Equal("1", Tier.Hit("a"));
        Memory.Shorten(Tier.WireName("a"), 90);
        Tier.Pass(9);
        Assert.Equal("1", Tier.Hit("a"));
        Tier.Pass(1);
        Assert.Null(Tier.Hit("a"));
    }

    [Fact]
    public void What_was_dropped_is_not_held_on_to()
    {
        var shared = ShareAndDrop();

        GC.Collect();

        Assert.False(shared.TryGetTarget(out _));
        Assert.NotNull(Tier.Find("other"));

        [MethodImpl(MethodImplOptions.NoInlining)]
        WeakReference<string> ShareAndDrop()
        {
            var value = new string('x', 10);
            Tier.Keep("other");
            Tier.Keep("a")!.TryShare(value);
            Assert.Same(value, Tier.Hit("a"));
            Memory.Drop(Tier.WireName("a"));
            return new(value);
        }
    }

    [Fact]
    public void A_ticket_is_no_hit_although_its_object_is_shared()
    {
        var ticket = Tier.Keep("a", expires: 0)!;
        ticket.TryShare("value");
        Assert.Null(Tier.Hit("a"));

        Memory.Close(ticket, 10, long.MaxValue);

        Assert.Equal("value", Tier.Hit("a"));
        Memory.Clear();
        Assert.Null(Tier.Hit("a"));
    }

    [Fact]
    public async Task A_hit_allocates_nothing()
    {
        var family = Tier.Family;
        Tier.Keep("a")!.TryShare("value");
        var key = ProvenHarness.Key("a");
        var hits = 0;

        await Allocation.NoneAsync(() =>
        {
            for (var i = 0; i < 1000; i++, hits++)
            {
                Assert.True(Memory.TryHit<string>(key, out _));
            }
        });

        Assert.Equal(hits, family.Snapshot().MemoryHits);
    }
}
