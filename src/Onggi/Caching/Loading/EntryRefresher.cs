using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Loads entries anew that are there already: ahead of their end, or because their source has changed. Nobody joins such a load: readers have what there is.</summary>
internal sealed class EntryRefresher(EntryLoader owner)
{
    // Where no memory says once per entry that it is time, every reader does: a source that fails must not be asked by all of them.
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    private readonly HashSet<string> _refreshing = new(StringComparer.Ordinal);

    /// <summary>Loads an entry anew in the background, before its life is over, unless somebody is at it.</summary>
    /// <param name="key">Which.</param>
    /// <param name="state">What the loader needs.</param>
    /// <param name="loader">Asks the source.</param>
    /// <param name="rests">Whether it is left alone for a second afterwards.</param>
    public void Refresh<TState, T>(CacheKey<T> key, TState state, Func<TState, LoadContext, ValueTask<T?>> loader, bool rests = false) =>
        Refresh([key], (keys, context) => EntryLoader.OneAsync(keys[0], state, loader, context), rests);

    /// <summary>The same for many, with one call of the loader.</summary>
    public void Refresh<T>(
        IReadOnlyList<CacheKey<T>> keys,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        bool rests = false
    )
    {
        var entries = new List<CacheEntry<T>>(keys.Count);
        foreach (var key in keys)
        {
            var entry = owner.Reader.Resolve(key);
            lock (_refreshing)
            {
                if (_refreshing.Add(entry.WireName))
                    entries.Add(entry);
            }
        }

        if (entries.Count == 0)
            return;
        using var flow = Rt.WithoutFlow();
        _ = RefreshAsync(entries, loader, rests);
    }

    /// <summary>Loads an entry anew because its source has changed; readers have the old value until the new one is stored.</summary>
    /// <remarks>
    /// Another refresh that begins meanwhile takes the lease, as ours may be of before its change; so does an invalidation. Then it is loaded once more, and this time the
    /// other is waited for: who removed the entry instead would take from that one what this one has lost.
    /// </remarks>
    /// <returns>The value, and whether Redis has it.</returns>
    public async ValueTask<(T? Value, bool Stored)> RefreshAsync<TState, T>(
        CacheKey<T> key,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        var entry = owner.Reader.Resolve(key);
        owner.Link.Start();
        // Whoever joined a load that runs would get what was before the change.
        owner.Flights.Void(entry.WireName);
        var (value, tally) = await LoadAnewAsync(entry, steal: true, state, loader, cancellationToken).ConfigureAwait(Rt.Capture);
        if (tally.Overtaken == 0)
            return (value, tally.Stored > 0);
        try
        {
            (value, tally) = await LoadAnewAsync(entry, steal: false, state, loader, cancellationToken).ConfigureAwait(Rt.Capture);
            return (value, tally.Stored > 0);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // What was loaded first is as good as it was; only it is not stored.
            return (value, false);
        }
    }

    private async ValueTask<(T? Value, StoreTally Tally)> LoadAnewAsync<TState, T>(
        CacheEntry<T> entry,
        bool steal,
        TState state,
        Func<TState, LoadContext, ValueTask<T?>> loader,
        CancellationToken cancellationToken
    )
    {
        var batch = new LoadBatch();
        var flight = owner.Flights.StartAlone<T>(entry.WireName, batch, owner.Clock.Now, owner.Link.Generation);
        try
        {
            var item = new LoadItem<T>(flight, entry) { Overwrite = true, Steal = steal };
            var tally = new StoreTally();
            _ = new LoadRun<T>(owner, batch, (keys, context) => EntryLoader.OneAsync(keys[0], state, loader, context), tally).RunAsync([
                item,
            ]);
            var loaded = await flight.WaitAsync(entry.Codec, cancellationToken).ConfigureAwait(Rt.Capture);
            return (loaded.Value, tally);
        }
        finally
        {
            owner.Flights.Leave(flight);
        }
    }

    private async Task RefreshAsync<T>(
        List<CacheEntry<T>> entries,
        Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
        bool rests
    )
    {
        try
        {
            var batch = new LoadBatch { IsDetached = true };
            // They are in no table: who asks meanwhile gets the value that is still good.
            var items = entries.ConvertAll(entry =>
            {
                var flight = owner.Flights.StartAlone<T>(entry.WireName, batch, owner.Clock.Now, owner.Link.Generation);
                return new LoadItem<T>(flight, entry) { Overwrite = true };
            });
            await new LoadRun<T>(owner, batch, loader, tally: null) { IsRefresh = true }
                .RunAsync(items)
                .ConfigureAwait(Rt.Capture);
            if (rests)
                await Task.Delay(Rest, owner.Time, CancellationToken.None).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            lock (_refreshing)
            {
                foreach (var entry in entries)
                    _refreshing.Remove(entry.WireName);
            }
        }
    }
}
