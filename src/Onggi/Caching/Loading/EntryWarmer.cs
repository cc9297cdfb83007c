using Microsoft.Extensions.Logging;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Fills entries ahead of their readers, in batches that leave room for everybody else's commands.</summary>
internal sealed class EntryWarmer(
    EntryReader reader,
    EntryWriter writer,
    EntryLoader loader,
    RedisSilence watch,
    IEventSink events,
    ILogger logger,
    TimeProvider time
)
{
    private const int BatchEntries = 256;
    private const int BatchBytes = 4 << 20;

    /// <summary>Stores what a source yields.</summary>
    public async ValueTask<WarmReport> WarmAsync<T>(
        string name,
        IAsyncEnumerable<KeyValuePair<CacheKey<T>, T?>> values,
        WarmOptions? options,
        IProgress<WarmProgress>? progress,
        CancellationToken cancellationToken
    )
    {
        var run = new Run(name, total: null, progress, time);
        var pace = new WarmPace(options?.EntriesPerSecond, BatchEntries, time);
        var batch = new List<FilledEntry>();
        var bytes = 0;
        await foreach (var (key, value) in values.WithCancellation(cancellationToken).ConfigureAwait(Rt.Capture))
        {
            var entry = reader.Resolve(key);
            run.Meet(entry.Family.Name);
            if (TryEncode(name, entry, value) is not { } json)
            {
                run.Add(done: 1, failed: 1);
                continue;
            }

            var timeToLive = loader.Filler.TimeToLive(entry, value, ttl: null);
            if (timeToLive <= TimeSpan.Zero)
            {
                run.Add(done: 1, failed: 0);
                continue;
            }

            batch.Add(new FilledEntry(entry.WireName, json, Math.Max(1, (long)timeToLive.TotalMilliseconds), entry.Family.Policy.Large));
            bytes += json.Length;
            if (batch.Count < pace.Batch && bytes < BatchBytes)
                continue;
            await StoreAsync(run, batch, pace, cancellationToken).ConfigureAwait(Rt.Capture);
            bytes = 0;
        }

        await StoreAsync(run, batch, pace, cancellationToken).ConfigureAwait(Rt.Capture);
        return await EndAsync(run, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Loads and stores those of the keys that Redis does not hold, or all of them.</summary>
    public async ValueTask<WarmReport> PrefetchAsync<T>(
        IReadOnlyCollection<CacheKey<T>> keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> load,
        WarmOptions? options,
        IProgress<WarmProgress>? progress,
        CancellationToken cancellationToken
    )
    {
        var run = new Run("prefetch", keys.Count, progress, time);
        var pace = new WarmPace(options?.EntriesPerSecond, BatchEntries, time);
        foreach (var chunk in keys.Chunk(pace.Batch))
        {
            await pace.WaitAsync(chunk.Length, cancellationToken).ConfigureAwait(Rt.Capture);
            foreach (var key in chunk)
                run.Meet(key.Family.Name);
            var tally = new StoreTally();
            if (options is { Anew: true })
                await LoadAnewAsync(chunk, load, tally, cancellationToken).ConfigureAwait(Rt.Capture);
            else
                await loader.GetOrLoadManyAsync(chunk, load, tally, cancellationToken).ConfigureAwait(Rt.Capture);
            run.Stored += tally.Stored;
            run.Add(done: chunk.Length, failed: tally.NotStored);
        }

        return await EndAsync(run, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Loads entries whatever is there; readers have what is there until the new value is stored.</summary>
    private async ValueTask LoadAnewAsync<T>(
        CacheKey<T>[] keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> load,
        StoreTally tally,
        CancellationToken cancellationToken
    )
    {
        loader.Link.Start();
        var batch = new LoadBatch();
        var items = new List<LoadItem<T>>(keys.Length);
        foreach (var key in keys.Distinct())
        {
            var entry = reader.Resolve(key);
            // Who loads it now began before us: what that one read may be older, so its right to store it is withdrawn.
            loader.Flights.Void(entry.WireName);
            var flight = loader.Flights.StartAlone<T>(entry.WireName, batch, loader.Clock.Now, loader.Link.Generation);
            items.Add(new LoadItem<T>(flight, entry) { Overwrite = true, Steal = true });
        }

        try
        {
            _ = new LoadRun<T>(loader, batch, load, tally).RunAsync([.. items]);
            foreach (var item in items)
                await item.Flight.WaitAsync(item.Entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            foreach (var item in items)
                loader.Flights.Leave(item.Flight);
        }
    }

    private async ValueTask StoreAsync(Run run, List<FilledEntry> batch, WarmPace pace, CancellationToken cancellationToken)
    {
        if (batch.Count == 0)
            return;
        await pace.WaitAsync(batch.Count, cancellationToken).ConfigureAwait(Rt.Capture);
        var failed = batch.Count;
        // Whether Redis is silent, the first batch finds out: the one question that is allowed meanwhile is the readers'.
        if (loader.Store.IsKnownDown || (watch.IsSilent && run.Failed > 0))
            CacheLog.WarmFailed(logger, run.Name, failed, run.FamilyNames, "Redis does not answer.");
        else
        {
            var failures = await writer.PutManyAsync(batch, cancellationToken).ConfigureAwait(Rt.Capture);
            failed = failures.Count(static failure => failure is not null);
            if (Array.Find(failures, static failure => failure is not null) is { } first)
                CacheLog.WarmFailed(logger, run.Name, failed, run.FamilyNames, first.Message);
            else
                reader.Answered();
        }

        run.Stored += batch.Count - failed;
        run.Add(done: batch.Count, failed);
        batch.Clear();
    }

    private byte[]? TryEncode<T>(string name, in CacheEntry<T> entry, T? value)
    {
        try
        {
            return writer.Encode(entry, value);
        }
        catch (Exception error)
        {
            // The serializer runs the user's own code; one bad value must not end the warming of the others.
            CacheLog.WarmFailed(
                logger,
                name,
                1,
                entry.Family.Name,
                error is ArgumentException ? error.Message : $"it cannot be written as JSON ({error.GetType().Name})."
            );
            return null;
        }
    }

    private async ValueTask<WarmReport> EndAsync(Run run, CancellationToken cancellationToken)
    {
        var report = new WarmReport(run.Name, run.Stored, run.Failed, run.Elapsed);
        CacheLog.Warmed(logger, run.Name, run.Stored, run.Failed, run.Elapsed);
        await events
            .NotifyAsync(
                OnggiEventTypes.CacheWarmed,
                new CacheWarmed(run.Name, [.. run.Families], run.Stored, run.Elapsed.TotalSeconds),
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
        return report;
    }

    /// <summary>One warm-up while it runs.</summary>
    private sealed class Run(string name, long? total, IProgress<WarmProgress>? progress, TimeProvider time)
    {
        private readonly SortedSet<string> _families = new(StringComparer.Ordinal);
        private readonly long _started = time.GetTimestamp();
        private long _done;

        public string Name => name;

        public long Stored { get; set; }

        public long Failed { get; private set; }

        public IReadOnlyCollection<string> Families => _families;

        public string FamilyNames => string.Join(", ", _families);

        public TimeSpan Elapsed => time.GetElapsedTime(_started);

        public void Meet(string family) => _families.Add(family);

        public void Add(long done, long failed)
        {
            _done += done;
            Failed += failed;
            progress?.Report(new WarmProgress(name, _done, Failed, total));
        }
    }
}
