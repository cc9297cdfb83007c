using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Batches;

/// <summary>Entries that are read and changed together. Made by <see cref="OnggiBatches"/>; for one caller, sent once.</summary>
/// <remarks>
/// <para>A set is the cache's set and a delete the cache's invalidation, for every family that is cached: what this process has in memory is dropped, loads that run are not stored, times to live come from the catalog,
/// <c>cache.invalidated</c> goes out, and families with <see cref="Invalidation.Strict"/> wait for their bound, once for the whole batch. A get asks memory first; what it reads from Redis is not kept there.</para>
/// <para>A batch is not a transaction and promises no order among its entries; so a key that is changed stands in it once. An atomic batch (<see cref="IsAtomic"/>) is one step, in the order of its entries.</para>
/// <para>What a caller sees: Redis <b>slow</b>: the entries under way fail with <see cref="RedisTimeoutException"/>, <see cref="Sent.Maybe"/>, those behind them with <see cref="Sent.No"/>. <b>Gone</b>: those under way fail with <see cref="RedisConnectionException"/>
/// (gets and deletes are asked again on the next connection); those behind wait for it, and fail unsent when there is none in time. <b>Full</b>: each set fails with <c>OOM</c>, <see cref="Sent.No"/>; gets, deletes and expires go on. <b>Restarted empty</b>,
/// <b>failed over</b>, <b>we were paused</b>: as for the cache's own calls.</para>
/// </remarks>
public sealed class OnggiBatch
{
    private readonly OnggiBatches _batches;
    private readonly List<BatchEntry> _entries = [];

    // Of a plain batch that changes something the keys, and whether each is changed.
    private Dictionary<string, bool>? _keys;
    private int _slot = -1;
    private bool _sent;

    internal OnggiBatch(OnggiBatches batches, bool isAtomic) => (_batches, IsAtomic) = (batches, isAtomic);

    /// <summary>Whether it is executed in one step, or not at all.</summary>
    public bool IsAtomic { get; }

    /// <summary>The entries, in the order in which they were added.</summary>
    public IReadOnlyList<BatchEntry> Entries => _entries;

    /// <summary>How many bytes names and values take.</summary>
    public long Bytes { get; private set; }

    private EntryCommands Commands => _batches.Commands;

    /// <summary>Reads an entry.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <returns>Where its result will be: a miss where there is nothing within its life, or what cannot be read.</returns>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="ArgumentException">The batch changes the key; or it is atomic, and the key is in another slot, or of a family with <see cref="FailoverSafety.Strict"/>.</exception>
    /// <exception cref="InvalidOperationException">The batch is full or has been sent; or the <c>JsonSerializerContext</c> lacks the type.</exception>
    public BatchEntry<CacheResult<T>> Get<T>(CacheKey<T> key)
    {
        var entry = Commands.Resolve(key);
        if (IsAtomic && entry.Family.Policy.FailoverSafety == FailoverSafety.Strict)
            throw new ArgumentException(
                $"The family {entry.Family.Name} has FailoverSafety.Strict, and an atomic batch does not judge when a value was written. Read it with the cache.",
                nameof(key)
            );
        return Add(new GetEntry<T>(entry));
    }

    /// <summary>Puts a value, as <see cref="OnggiCache.SetAsync"/>.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="value">The value; <c>null</c> remembers that the thing does not exist, for the family's negative time to live. It is written as JSON before the call returns.</param>
    /// <param name="ttl">How long it is fresh, cut to the longest that the catalog's rules allow; <c>null</c> leaves it to the catalog.</param>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="ArgumentException">The JSON is larger than <see cref="CacheOptions.MaxValueBytes"/>, or the time is not positive; the key stands in the batch already; or, of an atomic one, it is in another slot.</exception>
    /// <exception cref="InvalidOperationException">The batch is full or has been sent; the <c>JsonSerializerContext</c> lacks the type; or a time is given for a family with <see cref="FailoverSafety.Strict"/>.</exception>
    public BatchEntry<bool> Set<T>(CacheKey<T> key, T? value, TimeSpan? ttl = null)
    {
        var entry = Commands.Resolve(key);
        return Add(new SetEntry(entry.Family, Commands.Filled(entry, value, ttl)));
    }

    /// <summary>Removes an entry, and the right of whoever is loading it to store what it began before, as <see cref="OnggiCache.InvalidateAsync{T}(CacheKey{T}, CancellationToken)"/>. Send it after the change is committed.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <inheritdoc cref="Get{T}"/>
    public BatchEntry<bool> Delete<T>(CacheKey<T> key)
    {
        var entry = Commands.Resolve(key);
        return Add(new DeleteEntry(entry.Family, entry.WireName));
    }

