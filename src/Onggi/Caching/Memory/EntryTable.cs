using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The entries of memory by key. Readers take no lock; writers hold the gate of <see cref="ProvenMemory"/>.</summary>
/// <remarks>
/// An open table with linear probing, at most half full. Beside each place stands a tag of one byte, taken from the hash; sixteen of them
/// are compared at once, so that an entry up to fifteen places away from its own costs no loop and no branch that could go either way. A place holds the
/// number of a <see cref="HitSlot"/>. So a hit touches a line of tags, a line of places, which are few enough to stay near the processor, and then the
/// right slot, which is all it needs; slots lie side by side, so they spread over little memory. Whoever needs the entry itself
/// (an object that is not shared, a time that is over) takes a longer way.
/// <para>What a reader may meet while a writer works: a tag that is not that of the place beside it, a place that is being moved towards
/// its own, a slot that is being written, a table that is being replaced. Each of these makes it miss an entry that is there, at worst, and that is one question more to
/// Redis. It never makes it take a wrong one, because what it takes is compared as a whole key, at one moment (<see cref="HitSlot"/>); and not a removed one,
/// because that is hidden before the removal is over, and says so itself (<see cref="ProvenEntry.Generation"/>).</para>
/// <para>An entry lies at most <see cref="Farthest"/> places behind its own; what would lie further off is not taken in, or is lost when the table
/// grows. At this load the longest way is some tens of places, so only somebody who can foretell <see cref="EntryHash"/> gets there, and gains
/// that his own keys are not kept.</para>
/// </remarks>
internal sealed class EntryTable
{
    private const int Smallest = 256;
    private const int Farthest = 128;

    private Places _places = new(Smallest);

    /// <summary>What a hit needs of the entry under the key, which is marked as used.</summary>
    /// <typeparam name="T">The type that the caller asks for.</typeparam>
    /// <returns><c>false</c> when there is none, or when the longer way is to be taken.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TrySee<T>(in EntryKey key, [NotNullWhen(true)] out EntryKind<T>? kind, out HitView seen)
    {
        var places = Volatile.Read(ref _places);
        var number = places.Look(key, EntryHash.Of(key), out seen);
        kind = seen.Kind as EntryKind<T>;
        // Another object for the same family, another type, or an equal identifier of another family: the longer way tells which.
        if (kind is null || !ReferenceEquals(kind.KeyFamily, key.Family))
            return false;
        places.Use(number);
        return true;
    }

    /// <summary>Whether a hit under the entry's key would be given what this entry has, and no other.</summary>
    /// <remarks>For who checks on memory: by the way of hits, which knows nothing of entries.</remarks>
    public bool Shows(ProvenEntry entry, out HitView seen)
    {
        var places = Volatile.Read(ref _places);
        var number = places.Look(entry.Key, entry.Hash, out seen);
        // The one that took its place can have the same object: null, or an empty text.
        return seen.Kind is not null
            && seen.Kind == entry.Kind
            && seen.Value == entry.Value
            && (places.Entries[number] is not { } there || there == entry || there.Value != entry.Value);
    }

    /// <summary>The entry under the key; <c>null</c> when there is none, or when it is just being moved.</summary>
    public ProvenEntry? Find(in EntryKey key, uint hash)
    {
        var places = Volatile.Read(ref _places);
        var tag = TagOf(hash);
        for (int at = (int)hash & places.Mask, last = at + Farthest; at < last; at++)
        {
            var there = Volatile.Read(ref places.Tags[at]);
            if (there == 0)
                return null;
            if (there == tag && Volatile.Read(ref places.Entries[places.Slots[at]]) is { } entry && entry.IsFor(key))
                return entry;
        }

        return null;
    }

    /// <summary>Some entry, the first from a number on; <c>null</c> when there is none near.</summary>
    public ProvenEntry? Near(uint number)
    {
        var entries = Volatile.Read(ref _places).Entries;
        var from = (int)(number % (uint)entries.Length);
        foreach (var entry in entries.AsSpan(from, Math.Min(Farthest, entries.Length - from)))
        {
            if (entry is not null)
                return entry;
        }

        return null;
    }

    /// <summary>Takes in an entry whose key is not there yet.</summary>
    /// <returns><c>false</c> when its place would be too far off.</returns>
    public bool TryAdd(ProvenEntry entry)
    {
        if (_places.IsFull)
            Grow();
        return _places.TryPlace(entry);
    }

    /// <summary>Lets readers see how the entry has changed.</summary>
    public void Show(ProvenEntry entry)
    {
        if (_places.Has(entry))
            _places.Hits[entry.Slot].Show(entry);
    }

    /// <summary>Takes out an entry, if it is there.</summary>
    public void Remove(ProvenEntry entry)
    {
        if (_places.Has(entry))
            _places.Remove(entry);
    }

    /// <summary>Marks an entry as used. Readers come by here, too.</summary>
    public void Use(ProvenEntry entry)
    {
        var places = Volatile.Read(ref _places);
        // The table may be another than the one in which it was found: then some entry is taken for used, or none.
        if (entry.Slot is var number && number < places.Hits.Length)
            places.Use(number);
    }

