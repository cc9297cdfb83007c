using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Stores what loaders made, under their leases: whether, for how long, and what became of it.</summary>
internal sealed class EntryFiller(
    Keyspace keyspace,
    CacheOptions options,
    CoherenceLink link,
    ICacheStore store,
    ILogger logger,
    TimeProvider time
)
{
    private readonly LogThrottle _notStored = new(time);

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

        if (ttl is not null && !entry.Family.HasChosenLives)
            entry.Family.HasChosenLives = true;
        if (value is not null)
            return keyspace.PhysicalTtl(settings, entry.WireName, ttl);
        // "Does not exist" has neither grace nor jitter: it is short-lived as it is.
        var chosen = ttl ?? settings.NegativeTtl;
        return chosen < settings.MaxTtl ? chosen : settings.MaxTtl;
    }

    public byte[]? TryEncode<T>(in CacheEntry<T> entry, T? value)
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

    public bool MayFill<T>(LoadItem<T> item, byte[]? json, T? value, LoadContext context, out FilledEntry entry)
    {
        entry = default;
        if (item.Lease is null || json is null || context.DontStore || json.Length > options.MaxValueBytes)
            return false;
        var life = TimeToLive(item.Entry, value, context.Ttl);
        if (life <= TimeSpan.Zero)
            return false;
        // A lease of before a failover may stand on the new primary, and prove nothing there.
        // mutant: FailoverLease
        if (!CoherenceMutants.FailoverLease && link.ConnectionOf(item.Lease.Epoch) is null)
        {
            CacheLog.Overtaken(logger, item.Entry.Family.Name);
            return false;
        }

        entry = new FilledEntry(item.Entry.WireName, json, Math.Max(1, (long)life.TotalMilliseconds), item.Entry.Family.Policy.Large);
        return true;
    }

    public async ValueTask FillAsync<T>(List<(LoadItem<T> Item, FilledEntry Entry)> filled, StoreTally? tally)
    {
        foreach (var group in filled.GroupBy(static one => one.Item.Lease!).ToList())
        {
            var family = group.First().Item.Entry.Family;
            try
            {
                var codes = await FillAsync(group.Key, [.. group.Select(static one => one.Entry)]).ConfigureAwait(Rt.Capture);
                foreach (var code in codes)
                {
                    tally?.Count(code);
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

    public void NotStored(CacheFamily family, string reason)
    {
        family.CountStoreFailure();
        if (_notStored.MayLog(out var suppressed))
            CacheLog.NotStored(logger, family.Name, reason, suppressed);
    }

    // A fill is for one connection: on the next, the lease may be one that a lagging replica has brought back. Where that leads to the same life of the same server,
    // it is sent once more; it does nothing if it has been executed.
    private async ValueTask<FillCode[]> FillAsync(HeldLease lease, FilledEntry[] entries)
    {
        var began = time.GetTimestamp();
        try
        {
            return await FillOnceAsync(lease, entries).ConfigureAwait(Rt.Capture);
        }
        catch (RedisConnectionException)
        {
            if (!await IsBackAsync(lease, began).ConfigureAwait(Rt.Capture))
                throw;
        }

        return await FillOnceAsync(lease, entries).ConfigureAwait(Rt.Capture);
    }

    // Storing costs who waits one time-out and no more: what is left of it is waited for the next connection.
    private async ValueTask<bool> IsBackAsync(HeldLease lease, long began)
    {
        var left = store.CommandTimeout - time.GetElapsedTime(began);
        if (left <= TimeSpan.Zero)
            return false;
        using var patience = new CancellationTokenSource(left, time);
        try
        {
            var now = await link.GreetedAsync(patience.Token).ConfigureAwait(Rt.Capture);
            return now.CanProve && link.ConnectionOf(lease.Epoch) is not null;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private ValueTask<FillCode[]> FillOnceAsync(HeldLease lease, FilledEntry[] entries)
    {
        // mutant: FailoverLease
        var connection =
            link.ConnectionOf(lease.Epoch)
            ?? (
                CoherenceMutants.FailoverLease
                    ? 0
                    : throw new RedisConnectionException(
                        "The connection on which it was loaded is over, and this server is another.",
                        Sent.No
                    )
            );
        if (Interleave.IsOn)
            Interleave.Point("fill");
        // mutant: FillAnywhere
        return store.FillAsync(lease.Holder, entries, CoherenceMutants.FillAnywhere ? 0 : connection);
    }
}
