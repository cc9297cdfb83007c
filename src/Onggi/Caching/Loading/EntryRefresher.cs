using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Loads entries anew that are there already: ahead of their end, or because their source has changed. Nobody joins such a load: readers have what there is.</summary>
internal sealed class EntryRefresher(EntryLoader owner)
{
    private readonly HashSet<string> _refreshing = new(StringComparer.Ordinal);

    /// <summary>Loads an entry anew in the background, before its life is over, unless somebody is at it.</summary>
    public void Refresh<TState, T>(CacheKey<T> key, TState state, Func<TState, LoadContext, ValueTask<T?>> loader)
    {
        var entry = owner.Reader.Resolve(key);
        lock (_refreshing)
        {
            if (!_refreshing.Add(entry.WireName))
                return;
        }

        using var flow = Rt.WithoutFlow();
        _ = RefreshAsync(entry, state, loader);
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

    private async Task RefreshAsync<TState, T>(CacheEntry<T> entry, TState state, Func<TState, LoadContext, ValueTask<T?>> loader)
    {
        try
        {
            var batch = new LoadBatch { IsDetached = true };
            // It is in no table: who asks meanwhile gets the value that is still good.
            var flight = owner.Flights.StartAlone<T>(entry.WireName, batch, owner.Clock.Now, owner.Link.Generation);
            var item = new LoadItem<T>(flight, entry) { Overwrite = true };
            await new LoadRun<T>(owner, batch, (keys, context) => EntryLoader.OneAsync(keys[0], state, loader, context), tally: null)
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
}
