using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Onggi.Caching;

/// <summary>What a load ended with.</summary>
/// <param name="Found">Whether there is an answer at all; a batch loader may leave out a key whose type has no null.</param>
/// <param name="Value">The object as the loader made it.</param>
/// <param name="Json">Its JSON, from which further callers get objects of their own; <c>null</c> when there is none.</param>
/// <param name="Tier">The loader; or Redis, when another load had stored the value in between.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Loaded<T>(bool Found, T? Value, byte[]? Json, CacheTier Tier);

/// <summary>One run of a loader, for one key or for several. It is cancelled when nobody waits for any of them any more.</summary>
[SuppressMessage(
    "Design",
    "CA1001:Types that own disposable fields should be disposable",
    Justification = "A source without timer and wait handle holds nothing to free, and the last to leave may still cancel after the run has ended."
)]
internal sealed class LoadBatch
{
    private readonly CancellationTokenSource _abandoned = new();

    /// <summary>All that it loads. Guarded by the gate of <see cref="LoadFlights"/>.</summary>
    internal List<LoadFlight> Flights { get; } = [];

    /// <summary>How many of its flights somebody still waits for. Guarded by the same gate.</summary>
    internal int Awaited { get; set; }

    /// <summary>Whether the loader has returned. Guarded by the same gate.</summary>
    internal bool IsOver { get; set; }

    public CancellationToken Abandoned => _abandoned.Token;

    public void Cancel() => _abandoned.Cancel();
}

/// <summary>One key's load, whatever the type of its value.</summary>
internal abstract class LoadFlight(string wireName, LoadBatch batch)
{
    // Guards the two fields below against the moment in which the store command is handed over.
    private readonly Lock _gate = new();
    private bool _isDoomed;
    private bool _needsRepair;

    public string WireName { get; } = wireName;

    public LoadBatch Batch { get; } = batch;

    /// <summary>How many callers wait. Guarded by the gate of <see cref="LoadFlights"/>.</summary>
    internal int Waiters { get; set; }

    /// <summary>Whether the key changed while the load ran: its value goes to those who wait, and nowhere else.</summary>
    public bool IsDoomed
    {
        get
        {
            lock (_gate)
                return _isDoomed;
        }
    }

    /// <summary>Whether it was doomed by somebody else's change, which Redis may have executed before our value was stored.</summary>
    public bool NeedsRepair
    {
        get
        {
            lock (_gate)
                return _needsRepair;
        }
    }

    public void Doom(bool byOthers)
    {
        lock (_gate)
        {
            _isDoomed = true;
            _needsRepair |= byOthers;
        }
    }

    /// <summary>Hands the store command over, unless the load is doomed. A change that comes after it is so also after it on the wire.</summary>
    public bool TrySend(ICacheStore store, byte[] json, TimeSpan timeToLive, out ValueTask sending)
    {
        lock (_gate)
        {
            sending = _isDoomed ? default : store.SetAsync(WireName, json, timeToLive, CancellationToken.None);
            return !_isDoomed;
        }
    }
}

/// <summary>One key's load, with those who wait for it.</summary>
internal sealed class LoadFlight<T>(string wireName, LoadBatch batch) : LoadFlight(wireName, batch)
{
    private readonly TaskCompletionSource<Loaded<T>> _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _claimed;

    public bool IsCompleted => _loaded.Task.IsCompleted;

    public void Complete(Loaded<T> loaded) => _loaded.TrySetResult(loaded);

    public void Fail(Exception error)
    {
        _loaded.TrySetException(error);
        // All may have left; then nobody else looks at it.
        _ = _loaded.Task.Exception;
    }

    /// <summary>Waits for the end of the load, or until this caller's own token; that ends this wait only.</summary>
    public async ValueTask<CacheResult<T>> WaitAsync(CacheCodec<T> codec, CancellationToken cancellationToken)
    {
        var loaded = await _loaded.Task.WaitAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        return loaded.Found ? new CacheResult<T>(OwnCopy(loaded, codec), loaded.Tier) : default;
    }

    // The first to come gets the loader's object; whoever shares the load gets one of their own, unless sharing is safe or there is no JSON to make it from.
    private T? OwnCopy(in Loaded<T> loaded, CacheCodec<T> codec)
    {
        if (codec.IsImmutable || loaded.Json is null || loaded.Value is null || Interlocked.Exchange(ref _claimed, 1) == 0)
            return loaded.Value;
        return codec.TryDecode(loaded.Json, out var copy, out _) ? copy : loaded.Value;
    }
}

