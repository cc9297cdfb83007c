using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>This process's own memory in front of Redis (L1): it answers only while there is a proof that no change was missed.</summary>
/// <remarks>
/// <para>A hit, in this order:</para>
/// <list type="number">
/// <item>the proof;</item>
/// <item>the entry;</item>
/// <item>the clock. It is served iff entry and proof are of one generation, the proof is young enough, and the entry has not ended.</item>
/// </list>
/// <para>Why the proof comes first: it says "whatever Redis changed before its moment has been dropped here". That is of use only for an
/// entry that is looked at after it. A thread that takes the entry, is held up while it is dropped and the proof renewed, and then reads the
/// new proof would serve the old value as proven.</para>
/// <para>Why no reader gets what was dropped before it began. A drop does three things before it returns: it writes <see cref="ProvenEntry.Removed"/>
/// into the entry, hides its <see cref="HitSlot"/>, and takes it out of the table. A reader loads the stamp of the slot, or the entry's generation, after it
/// began, and after that proof was loaded
/// (an acquiring load) which was published (a releasing store) after the drops that it vouches for. So either it does not come by the entry, or it
/// sees that it was removed; how the table looks to a reader while it changes does not matter. A reader that began before the drop may get the
/// entry: its question was there before the change was known. When the table grows, the smaller one keeps slots that no drop hides any more; who
/// still reads there began before the larger one stood in its place, and so before those drops. <see cref="Clear"/> and <see cref="Begin"/> put an empty table in the place of the
/// old one instead of marking each entry: who begins later loads the empty one. <see cref="Begin"/> takes the proof away before anything
/// else, and entries and proofs of the old generation fit nothing that comes later.</para>
/// <para>Filled only from replies of the tracked connection, in the order of the wire, by the loop that reads it; so is everything down to
/// <see cref="Close"/>. Drops may come from anywhere, too.</para>
/// </remarks>
internal sealed class ProvenMemory : IDisposable
{
    // What an entry costs beside its value: the object, its places in table and index, identifiers.
    private const int Overhead = 410;

    // A shared object takes about twice its JSON: texts are UTF-16.
    private const int ObjectPerJson = 2;

    private const int NameOnStack = 256;
    private const int SweptUnderOneLock = 1024;
    private const long NoGeneration = -2;

    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(5);

    private readonly CacheOptions _options;
    private readonly IClock _clock;
    private readonly ITimer _sweep;
    private readonly EntryTable _table = new();

    // What the loop that reads replies knows it by.
    private readonly Dictionary<string, ProvenEntry> _byWireName = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ProvenEntry>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly EvictionQueue _queue;

    // Guards every change: the table and the index together, the queue, the sum, generation and proof.
    private readonly Lock _gate = new();
    private Proof? _proof;
    private long _generation = NoGeneration;
    private long _bytes;
    private bool _sweeping;
    private bool _disposed;

    public ProvenMemory(CacheOptions options, IClock clock, TimeProvider time)
    {
        _options = options;
        _clock = clock;
        IsOn = options.Memory;
        _queue = new EvictionQueue(_table);
        _bySpan = _byWireName.GetAlternateLookup<ReadOnlySpan<char>>();
        _sweep = time.CreateTimer(
            static memory => ((ProvenMemory)memory!).Sweep(),
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan
        );
    }

    /// <summary>Whether anything is kept at all.</summary>
    public bool IsOn { get; }

    /// <summary>Entries and tickets.</summary>
    public long Count
    {
        get
        {
            lock (_gate)
                return _byWireName.Count;
        }
    }

    /// <summary>What they take; an estimate.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    /// <summary>The proof in force; <c>null</c> for none. It may have run out.</summary>
    public Proof? Proof => Volatile.Read(ref _proof);

