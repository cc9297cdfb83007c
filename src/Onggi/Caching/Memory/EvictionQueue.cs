namespace Onggi.Caching;

/// <summary>Which entry goes when room is needed: SIEVE. Writers hold the gate of <see cref="ProvenMemory"/>.</summary>
/// <remarks>
/// Zhang et al., "SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches", NSDI'24.
/// <list type="number">
/// <item>Entries stand in the order in which they came; nothing is moved by a hit, which only marks the entry as used, and only when it is not marked.</item>
/// <item>A hand walks from the oldest to the newest and then begins again. What was used since it last came by is spared once; the first that was not goes.</item>
/// <item>New entries join at the newest end, so those that nobody asks for again are met soon, while the old ones that are asked for stay behind the hand.</item>
/// </list>
/// Other than in the paper: what has expired goes even if it was used, and after <see cref="MostSpared"/> spared ones in a row the next goes
/// whatever it is, so that a writer's time under the gate is bounded also when everything is in use.
/// </remarks>
internal sealed class EvictionQueue(EntryTable table)
{
    private const int MostSpared = 128;

    private ProvenEntry? _oldest;
    private ProvenEntry? _newest;
    private ProvenEntry? _hand;

    // Where the sweep goes on.
    private ProvenEntry? _broom;

    public bool IsEmpty => _oldest is null;

    public void Add(ProvenEntry entry)
    {
        entry.Older = _newest;
        if (_newest is null)
            _oldest = entry;
        else
            _newest.Newer = entry;
        _newest = entry;
    }

    public void Remove(ProvenEntry entry)
    {
        if (ReferenceEquals(_hand, entry))
            _hand = entry.Newer;
        if (ReferenceEquals(_broom, entry))
            _broom = entry.Newer;
        if (entry.Older is null)
            _oldest = entry.Newer;
        else
            entry.Older.Newer = entry.Newer;
        if (entry.Newer is null)
            _newest = entry.Older;
        else
            entry.Newer.Older = entry.Older;
        entry.Older = entry.Newer = null;
    }

    /// <summary>The one to go; <c>null</c> when there is none. The caller removes it.</summary>
    public ProvenEntry? Victim(long now)
    {
        var entry = _hand ?? _oldest;
        for (var spared = 0; entry is not null && !HasExpired(entry, now) && spared < MostSpared && table.TakeUsed(entry); spared++)
            entry = entry.Newer ?? _oldest;

        _hand = entry;
        return entry;
    }

    /// <summary>Lets the sweep begin with the oldest.</summary>
    public void BeginSweep() => _broom = _oldest;

    /// <summary>The next that has expired, after at most so many looks; <c>null</c> when there was none among them, or the sweep is at its end.</summary>
    /// <param name="now">The time by the clock of memory.</param>
    /// <param name="looks">How many may be looked at; it is counted down.</param>
    public ProvenEntry? NextExpired(long now, ref int looks)
    {
        while (_broom is { } entry && looks > 0)
        {
            looks--;
            _broom = entry.Newer;
            if (HasExpired(entry, now))
                return entry;
        }

        return null;
    }

    /// <summary>Whether the sweep has more to look at.</summary>
    public bool IsSweeping => _broom is not null;

    public void Clear() => _oldest = _newest = _hand = _broom = null;

    // A ticket waits for its end on the same connection and goes with it; only eviction takes it earlier.
    private static bool HasExpired(ProvenEntry entry, long now) => entry.Expires is var expires and not 0 && expires <= now;
}
