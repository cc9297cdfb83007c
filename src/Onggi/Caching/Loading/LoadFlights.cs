using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Onggi.Caching;

/// <summary>What a load ended with.</summary>
/// <param name="Found">Whether there is an answer at all; a batch loader may leave out a key whose type has no null.</param>
/// <param name="Value">The object as the loader made it, or as it was read.</param>
/// <param name="Json">Its JSON, from which further callers get objects of their own; <c>null</c> when there is none.</param>
/// <param name="Tier">The loader; or Redis, where it had the value.</param>
/// <param name="IsStale">Whether the value is past its life.</param>
/// <param name="RedisFailed">Whether Redis could not be asked.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Loaded<T>(
    bool Found,
    T? Value,
    byte[]? Json,
    CacheTier Tier,
    bool IsStale = false,
    bool RedisFailed = false
);

/// <summary>A right to fill entries, which Redis has given.</summary>
/// <param name="Holder">What stands in Redis for whoever holds it: the token with the epoch.</param>
/// <param name="Epoch">The life of the server that gave it: another one knows nothing of it, or what it knows is old.</param>
internal sealed record HeldLease(string Holder, Epoch Epoch);

/// <summary>One run of a loader, for one key or for several. It is cancelled when nobody waits for any of them any more.</summary>
[SuppressMessage(
    "Design",
    "CA1001:Types that own disposable fields should be disposable",
    Justification = "A source without timer and wait handle holds nothing to free, and the last to leave may still cancel after the run has ended."
)]
internal sealed class LoadBatch
{
    // Made when somebody looks: most questions are answered before.
    private CancellationTokenSource? _abandoned;
    private LoadFlight? _first;
    private List<LoadFlight>? _others;

    /// <summary>How many of its flights somebody still waits for. Guarded by the same gate.</summary>
    internal int Awaited { get; set; }

    /// <summary>Whether it goes on when nobody waits: the loader has returned, or its callers were given something else. Guarded by the same gate.</summary>
    internal bool IsDetached { get; set; }

    public CancellationToken Abandoned => Source.Token;

    private CancellationTokenSource Source =>
        Volatile.Read(ref _abandoned) ?? Interlocked.CompareExchange(ref _abandoned, new CancellationTokenSource(), null) ?? _abandoned;

    public void Cancel() => Source.Cancel();

    /// <summary>One more that it loads. Guarded by the gate of <see cref="LoadFlights"/>, and so is the next.</summary>
    internal void Add(LoadFlight flight)
    {
        Awaited++;
        if (_first is null)
            _first = flight;
        else
            (_others ??= []).Add(flight);
    }

    internal void ForEach(Action<LoadFlight> act)
    {
        if (_first is not null)
            act(_first);
        _others?.ForEach(act);
    }
}

/// <summary>One key's question or load, whatever the type of its value.</summary>
internal abstract class LoadFlight(string wireName, LoadBatch batch)
{
    /// <summary>The stamp of what nobody may join.</summary>
    public const long Void = long.MinValue;

    private long _stamp;

    public string WireName { get; } = wireName;

    public LoadBatch Batch { get; } = batch;

    /// <summary>The connection on which it was begun.</summary>
    public long Generation { get; set; }

    /// <summary>When that question left, by the clock of memory, whose answer last said that the key is as this flight takes it to be; <see cref="Void"/> when it was changed.</summary>
    public long Stamp
    {
        get => Volatile.Read(ref _stamp);
        set => Volatile.Write(ref _stamp, value);
    }

    /// <summary>An answer to a question of this moment says that it is still good; what was made void stays void.</summary>
    public void Confirm(long asked)
    {
        var known = Stamp;
        if (known != Void && asked > known)
            Interlocked.CompareExchange(ref _stamp, asked, known);
    }

    /// <summary>Its right to fill the entry; <c>null</c> while it has none.</summary>
    public HeldLease? Lease { get; set; }

    /// <summary>The flight whose place in the table it took.</summary>
    public LoadFlight? Predecessor { get; set; }

    /// <summary>How many callers wait. Guarded by the gate of <see cref="LoadFlights"/>.</summary>
    internal int Waiters { get; set; }
}

/// <summary>One key's question or load, with those who wait for it.</summary>
internal sealed class LoadFlight<T>(string wireName, LoadBatch batch) : LoadFlight(wireName, batch)
{
    // Both are made when they are needed: mostly Redis answers who asked, and nobody else has come.
    private SharedEnd<Loaded<T>>? _loaded;
    private StrongBox<Loaded<T>>? _stale;
    private int _claimed;

