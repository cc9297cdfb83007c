using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Fills entries from loaders: one load per key, shared by all who ask, detached from each of them.</summary>
/// <remarks>
/// A caller whom memory cannot answer joins the flight of the key, or starts one (<see cref="LoadFlights"/>), which asks Redis and, where it gets the right to,
/// loads (<see cref="LoadRun{T}"/>).
/// </remarks>
internal sealed class EntryLoader(
    Keyspace keyspace,
    CacheOptions options,
    EntryReader reader,
    MemoryFill fill,
    LoadFlights flights,
    LeaseKeeper leases,
    LeaseWaits waits,
    CoherenceLink link,
    ICacheStore store,
    CacheMetrics metrics,
    ILogger logger,
    TimeProvider time
)
{
    /// <summary>How often is asked again where nobody tells of changes.</summary>
    public static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    private readonly EntryFiller _filler = new(keyspace, options, link, store, logger, time);
    private readonly LogThrottle _stale = new(time);
    private int _spread;

    public EntryReader Reader => reader;

    public MemoryFill Fill => fill;

    public IClock Clock => fill.Clock;

    public LoadFlights Flights => flights;

    public LeaseKeeper Leases => leases;

    public LeaseWaits Waits => waits;

    public CoherenceLink Link => link;

    public ICacheStore Store => store;

    public CacheMetrics Metrics => metrics;

    public TimeProvider Time => time;

    public EntryFiller Filler => _filler;

    /// <summary>Loads anew what is there. Made with the cache.</summary>
    public EntryRefresher Refresher => field ??= new EntryRefresher(this);

    /// <summary>Up to ten milliseconds, so that those who wait for the end of one lease do not come together.</summary>
    public int Spread() => (int)((uint)Interlocked.Increment(ref _spread) % 11 * 7 % 11);

    /// <summary>Reads one entry from Redis, or loads it; <paramref name="anew"/> loads it whatever Redis has, unless it is being read or loaded already.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<CacheResult<T>> GetOrLoadAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken,
        bool anew = false
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        var entry = reader.Resolve(key);
        link.Start();
        var flight = JoinOrStart(entry, batch: null, out var started);
        var plain = !anew && ReadsPlain(entry.Family);
        // Where a wait has an end of its own, somebody else must ask.
        if (!started || !plain || entry.Family.Policy.HardTimeout is not null)
            return await LoadAsync(flight, entry, started, plain, anew, state, loader, cancellationToken).ConfigureAwait(Rt.Capture);

        // Nothing else runs for the flight yet: who started it asks on its own account, and whoever has joined by then is given the answer, too.
        EntryCall? call = null;
        CacheResult<T> result;
        try
        {
            if (reader.MayAsk(entry))
            {
                var heard = reader.Heard;
                call = reader.PlainCall(entry);
                try
                {
                    await store.ReadAsync(call, cancellationToken).ConfigureAwait(Rt.Capture);
                    reader.Answered();
                }
                catch (Exception error) when (error is RedisException or ObjectDisposedException)
                {
                    if (!reader.TryTakeError(call, entry.Family, error, heard))
                        call = null;
                }
            }

            result = call is null ? default : reader.Take(entry, call[0]).Result;
        }
        catch (Exception error)
        {
            GiveUp(flight, entry, state, loader, error);
            throw;
        }

        if (result.Found)
        {
            // Before the question is used again.
            var isDue = fill.IsDue(call![0]);
            HandOut(flight, entry, call, result);
            if (isDue)
                Refresher.Refresh(key, state, loader, rests: true);
            return result;
        }

        var unreadable = call is not null && call[0].Answer.Code == AskCode.Fresh;
        return await LoadAsync(flight, entry, started: true, plain: false, overwrite: unreadable, state, loader, cancellationToken)
            .ConfigureAwait(Rt.Capture);
    }

    /// <summary>Reads many entries from Redis, and loads those that are not there with one call of the loader; <paramref name="tally"/> counts what was stored.</summary>
    public async ValueTask<Dictionary<CacheKey<T>, CacheResult<T>>> GetOrLoadManyAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        StoreTally? tally,
        CancellationToken cancellationToken
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        var began = time.GetTimestamp();
        var results = new Dictionary<CacheKey<T>, CacheResult<T>>(keys.Count);
        var due = new List<CacheKey<T>>();
        var missing = reader.MissingInMemory(keys, results, due);
        if (due.Count > 0)
            Refresher.Refresh(due, loader);
        if (missing.Count == 0)
            return results;

        link.Start();
        var batch = new LoadBatch();
        var all = new List<(CacheEntry<T> Entry, LoadFlight<T> Flight)>(missing.Count);
        var own = new List<LoadItem<T>>(missing.Count);
        foreach (var entry in missing)
        {
            var flight = JoinOrStart(entry, batch, out var started);
            all.Add((entry, flight));
            if (started)
                own.Add(new LoadItem<T>(flight, entry));
        }

        try
        {
            if (own.Count > 0)
                _ = RunAsync(own, batch, loader, tally);
            foreach (var (entry, flight) in all)
                results[entry.Key] = await WaitAsync(flight, entry, began, cancellationToken).ConfigureAwait(Rt.Capture);
            return results;
        }
        finally
        {
            foreach (var (_, flight) in all)
                flights.Leave(flight);
        }
    }

    public static LeaseTerms TermsOf(CacheFamily family, string token, Epoch epoch)
    {
        var (settings, policy) = (family.Settings, family.Policy);
        return new LeaseTerms(
            token,
            LeaseKeeper.Lease,
            epoch.Id,
            epoch.BelievedFrom(policy),
            settings.Grace,
            settings.NegativeTtl,
            policy.Sliding ? settings.Ttl : TimeSpan.Zero,
            Overwrite: false
        );
    }

    /// <summary>Stores what was loaded, as far as it is to be stored, and hands it out.</summary>
    public async ValueTask FinishAsync<T>(
        List<LoadItem<T>> items,
        IReadOnlyDictionary<CacheKey<T>, T?> values,
        LoadContext context,
        bool redisFailed,
        StoreTally? tally
    )
    {
        var loaded = new List<(LoadItem<T> Item, Loaded<T> Loaded)>(items.Count);
        var filled = new List<(LoadItem<T> Item, FilledEntry Entry)>(items.Count);
        var unused = new List<LoadItem<T>>();
        foreach (var item in items)
        {
            // A key that the loader left out does not exist. For a type without null that cannot be stored: it stays a miss.
            if (!values.TryGetValue(item.Entry.Key, out var value) && default(T) is not null)
            {
                unused.Add(item);
                loaded.Add((item, default));
                continue;
            }

            item.Entry.Family.CountLoad();
            var json = _filler.TryEncode(item.Entry, value);
            loaded.Add((item, new Loaded<T>(true, value, json, CacheTier.Loader, RedisFailed: redisFailed)));
            if (_filler.MayFill(item, json, value, context, out var entry))
                filled.Add((item, entry));
            else
                unused.Add(item);
        }

        // The fill first: what was checked for it is true now, and may not be after a round trip.
        // Both are on their way before either is waited for: a Redis that hangs costs one time-out.
        var stored = _filler.FillAsync(filled, tally);
        var given = GiveBackAsync(unused);
        await stored.ConfigureAwait(Rt.Capture);
        await given.ConfigureAwait(Rt.Capture);
        foreach (var item in unused)
        {
            if (values.ContainsKey(item.Entry.Key) || default(T) is null)
                tally?.Count(stored: false);
        }

        foreach (var (item, result) in loaded)
            Complete(item.Flight, result, isForWaiting: context.DontStore);
    }

    /// <summary>Gives leases back while the loader may still run: it has been left by all. What it fills later is refused.</summary>
    public async Task ReleaseAsync<T>(List<LoadItem<T>> items)
    {
        // Looked up before the first wait, after which the items may have changed.
        var groups = items
            .Where(static item => item.Lease is not null)
            .GroupBy(static item => item.Lease!, static item => item.Entry.WireName)
            .ToList();
        foreach (var item in items)
            leases.Remove(item.Flight);
        foreach (var group in groups)
        {
            // On another life of the server there is nothing of ours to give back.
            if (link.ConnectionOf(group.Key.Epoch) is not { } connection)
                continue;
            try
            {
                await store.RenewAsync(group.Key.Holder, [.. group], TimeSpan.Zero, connection).ConfigureAwait(Rt.Capture);
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                // It ends by itself.
            }
        }
    }

    /// <summary>Gives leases back, so that whoever waits may load. Nobody waits for the answer longer than the command time-out.</summary>
    public Task GiveBackAsync<T>(List<LoadItem<T>> items)
    {
        var released = ReleaseAsync(items);
        foreach (var item in items)
            item.Lease = null;
        return released;
    }

    /// <summary>Hands out what was loaded; <paramref name="isForWaiting"/>: to those who wait now, and to nobody who comes later.</summary>
    public void Complete<T>(LoadFlight<T> flight, Loaded<T> loaded, bool isForWaiting = false)
    {
        if (loaded.RedisFailed && !isForWaiting)
            flights.FinishLater(flight);
        else
            flights.Finish(flight);
        flight.Complete(loaded);
    }

    /// <summary>Hands out the value that is past its life.</summary>
    public void CompleteStale<T>(LoadItem<T> item, bool goesOn = false)
    {
        if (item.Flight.IsCompleted)
            return;
        item.Entry.Family.CountStale();
        if (!goesOn)
            flights.Finish(item.Flight);
        item.Flight.Complete(new Loaded<T>(true, item.Stale.Value, item.StaleJson, CacheTier.Redis, IsStale: true));
    }

    /// <summary>The loader failed: the value that is past its life stands in where there is one.</summary>
    public void LoadFailed<T>(LoadItem<T> item, Exception error)
    {
        item.Entry.Family.CountLoadFailure();
        // A cancellation that is not ours is the loader's own: a time-out of its source, for example.
        if (!item.Stale.Found || (error is OperationCanceledException && item.Flight.Batch.Abandoned.IsCancellationRequested))
        {
            Fail(item, error);
            return;
        }

        if (_stale.MayLog(out var suppressed))
            CacheLog.ServedStale(logger, item.Entry.Family.Name, error.GetType().Name, suppressed);
        CompleteStale(item);
        flights.Finish(item.Flight);
    }

    public void Fail<T>(LoadItem<T> item, Exception error)
    {
        flights.Finish(item.Flight);
        leases.Remove(item.Flight);
        item.Flight.Fail(error);
    }

    // A flight can be older than the clock says by as much as that one lags behind.
    private LoadFlight<T> JoinOrStart<T>(in CacheEntry<T> entry, LoadBatch? batch, out bool started) =>
        flights.JoinOrStart<T>(entry.WireName, batch, Clock.Now, link.JoinBoundMs - Clock.Resolution, link.Generation, out started);

    // The call that waits began at the given time: one for many keys waits for them one after the other.
    private async ValueTask<CacheResult<T>> WaitAsync<T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        long began,
        CancellationToken cancellationToken
    )
    {
        Loaded<T> loaded;
        if (entry.Family.Policy.HardTimeout is { } most)
            loaded = await WaitAtMostAsync(flight, entry, most, began, cancellationToken).ConfigureAwait(Rt.Capture);
        else
            loaded = await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
        EntryReader.Count(entry.Family, loaded.Found && loaded.Tier == CacheTier.Redis, loaded.RedisFailed);
        return loaded.Found ? new CacheResult<T>(loaded.Value, loaded.Tier, loaded.IsStale) : default;
    }

    private async ValueTask<Loaded<T>> WaitAtMostAsync<T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        TimeSpan most,
        long began,
        CancellationToken cancellationToken
    )
    {
        var left = most - time.GetElapsedTime(began);
        await flight.WaitAtMostAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, cancellationToken).ConfigureAwait(Rt.Capture);
        if (flight.IsCompleted)
            return await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
        // The others who wait, and the next who come, are to have what it makes.
        flights.Detach(flight.Batch);
        if (flight.Stale is { } stale)
        {
            entry.Family.CountStale();
            return stale with { Value = flight.OwnCopy(stale, entry.Codec) };
        }

        throw new LoadTimeoutException(
            $"The loader of {entry.Family.Name} took longer than {most}, its HardTimeout. It goes on; ask again for its value."
        );
    }

    private async ValueTask<CacheResult<T>> LoadAsync<TState, T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        bool started,
        bool plain,
        bool overwrite,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken
    )
    {
        var began = entry.Family.Policy.HardTimeout is null ? 0 : time.GetTimestamp();
        try
        {
            if (started)
                _ = RunAsync(flight, entry, plain, overwrite, state, loader);
            return await WaitAsync(flight, entry, began, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            flights.Leave(flight);
        }
    }

    // The one who started it has the answer of a plain read, and gives it to whoever has joined by now.
    private void HandOut<T>(LoadFlight<T> flight, in CacheEntry<T> entry, EntryCall call, in CacheResult<T> result)
    {
        EntryReader.Count(entry.Family, found: true, failed: false);
        if (flights.FinishAndLeave(flight))
        {
            flight.Claim();
            flight.Complete(new Loaded<T>(true, result.Value, call[0].Answer.Json, CacheTier.Redis));
        }

        MemoryFill.Done(call);
    }

    // The one who started it was cancelled, or something went wrong that is nobody's fault but ours.
    private void GiveUp<TState, T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        Exception error
    )
    {
        if (flights.TryAbandon(flight))
            return;
        if (error is OperationCanceledException)
            _ = RunAsync(flight, entry, plain: true, overwrite: false, state, loader);
        else
            Fail(new LoadItem<T>(flight, entry), error);
        flights.Leave(flight);
    }

    private async Task RunAsync<TState, T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        bool plain,
        bool overwrite,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader
    )
    {
        var item = new LoadItem<T>(flight, entry) { Overwrite = overwrite };
        if (plain)
        {
            try
            {
                var (call, _) = await reader.AskPlainAsync(entry, CancellationToken.None).ConfigureAwait(Rt.Capture);
                var ask = call?[0];
                if (ask is not null && reader.Take(entry, ask).Result is { Found: true } result)
                {
                    Complete(flight, new Loaded<T>(true, result.Value, ask.Answer.Json, CacheTier.Redis));
                    if (fill.IsDue(ask))
                        Refresher.Refresh(entry.Key, state, loader, rests: true);
                    return;
                }

                item.Overwrite = ask is { Answer.Code: AskCode.Fresh };
            }
            catch (Exception error)
            {
                Fail(item, error);
                return;
            }
        }

        await new LoadRun<T>(this, flight.Batch, (keys, context) => OneAsync(keys[0], state, loader, context), tally: null)
            .RunAsync([item])
            .ConfigureAwait(Rt.Capture);
        if (item.Ask is { } asked && fill.IsDue(asked))
            Refresher.Refresh(entry.Key, state, loader, rests: true);
    }

    // The same for many.
    private async Task RunAsync<T>(
        List<LoadItem<T>> items,
        LoadBatch batch,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        StoreTally? tally
    )
    {
        await new LoadRun<T>(this, batch, loader, tally).RunAsync(items).ConfigureAwait(Rt.Capture);
        var due = items.FindAll(item => item.Ask is { } asked && fill.IsDue(asked));
        if (due.Count > 0)
            Refresher.Refresh(due.ConvertAll(static item => item.Entry.Key), loader, rests: true);
    }

    /// <summary>A loader of one, for those who call one of many.</summary>
    public static async ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>> OneAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        LoadContext context
    ) => new Dictionary<CacheKey<T>, T?>(1) { [key] = await loader(state, context).ConfigureAwait(Rt.Capture) };

    // The plain read slides no life, and is no cheaper where it has to judge what was written before a failover.
    private static bool ReadsPlain(CacheFamily family) =>
        !family.Policy.Sliding
        && family.Policy.FailoverSafety == FailoverSafety.Relaxed
        && (family.Policy.ReadMode == ReadMode.Plain || (family.Policy.ReadMode == ReadMode.Auto && family.MostlyHits));
}
