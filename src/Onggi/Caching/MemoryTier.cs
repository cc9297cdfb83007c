using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>What was known before Redis was asked: whether the answer may be kept is decided by whether this still holds.</summary>
/// <param name="Generation">Grows when everything is dropped.</param>
/// <param name="Drops">Grows when the key, or another that shares its stripe, is dropped.</param>
/// <param name="Asked">The clock before the question left: an entry's age counts from here, never from when the answer came.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MemoryTicket(long Generation, long Drops, long Asked);

/// <summary>One value in memory: the object itself when it is safe to share, otherwise its JSON.</summary>
internal sealed class MemoryEntry(EntryKey key, string wireName, CacheFamily family, object codec, object? value, byte[]? json)
{
    public readonly EntryKey Key = key;
    public readonly string WireName = wireName;
    public readonly CacheFamily Family = family;

    /// <summary>The <see cref="CacheCodec{T}"/> that read it; it tells the type, too.</summary>
    public readonly object Codec = codec;

    /// <summary>The value, when <see cref="Json"/> is <c>null</c>.</summary>
    public readonly object? Value = value;

    public readonly byte[]? Json = json;

    public required long Generation { get; init; }
    public required long Expires { get; init; }
    public required long Bytes { get; init; }

    // The neighbours in order of arrival, for the tier alone.
    internal MemoryEntry? Older;
    internal MemoryEntry? Newer;
}

/// <summary>This process's own memory in front of Redis (L1), in its first form: an entry lives for at most one second.</summary>
/// <remarks>
/// Filled from replies of Redis; from a loader only while Redis cannot be asked. So it never holds what Redis has not held, except when nobody
/// could have invalidated it anyway.
/// <list type="number">
/// <item>Before Redis is asked, a ticket is taken: the generation, the count of drops in the key's stripe, the clock.</item>
/// <item>The answer is kept only if both counts are still the same. A value that was read before a drop can so never come in after it.</item>
/// <item>An entry ends one <see cref="CacheOptions.MemoryTtl"/> after its ticket. All live equally long, so the order of arrival is the order
/// of expiry, and room is made at the old end: first what has expired, then the oldest.</item>
/// <item>Readers take no lock: one look-up, one comparison of generations, one of the clock.</item>
/// </list>
/// </remarks>
internal sealed class MemoryTier : IDisposable
{
    // What an entry costs beside its value: the objects, two slots in dictionaries, identifiers.
    private const int Overhead = 320;
    private const int Stripes = 1024;

    private readonly ConcurrentDictionary<EntryKey, MemoryEntry> _entries = new();
    private readonly Dictionary<string, MemoryEntry> _byWireName = new(StringComparer.Ordinal);
    private readonly long[] _drops = new long[Stripes];
    private readonly CacheOptions _options;
    private readonly TimeProvider _time;
    private readonly long _ttl;
    private readonly ITimer _sweep;

    // Guards every change: the two dictionaries together, the list, the sums, the counts of drops, the generation.
    private readonly Lock _gate = new();
    private MemoryEntry? _oldest;
    private MemoryEntry? _newest;
    private long _bytes;
    private long _generation;
    private bool _sweeping;
    private bool _disposed;