    public bool IsCompleted => Volatile.Read(ref _loaded) is { HasCome: true };

    /// <summary>What there is past its life, for who cannot wait any longer.</summary>
    public Loaded<T>? Stale
    {
        get => Volatile.Read(ref _stale)?.Value;
        set => Volatile.Write(ref _stale, value is { } stale ? new StrongBox<Loaded<T>>(stale) : null);
    }

    private SharedEnd<Loaded<T>> End =>
        Volatile.Read(ref _loaded) ?? Interlocked.CompareExchange(ref _loaded, new SharedEnd<Loaded<T>>(), null) ?? _loaded;

    /// <summary>The end as it is, for one who waits until it or their own token.</summary>
    public ValueTask<Loaded<T>> EndAsync(CancellationToken cancellationToken) => End.WaitAsync(cancellationToken);

    /// <summary>Waits so long for the end; <see cref="IsCompleted"/> tells whether it has come.</summary>
    public ValueTask WaitAtMostAsync(TimeSpan most, TimeProvider time, CancellationToken cancellationToken) =>
        End.WaitAtMostAsync(most, time, cancellationToken);

    public void Complete(Loaded<T> loaded) => End.Complete(loaded);

    public void Fail(Exception error) => End.Fail(error);

    /// <summary>The object itself is given away; who waits makes another from the JSON.</summary>
    public void Claim() => Volatile.Write(ref _claimed, 1);

    /// <summary>Waits for the end, or until this caller's own token; that ends this wait only.</summary>
    public async ValueTask<Loaded<T>> WaitAsync(CacheCodec<T> codec, CancellationToken cancellationToken)
    {
        var loaded = await EndAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        return loaded.Found ? loaded with { Value = OwnCopy(loaded, codec) } : loaded;
    }

    // The first to come gets the loader's object; whoever shares the load gets one of their own, unless sharing is safe or there is no JSON to make it from.
    public T? OwnCopy(in Loaded<T> loaded, CacheCodec<T> codec)
    {
        if (codec.IsImmutable || loaded.Json is null || loaded.Value is null || Interlocked.Exchange(ref _claimed, 1) == 0)
            return loaded.Value;
        return codec.TryDecode(loaded.Json, out var copy, out _) ? copy : loaded.Value;
    }
}

/// <summary>The questions and loads that run: one per key, shared by all callers of this process.</summary>
/// <remarks>
/// <list type="number">
/// <item>Who finds one of the key joins it, if it was known to be good at most one bound ago, and on the present connection. Who finds none, or one that is too old,
/// starts the next, which takes its place; the old one runs on for those who wait for it.</item>
/// <item>Leaving (cancellation) ends only the own wait. When nobody waits any more for anything that one run of a loader makes, and it is not detached, the run is
/// cancelled, and its loads are taken off the table.</item>
/// <item>What was loaded while Redis could not be asked stays on the table for one bound, so that a source is asked for a key at most once in that time.</item>
/// <item>A change of the key by this process makes its flight void: nobody joins it any more. Whether its value may be stored is not decided here, but in Redis, by the lease.</item>
/// </list>
/// </remarks>
internal sealed class LoadFlights
{
    private const int MostLingering = 10_000;

    // Guards the table, every flight's Waiters and what every batch counts.
    private readonly Lock _gate = new();
    private readonly Dictionary<string, LoadFlight> _running = new(StringComparer.Ordinal);

    // How many there are, for who looks without the gate.
    private volatile int _count;

    // Those that have ended and stay for one bound, the oldest first.
    private readonly Queue<LoadFlight> _lingering = new();

    public int Running
    {
        get
        {
            lock (_gate)
                return _running.Count;
        }
    }

    /// <summary>Joins the key's flight, or starts one as a part of <paramref name="batch"/>; the caller who started it has to run it.</summary>
    /// <param name="wireName">The key's name in Redis.</param>
    /// <param name="batch">What a new one would be a part of; <c>null</c> for one of its own.</param>
    /// <param name="now">The time by the clock of memory.</param>
    /// <param name="boundMs">How old a flight that is joined may be.</param>
    /// <param name="generation">The present connection.</param>
    /// <param name="started">Whether it is new.</param>
    public LoadFlight<T> JoinOrStart<T>(string wireName, LoadBatch? batch, long now, long boundMs, long generation, out bool started)
    {
        lock (_gate)
        {
            Sweep(now, boundMs);
            if (
                _running.TryGetValue(wireName, out var running)
                && running is LoadFlight<T> joined
                && MayJoin(joined, now, boundMs, generation)
            )
            {
                if (joined.Waiters++ == 0)
                    joined.Batch.Awaited++;
                started = false;
                return joined;
            }

            batch ??= new LoadBatch();
            var flight = new LoadFlight<T>(wireName, batch)
            {
                Waiters = 1,
                Stamp = now,
                Generation = generation,
                Predecessor = running,
            };
            // A chain of them would keep each alive; only the last can still hold the lease.
            if (running is not null)
                running.Predecessor = null;
            batch.Add(flight);
            started = true;
            _running[wireName] = flight;
            _count = _running.Count;
            return flight;
        }
    }

