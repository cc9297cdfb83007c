using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>What came of asking memory and Redis for one entry.</summary>
/// <param name="Result">The answer; a miss when there is none.</param>
/// <param name="Failed">Whether there is none because Redis could not be asked.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct EntryRead<T>(CacheResult<T> Result, bool Failed);

/// <summary>Reads entries, from memory and from Redis. Redis's troubles are misses here, with a line in the log; never exceptions.</summary>
internal sealed class EntryReader(
    Keyspace keyspace,
    CacheFamilies families,
    CacheJson json,
    MemoryTier memory,
    ICacheStore store,
    RedisWatch watch,
    ILogger logger,
    TimeProvider time
)
{
    /// <summary>The most keys in one MGET or UNLINK, so that one call of ours does not hold up everybody else's on the server.</summary>
    public const int MaxKeysPerCommand = 256;

    private readonly LogThrottle _failures = new(time);

    /// <summary>The hit path: no lock, no wait, and no allocation for values that are safe to share.</summary>
    public bool TryMemory<T>(in CacheKey<T> key, out CacheResult<T> result)
    {
        if (TryMemoryUncounted(key, out result) is not { } family)
            return false;
        family.CountMemoryHit();
        return true;
    }

    /// <summary>The same for who looks a second time in one request; the entry's family, or <c>null</c> when memory has no answer.</summary>
    public CacheFamily? TryMemoryUncounted<T>(in CacheKey<T> key, out CacheResult<T> result)
    {
        if (memory.Find(key.Entry) is { Codec: CacheCodec<T> codec } entry)
        {
            var value = (T?)default;
            if (entry.Json is null)
                value = (T?)entry.Value;
            else if (!codec.TryDecode(entry.Json, out value, out _))
            {
                // It could be read a moment ago; the user's own constructors and converters may think otherwise now.
                result = default;
                return null;
            }

            result = new CacheResult<T>(value, CacheTier.Memory);
            return entry.Family;
        }

        result = default;
        return null;
    }

    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The type cannot be written as JSON.</exception>
    public CacheEntry<T> Resolve<T>(in CacheKey<T> key) => new(key, keyspace.WireName(key.Entry), families.Of(key.Family), json.Codec<T>());

    /// <summary>Asks Redis for one entry, and counts how that ended.</summary>
    /// <exception cref="OperationCanceledException">The caller's own token.</exception>
    public async ValueTask<EntryRead<T>> ReadAsync<T>(CacheEntry<T> entry, CancellationToken cancellationToken)
    {
        var read = await ReadUncountedAsync(entry, cancellationToken).ConfigureAwait(Rt.Capture);
        Count(entry, read);
        return read;
    }

    /// <summary>Asks Redis for one entry, for who asks a second time in one request.</summary>
    public async ValueTask<EntryRead<T>> ReadUncountedAsync<T>(CacheEntry<T> entry, CancellationToken cancellationToken)
    {
        var ticket = memory.Ask(entry.WireName);
        if (!watch.MayAsk())
            return SkipRead(entry);
        try
        {
            var stored = await store.GetAsync(entry.WireName, cancellationToken).ConfigureAwait(Rt.Capture);
            Answered();
            return Take(entry, ticket, stored);
        }
        catch (RedisException error)
        {
            return Fail(entry, error, ticket.Asked);
        }
        catch (ObjectDisposedException)
        {
            // The host stops: who still asks is served by loaders.
            return SkipRead(entry);
        }
    }

    /// <summary>Asks memory, then Redis, for many entries; what has an answer goes into <paramref name="results"/>, the rest comes back.</summary>
    public async ValueTask<List<(CacheEntry<T> Entry, bool Failed)>> ReadManyAsync<T>(
        IEnumerable<CacheKey<T>> keys,
        Dictionary<CacheKey<T>, CacheResult<T>> results,
        CancellationToken cancellationToken
    )
    {
        var asked = new List<CacheEntry<T>>();
        foreach (var key in keys)
        {
            if (!results.TryAdd(key, default))
                continue;
            if (TryMemory(key, out var result))
                results[key] = result;
            else
                asked.Add(Resolve(key));
        }

        var reads = await ReadManyUncountedAsync(asked, cancellationToken).ConfigureAwait(Rt.Capture);
        var missing = new List<(CacheEntry<T>, bool)>();
        for (var i = 0; i < reads.Length; i++)
        {
            Count(asked[i], reads[i]);
            if (reads[i].Result.Found)
                results[asked[i].Key] = reads[i].Result;
            else
                missing.Add((asked[i], reads[i].Failed));
        }

        return missing;
    }

    /// <summary>Asks Redis for many entries; the answers in their order. Chunks go out together, so that it is one round trip.</summary>
    public async ValueTask<EntryRead<T>[]> ReadManyUncountedAsync<T>(List<CacheEntry<T>> entries, CancellationToken cancellationToken)
    {
        var chunks = new List<Task<EntryRead<T>[]>>();
        for (var start = 0; start < entries.Count; start += MaxKeysPerCommand)
            chunks.Add(ReadChunkAsync(entries.GetRange(start, Math.Min(MaxKeysPerCommand, entries.Count - start)), cancellationToken));
        return [.. (await Task.WhenAll(chunks).ConfigureAwait(Rt.Capture)).SelectMany(static chunk => chunk)];
    }

    private async Task<EntryRead<T>[]> ReadChunkAsync<T>(List<CacheEntry<T>> entries, CancellationToken cancellationToken)
    {
        var reads = new EntryRead<T>[entries.Count];
        var names = new string[entries.Count];
        var tickets = new MemoryTicket[entries.Count];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = entries[i].WireName;
            tickets[i] = memory.Ask(names[i]);
        }

        if (!watch.MayAsk())
        {
            for (var i = 0; i < reads.Length; i++)
                reads[i] = SkipRead(entries[i]);
            return reads;
        }

        try
        {
            var stored = await store.GetManyAsync(names, cancellationToken).ConfigureAwait(Rt.Capture);
            Answered();
            for (var i = 0; i < reads.Length; i++)
                reads[i] = Take(entries[i], tickets[i], stored[i]);
        }
        catch (RedisException error)
        {
            for (var i = 0; i < reads.Length; i++)
                reads[i] = Fail(entries[i], error, tickets[0].Asked);
        }
        catch (ObjectDisposedException)
        {
            for (var i = 0; i < reads.Length; i++)
                reads[i] = SkipRead(entries[i]);
        }

        return reads;
    }

    private EntryRead<T> Take<T>(in CacheEntry<T> entry, MemoryTicket ticket, StoredValue stored)
    {
        if (stored.IsOversized)
            return Unusable(entry, "it is larger than CacheOptions.MaxValueBytes.");
        if (stored.Json is null)
            return default;
        if (!entry.Codec.TryDecode(stored.Json, out var value, out var reason))
            return Unusable(entry, PlaceOf(reason));
        memory.Keep(ticket, entry, value, stored.Json);
        return new EntryRead<T>(new CacheResult<T>(value, CacheTier.Redis), Failed: false);
    }

    private EntryRead<T> Fail<T>(in CacheEntry<T> entry, RedisException error, long asked)
    {
        if (watch.Failed(error, asked))
            CacheLog.Silent(logger, store.CommandTimeout);
        // A key of another type is as good as a value of another shape: the next load overwrites it.
        if (error is RedisServerException { Code: "WRONGTYPE" })
            return Unusable(entry, "the key holds another type of Redis.");
        if (_failures.MayLog(out var suppressed))
            CacheLog.ReadFailed(logger, entry.Family.Name, error.Message, suppressed);
        return new EntryRead<T>(default, Failed: true);
    }

    private EntryRead<T> SkipRead<T>(in CacheEntry<T> entry)
    {
        if (_failures.MayLog(out var suppressed))
            CacheLog.ReadFailed(logger, entry.Family.Name, watch.IsSilent ? "it does not answer." : "there is no connection.", suppressed);
        return new EntryRead<T>(default, Failed: true);
    }

    private EntryRead<T> Unusable<T>(in CacheEntry<T> entry, string reason)
    {
        if (entry.Family.Unreadable.MayLog(out var suppressed))
            CacheLog.Unreadable(logger, entry.Family.Name, typeof(T).Name, reason, suppressed);
        return default;
    }

    private static void Count<T>(in CacheEntry<T> entry, in EntryRead<T> read)
    {
        if (read.Result.Found)
            entry.Family.CountRedisHit();
        else if (read.Failed)
            entry.Family.CountError();
        else
            entry.Family.CountMiss();
    }

    // The serializer's own words can quote the payload; the kind of exception and the place say enough.
    private static string PlaceOf(Exception reason) =>
        reason is JsonException { LineNumber: { } line, BytePositionInLine: { } position }
            ? $"{reason.GetType().Name} at line {line + 1}, byte {position}."
            : $"{reason.GetType().Name}.";

    private void Answered()
    {
        if (watch.IsSilent)
            CacheLog.AnswersAgain(logger);
        watch.Answered();
    }
}