    /// <summary>Begins the life of an entry anew; one that is past its life, or not there, stays as it is. A load that runs is not stored.</summary>
    /// <param name="key">From the generated <c>Keys</c>.</param>
    /// <param name="ttl">How long it is fresh from now on, cut to the longest that the catalog's rules allow; <c>null</c> for the catalog's own time.</param>
    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="ArgumentException">The time is not positive; the key stands in the batch already; or, of an atomic one, it is in another slot.</exception>
    /// <exception cref="InvalidOperationException">The batch is full or has been sent; or the family has <see cref="FailoverSafety.Strict"/>, which tells a value's age from what is left of its life.</exception>
    public BatchEntry<bool> Expire<T>(CacheKey<T> key, TimeSpan? ttl = null)
    {
        var entry = Commands.Resolve(key);
        var (life, negative) = Commands.LifeAnew(entry, ttl);
        return Add(new ExpireEntry(entry.Family, entry.WireName, life, negative));
    }

    /// <summary>Sends the batch, and waits until every entry has an end. One round trip for a few hundred entries; larger ones flow in portions. None where memory has all.</summary>
    /// <remarks>An entry that fails throws nothing here: see <see cref="BatchEntry.Outcome"/> and <see cref="BatchEntry.Error"/> of each, or <see cref="BatchReport.ThrowIfFailed"/>.</remarks>
    /// <param name="cancellationToken">Ends the wait: what is not sent yet is not sent. After a commit pass none, as to the cache's invalidation.</param>
    /// <exception cref="OperationCanceledException">Cancelled before all had an end. The message says how many were answered, may be executed, and were not sent; each <see cref="BatchEntry.Outcome"/> says which; <c>Data["Sent"]</c> is <see cref="Sent.No"/> only when nothing was sent at all.</exception>
    /// <exception cref="InvalidOperationException">The batch has been sent before.</exception>
    public async ValueTask<BatchReport> SendAsync(CancellationToken cancellationToken = default)
    {
        if (_sent)
            throw new InvalidOperationException("A batch is sent once. Make another one.");
        _sent = true;
        var began = _batches.Time.GetTimestamp();
        try
        {
            await new BatchRun(Commands, _entries, IsAtomic).RunAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            _batches.Metrics.Ended(_entries, IsAtomic, _batches.Time.GetElapsedTime(began));
        }

        return BatchReport.Of(_entries);
    }

    private T Add<T>(T entry)
        where T : BatchEntry
    {
        if (_sent)
            throw new InvalidOperationException("The batch has been sent. Make another one.");
        CheckRoom(entry);
        if (IsAtomic)
            CheckSlot(entry);
        else
            CheckKey(entry);
        _entries.Add(entry);
        Bytes += entry.Bytes;
        return entry;
    }

    private void CheckRoom(BatchEntry entry)
    {
        var options = _batches.Options;
        var (most, mostBytes) = IsAtomic ? (options.MaxAtomicEntries, options.MaxAtomicBytes) : (options.MaxEntries, options.MaxBytes);
        var (one, other) = IsAtomic
            ? (nameof(BatchOptions.MaxAtomicEntries), nameof(BatchOptions.MaxAtomicBytes))
            : (nameof(BatchOptions.MaxEntries), nameof(BatchOptions.MaxBytes));
        if (_entries.Count >= most)
            throw new InvalidOperationException(
                $"The batch has {_entries.Count} entries, and BatchOptions.{one} allows no more. Send it, and put the rest into another one."
            );
        if (Bytes + entry.Bytes > mostBytes)
            throw new InvalidOperationException(
                $"The batch has {Bytes} bytes, and with the {entry.Bytes} of an entry of {entry.Family} it would have more than the {mostBytes} of BatchOptions.{other}. Send it, and put the rest into another one."
            );
    }

    private void CheckKey(BatchEntry entry)
    {
        if (_keys is null && !entry.IsChange)
            return; // What is only read may stand there as often as one likes.
        _keys ??= KeysSoFar();
        if (!_keys.TryAdd(entry.WireName, entry.IsChange) && (entry.IsChange || _keys[entry.WireName]))
            throw new ArgumentException(
                $"A key of {entry.Family} stands twice in the batch, and is changed: which comes first would not be known. Put it there once, or take an atomic batch."
            );
    }

    private Dictionary<string, bool> KeysSoFar()
    {
        var keys = new Dictionary<string, bool>(_entries.Count, StringComparer.Ordinal);
        foreach (var read in _entries)
            keys[read.WireName] = false;
        return keys;
    }

    private void CheckSlot(BatchEntry entry)
    {
        var slot = SlotSteering.SlotOf(entry.WireName);
        if (_entries.Count == 0)
            _slot = slot;
        else if (slot != _slot)
            throw new ArgumentException(
                $"The keys of {_entries[0].Family} and {entry.Family} are in different slots ({_slot} and {slot}), and what is done in one step is done by one server of a cluster. Take a batch that is not atomic, or put what must change together under one key."
            );
    }
}
