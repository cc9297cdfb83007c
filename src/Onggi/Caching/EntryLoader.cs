using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Fills entries from loaders: one load per key and process, shared by all who ask, detached from each of them.</summary>
/// <remarks>
/// A caller that missed in Redis joins the load that runs, or starts one:
/// <list type="number">
/// <item>Was another load finished since this caller asked Redis? Then ask once more: it may have stored this very key.</item>
/// <item>Run the loader.</item>
/// <item>Put the JSON into Redis, unless the key changed meanwhile. When Redis could not even be asked, leave it alone (nobody waits for two
/// time-outs) and keep the value in memory instead, so that the source is asked at most once per <see cref="CacheOptions.MemoryTtl"/>.</item>
/// <item>Take the load off the table, then hand the value to everybody who waits.</item>
/// </list>
/// </remarks>
internal sealed class EntryLoader(
    Keyspace keyspace,
    CacheOptions options,
    EntryReader reader,
    LoadFlights flights,
    MemoryTier memory,
    ICacheStore store,
    BackgroundRemovals removals,
    CacheMetrics metrics,
    ILogger logger,
    TimeProvider time
)
{
    private readonly LogThrottle _notStored = new(time);
    private readonly LogThrottle _notRemoved = new(time);

    /// <summary>Reads one entry from Redis, or loads it.</summary>
    public async ValueTask<CacheResult<T>> GetOrLoadAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        var entry = reader.Resolve(key);
        var finishedBefore = flights.Finished;
        var read = await reader.ReadAsync(entry, cancellationToken).ConfigureAwait(Rt.Capture);
        if (read.Result.Found)
            return read.Result;

        var flight = flights.JoinOrStart<T>(entry.WireName, new LoadBatch(), out var started);
        try
        {
            if (started)
                _ = RunAsync(flight, entry, state, loader, finishedBefore, read.Failed);
            return await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
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
        var finishedBefore = flights.Finished;
        var missing = await reader.ReadManyAsync(keys, results, cancellationToken).ConfigureAwait(Rt.Capture);
        if (missing.Count == 0)
            return results;

        var batch = new LoadBatch();
        var all = new List<(CacheEntry<T> Entry, LoadFlight<T> Flight)>(missing.Count);
        var own = new List<(CacheEntry<T> Entry, LoadFlight<T> Flight, bool RedisFailed)>(missing.Count);
        foreach (var (entry, failed) in missing)
        {
            var flight = flights.JoinOrStart<T>(entry.WireName, batch, out var started);
            all.Add((entry, flight));
            if (started)
                own.Add((entry, flight, failed));
        }

        try
        {
            // Own loads run before others are waited for: nobody waits while owing one, so two batches cannot wait for each other.
            if (own.Count > 0)
                _ = RunManyAsync(batch, own, loader, finishedBefore, tally);
            foreach (var (entry, flight) in all)
                results[entry.Key] = await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
            return results;
        }
        finally
        {
            foreach (var (_, flight) in all)
                flights.Leave(flight);
        }
    }

    /// <summary>How long the value lives in Redis; zero when it is not to be stored at all.</summary>
    public TimeSpan TimeToLive<T>(in CacheEntry<T> entry, T? value, TimeSpan? ttl)
    {
        var settings = entry.Family.Settings;
        // Nobody gets grace yet: a plain GET cannot tell it from the life, and would serve a value for longer than the catalog allows.
        if (value is not null)
            return keyspace.PhysicalTtl(settings, entry.WireName, ttl, withGrace: false);
        // "Does not exist" has no jitter: it is short-lived as it is.
        var chosen = ttl ?? settings.NegativeTtl;
        return chosen < settings.MaxTtl ? chosen : settings.MaxTtl;
    }

    private async Task RunAsync<TState, T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        long finishedBefore,
        bool redisFailed
    )
    {
        try
        {
            if (flights.Finished != finishedBefore && await TryReadAgainAsync(flight, entry, redisFailed).ConfigureAwait(Rt.Capture))
                return;

            var context = new LoadContext(flight.Batch.Abandoned);
            var started = time.GetTimestamp();
            T? value;
            try
            {
                value = await loader(state, context).ConfigureAwait(Rt.Capture);
            }
            finally
            {
                flights.LoaderReturned(flight.Batch);
                metrics.Loaded(entry.Family, time.GetElapsedTime(started));
            }

            entry.Family.CountLoad();
            await FinishAsync(flight, entry, value, context, redisFailed).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error)
        {
            // The top of a detached load: whatever went wrong is told to everybody who waits, and to nobody else.
            FailLoad(flight, entry, error);
        }
    }

    private async Task RunManyAsync<T>(
        LoadBatch batch,
        List<(CacheEntry<T> Entry, LoadFlight<T> Flight, bool RedisFailed)> loads,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        long finishedBefore,
        StoreTally? tally
    )
    {
        try
        {
            if (flights.Finished != finishedBefore)
                loads = await ReadManyAgainAsync(loads).ConfigureAwait(Rt.Capture);
            if (loads.Count == 0)
                return;

            var context = new LoadContext(batch.Abandoned);
            var started = time.GetTimestamp();
            IReadOnlyDictionary<CacheKey<T>, T?>? values;
            try
            {
                values = await loader(loads.ConvertAll(static load => load.Entry.Key), context).ConfigureAwait(Rt.Capture);
            }
            finally
            {
                flights.LoaderReturned(batch);
                metrics.Loaded(loads[0].Entry.Family, time.GetElapsedTime(started));
            }

            if (values is null)
                throw new InvalidOperationException("The loader of many returned null instead of a dictionary.");
            await Task.WhenAll(
                    loads.Select(load => FinishOneOfManyAsync(load.Flight, load.Entry, values, context, load.RedisFailed, tally))
                )
                .ConfigureAwait(Rt.Capture);
        }
        catch (Exception error)
        {
            // As above: told to everybody who waits. For those that are finished already this changes nothing.
            foreach (var (entry, flight, _) in loads)
                FailLoad(flight, entry, error);
        }
    }

    private async Task FinishOneOfManyAsync<T>(
        LoadFlight<T> flight,
        CacheEntry<T> entry,
        IReadOnlyDictionary<CacheKey<T>, T?> values,
        LoadContext context,
        bool redisFailed,
        StoreTally? tally
    )
    {
        // A key that the loader left out does not exist. For a type without null that cannot be stored: it stays a miss.
        if (!values.TryGetValue(entry.Key, out var value) && default(T) is not null)
        {
            Complete(flight, default);
            return;
        }

        entry.Family.CountLoad();
        var stored = await FinishAsync(flight, entry, value, context, redisFailed).ConfigureAwait(Rt.Capture);
        tally?.Count(stored);
    }

    /// <summary>Stores what was loaded, as far as it is to be stored, and hands it out; whether Redis has it.</summary>
    private async ValueTask<bool> FinishAsync<T>(LoadFlight<T> flight, CacheEntry<T> entry, T? value, LoadContext context, bool redisFailed)
    {
        var stored = false;
        var json = TryEncode(entry, value);
        if (json is not null && !context.DontStore && json.Length <= options.MaxValueBytes)
        {
            var timeToLive = TimeToLive(entry, value, context.Ttl);
            if (timeToLive > TimeSpan.Zero)
            {
                stored = !redisFailed && await TryStoreAsync(flight, entry, json, timeToLive).ConfigureAwait(Rt.Capture);
                if (!stored)
                    KeepInMemory(flight, entry, value, json);
            }
        }

        Complete(flight, new Loaded<T>(Found: true, value, json, CacheTier.Loader));
        return stored;
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

    private async ValueTask<bool> TryStoreAsync<T>(LoadFlight<T> flight, CacheEntry<T> entry, byte[] json, TimeSpan timeToLive)
    {
        try
        {
            if (!flight.TrySend(store, json, timeToLive, out var sending))
            {
                CacheLog.Overtaken(logger, entry.Family.Name);
                return false;
            }

            await sending.ConfigureAwait(Rt.Capture);
            if (!flight.NeedsRepair)
                return true;
            TakeBack(entry);
            return false;
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            NotStored(entry.Family, error is RedisServerException { Code: "OOM" } ? "Redis is full (OOM)." : error.Message);
            if (error is RedisException { Sent: Sent.Maybe } && flight.NeedsRepair)
                TakeBack(entry);
            return false;
        }
    }

    // Somebody else's invalidation came to our ears while the command was under way: Redis may have executed it first, or may still execute ours.
    // The callers have their value and do not wait for it. The first attempt is in the send buffer before they get it.
    private void TakeBack<T>(in CacheEntry<T> entry)
    {
        var family = entry.Family.Name;
        removals.Start(
            [entry.WireName],
            error =>
            {
                if (error is not null && _notRemoved.MayLog(out var suppressed))
                    CacheLog.NotTakenBack(logger, error, family, suppressed);
            }
        );
    }

    // Redis did not take it. For a moment memory stands in, or every call would go to the source.
    private void KeepInMemory<T>(LoadFlight<T> flight, in CacheEntry<T> entry, T? value, byte[] json)
    {
        // In this order: a change dooms the load first and then drops the key, so it is seen by one of the two.
        var ticket = memory.Ask(entry.WireName);
        if (!flight.IsDoomed)
            memory.Keep(ticket, entry, value, json);
    }

    private async ValueTask<bool> TryReadAgainAsync<T>(LoadFlight<T> flight, CacheEntry<T> entry, bool redisFailed)
    {
        if (reader.TryMemoryUncounted(entry.Key, out var result) is null && !redisFailed)
            result = (await reader.ReadUncountedAsync(entry, CancellationToken.None).ConfigureAwait(Rt.Capture)).Result;
        if (!result.Found)
            return false;
        CompleteFound(flight, entry, result);
        return true;
    }

    private async ValueTask<List<(CacheEntry<T> Entry, LoadFlight<T> Flight, bool RedisFailed)>> ReadManyAgainAsync<T>(
        List<(CacheEntry<T> Entry, LoadFlight<T> Flight, bool RedisFailed)> loads
    )
    {
        var left = new List<(CacheEntry<T> Entry, LoadFlight<T> Flight, bool RedisFailed)>(loads.Count);
        foreach (var load in loads)
        {
            if (reader.TryMemoryUncounted(load.Entry.Key, out var result) is null)
                left.Add(load);
            else
                CompleteFound(load.Flight, load.Entry, result);
        }

        if (left.Exists(static load => load.RedisFailed))
            return left;
        var reads = await reader
            .ReadManyUncountedAsync(left.ConvertAll(static load => load.Entry), CancellationToken.None)
            .ConfigureAwait(Rt.Capture);
        for (var i = reads.Length - 1; i >= 0; i--)
        {
            if (!reads[i].Result.Found)
                continue;
            CompleteFound(left[i].Flight, left[i].Entry, reads[i].Result);
            left.RemoveAt(i);
        }

        return left;
    }

    private void CompleteFound<T>(LoadFlight<T> flight, in CacheEntry<T> entry, CacheResult<T> result) =>
        Complete(
            flight,
            new Loaded<T>(Found: true, result.Value, entry.Codec.IsImmutable ? null : TryEncode(entry, result.Value), result.Tier)
        );

    private void Complete<T>(LoadFlight<T> flight, Loaded<T> loaded)
    {
        flights.Finish(flight);
        flight.Complete(loaded);
    }

    private void FailLoad<T>(LoadFlight<T> flight, in CacheEntry<T> entry, Exception error)
    {
        if (flight.IsCompleted)
            return;
        entry.Family.CountLoadFailure();
        flights.Finish(flight);
        flight.Fail(error);
    }

    private void NotStored(CacheFamily family, string reason)
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
