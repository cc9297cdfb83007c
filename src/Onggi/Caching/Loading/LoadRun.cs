using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>One entry on its way: its flight, the last question, and what is in hand should the loader fail.</summary>
internal sealed class LoadItem<T>(LoadFlight<T> flight, CacheEntry<T> entry)
{
    public LoadFlight<T> Flight { get; } = flight;

    public CacheEntry<T> Entry { get; } = entry;

    public EntryAsk? Ask { get; set; }

    /// <summary>A value past its life, within its grace.</summary>
    public CacheResult<T> Stale { get; set; }

    public byte[]? StaleJson { get; set; }

    /// <summary>Whether what is in Redis cannot be read, or is to be refreshed ahead of its end, and counts as absent.</summary>
    public bool Overwrite { get; set; }

    /// <summary>Whether another's lease is withdrawn.</summary>
    public bool Steal { get; init; }

    /// <summary>The right to fill it; <c>null</c> where what is loaded is stored nowhere.</summary>
    public HeldLease? Lease { get; set; }
}

/// <summary>One run for one key or for several: asks Redis, loads what it may fill, stores it, waits for what others fill, and asks again.</summary>
/// <remarks>
/// A round:
/// <list type="number">
/// <item>All that is left is asked for with one script per chunk. What is fresh is handed out.</item>
/// <item>What may be filled is loaded with one call of the loader, stored under its leases, and handed out. Whether it is stored is decided by Redis: an
/// invalidation in between took the lease away.</item>
/// <item>Only then is waited for what others fill: nobody waits while owing a fill, so two runs cannot wait for each other. A push wakes the wait.</item>
/// </list>
/// When Redis cannot be asked, everything left is loaded and stored nowhere.
/// </remarks>
internal sealed class LoadRun<T>(
    EntryLoader owner,
    LoadBatch batch,
    Func<IReadOnlyList<CacheKey<T>>, LoadContext, ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>>> loader,
    StoreTally? tally
)
{
    private readonly long _began = owner.Clock.Now;

    // One for all rounds: when a connection is lost after the right was given and before that was heard, the next question finds it to be ours.
    private readonly string _token = owner.Leases.NewToken();

    /// <summary>Whether it only refreshes: what another fills is left to that one.</summary>
    public bool IsRefresh { get; init; }

    public async Task RunAsync(List<LoadItem<T>> items)
    {
        var left = items;
        try
        {
            while (left.Count > 0)
                left = await RoundAsync(left).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error)
        {
            // The top of a detached run: whatever went wrong is told to everybody who waits, and to nobody else.
            foreach (var item in items)
                owner.Fail(item, error);
        }
    }

    private async ValueTask<List<LoadItem<T>>> RoundAsync(List<LoadItem<T>> items)
    {
        var (epoch, redisFailed) = await AskAsync(items).ConfigureAwait(Rt.Capture);
        if (epoch is null)
        {
            await LoadAsync(items, redisFailed).ConfigureAwait(Rt.Capture);
            return [];
        }

        var load = new List<LoadItem<T>>();
        var held = new List<LoadItem<T>>();
        var again = new List<LoadItem<T>>();
        var lease = LeaseOf(epoch);
        foreach (var item in items)
            Sort(item, lease, load, held, again);
        if (load.Count > 0)
            await LoadAsync(load, redisFailed: false).ConfigureAwait(Rt.Capture);
        foreach (var item in await WaitAllAsync(held).ConfigureAwait(Rt.Capture))
            again.Add(item);
        return again;
    }

    // Asks for all; the epoch under which it was done, null when there is no answer, because Redis could not be asked or is full.
    private async ValueTask<(Epoch? Epoch, bool RedisFailed)> AskAsync(List<LoadItem<T>> items)
    {
        var first = items[0].Entry;
        if (!owner.Reader.MayAsk(first))
            return (null, true);
        var heard = owner.Reader.Heard;
        Epoch? epoch = null;
        try
        {
            epoch = await owner.Link.GreetedAsync().ConfigureAwait(Rt.Capture);
            // Each family has its own rules, and what is overwritten is asked for apart; mostly that is one group.
            var groups = items.GroupBy(static item => (item.Entry.Family, item.Overwrite, item.Steal)).ToList();
            var answers = new List<Task>(groups.Count);
            foreach (var group in groups)
            {
                var asks = group.Select(item => item.Ask = owner.Reader.Ask(item.Entry)).ToArray();
                var terms = EntryLoader.TermsOf(group.Key.Family, _token, epoch) with
                {
                    Overwrite = group.Key.Overwrite,
                    Steal = group.Key.Steal,
                };
                answers.Add(owner.Store.AskAsync(owner.Fill.Call(asks, epoch), terms).AsTask());
            }

            await Task.WhenAll(answers).ConfigureAwait(Rt.Capture);
            owner.Reader.Answered();
            return (epoch, false);
        }
        catch (RedisServerException full) when (full.Code == "OOM")
        {
            // It answers, and cannot take anything.
            LeaveAnswered(items, epoch);
            owner.Reader.Answered();
            owner.Filler.NotStored(first.Family, "Redis is full (OOM).");
            return (null, false);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            LeaveAnswered(items, epoch);
            owner.Reader.Failed(first.Family, error, heard);
            return (null, true);
        }
    }

    // One part of the question failed, and everything is loaded and stored nowhere: what the other parts were given, others wait for.
    private void LeaveAnswered(List<LoadItem<T>> items, Epoch? epoch)
    {
        if (epoch is null)
            return;
        var granted = new List<LoadItem<T>>();
        var lease = LeaseOf(epoch);
        foreach (var item in items)
        {
            Forget(item);
            if (item.Ask?.Answer.Code is not (AskCode.Granted or AskCode.StaleGranted))
                continue;
            item.Lease = lease;
            granted.Add(item);
        }

        // Not awaited: Redis may be gone.
        _ = owner.GiveBackAsync(granted);
    }

    private HeldLease LeaseOf(Epoch epoch) => new($"{_token}@{epoch.Id}", epoch);

    private void Sort(LoadItem<T> item, HeldLease lease, List<LoadItem<T>> load, List<LoadItem<T>> held, List<LoadItem<T>> again)
    {
        var ask = item.Ask!;
        var flight = item.Flight;
        if (ask.Answer.Code is AskCode.StaleGranted or AskCode.StaleHeld)
        {
            item.Stale = owner.Reader.Decode(item.Entry, ask, isStale: true);
            item.StaleJson = ask.Answer.Json;
            if (item.Stale.Found)
                flight.Stale = new Loaded<T>(true, item.Stale.Value, item.StaleJson, CacheTier.Redis, IsStale: true);
        }

        switch (ask.Answer.Code)
        {
            case AskCode.Fresh:
                var result = owner.Reader.Decode(item.Entry, ask, isStale: false);
                if (result.Found)
                    owner.Complete(flight, new Loaded<T>(true, result.Value, ask.Answer.Json, CacheTier.Redis));
                else if (!item.Overwrite)
                    again.Add(Overwriting(item));
                break;
            case AskCode.Granted or AskCode.StaleGranted:
                // It says in the log why what is there is not used.
                if (ask.Answer.Left < -2)
                    owner.Reader.Decode(item.Entry, ask, isStale: false);
                item.Lease = flight.Lease = lease;
                flight.Confirm(ask.SentAt);
                owner.Leases.Add(flight);
                load.Add(item);
                break;
            case AskCode.Held or AskCode.StaleHeld when IsRefresh:
                Forget(item);
                owner.Complete(flight, default);
                break;
            case AskCode.Held or AskCode.StaleHeld when !item.Entry.Family.Policy.WaitForOthers:
                Forget(item);
                load.Add(item);
                break;
            case AskCode.Held or AskCode.StaleHeld:
                held.Add(item);
                break;
            case AskCode.Blocked:
                load.Add(item);
                break;
            default:
                again.Add(item);
                break;
        }
    }

    private static LoadItem<T> Overwriting(LoadItem<T> item)
    {
        item.Overwrite = true;
        return item;
    }

    // ---- waiting for others

    private async ValueTask<List<LoadItem<T>>> WaitAllAsync(List<LoadItem<T>> held)
    {
        if (held.Count == 0)
            return held;
        var again = new List<LoadItem<T>>(held.Count);
        var waits = held.ConvertAll(item => WaitAsync(item));
        for (var i = 0; i < waits.Count; i++)
        {
            if (await waits[i].ConfigureAwait(Rt.Capture))
                again.Add(held[i]);
        }

        return again;
    }

    /// <summary>Waits for the one who fills the entry; whether it has to be asked for again.</summary>
    private async Task<bool> WaitAsync(LoadItem<T> item)
    {
        var policy = item.Entry.Family.Policy;
        var ask = item.Ask!;
        try
        {
            if (item.Stale.Found && policy.WhenStale == StaleMode.WhileRevalidate)
            {
                owner.CompleteStale(item);
                return false;
            }

            if (await OwnAsync(item).ConfigureAwait(Rt.Capture) is { } again)
                return again;
            if (policy.Large && !await IsHeldAsync(item.Entry.WireName).ConfigureAwait(Rt.Capture))
                return !batch.Abandoned.IsCancellationRequested;
            var patience = LeftOf(policy.LeaseWait);
            if (item.Stale.Found && policy.SoftTimeout is { } soft && LeftOf(soft) < patience)
                patience = LeftOf(soft);
            // The push wakes us; the end of the lease does where its holder died, or where nobody pushes.
            var lease = TimeSpan.FromMilliseconds(Math.Max(0, ask.Answer.Left) + owner.Spread());
            if (!owner.Link.Epoch?.CanProve ?? true)
                lease = TimeSpan.FromTicks(Math.Min(lease.Ticks, EntryLoader.Poll.Ticks));
            var most = lease < patience ? lease : patience;
            if (most > TimeSpan.Zero)
                await ask.Wait!.Changed.WaitAsync(most, owner.Time, batch.Abandoned).ConfigureAwait(Rt.Quietly);
            if (ask.Wait!.Changed.IsCompleted || lease < patience)
                return !batch.Abandoned.IsCancellationRequested;
            await OutOfPatienceAsync(item).ConfigureAwait(Rt.Capture);
            return false;
        }
        finally
        {
            Forget(item);
        }
    }

    // Large values are asked for over a connection on which nobody is told of changes: the end of the lease is told on the other, once it has been looked at there.
    private async ValueTask<bool> IsHeldAsync(string wireName)
    {
        try
        {
            return await owner.Store.WatchLeaseAsync(wireName).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            // As far as is known; the lease ends by itself.
            return true;
        }
    }

    // Each lengthening of another's lease wakes the wait: what is left of a time counts from the beginning of the run.
    private TimeSpan LeftOf(TimeSpan time)
    {
        var left = time - TimeSpan.FromMilliseconds(owner.Clock.Now - _began);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    // The lease can be our own: of a flight whose place in the table this one took because it was too old to be joined. The answer has just said that it stands.
    // null: it is not; else whether the entry has to be asked for again.
    private async ValueTask<bool?> OwnAsync(LoadItem<T> item)
    {
        if (item.Flight.Predecessor is not LoadFlight<T> own || own.Lease is null || own.Lease.Holder != item.Ask!.Answer.Holder)
            return null;
        own.Confirm(item.Ask.SentAt);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(batch.Abandoned, own.Batch.Abandoned);
        try
        {
            var loaded = await own.EndAsync(either.Token).ConfigureAwait(Rt.Capture);
            // The object itself belongs to one of those who wait there.
            item.Flight.Claim();
            owner.Complete(item.Flight, loaded);
        }
        catch (OperationCanceledException) when (!batch.Abandoned.IsCancellationRequested)
        {
            // Its callers have all left, which is no concern of ours, and its loader may go on for long. The lease is given back, or ends by itself.
            item.Flight.Predecessor = null;
            return true;
        }
        catch (Exception error)
        {
            owner.Fail(item, error);
        }

        return false;
    }

    private async ValueTask OutOfPatienceAsync(LoadItem<T> item)
    {
        if (item.Stale.Found)
            owner.CompleteStale(item);
        else if (item.Entry.Family.Policy.WhenHeld == WhenHeld.Throw)
            owner.Fail(
                item,
                new LoadTimeoutException(
                    $"Another process has been loading this entry of {item.Entry.Family.Name} for longer than LeaseWait ({item.Entry.Family.Policy.LeaseWait})."
                )
            );
        else
            await LoadAsync([item], redisFailed: false).ConfigureAwait(Rt.Capture);
    }

    private void Forget(LoadItem<T> item)
    {
        if (item.Ask is { Wait: { } wait } ask)
        {
            owner.Waits.Remove(ask.WireName, wait);
            ask.Wait = null;
        }
    }

    // ---- loading

    /// <summary>Loads all of them with one call, stores those that have a lease, and hands all out.</summary>
    private async ValueTask LoadAsync(List<LoadItem<T>> items, bool redisFailed)
    {
        var policy = items[0].Entry.Family.Policy;
        ServeStaleAtOnce(items);
        using var timeout = new CancellationTokenSource(policy.LoaderTimeout, owner.Time);
        // Who registers first is told last: a loader that heeds its token ends in its own way before it is given up.
        using var over = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token);
        using var either = new CancellationTokenSource();
        using var late = timeout.Token.UnsafeRegister(CancelQuietly, either);
        using var abandoned = batch.Abandoned.UnsafeRegister(CancelQuietly, either);
        using var soft = ServeStaleLater(items, policy);
        // A loader that does not heed its token must not keep those waiting who come after all have left.
        using var left = batch.Abandoned.Register(() => _ = owner.ReleaseAsync(items));
        var context = new LoadContext(either.Token);
        var started = owner.Time.GetTimestamp();
        try
        {
            IReadOnlyDictionary<CacheKey<T>, T?>? values;
            try
            {
                values = await CallAsync(items.ConvertAll(static item => item.Entry.Key), context, over.Token).ConfigureAwait(Rt.Capture);
            }
            finally
            {
                owner.Flights.Detach(batch);
                owner.Metrics.Loaded(items[0].Entry.Family, owner.Time.GetElapsedTime(started));
            }

            if (values is null)
                throw new InvalidOperationException("The loader of many returned null instead of a dictionary.");
            await owner.FinishAsync(items, values, context, redisFailed, tally).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error)
        {
            if (error is OperationCanceledException && timeout.IsCancellationRequested && !batch.Abandoned.IsCancellationRequested)
                error = new LoadTimeoutException(
                    $"The loader of {items[0].Entry.Family.Name} was cancelled after {policy.LoaderTimeout}, its LoaderTimeout."
                );
            await owner.GiveBackAsync(items).ConfigureAwait(Rt.Capture);
            foreach (var item in items)
                owner.LoadFailed(item, error);
        }
        finally
        {
            foreach (var item in items)
                owner.Leases.Remove(item.Flight);
        }
    }

    // A loader that does not heed its token must not hold the key for ever: its time over, it is let go on, and what it makes is nobody's.
    private async ValueTask<IReadOnlyDictionary<CacheKey<T>, T?>> CallAsync(
        List<CacheKey<T>> keys,
        LoadContext context,
        CancellationToken over
    )
    {
        var running = loader(keys, context).AsTask();
        try
        {
            return await running.WaitAsync(over).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // Whatever it ends with, somebody has looked at it.
            _ = IgnoreAsync(running);
            throw;
        }
    }

    // What a loader has registered on its token is its own: if that fails, neither the caller who left last nor the timer's thread is to suffer for it.
    private static void CancelQuietly(object? source)
    {
        try
        {
            ((CancellationTokenSource)source!).Cancel();
        }
        catch (AggregateException) { }
    }

    private static async Task IgnoreAsync(Task running) => await running.ConfigureAwait(Rt.Quietly);

    private void ServeStaleAtOnce(List<LoadItem<T>> items)
    {
        foreach (var item in items)
        {
            if (!item.Stale.Found || item.Entry.Family.Policy.WhenStale != StaleMode.WhileRevalidate)
                continue;
            owner.Flights.Detach(batch);
            owner.CompleteStale(item, goesOn: true);
        }
    }

    private ITimer? ServeStaleLater(List<LoadItem<T>> items, FamilyPolicy policy)
    {
        if (policy.SoftTimeout is not { } soft || !items.Exists(static item => item.Stale.Found))
            return null;
        return owner.Time.CreateTimer(
            _ =>
            {
                owner.Flights.Detach(batch);
                foreach (var item in items)
                {
                    if (item.Stale.Found)
                        owner.CompleteStale(item, goesOn: true);
                }
            },
            null,
            LeftOf(soft),
            Timeout.InfiniteTimeSpan
        );
    }
}