    /// <summary>Whether an entry was used since it was last asked for here.</summary>
    public bool TakeUsed(ProvenEntry entry)
    {
        ref var used = ref _places.Used[entry.Slot];
        var was = used;
        used = false;
        return was;
    }

    /// <summary>Starts anew. Readers that come now find nothing.</summary>
    public void Clear() => Volatile.Write(ref _places, new Places(Smallest));

    private void Grow()
    {
        var smaller = _places;
        var larger = new Places(2 * (smaller.Mask + 1));
        for (var number = 1; number < smaller.Entries.Length; number++)
        {
            if (smaller.Entries[number] is not { } entry)
                continue;
            entry.Slot = 0;
            if (larger.TryPlace(entry))
                larger.Used[entry.Slot] = smaller.Used[number];
        }

        Volatile.Write(ref _places, larger);
    }

    // Zero stands for an empty place. From the upper end: the lower bits have chosen the place already.
    private static byte TagOf(uint hash) => (byte)((hash >> 24) | 1);

    /// <summary>Tags and places, and what they lead to. Behind the last place there are as many again as an entry may be away from its own, so no way has to turn round.</summary>
    private sealed class Places(int count)
    {
        public readonly byte[] Tags = new byte[count + Farthest + Vector128<byte>.Count];

        /// <summary>By place. 0, which is nobody's slot, where there is nothing.</summary>
        public readonly int[] Slots = new int[count + Farthest + Vector128<byte>.Count];

        /// <summary>By the number of the slot, as the next two.</summary>
        public readonly HitSlot[] Hits = new HitSlot[(count / 2) + 1];
        public readonly ProvenEntry?[] Entries = new ProvenEntry?[(count / 2) + 1];
        public readonly bool[] Used = new bool[(count / 2) + 1];
        public readonly int Mask = count - 1;

        private readonly Stack<int> _free = new();
        private int _next = 1;

        public bool IsFull => _next == Hits.Length && _free.Count == 0;

        /// <summary>What hits see under a key's identifiers, and the number of its slot; without a kind when there is nothing near, or it was just being changed.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public int Look(in EntryKey key, uint hash, out HitView seen)
        {
            var home = (int)hash & Mask;
            var form = HitSlot.Form(key, out var packed);
            for (var alike = Alike(home, TagOf(hash)); alike != 0; alike &= alike - 1)
            {
                var number = Slots[home + BitOperations.TrailingZeroCount(alike)];
                if (Hits[number].TryRead(key, form, packed, out seen))
                    return number;
            }

            seen = default;
            return 0;
        }

        // Which of the sixteen places from here on have this tag: a bit for each.
        private uint Alike(int home, byte tag)
        {
            var window = Vector128.LoadUnsafe(ref MemoryMarshal.GetArrayDataReference(Tags), (nuint)home);
            return Vector128.Equals(window, Vector128.Create(tag)).ExtractMostSignificantBits();
        }

        // Written only once, so that processors need not pass the line around.
        public void Use(int number)
        {
            ref var used = ref Used[number];
            if (!used)
                used = true;
        }

        // Its number may be of another, larger table: one that was emptied says nothing to those who were in it.
        public bool Has(ProvenEntry entry) =>
            entry.Slot is > 0 and var number && number < Entries.Length && ReferenceEquals(Entries[number], entry);

        public bool TryPlace(ProvenEntry entry)
        {
            var home = (int)entry.Hash & Mask;
            for (var at = home; at < home + Farthest; at++)
            {
                if (Tags[at] != 0)
                    continue;
                var number = _free.TryPop(out var free) ? free : _next++;
                Used[number] = false;
                entry.Slot = number;
                Volatile.Write(ref Entries[number], entry);
                Hits[number].Show(entry);
                Write(at, number, TagOf(entry.Hash));
                return true;
            }

            return false;
        }

        public void Remove(ProvenEntry entry)
        {
            var number = entry.Slot;
            entry.Slot = 0;
            Volatile.Write(ref Entries[number], null);
            // mutant: SlotStays
            if (CoherenceMutants.SlotStays)
                return;
            Hits[number].Hide();
            var home = (int)entry.Hash & Mask;
            var hole = Array.IndexOf(Slots, number, home, Farthest);
            // Those behind the hole move up, unless the hole lies before their own place: so no way is ever broken by a gap.
            for (var at = hole + 1; Tags[at] != 0; at++)
            {
                if (((int)Entries[Slots[at]]!.Hash & Mask) > hole)
                    continue;
                Write(hole, Slots[at], Tags[at]);
                hole = at;
            }

            Volatile.Write(ref Tags[hole], 0);
            Slots[hole] = 0;
            _free.Push(number);
        }

        private void Write(int at, int number, byte tag)
        {
            Slots[at] = number;
            Volatile.Write(ref Tags[at], tag);
        }
    }
}