    public MemoryTier(CacheOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _ttl = (long)(options.MemoryTtl.TotalSeconds * time.TimestampFrequency);
        _sweep = time.CreateTimer(static tier => ((MemoryTier)tier!).Sweep(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public bool IsOn => _options.Memory;

    public long Count
    {
        get
        {
            lock (_gate)
                return _byWireName.Count;
        }
    }

    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    /// <summary>The entry, if it may be served now.</summary>
    public MemoryEntry? Find(in EntryKey key)
    {
        // The right to serve is read before the entry: the other way round, a reader that is held up in between would judge an old entry by a new right.
        var generation = Volatile.Read(ref _generation);
        if (!_entries.TryGetValue(key, out var entry))
            return null;
        return MayServe(entry, generation) ? entry : null;
    }

    /// <summary>What must be taken before Redis is asked for the key.</summary>
    public MemoryTicket Ask(string wireName) =>
        new(Volatile.Read(ref _generation), Volatile.Read(ref _drops[StripeOf(wireName)]), _time.GetTimestamp());

    /// <summary>Keeps what Redis answered, unless the key or everything was dropped since the ticket was taken, or the value is too large.</summary>
    public void Keep<T>(MemoryTicket ticket, in CacheEntry<T> entry, T? value, byte[] json)
    {
        if (!IsOn || json.Length > _options.MemoryMaxValueBytes)
            return;
        var shared = entry.Codec.IsImmutable || value is null;
        var kept = new MemoryEntry(entry.Key.Entry, entry.WireName, entry.Family, entry.Codec, shared ? value : null, shared ? null : json)
        {
            Generation = ticket.Generation,
            Expires = ticket.Asked + _ttl,
            Bytes = Overhead + (shared ? 2L * json.Length : json.Length) + (2L * entry.WireName.Length),
        };
        lock (_gate)
        {
            if (ticket.Generation != _generation || ticket.Drops != _drops[StripeOf(entry.WireName)] || _disposed)
                return;
            Remove(entry.WireName);
            Append(kept);
            MakeRoom();
            if (!_sweeping)
                ScheduleSweep();
        }
    }

    /// <summary>Forgets the key, also for answers that are still on their way.</summary>
    public void Drop(string wireName)
    {
        lock (_gate)
        {
            _drops[StripeOf(wireName)]++;
            Remove(wireName);
        }
    }

    /// <summary>Forgets everything, also what is still on its way: events can have been missed.</summary>
    /// <returns>How many entries there were.</returns>
    public int Clear()
    {
        lock (_gate)
        {
            _generation++;
            var count = _entries.Count;
            _entries.Clear();
            _byWireName.Clear();
            _oldest = _newest = null;
            _bytes = 0;
            return count;
        }
    }

    public void Dispose()
    {
        lock (_gate)
            _disposed = true;
        Clear();
        _sweep.Dispose();
    }

    /// <summary>Whether memory may answer. Here a proof that nothing was missed will take the place of the short life.</summary>
    private bool MayServe(MemoryEntry entry, long generation) => entry.Generation == generation && _time.GetTimestamp() < entry.Expires;

    private static int StripeOf(string wireName) => (int)((uint)string.GetHashCode(wireName, StringComparison.Ordinal) % Stripes);

    private void Append(MemoryEntry entry)
    {
        // Two keys of one wire name cannot be told apart by Redis, so they share one place here, too.
        _entries[entry.Key] = entry;
        _byWireName.Add(entry.WireName, entry);
        entry.Older = _newest;
        if (_newest is null)
            _oldest = entry;
        else
            _newest.Newer = entry;
        _newest = entry;
        _bytes += entry.Bytes;
    }

    private void Remove(string wireName)
    {
        if (!_byWireName.Remove(wireName, out var entry))
            return;
        var removed = _entries.TryRemove(new(entry.Key, entry));
        Debug.Assert(removed, "The two dictionaries hold the same entries.");
        if (entry.Older is null)
            _oldest = entry.Newer;
        else
            entry.Older.Newer = entry.Newer;
        if (entry.Newer is null)
            _newest = entry.Older;
        else
            entry.Newer.Older = entry.Older;
        _bytes -= entry.Bytes;
        Debug.Assert(_bytes >= 0, "What was added is what is taken off.");
    }

    private void MakeRoom()
    {
        RemoveExpired();
        while (_oldest is { } oldest && (_bytes > _options.MemoryMaxBytes || _byWireName.Count > _options.MemoryMaxEntries))
            Remove(oldest.WireName);
    }

    private void RemoveExpired()
    {
        var now = _time.GetTimestamp();
        while (_oldest is { } oldest && oldest.Expires <= now)
            Remove(oldest.WireName);
    }

    // Without it a process that falls silent would hold its last values for ever.
    private void Sweep()
    {
        lock (_gate)
        {
            _sweeping = false;
            RemoveExpired();
            if (_oldest is not null && !_disposed)
                ScheduleSweep();
        }
    }

    private void ScheduleSweep()
    {
        _sweeping = true;
        _sweep.Change(_options.MemoryTtl, Timeout.InfiniteTimeSpan);
    }
}
