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

    public static readonly ConfigureAwaitOptions Quietly =
        ConfigureAwaitOptions.SuppressThrowing
        | (Rt.Capture ? ConfigureAwaitOptions.ContinueOnCapturedContext : ConfigureAwaitOptions.None);

    private readonly LogThrottle _notStored = new(time);
    private readonly LogThrottle _stale = new(time);
    private readonly HashSet<string> _refreshing = new(StringComparer.Ordinal);
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

    /// <summary>Up to ten milliseconds, so that those who wait for the end of one lease do not come together.</summary>
    public int Spread() => Interlocked.Increment(ref _spread) * 7 % 11;

    /// <summary>Reads one entry from Redis, or loads it; <paramref name="anew"/> loads it whatever Redis has, unless it is being read or loaded already.</summary>
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
        var flight = flights.JoinOrStart<T>(entry.WireName, new LoadBatch(), Clock.Now, link.BoundMs, link.Generation, out var started);
        try
        {
            if (started)
                _ = RunAsync(flight, entry, state, loader, anew);
            return await WaitAsync(flight, entry, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            flights.Leave(flight);
        }
    }

    /// <summary>Loads an entry anew in the background, before its life is over, unless somebody is at it.</summary>
    public void Refresh<TState, T>(CacheKey<T> key, TState state, Func<TState, LoadContext, ValueTask<T?>> loader)
    {
        var entry = reader.Resolve(key);
        lock (_refreshing)
        {
            if (!_refreshing.Add(entry.WireName))
                return;
        }

        using var flow = ExecutionContext.IsFlowSuppressed() ? default(AsyncFlowControl?) : ExecutionContext.SuppressFlow();
        _ = RefreshAsync(entry, state, loader);
    }

    /// <summary>Loads an entry anew because its source has changed; readers have the old value until the new one is stored.</summary>
    /// <returns>The value, and whether Redis has it.</returns>
    public async ValueTask<(T? Value, bool Stored)> RefreshAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        var entry = reader.Resolve(key);
        link.Start();
        // Whoever joined a load that runs would get what was before the change.
        flights.Void(entry.WireName);
        var batch = new LoadBatch();
        var flight = flights.StartAlone<T>(entry.WireName, batch, Clock.Now, link.Generation);
        try
        {
            var item = new LoadItem<T>(flight, entry) { Overwrite = true, Steal = true };
            var tally = new StoreTally();
            _ = new LoadRun<T>(this, batch, (keys, context) => OneAsync(keys[0], state, loader, context), tally).RunAsync([item]);
            var loaded = await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
            return (loaded.Value, tally.Stored > 0);
        }
        finally
        {
            flights.Leave(flight);
        }
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
        var results = new Dictionary<CacheKey<T>, CacheResult<T>>(keys.Count);
        var missing = reader.MissingInMemory(keys, results);
        if (missing.Count == 0)
            return results;

        link.Start();
        var batch = new LoadBatch();
        var all = new List<(CacheEntry<T> Entry, LoadFlight<T> Flight)>(missing.Count);
        var own = new List<LoadItem<T>>(missing.Count);
        foreach (var entry in missing)
        {
            var flight = flights.JoinOrStart<T>(entry.WireName, batch, Clock.Now, link.BoundMs, link.Generation, out var started);
            all.Add((entry, flight));
            if (started)
                own.Add(new LoadItem<T>(flight, entry));
        }

        try
        {
            if (own.Count > 0)
                _ = new LoadRun<T>(this, batch, loader, tally).RunAsync(own);
            foreach (var (entry, flight) in all)
                results[entry.Key] = await WaitAsync(flight, entry, cancellationToken).ConfigureAwait(Rt.Capture);
            return results;
        }
        finally
        {
            foreach (var (_, flight) in all)
                flights.Leave(flight);
        }
    }

    /// <summary>How long the value lives in Redis, grace included; zero when it is not to be stored at all.</summary>
    public TimeSpan TimeToLive<T>(in CacheEntry<T> entry, T? value, TimeSpan? ttl)
    {
        var settings = entry.Family.Settings;
        if (ttl is not null && entry.Family.Policy.FailoverSafety == FailoverSafety.Strict)
        {
            throw new InvalidOperationException(
                $"The family {entry.Family.Name} has FailoverSafety.Strict, which tells a value's age from its life: no other time to live may be chosen. Leave it to the catalog."
            );
        }

        if (value is not null)
            return keyspace.PhysicalTtl(settings, entry.WireName, ttl);
        // "Does not exist" has neither grace nor jitter: it is short-lived as it is.
        var chosen = ttl ?? settings.NegativeTtl;
        return chosen < settings.MaxTtl ? chosen : settings.MaxTtl;
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
        Epoch? epoch,
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
            var json = TryEncode(item.Entry, value);
            loaded.Add((item, new Loaded<T>(true, value, json, CacheTier.Loader, RedisFailed: redisFailed)));
            if (MayFill(item, json, value, context, epoch, out var entry))
                filled.Add((item, entry));
            else
                unused.Add(item);
        }

        await GiveBackAsync(unused).ConfigureAwait(Rt.Capture);
        await FillAsync(filled, epoch, tally).ConfigureAwait(Rt.Capture);
        foreach (var item in unused)
        {
            if (values.ContainsKey(item.Entry.Key) || default(T) is null)
                tally?.Count(stored: false);
        }

        foreach (var (item, result) in loaded)
            Complete(item.Flight, result);
    }

    /// <summary>Gives leases back while the loader may still run: it has been left by all. What it fills later is refused.</summary>
    public async Task ReleaseAsync<T>(List<LoadItem<T>> items)
    {
        var held = new List<(string Lease, string WireName)>(items.Count);
        foreach (var item in items)
        {
            if (item.Lease is { } lease)
                held.Add((lease, item.Entry.WireName));
            leases.Remove(item.Flight);
        }

        try
        {
            foreach (var group in held.GroupBy(static one => one.Lease, static one => one.WireName))
                await store.RenewAsync(group.Key, [.. group], TimeSpan.Zero).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // It ends by itself.
        }
    }

    /// <summary>Gives leases back, so that whoever waits may load. Nobody waits for the answer longer than the command time-out.</summary>
    public async ValueTask GiveBackAsync<T>(List<LoadItem<T>> items)
    {
        foreach (var group in items.Where(static item => item.Lease is not null).GroupBy(static item => item.Lease!).ToList())
        {
            try
            {
                var names = group.Select(static item => item.Entry.WireName).ToList();
                foreach (var item in group)
                {
                    leases.Remove(item.Flight);
                    item.Lease = null;
                }

                await store.RenewAsync(group.Key, names, TimeSpan.Zero).ConfigureAwait(Rt.Capture);
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                // It ends by itself.
            }
        }
    }

    public void Complete<T>(LoadFlight<T> flight, Loaded<T> loaded)
    {
        if (loaded.RedisFailed)
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
        if (!item.Stale.Found || error is OperationCanceledException)
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

    private async ValueTask<CacheResult<T>> WaitAsync<T>(LoadFlight<T> flight, CacheEntry<T> entry, CancellationToken cancellationToken)
    {
        Loaded<T> loaded;
        if (entry.Family.Policy.HardTimeout is { } most)
            loaded = await WaitAtMostAsync(flight, entry, most, cancellationToken).ConfigureAwait(Rt.Capture);
        else
            loaded = await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
        EntryReader.Count(entry.Family, loaded.Found && loaded.Tier == CacheTier.Redis, loaded.RedisFailed);
        return loaded.Found ? new CacheResult<T>(loaded.Value, loaded.Tier, loaded.IsStale) : default;
    }

    private async ValueTask<Loaded<T>> WaitAtMostAsync<T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        TimeSpan most,
        CancellationToken cancellationToken
    )
    {
        await ((Task)flight.EndAsync()).WaitAsync(most, time, cancellationToken).ConfigureAwait(Quietly);
        cancellationToken.ThrowIfCancellationRequested();
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

    private async Task RunAsync<TState, T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        bool anew
    )
    {
        var item = new LoadItem<T>(flight, entry) { Overwrite = anew };
        if (!anew && ReadsPlain(entry.Family))
        {
            try
            {
                var (ask, failed) = await reader.AskPlainAsync(entry, CancellationToken.None).ConfigureAwait(Rt.Capture);
                if (ask is not null && reader.Take(entry, ask).Result is { Found: true } result)
                {
                    Complete(flight, new Loaded<T>(true, result.Value, ask.Answer.Json, CacheTier.Redis));
                    return;
                }

                // Bytes that nobody can read are overwritten.
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
    }

    private async Task RefreshAsync<TState, T>(CacheEntry<T> entry, TState state, Func<TState, LoadContext, ValueTask<T?>> loader)
    {
        try
        {
            var batch = new LoadBatch { IsDetached = true };
            // It is in no table: who asks meanwhile gets the value that is still good.
            var flight = flights.StartAlone<T>(entry.WireName, batch, Clock.Now, link.Generation);
            var item = new LoadItem<T>(flight, entry) { Overwrite = true };
            await new LoadRun<T>(this, batch, (keys, context) => OneAsync(keys[0], state, loader, context), tally: null)
            {
                IsRefresh = true,
            }
                .RunAsync([item])
                .ConfigureAwait(Rt.Capture);
        }
        finally
        {
            lock (_refreshing)
                _refreshing.Remove(entry.WireName);
        }
    }

    private static async ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>> OneAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        LoadContext context
    ) => new Dictionary<CacheKey<T>, T?>(1) { [key] = await loader(state, context).ConfigureAwait(Rt.Capture) };

    // The plain read slides no life, and cannot judge what was written before a failover.
    private static bool ReadsPlain(CacheFamily family) =>
        !family.Policy.Sliding
        && family.Policy.FailoverSafety == FailoverSafety.Relaxed
        && (family.Policy.ReadMode == ReadMode.Plain || (family.Policy.ReadMode == ReadMode.Auto && family.MostlyHits));

    private bool MayFill<T>(LoadItem<T> item, byte[]? json, T? value, LoadContext context, Epoch? epoch, out FilledEntry entry)
    {
        entry = default;
        if (item.Lease is null || json is null || context.DontStore || json.Length > options.MaxValueBytes)
            return false;
        var life = TimeToLive(item.Entry, value, context.Ttl);
        if (life <= TimeSpan.Zero)
            return false;
        // A lease of before a failover may stand on the new primary, and prove nothing there.
        // mutant: FailoverLease
        if (!CoherenceMutants.FailoverLease && (epoch is null || link.Epoch?.Id != epoch.Id))
        {
            CacheLog.Overtaken(logger, item.Entry.Family.Name);
            return false;
        }

        entry = new FilledEntry(item.Entry.WireName, json, Math.Max(1, (long)life.TotalMilliseconds));
        return true;
    }

    private async ValueTask FillAsync<T>(List<(LoadItem<T> Item, FilledEntry Entry)> filled, Epoch? epoch, StoreTally? tally)
    {
        foreach (var group in filled.GroupBy(static one => one.Item.Lease!).ToList())
        {
            var family = group.First().Item.Entry.Family;
            try
            {
                var codes = await FillAsync(group.Key, [.. group.Select(static one => one.Entry)], epoch).ConfigureAwait(Rt.Capture);
                foreach (var code in codes)
                {
                    tally?.Count(code == FillCode.Stored);
                    if (code == FillCode.Full)
                        NotStored(family, "Redis is full (OOM).");
                    else if (code != FillCode.Stored)
                    {
                        family.CountRefusedFill();
                        CacheLog.Overtaken(logger, family.Name);
                    }
                }
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                foreach (var _ in group)
                    tally?.Count(stored: false);
                NotStored(family, error is RedisServerException { Code: "OOM" } ? "Redis is full (OOM)." : error.Message);
            }
        }
    }

    // A fill belongs to the connection on which it was sent: on the next, the lease may be one that a lagging replica has brought back. Where it is the same
    // life of the same server, it is sent once more; it does nothing if it has been executed.
    private async ValueTask<FillCode[]> FillAsync(string lease, FilledEntry[] entries, Epoch? epoch)
    {
        try
        {
            return await store.FillAsync(lease, entries).ConfigureAwait(Rt.Capture);
        }
        catch (RedisConnectionException)
        {
            var now = await link.GreetedAsync().ConfigureAwait(Rt.Capture);
            if (epoch is null || now.Id != epoch.Id || !now.CanProve)
                throw;
        }

        return await store.FillAsync(lease, entries).ConfigureAwait(Rt.Capture);
    }

    private byte[]? TryEncode<T>(in CacheEntry<T> entry, T? value)
    {
        try
        {
            var json = entry.Codec.Encode(value);
            if (json.Length > options.MaxValueBytes)
                NotStored(
                    entry.Family,
                    $"it takes {json.Length} bytes as JSON, and CacheOptions.MaxValueBytes allows {options.MaxValueBytes}."
                );
            return json;
        }
        catch (Exception error)
        {
            // The serializer runs the user's own code. The value is there and good for the callers; only storing it is not possible.
            NotStored(entry.Family, $"it cannot be written as JSON ({error.GetType().Name}).");
            return null;
        }
    }

    public void NotStored(CacheFamily family, string reason)
    {
        family.CountStoreFailure();
        if (_notStored.MayLog(out var suppressed))
            CacheLog.NotStored(logger, family.Name, reason, suppressed);
    }
}

/// <summary>Counts what a batch of loads stored.</summary>
internal sealed class StoreTally
{
    private long _stored;
    private long _notStored;

    public long Stored => Volatile.Read(ref _stored);

    public long NotStored => Volatile.Read(ref _notStored);

    public void Count(bool stored)
    {
        if (stored)
            Interlocked.Increment(ref _stored);
        else
            Interlocked.Increment(ref _notStored);
    }
}