    /// <summary>Starts a flight that nobody can join.</summary>
    public LoadFlight<T> StartAlone<T>(string wireName, LoadBatch batch, long now, long generation)
    {
        var flight = new LoadFlight<T>(wireName, batch)
        {
            Waiters = 1,
            Stamp = now,
            Generation = generation,
        };
        lock (_gate)
            batch.Add(flight);

        return flight;
    }

    /// <summary>A caller who joined or started the flight waits no longer, whether it ended or they gave up.</summary>
    public void Leave(LoadFlight flight)
    {
        lock (_gate)
        {
            Debug.Assert(flight.Waiters > 0, "Everybody leaves once.");
            if (--flight.Waiters > 0 || --flight.Batch.Awaited > 0 || flight.Batch.IsDetached)
                return;
            flight.Batch.ForEach(abandoned =>
            {
                TakeOff(abandoned);
                abandoned.Stamp = LoadFlight.Void;
            });
        }

        flight.Batch.Cancel();
    }

    /// <summary>The one who started it has its answer, and waits no longer; who comes now asks Redis again.</summary>
    /// <returns>Whether others wait, who are to be given the answer.</returns>
    public bool FinishAndLeave(LoadFlight flight)
    {
        lock (_gate)
        {
            TakeOff(flight);
            if (--flight.Waiters > 0)
                return true;
            flight.Batch.Awaited--;
            return false;
        }
    }

    /// <summary>The one who started it gives up. <c>false</c> when others wait: then it is still here to be counted, and somebody has to go on for them.</summary>
    public bool TryAbandon(LoadFlight flight)
    {
        lock (_gate)
        {
            if (flight.Waiters > 1)
                return false;
            TakeOff(flight);
            flight.Stamp = LoadFlight.Void;
            flight.Waiters--;
            flight.Batch.Awaited--;
            return true;
        }
    }

    /// <summary>From now on nobody's leaving cancels the run.</summary>
    public void Detach(LoadBatch batch)
    {
        lock (_gate)
            batch.IsDetached = true;
    }

    /// <summary>It has ended: who comes now asks Redis again.</summary>
    public void Finish(LoadFlight flight)
    {
        lock (_gate)
            TakeOff(flight);
    }

    /// <summary>It has ended, but Redis was not there to hold its value: who comes within one bound of its beginning has it too.</summary>
    public void FinishLater(LoadFlight flight)
    {
        lock (_gate)
        {
            if (_lingering.Count >= MostLingering)
                TakeOff(_lingering.Dequeue());
            _lingering.Enqueue(flight);
        }
    }

    /// <summary>The key changes: its flight takes no more callers.</summary>
    public void Void(string wireName)
    {
        // One that comes at this moment begins after the change, or is met when the change has been answered.
        if (_count == 0)
            return;
        lock (_gate)
        {
            if (_running.TryGetValue(wireName, out var flight))
                flight.Stamp = LoadFlight.Void;
        }
    }

    private static bool MayJoin(LoadFlight flight, long now, long boundMs, long generation)
    {
        // mutant: JoinAny
        if (CoherenceMutants.JoinAny)
            return true;
        var stamp = flight.Stamp;
        return stamp != LoadFlight.Void && flight.Generation == generation && now - stamp <= boundMs;
    }

    private void Sweep(long now, long boundMs)
    {
        // What was made void has no age.
        while (_lingering.TryPeek(out var oldest) && (oldest.Stamp is var stamp && (stamp == LoadFlight.Void || now - stamp > boundMs)))
            TakeOff(_lingering.Dequeue());
    }

    private void TakeOff(LoadFlight flight)
    {
        if (_running.TryGetValue(flight.WireName, out var running) && ReferenceEquals(running, flight))
        {
            _running.Remove(flight.WireName);
            _count = _running.Count;
        }
    }
}
