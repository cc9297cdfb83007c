using System.Diagnostics;
using System.Runtime.InteropServices;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The entries of memory by key. Readers take no lock; writers hold the gate of <see cref="ProvenMemory"/>.</summary>
/// <remarks>
/// An open table with linear probing, at most half full: a slot holds a hash and an entry, so that a look-up touches one line of the table and
/// then the right entry.
/// <para>What a reader may meet while a writer works: a slot whose hash and entry do not belong together, an entry that is being moved towards
/// its own place, a table that is being replaced. Each of these makes it miss an entry that is there, at worst, and that is one question more to
/// Redis. It never makes it take a wrong one, because what it takes is compared as a whole key; and not a removed one, because that is for the
/// entry itself to say (<see cref="ProvenEntry.Generation"/>).</para>
/// <para>Readers look at <see cref="MostProbes"/> slots and no more, and what would lie further off is not taken in. At half load the longest
/// way is a few tens of slots, so only somebody who can foretell <see cref="EntryHash"/> gets there, and gains that his own keys are not kept.</para>
/// </remarks>
internal sealed class EntryTable
{
    private const int Smallest = 256;
    private const int MostProbes = 128;

    private Slot[] _slots = new Slot[Smallest];
    private int _count;

    public int Count => _count;

    /// <summary>The entry under the key; <c>null</c> when there is none, or when it is just being moved.</summary>
    public ProvenEntry? Find(in EntryKey key, uint hash)
    {
        var slots = Volatile.Read(ref _slots);
        var mask = (uint)slots.Length - 1;
        for (uint at = hash, last = hash + MostProbes; at != last; at++)
        {
            ref readonly var slot = ref slots[(int)(at & mask)];
            if (Volatile.Read(in slot.Entry) is not { } entry)
                return null;
            if (slot.Hash == hash && entry.IsFor(key))
                return entry;
        }

        return null;
    }

    /// <summary>Takes in an entry whose key is not there yet.</summary>
    /// <returns><c>false</c> when its place would be too far off.</returns>
    public bool TryAdd(ProvenEntry entry)
    {
        if (2 * (_count + 1) > _slots.Length)
            Grow();
        var distance = Place(_slots, entry, MostProbes);
        if (distance < 0)
            return false;
        _count++;
        return true;
    }

    /// <summary>Takes out an entry that is there.</summary>
    public void Remove(ProvenEntry entry)
    {
        var slots = _slots;
        var mask = slots.Length - 1;
        var hole = (int)(entry.Hash & (uint)mask);
        while (!ReferenceEquals(slots[hole].Entry, entry))
        {
            Debug.Assert(slots[hole].Entry is not null, "Only what is in the table is removed.");
            hole = (hole + 1) & mask;
        }

        _count--;
        // Those behind the hole move up, unless they lie nearer to their own place than the hole does: so no way is ever broken by a gap.
        for (var at = (hole + 1) & mask; slots[at].Entry is { } moved; at = (at + 1) & mask)
        {
            var home = (int)(slots[at].Hash & (uint)mask);
            if (((at - home) & mask) < ((at - hole) & mask))
                continue;
            Write(ref slots[hole], moved);
            hole = at;
        }

        Volatile.Write(ref slots[hole].Entry, null);
    }

    /// <summary>Starts anew. Readers that come now find nothing.</summary>
    public void Clear()
    {
        _count = 0;
        Volatile.Write(ref _slots, new Slot[Smallest]);
    }

    private void Grow()
    {
        var larger = new Slot[_slots.Length * 2];
        foreach (ref readonly var slot in _slots.AsSpan())
        {
            if (slot.Entry is { } entry)
                Place(larger, entry, larger.Length);
        }

        Volatile.Write(ref _slots, larger);
    }

    private static int Place(Slot[] slots, ProvenEntry entry, int mostProbes)
    {
        var mask = (uint)slots.Length - 1;
        for (var distance = 0; distance < mostProbes; distance++)
        {
            ref var slot = ref slots[(int)((entry.Hash + (uint)distance) & mask)];
            if (slot.Entry is not null)
                continue;
            Write(ref slot, entry);
            return distance;
        }

        return -1;
    }

    private static void Write(ref Slot slot, ProvenEntry entry)
    {
        slot.Hash = entry.Hash;
        Volatile.Write(ref slot.Entry, entry);
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Slot
    {
        public ProvenEntry? Entry;
        public uint Hash;
    }
}