    /// <summary>The shared object of an entry that may be served now and asks for nothing else. It is counted. No lock, no wait, no allocation.</summary>
    /// <returns><c>false</c>: ask <see cref="Find(in EntryKey)"/>, which takes longer and finds every entry that may be served.</returns>
    public bool TryHit<T>(in EntryKey key, out T? value)
    {
        var proof = Volatile.Read(ref _proof);
        if (Interleave.IsOn)
            Interleave.Point("memory.proof");
        // mutant: EntryFirst. It takes the longer way.
        if (
            proof is not null
            && _table.TrySee<T>(key, out var kind, out var seen)
            && IsQuiet(seen, proof)
            && !(Interleave.IsOn && CoherenceMutants.EntryFirst)
        )
        {
            kind.Family.CountMemoryHit();
            value = ProvenEntry.As<T>(seen.Value);
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>The entry, if it may be served now. No lock, no wait, no allocation.</summary>
    public ProvenEntry? Find(in EntryKey key) => Find(key, wantsRefresh: false, out _);

    /// <summary>The same for who can refresh an entry ahead of its end.</summary>
    /// <param name="key">The key.</param>
    /// <param name="refresh">Whether it is time for that. <c>true</c> for one caller per entry, who waits for the gate once, to tell the others.</param>
    public ProvenEntry? Find(in EntryKey key, out bool refresh) => Find(key, wantsRefresh: true, out refresh);

    /// <summary>Some entry that would be served now, for who checks on memory; <c>null</c> when none was met.</summary>
    public ProvenEntry? Sample(uint place) => _table.Near(place) is { } entry && Serves(entry) ? entry : null;

    /// <summary>Whether this very entry would be served now: an emptied table marks none of those that were in it.</summary>
    public bool Serves(ProvenEntry entry)
    {
        var proof = Volatile.Read(ref _proof);
        if (proof is null)
            return false;
        if (_table.Shows(entry, out var seen) && IsQuiet(seen, proof))
            return true;
        return ReferenceEquals(_table.Find(entry.Key, entry.Hash), entry)
            && Judge(entry, entry.Generation, proof, _clock.Now, wantsRefresh: false, out _) is not null;
    }

    /// <summary>A new connection: everything is dropped, and there is no proof yet. What still comes from the old one is refused from here on.</summary>
    /// <param name="generation">Its number, not negative and never used before.</param>
    public void Begin(long generation)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(generation);
        lock (_gate)
        {
            Volatile.Write(ref _proof, null);
            _generation = generation;
            // mutant: NoFlush
            if (!CoherenceMutants.NoFlush)
                ClearUnderLock();
        }
    }

    /// <summary>Memory may answer for entries of this generation until the time is over. Ignored when the generation is not the present one.</summary>
    /// <param name="generation">The connection on which the proof was heard.</param>
    /// <param name="until">As in <see cref="Proof"/>.</param>
    public void Prove(long generation, long until)
    {
        lock (_gate)
        {
            if (IsOn && generation == _generation && !_disposed)
                Volatile.Write(ref _proof, new Proof(generation, until));
        }
    }

    /// <summary>Nothing is served until the next proof. Entries stay.</summary>
    public void Unprove()
    {
        lock (_gate)
            Volatile.Write(ref _proof, null);
    }

    /// <summary>Keeps what Redis answered, in place of what was there under the name.</summary>
    /// <param name="generation">The connection it came over.</param>
    /// <param name="key">The key as callers give it.</param>
    /// <param name="wireName">Its name in Redis.</param>
    /// <param name="family">Its family's rules and counts.</param>
    /// <param name="json">The value; it is kept, not copied.</param>
    /// <param name="expires">The millisecond by the clock of memory from which it is not served; 0 for a ticket that <see cref="Close"/> makes an entry.</param>
    /// <param name="refreshAt">The millisecond from which a hit should start a refresh; <see cref="long.MaxValue"/> for never.</param>
    /// <returns><c>null</c> when it is refused: memory is off, for all or for the family; the value is too large; the generation is over.</returns>
    public ProvenEntry? Keep(
        long generation,
        in EntryKey key,
        string wireName,
        CacheFamily family,
        byte[] json,
        long expires,
        long refreshAt
    )
    {
        if (!IsOn || !family.KeepsInMemory)
            return null;
        var fits = json.Length <= _options.MemoryMaxValueBytes;
        var entry = fits
            ? new ProvenEntry(this, key, EntryHash.Of(key), wireName, family, json)
            {
                Generation = generation,
                Bytes = Overhead + json.Length + (2L * wireName.Length),
            }
            : null;
        entry?.SetTimes(expires, refreshAt);
        lock (_gate)
        {
            // mutant: NoFlush
            if ((generation != _generation && !CoherenceMutants.NoFlush) || _disposed)
                return null;
            // Also when the new one is not taken: what stood there is older than it.
            RemoveUnderLock(wireName);
            return entry is not null && TryAdd(entry) ? entry : null;
        }
    }

    /// <summary>Makes a ticket an entry, unless it was dropped, replaced or evicted since.</summary>
    /// <param name="ticket">What <see cref="Keep"/> gave.</param>
    /// <param name="expires">As there.</param>
    /// <param name="refreshAt">As there.</param>
    public void Close(ProvenEntry ticket, long expires, long refreshAt)
    {
        lock (_gate)
        {
            if (Stands(ticket) && ticket.Expires == 0)
                SetTimes(ticket, expires, refreshAt);
        }
    }

    /// <summary>Ends what there is of the key by this millisecond, if it would not end before.</summary>
    public void Shorten(string wireName, long expires)
    {
        lock (_gate)
        {
            // A ticket gets its times when its life is known.
            if (_byWireName.TryGetValue(wireName, out var entry) && entry.Expires > expires)
                SetTimes(entry, expires, entry.RefreshAt);
        }
    }

    /// <summary>Forgets the key. Who asks after this has returned does not get what was there.</summary>
    public void Drop(string wireName)
    {
        lock (_gate)
            RemoveUnderLock(wireName);
    }

    /// <summary>The same for a name as it stands on the wire. No allocation for names of up to 256 bytes.</summary>
    /// <param name="wireName">UTF-8. Other bytes name nothing that is kept here.</param>
    public void Drop(ReadOnlySpan<byte> wireName)
    {
        var rented = wireName.Length > NameOnStack ? ArrayPool<char>.Shared.Rent(wireName.Length) : null;
        // UTF-16 never takes more units than UTF-8 takes bytes.
        var name = rented ?? stackalloc char[NameOnStack];
        name = name[..Encoding.UTF8.GetChars(wireName, name)];
        lock (_gate)
        {
            if (_bySpan.TryGetValue(name, out var entry))
                RemoveUnderLock(entry.WireName);
        }

        if (rented is not null)
            ArrayPool<char>.Shared.Return(rented);
    }

    /// <summary>Forgets everything. Generation and proof stay.</summary>
    /// <returns>How many entries there were.</returns>
    public int Clear()
    {
        lock (_gate)
            return ClearUnderLock();
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            Volatile.Write(ref _proof, null);
            ClearUnderLock();
        }

        _sweep.Dispose();
    }

