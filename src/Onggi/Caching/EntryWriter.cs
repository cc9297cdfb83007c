using Onggi.Client;
using Onggi.Events;

namespace Onggi.Caching;

/// <summary>Changes entries in Redis: puts and removes. Memory and running loads are told before and after each change.</summary>
/// <remarks>
/// Before, so that nobody here reads or stores what is about to be old; after, because an answer that Redis gave before it executed the change
/// can have arrived in between.
/// </remarks>
internal sealed class EntryWriter(
    CacheOptions options,
    MemoryTier memory,
    LoadFlights flights,
    ICacheStore store,
    IEventSink events,
    TimeProvider time
)
{
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

    /// <summary>Puts one value.</summary>
    /// <exception cref="RedisException">Redis refused, or did not answer.</exception>
    public async ValueTask SetAsync(string wireName, byte[] json, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        Forget(wireName);
        try
        {
            await store.SetAsync(wireName, json, timeToLive, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        finally
        {
            Forget(wireName);
        }
    }

    /// <summary>Puts many values, a bounded number at a time on the wire; what failed for each, <c>null</c> where nothing did.</summary>
    /// <exception cref="OperationCanceledException">The caller's own token. What was handed over by then is stored or not.</exception>
    public async ValueTask<Exception?[]> SetManyAsync(
        List<(string WireName, byte[] Json, TimeSpan TimeToLive)> values,
        CancellationToken cancellationToken
    )
    {
        var failures = new Exception?[values.Count];
        var inFlight = new List<Task>();
        for (var start = 0; start < values.Count; )
        {
            cancellationToken.ThrowIfCancellationRequested();
            inFlight.Clear();
            for (
                long bytes = 0;
                start + inFlight.Count < values.Count && inFlight.Count < MaxCommandsInFlight && bytes < MaxBytesInFlight;

            )
            {
                var (wireName, json, timeToLive) = values[start + inFlight.Count];
                inFlight.Add(SetAsync(wireName, json, timeToLive, cancellationToken).AsTask());
                bytes += json.Length;
            }

            for (var i = 0; i < inFlight.Count; i++)
                failures[start + i] = await OutcomeOf(inFlight[i]).ConfigureAwait(Rt.Capture);
            start += inFlight.Count;
        }

        cancellationToken.ThrowIfCancellationRequested();
        return failures;
    }

    /// <summary>Removes entries of one family and tells the other processes.</summary>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm it in time.</exception>
    public async ValueTask InvalidateAsync(CacheFamily family, string[] wireNames, CancellationToken cancellationToken)
    {
        await RemoveAsync(wireNames, cancellationToken).ConfigureAwait(Rt.Capture);
        for (var start = 0; start < wireNames.Length; start += EntryReader.MaxKeysPerCommand)
        {
            var names = wireNames.AsMemory(start, Math.Min(EntryReader.MaxKeysPerCommand, wireNames.Length - start)).ToArray();
            // The entries are gone already: the notice is made whatever the caller's token says meanwhile.
            await events
                .NotifyAsync(OnggiEventTypes.CacheInvalidated, new CacheInvalidated(family.Name, names), CancellationToken.None)
                .ConfigureAwait(Rt.Capture);
        }

        for (var i = 0; i < wireNames.Length; i++)
            family.CountInvalidation();
    }

    /// <summary>Removes entries, with the rights to fill them, from Redis and from here.</summary>
    /// <exception cref="InvalidationUnconfirmedException">Redis did not confirm it in time.</exception>
    public async ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken)
    {
        Forget(wireNames);
        try
        {
            var chunks = new List<Task>();
            for (var start = 0; start < wireNames.Length; start += EntryReader.MaxKeysPerCommand)
            {
                var chunk = wireNames.Slice(start, Math.Min(EntryReader.MaxKeysPerCommand, wireNames.Length - start));
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
                await store.RemoveAsync(wireNames, cancellationToken).ConfigureAwait(Rt.Capture);
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

    private void Forget(string wireName)
    {
        flights.Doom(wireName, byOthers: false);
        memory.Drop(wireName);
    }

    private void Forget(ReadOnlyMemory<string> wireNames)
    {
        foreach (var wireName in wireNames.Span)
            Forget(wireName);
    }

    private static async ValueTask<Exception?> OutcomeOf(Task task)
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
}
