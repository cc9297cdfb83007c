using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;

namespace Onggi.Caching;

/// <summary>Changes entries in Redis: puts and removes. Memory and running loads are told before and after each change.</summary>
/// <remarks>
/// Before, so that nobody here begins with what is about to be old; after, on the reading loop, because an answer that Redis gave before it executed the change
/// can have arrived in between. Other processes hear it from Redis itself.
/// </remarks>
internal sealed class EntryWriter(
    CacheOptions options,
    ProvenMemory memory,
    LoadFlights flights,
    CoherenceLink link,
    ICacheStore store,
    IEventSink events,
    BackgroundWork background,
    IClock clock,
    ILogger logger,
    TimeProvider time
)
{
    // The most keys in one UNLINK, so that one call of ours does not hold up everybody else's on the server.
    private const int MostKeysPerCommand = 256;

    // How much may wait in the connection at a time: enough for one round trip to be worth while, too little to fill the server's buffers.
    private const int MaxCommandsInFlight = 256;
    private const int MaxBytesInFlight = 4 << 20;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(200);

    /// <summary>The value as JSON.</summary>
    /// <exception cref="ArgumentException">It is larger than <see cref="CacheOptions.MaxValueBytes"/>.</exception>
    public byte[] Encode<T>(in CacheEntry<T> entry, T? value)
    {
        var json = entry.Codec.Encode(value);
        return json.Length <= options.MaxValueBytes
            ? json
            : throw new ArgumentException(
                $"The value for {entry.Family.Name} takes {json.Length} bytes as JSON; CacheOptions.MaxValueBytes allows {options.MaxValueBytes}. Nothing was sent.",
                nameof(value)
            );
    }

    /// <summary>Puts values, a bounded number at a time on the wire; what failed for each, <c>null</c> where nothing did.</summary>
    /// <exception cref="OperationCanceledException">The caller's own token. What was handed over by then is stored or not.</exception>
    public async ValueTask<Exception?[]> PutManyAsync(IReadOnlyList<FilledEntry> entries, CancellationToken cancellationToken)
    {
        var failures = new Exception?[entries.Count];
        for (var start = 0; start < entries.Count; )
        {
            cancellationToken.ThrowIfCancellationRequested();
            var part = new List<FilledEntry>();
            for (
                long bytes = 0;
                start + part.Count < entries.Count && part.Count < MaxCommandsInFlight && bytes < MaxBytesInFlight;
                bytes += part[^1].Json.Length
            )
                part.Add(entries[start + part.Count]);
            var failure = await OutcomeOf(PutAsync(part, cancellationToken)).ConfigureAwait(Rt.Capture);
            failures.AsSpan(start, part.Count).Fill(failure);
            start += part.Count;
        }

        cancellationToken.ThrowIfCancellationRequested();
        return failures;
    }

    /// <summary>Puts values.</summary>
    /// <exception cref="RedisException">Redis refused, or did not answer.</exception>
    public async ValueTask PutAsync(IReadOnlyList<FilledEntry> entries, CancellationToken cancellationToken)
    {
        foreach (var entry in entries)
            Forget(entry.WireName);
        try
        {
            await store.PutAsync(entries, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            foreach (var entry in entries)
                Forget(entry.WireName);
        }
    }

    /// <summary>Removes entries of one family. The other processes hear of it from Redis; the event goes out behind the caller's back.</summary>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm it in time.</exception>
    public async ValueTask InvalidateAsync(
        CacheFamily family,
        string[] wireNames,
        Invalidation? strength,
        CancellationToken cancellationToken
    )
    {
        await RemoveAsync(wireNames, cancellationToken).ConfigureAwait(Rt.Capture);
        Removed(family, wireNames);
        if ((strength ?? family.Policy.Invalidation) == Invalidation.Strict)
            await WaitForAllAsync(wireNames.Length, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Entries of one family have been removed: they are counted, and the event goes out behind the caller's back.</summary>
    public void Removed(CacheFamily family, ReadOnlyMemory<string> wireNames)
    {
        for (var start = 0; start < wireNames.Length; start += MostKeysPerCommand)
        {
            var names = wireNames.Slice(start, Math.Min(MostKeysPerCommand, wireNames.Length - start)).ToArray();
            background.Start(_ => NotifyAsync(family, names));
        }

        for (var i = 0; i < wireNames.Length; i++)
            family.CountInvalidation();
    }

    /// <summary>Waits until nobody's memory can answer with what was removed. No message is sent: memory that has not heard falls silent by itself.</summary>
    /// <remarks>
    /// The bound is read after the removal was executed. A process that asked for a larger one before is in it, or was heard of before Redis lost it; one that does so later reads nothing that was removed.
    /// </remarks>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not say how long others may still answer.</exception>
    public async ValueTask WaitForAllAsync(long count, CancellationToken cancellationToken)
    {
        // mutant: NoWait
        if (CoherenceMutants.NoWait)
            return;
        try
        {
            var began = clock.Now;
            var call = new BoundCall();
            await store.BeatAsync(call).ConfigureAwait(Rt.Capture);
            var bound = Math.Max(link.LargestBoundMs, call.BoundMs);
            var most = link.EndOf(bound);
            while (clock.Now - began < most)
                await Task.Delay(TimeSpan.FromMilliseconds(most - (clock.Now - began)), time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (RedisException error)
        {
            throw new InvalidationUnconfirmedException(
                $"Redis confirmed that {count} entries were removed, but not how long others may still answer from memory: {error.Message} Make the call again.",
                Sent.Maybe,
                error
            );
        }
    }

    private async Task NotifyAsync(CacheFamily family, string[] names)
    {
        try
        {
            // The entries are gone already: the notice is made whatever the caller's token says meanwhile.
            await events
                .NotifyAsync(OnggiEventTypes.CacheInvalidated, new CacheInvalidated(family.Name, names), CancellationToken.None)
                .ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            CacheLog.NoticeFailed(logger, error, family.Name);
        }
    }

    /// <summary>Removes entries, with the rights to fill them, from Redis and from here.</summary>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm it in time.</exception>
    public async ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        Forget(wireNames);
        try
        {
            var chunks = new List<Task>();
            for (var start = 0; start < wireNames.Length; start += MostKeysPerCommand)
            {
                var chunk = wireNames.Slice(start, Math.Min(MostKeysPerCommand, wireNames.Length - start));
                chunks.Add(RemoveUntilConfirmedAsync(chunk, cancellationToken));
            }

            await Task.WhenAll(chunks).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            Forget(wireNames);
        }
    }

    // Removing twice is harmless, so every failure that may pass is tried again, whether the command was executed or not.
    private async Task RemoveUntilConfirmedAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var sent = Sent.No;
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                await store.RemoveAsync(wireNames, () => Forget(wireNames), cancellationToken).ConfigureAwait(Rt.Capture);
                return;
            }
            catch (RedisException error)
            {
                sent = error.Sent == Sent.Maybe ? Sent.Maybe : sent;
                if (!error.IsTransient || time.GetElapsedTime(started) + pause >= store.CommandTimeout)
                {
                    throw new InvalidationUnconfirmedException(
                        $"Redis did not confirm that {wireNames.Length} entries were removed: {error.Message} Readers may get the old values until their time to live ends; make the call again.",
                        sent,
                        error
                    );
                }
            }

            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
    }

    /// <summary>Drops an entry from memory, and lets no load that runs keep what it began with.</summary>
    public void Forget(string wireName)
    {
        flights.Void(wireName);
        memory.Drop(wireName);
    }

    private void Forget(ReadOnlyMemory<string> wireNames)
    {
        foreach (var wireName in wireNames.Span)
            Forget(wireName);
    }

    private static async ValueTask<Exception?> OutcomeOf(ValueTask task)
    {
        try
        {
            await task.ConfigureAwait(Rt.Capture);
            return null;
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException or OperationCanceledException)
        {
            return error;
        }
    }

    /// <summary>Reads the fleet's bound.</summary>
    private sealed class BoundCall() : EpochCall(0)
    {
        public long BoundMs { get; private set; }

        public override void Take(in Greeting greeting) => BoundMs = greeting.BoundMs;

        public override void Take(ReadOnlySpan<byte> epoch) => BoundMs = FleetBound.Parse(epoch)?.BoundMs ?? 0;
    }
}