    /// <summary>A caller has given the entry an object, which takes room, too.</summary>
    internal void Shared(ProvenEntry entry)
    {
        lock (_gate)
        {
            if (!Stands(entry))
                return;
            var more = ObjectPerJson * (long)entry.Json.Length;
            entry.Bytes += more;
            _bytes += more;
            _table.Show(entry);
            MakeRoom(forEntries: 0, forBytes: 0);
        }
    }

    /// <summary>A caller refreshes the entry: the others need not look whether it is time for that.</summary>
    internal void RefreshTaken(ProvenEntry entry)
    {
        lock (_gate)
            _table.Show(entry);
    }

    private ProvenEntry? Find(in EntryKey key, bool wantsRefresh, out bool refresh)
    {
        refresh = false;
        // mutant: EntryFirst
        if (Interleave.IsOn && CoherenceMutants.EntryFirst)
            return FindEntryFirst(key);
        var proof = Volatile.Read(ref _proof);
        if (Interleave.IsOn)
            Interleave.Point("memory.proof");
        if (proof is null)
            return FindUnproven(key);
        return _table.Find(key, EntryHash.Of(key)) is { } entry
            ? Judge(entry, entry.Generation, proof, _clock.Now, wantsRefresh, out refresh)
            : null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsQuiet(in HitView seen, Proof proof)
    {
        // Computed before the call, which the processor does not look far beyond.
        var until = Math.Min(proof.Until, seen.LastQuiet);
        return seen.Generation == proof.Generation && _clock.Now <= until;
    }

    private ProvenEntry? Judge(ProvenEntry entry, long generation, Proof? proof, long now, bool wantsRefresh, out bool refresh)
    {
        refresh = false;
        // mutant: NoProof, NoFlush
        var isProven =
            CoherenceMutants.NoProof
            || (proof is not null && now <= proof.Until && (generation == proof.Generation || CoherenceMutants.NoFlush));
        if (!isProven || generation == ProvenEntry.Removed || now >= entry.Expires)
            return null;
        refresh = wantsRefresh && entry.TryTakeRefresh(now);
        _table.Use(entry);
        return entry;
    }

    // mutant: NoProof. Without it: null.
    private ProvenEntry? FindUnproven(in EntryKey key) =>
        CoherenceMutants.NoProof && _table.Find(key, EntryHash.Of(key)) is { } entry
            ? Judge(entry, entry.Generation, proof: null, _clock.Now, wantsRefresh: false, out _)
            : null;

    // mutant: EntryFirst. Whether the entry stands is read before the proof, too; otherwise the mark of a drop would hide the mistake.
    private ProvenEntry? FindEntryFirst(in EntryKey key)
    {
        if (_table.Find(key, EntryHash.Of(key)) is not { } entry)
            return null;
        var generation = entry.Generation;
        if (Interleave.IsOn)
            Interleave.Point("memory.proof");
        return Judge(entry, generation, Volatile.Read(ref _proof), _clock.Now, wantsRefresh: false, out _);
    }

    private void SetTimes(ProvenEntry entry, long expires, long refreshAt)
    {
        entry.SetTimes(expires, refreshAt);
        _table.Show(entry);
    }

    private bool Stands(ProvenEntry entry) => _byWireName.TryGetValue(entry.WireName, out var there) && ReferenceEquals(there, entry);

    private bool TryAdd(ProvenEntry entry)
    {
        if (entry.Bytes > _options.MemoryMaxBytes)
            return false;
        MakeRoom(forEntries: 1, forBytes: entry.Bytes);
        if (!_table.TryAdd(entry))
            return false;
        _byWireName.Add(entry.WireName, entry);
        _queue.Add(entry);
        _bytes += entry.Bytes;
        ScheduleSweep();
        return true;
    }

    private void MakeRoom(int forEntries, long forBytes)
    {
        if (!IsOver(forEntries, forBytes))
            return;
        var now = _clock.Now;
        while (IsOver(forEntries, forBytes) && _queue.Victim(now) is { } victim)
            RemoveUnderLock(victim.WireName);
    }

    private bool IsOver(int forEntries, long forBytes) =>
        _byWireName.Count + forEntries > _options.MemoryMaxEntries || _bytes + forBytes > _options.MemoryMaxBytes;

    private void RemoveUnderLock(string wireName)
    {
        if (!_byWireName.Remove(wireName, out var entry))
            return;
        entry.Generation = ProvenEntry.Removed;
        _table.Remove(entry);
        _queue.Remove(entry);
        _bytes -= entry.Bytes;
        Debug.Assert(_bytes >= 0, "What was added is what is taken off.");
    }

    private int ClearUnderLock()
    {
        var count = _byWireName.Count;
        _table.Clear();
        _byWireName.Clear();
        _queue.Clear();
        _bytes = 0;
        return count;
    }

    // Expired entries are not served, they only take room. A few at a time, so that the loop that reads replies does not wait for long.
    private void Sweep()
    {
        lock (_gate)
            _queue.BeginSweep();
        for (var more = true; more; )
        {
            lock (_gate)
            {
                var now = _clock.Now;
                var looks = SweptUnderOneLock;
                while (_queue.NextExpired(now, ref looks) is { } entry)
                    RemoveUnderLock(entry.WireName);
                more = _queue.IsSweeping;
            }
        }

        lock (_gate)
        {
            _sweeping = false;
            if (!_queue.IsEmpty)
                ScheduleSweep();
        }
    }

    private void ScheduleSweep()
    {
        if (_sweeping || _disposed)
            return;
        _sweeping = true;
        _sweep.Change(SweepEvery, Timeout.InfiniteTimeSpan);
    }
}