/// <summary>The loads that run: one per key, shared by all callers of this process.</summary>
/// <remarks>
/// <list type="number">
/// <item>Who finds a load of the key running joins it; who finds none starts it. Leaving (cancellation) ends only the own wait.</item>
/// <item>When nobody waits any more for anything that one run of a loader makes, and the loader has not returned, the run is cancelled: all its
/// loads are doomed and taken off the table, as a loader need not heed its token. Otherwise a load that nobody waits for stays on the table to
/// its end: its value will be stored, so a change must still find it, and who comes may join it.</item>
/// <item>A change of the key dooms its load: it is taken off the table at once, so that whoever comes after the change starts a new one, and its
/// value is not stored.</item>
/// <item>The doom and the hand-over of the store command exclude each other. As commands of one connection keep their order, an own
/// invalidation is executed after whatever an own load had stored before.</item>
/// </list>
/// </remarks>
internal sealed class LoadFlights
{
    // Guards the table, every flight's Waiters and what every batch counts. Inside it a flight's own gate may be taken, never the other way round.
    private readonly Lock _gate = new();
    private readonly Dictionary<string, LoadFlight> _running = new(StringComparer.Ordinal);
    private long _finished;

    /// <summary>How many loads have ended. While it stands still, what was absent in Redis is still absent as far as this process goes.</summary>
    public long Finished => Volatile.Read(ref _finished);

    public int Running
    {
        get
        {
            lock (_gate)
                return _running.Count;
        }
    }

    /// <summary>Joins the key's load, or starts one as a part of <paramref name="batch"/>; the caller who started it has to run it.</summary>
    public LoadFlight<T> JoinOrStart<T>(string wireName, LoadBatch batch, out bool started)
    {
        lock (_gate)
        {
            if (_running.TryGetValue(wireName, out var running) && running is LoadFlight<T> joined)
            {
                if (joined.Waiters++ == 0)
                    joined.Batch.Awaited++;
                started = false;
                return joined;
            }

            var flight = new LoadFlight<T>(wireName, batch) { Waiters = 1 };
            batch.Awaited++;
            batch.Flights.Add(flight);
            started = true;
            // The same key under two types is a mistake of the program: the second load helps its caller and disturbs nobody.
            if (running is null)
                _running.Add(wireName, flight);
            else
                flight.Doom(byOthers: false);
            return flight;
        }
    }

    /// <summary>A caller who joined or started the flight waits no longer, whether it ended or they gave up.</summary>
    public void Leave(LoadFlight flight)
    {
        lock (_gate)
        {
            Debug.Assert(flight.Waiters > 0, "Everybody leaves once.");
            if (--flight.Waiters > 0 || --flight.Batch.Awaited > 0 || flight.Batch.IsOver)
                return;
            // Both at once: off the table no change finds them any more, so from there on they must not be stored.
            foreach (var abandoned in flight.Batch.Flights)
            {
                TakeOff(abandoned);
                abandoned.Doom(byOthers: false);
            }
        }

        flight.Batch.Cancel();
    }

    /// <summary>The loader has returned: nobody's leaving cancels or dooms anything any more.</summary>
    public void LoaderReturned(LoadBatch batch)
    {
        lock (_gate)
            batch.IsOver = true;
    }

    /// <summary>The load has ended: who comes now asks Redis again.</summary>
    public void Finish(LoadFlight flight)
    {
        lock (_gate)
        {
            TakeOff(flight);
            _finished++;
        }
    }

    /// <summary>The key changes: its running load is not stored and takes no more callers.</summary>
    public void Doom(string wireName, bool byOthers)
    {
        LoadFlight? flight;
        lock (_gate)
            _running.Remove(wireName, out flight);
        flight?.Doom(byOthers);
    }

    /// <summary>Changes can have been missed: no running load is stored.</summary>
    public void DoomAll()
    {
        LoadFlight[] flights;
        lock (_gate)
        {
            flights = [.. _running.Values];
            _running.Clear();
        }

        foreach (var flight in flights)
            flight.Doom(byOthers: true);
    }

    private void TakeOff(LoadFlight flight)
    {
        if (_running.TryGetValue(flight.WireName, out var running) && ReferenceEquals(running, flight))
            _running.Remove(flight.WireName);
    }
}
