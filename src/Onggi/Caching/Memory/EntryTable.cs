using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The entries of memory by key. Readers take no lock; writers hold the gate of <see cref="ProvenMemory"/>.</summary>
/// <remarks>
/// An open table with linear probing, at most half full. Beside each place stands a tag of one byte, taken from the hash; sixteen of them
/// are compared at once, so that an entry up to fifteen places away from its own costs no loop and no branch that could go either way. A look-up
/// touches a line of tags, which are few enough to stay near the processor, a line of places, and then the right entry.
/// <para>What a reader may meet while a writer works: a tag that is not that of the entry beside it, an entry that is being moved towards
/// its own place, a table that is being replaced. Each of these makes it miss an entry that is there, at worst, and that is one question more to
/// Redis. It never makes it take a wrong one, because what it takes is compared as a whole key; and not a removed one, because that is for the
/// entry itself to say (<see cref="ProvenEntry.Generation"/>).</para>
/// <para>An entry lies at most <see cref="Farthest"/> places behind its own; what would lie further off is not taken in, or is lost when the table
/// grows. At this load the longest way is some tens of places, so only somebody who can foretell <see cref="EntryHash"/> gets there, and gains
/// that his own keys are not kept.</para>
/// </remarks>
internal sealed class EntryTable
{
    private const int Smallest = 256;
    private const int Farthest = 128;

    private Places _places = new(Smallest);
    private int _count;

    /// <summary>The entry under the key; <c>null</c> when there is none, or when it is just being moved.</summary>
    public ProvenEntry? Find(in EntryKey key, uint hash)
    {
        var places = Volatile.Read(ref _places);
        var home = (int)hash & places.Mask;
        var window = Vector128.LoadUnsafe(ref MemoryMarshal.GetArrayDataReference(places.Tags), (nuint)home);
        var alike = Vector128.Equals(window, Vector128.Create(TagOf(hash))).ExtractMostSignificantBits();
        if (alike == 0)
            return FindFurther(places, key, hash);
        var entry = Volatile.Read(ref places.Entries[home + BitOperations.TrailingZeroCount(alike)]);
        return entry is not null && entry.IsFor(key) ? entry : FindFurther(places, key, hash);
    }

    /// <summary>Some entry, the first from a place on; <c>null</c> when there is none near.</summary>
    public ProvenEntry? Near(uint place)
    {
        var places = Volatile.Read(ref _places);
        for (int at = (int)place & places.Mask, last = at + Farthest; at < last; at++)
        {
            if (Volatile.Read(ref places.Entries[at]) is { } entry)
                return entry;
        }

        return null;
    }

    /// <summary>Takes in an entry whose key is not there yet.</summary>
    /// <returns><c>false</c> when its place would be too far off.</returns>
    public bool TryAdd(ProvenEntry entry)
    {
        if (2 * (_count + 1) > _places.Mask + 1)
            Grow();
        if (!_places.TryPlace(entry))
            return false;
        _count++;
        return true;
    }

    /// <summary>Takes out an entry, if it is there.</summary>
    public void Remove(ProvenEntry entry)
    {
        if (_places.TryRemove(entry))
            _count--;
    }

    /// <summary>Starts anew. Readers that come now find nothing.</summary>
    public void Clear()
    {
        _count = 0;
        Volatile.Write(ref _places, new Places(Smallest));
    }

    // Place by place: the tag was another entry's, or the way is longer than one window.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ProvenEntry? FindFurther(Places places, in EntryKey key, uint hash)
    {
        var home = (int)hash & places.Mask;
        var tag = TagOf(hash);
        for (var at = home; at < home + Farthest; at++)
        {
            var there = Volatile.Read(ref places.Tags[at]);
            if (there == 0)
                return null;
            if (there == tag && Volatile.Read(ref places.Entries[at]) is { } entry && entry.IsFor(key))
                return entry;
        }

        return null;
    }

    private void Grow()
    {
        var larger = new Places(2 * (_places.Mask + 1));
        _count = 0;
        foreach (var entry in _places.Entries)
        {
            if (entry is not null && larger.TryPlace(entry))
                _count++;
        }

        Volatile.Write(ref _places, larger);
    }

    // Zero stands for an empty place. From the upper end: the lower bits have chosen the place already.
    private static byte TagOf(uint hash) => (byte)((hash >> 24) | 1);

    /// <summary>Tags and entries. Behind the last place there are as many again as an entry may be away from its own, so no way has to turn round.</summary>
    private sealed class Places(int count)
    {
        public readonly byte[] Tags = new byte[count + Farthest + Vector128<byte>.Count];
        public readonly ProvenEntry?[] Entries = new ProvenEntry?[count + Farthest + Vector128<byte>.Count];
        public readonly int Mask = count - 1;

        public bool TryPlace(ProvenEntry entry)
        {
            var home = (int)entry.Hash & Mask;
            for (var at = home; at < home + Farthest; at++)
            {
                if (Tags[at] != 0)
                    continue;
                Write(at, entry);
                return true;
            }

            return false;
        }

        public bool TryRemove(ProvenEntry entry)
        {
            var home = (int)entry.Hash & Mask;
            var hole = Array.IndexOf(Entries, entry, home, Farthest);
            if (hole < 0)
                return false;
            // Those behind the hole move up, unless the hole lies before their own place: so no way is ever broken by a gap.
            for (var at = hole + 1; Entries[at] is { } moved; at++)
            {
                if (((int)moved.Hash & Mask) > hole)
                    continue;
                Write(hole, moved);
                hole = at;
            }

            Volatile.Write(ref Tags[hole], 0);
            Volatile.Write(ref Entries[hole], null);
            return true;
        }

        private void Write(int at, ProvenEntry entry)
        {
            Volatile.Write(ref Entries[at], entry);
            Volatile.Write(ref Tags[at], TagOf(entry.Hash));
        }
    }
}
