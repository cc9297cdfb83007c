using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>What came of asking Redis for one entry.</summary>
/// <param name="Result">The answer; a miss when there is none.</param>
/// <param name="Failed">Whether there is none because Redis could not be asked.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct EntryRead<T>(CacheResult<T> Result, bool Failed);

/// <summary>Reads entries, from memory and from Redis. Redis's troubles are misses here, with a line in the log; never exceptions.</summary>
/// <remarks>Memory is filled on the reading loop, by <see cref="MemoryFill"/>: never by who asked, for by then the entry may have been dropped.</remarks>
internal sealed class EntryReader(
    Keyspace keyspace,
    CacheFamilies families,
    CacheJson json,
    MemoryFill fill,
    ICacheStore store,
    RedisSilence watch,
    ILogger logger,
    TimeProvider time
)
{
    // What the scripts say of a key of another type.
    private const long WrongType = -3;

    private readonly LogThrottle _failures = new(time);

    /// <summary>What memory has. No lock, no wait, and no allocation for values that are safe to share.</summary>
    public bool TryMemory<T>(in CacheKey<T> key, out CacheResult<T> result) => TryTake(fill.Memory.Find(key.Entry), out result);

    /// <summary>What an entry of memory says, shared or made of its JSON now.</summary>
    public bool TryTake<T>(ProvenEntry? entry, out CacheResult<T> result)
    {
        if (entry is not null && (entry.TryGetShared<T>(out var value) || TryDecode(entry, out value)))
        {
            entry.Family.CountMemoryHit();
            result = new CacheResult<T>(value, CacheTier.Memory);
            return true;
        }

        result = default;
        return false;
    }

    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The type cannot be written as JSON.</exception>
    public CacheEntry<T> Resolve<T>(in CacheKey<T> key) => new(key, keyspace.WireName(key.Entry), families.Of(key.Family), json.Codec<T>());

    /// <summary>The question for an entry.</summary>
    public EntryAsk Ask<T>(in CacheEntry<T> entry) => new(entry.Key.Entry, entry.WireName, entry.Family, LifeOf(entry));

    // The question of a plain read. The whole life matters only to what is refreshed ahead of its end, or is judged by its age.
    private EntryAsk AskPlain<T>(in CacheEntry<T> entry, Epoch? epoch) =>
        new(entry.Key.Entry, entry.WireName, entry.Family, PlainLifeOf(entry))
        {
            BelievedFrom = epoch?.BelievedFrom(entry.Family.Policy) ?? 0,
        };

    private long PlainLifeOf<T>(in CacheEntry<T> entry)
    {
        var policy = entry.Family.Policy;
        return policy.RefreshAfter is not null || policy.FailoverSafety == FailoverSafety.Strict ? LifeOf(entry) : 0;
    }

    private long LifeOf<T>(in CacheEntry<T> entry) => (long)keyspace.PhysicalTtl(entry.Family.Settings, entry.WireName).TotalMilliseconds;

    /// <inheritdoc cref="RedisSilence.Heard"/>
    public long Heard => watch.Heard;

    /// <summary>Whether asking is worth while: there is a connection, and Redis is not known to be silent.</summary>
    public bool MayAsk<T>(in CacheEntry<T> entry)
    {
        if (watch.MayAsk())
            return true;
        Skipped(entry.Family);
        return false;
    }

    /// <summary>Asks Redis for one entry, and counts how that ended.</summary>
    /// <exception cref="OperationCanceledException">The caller's own token.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<EntryRead<T>> ReadAsync<T>(CacheKey<T> key, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var entry = Resolve(key);
        var (call, failed) = await AskPlainAsync(entry, cancellationToken).ConfigureAwait(Rt.Capture);
        // The answer came over another connection than the one that was asked: on this one it can be judged.
        if (call?[0].Answer.Code == AskCode.Again)
            (call, failed) = await AskPlainAsync(entry, cancellationToken).ConfigureAwait(Rt.Capture);
        var read = new EntryRead<T>(default, failed);
        if (call is not null)
        {
            read = Take(entry, call[0]);
            MemoryFill.Done(call);
        }

        Count(entry.Family, read.Result.Found, read.Failed);
        return read;
    }

    /// <summary>Asks Redis for one entry by a plain read; the question with its answer, for <see cref="MemoryFill.Done"/>, or that it could not be asked.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<(EntryCall? Call, bool Failed)> AskPlainAsync<T>(CacheEntry<T> entry, CancellationToken cancellationToken)
    {
        if (!MayAsk(entry))
            return (null, true);
        var heard = watch.Heard;
        var call = default(EntryCall);
        try
        {
            if (entry.Family.Policy.FailoverSafety == FailoverSafety.Strict)
            {
                // How old a value is can be judged only where the clock is that dates it.
                var epoch = await fill.Link.GreetedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
                call = fill.Call([AskPlain(entry, epoch)], epoch);
                await store.ReadManyAsync(call, cancellationToken).ConfigureAwait(Rt.Capture);
            }
            else
            {
                call = PlainCall(entry);
                await store.ReadAsync(call, cancellationToken).ConfigureAwait(Rt.Capture);
            }

            Answered();
            return (call, false);
        }
        catch (Exception error) when (error is RedisException or ObjectDisposedException)
        {
            return TryTakeError(call, entry.Family, error, heard) ? (call, false) : (null, true);
        }
    }

    /// <summary>The question of a plain read, where no epoch is needed to judge the answer.</summary>
    public EntryCall PlainCall<T>(in CacheEntry<T> entry) => fill.Call(entry.Key.Entry, entry.WireName, entry.Family, PlainLifeOf(entry));

    /// <summary>Logs and weighs how a question ended; whether even that was an answer.</summary>
    public bool TryTakeError(EntryCall? call, CacheFamily family, Exception error, long heard)
    {
        if (error is not RedisServerException { Code: "WRONGTYPE" })
        {
            Failed(family, error, heard);
            return false;
        }

        Answered();
        call![0].Answer = new Asked(AskCode.Fresh, null, false, WrongType, null);
        return true;
    }

    /// <summary>What a plain read found; nothing where it is past its life.</summary>
    public EntryRead<T> Take<T>(in CacheEntry<T> entry, EntryAsk ask) =>
        ask.Answer.Code != AskCode.Fresh && ask.Answer.Left != WrongType
            ? default
            : new EntryRead<T>(Decode(entry, ask, isStale: false), Failed: false);

    /// <summary>The value of an answer; a miss, with a line in the log, where it cannot be read.</summary>
    public CacheResult<T> Decode<T>(in CacheEntry<T> entry, EntryAsk ask, bool isStale)
    {
        // mutant: LateInsert
        if (CoherenceMutants.LateInsert)
            fill.KeepLate(ask);
        var result = Decode(entry, ask.Answer, isStale);
        if (result.Found && (entry.Codec.IsImmutable || result.Value is null))
            ask.Kept?.TryShare(result.Value);
        return result;
    }

    /// <summary>The same of an answer of which memory has kept nothing.</summary>
    public CacheResult<T> Decode<T>(in CacheEntry<T> entry, in Asked answer, bool isStale)
    {
        if (answer.IsOversized)
            return Unusable(entry, "it is larger than CacheOptions.MaxValueBytes.");
        if (answer.Left == WrongType)
            return Unusable(entry, "the key holds another type of Redis.");
        if (answer.Json is null)
            return default;
        if (!entry.Codec.TryDecode(answer.Json, out var value, out var reason))
            return Unusable(entry, PlaceOf(reason));
        return new CacheResult<T>(value, CacheTier.Redis, isStale);
    }

    /// <summary>Asks memory, then Redis, for many entries; what has no answer is a miss in <paramref name="results"/>.</summary>
    public async ValueTask ReadManyAsync<T>(
        IEnumerable<CacheKey<T>> keys,
        Dictionary<CacheKey<T>, CacheResult<T>> results,
        CancellationToken cancellationToken
    )
    {
        var entries = MissingInMemory(keys, results);
        if (entries.Count == 0)
            return;
        var heard = watch.Heard;
        var failed = !MayAsk(entries[0]);
        EntryAsk[] asks = [];
        if (!failed)
        {
            try
            {
                asks = await AskManyAsync(entries, cancellationToken).ConfigureAwait(Rt.Capture);
                // As for one: what came over another connection can be judged on this one.
                if (Array.Exists(asks, static ask => ask.Answer.Code == AskCode.Again))
                    asks = await AskManyAsync(entries, cancellationToken).ConfigureAwait(Rt.Capture);
                Answered();
            }
            catch (Exception error) when (error is RedisException or ObjectDisposedException)
            {
                Failed(entries[0].Family, error, heard);
                failed = true;
            }
        }

        for (var i = 0; i < entries.Count; i++)
        {
            var read = failed ? new EntryRead<T>(default, Failed: true) : Take(entries[i], asks[i]);
            Count(entries[i].Family, read.Result.Found, read.Failed);
            results[entries[i].Key] = read.Result;
        }
    }

    private async ValueTask<EntryAsk[]> AskManyAsync<T>(List<CacheEntry<T>> entries, CancellationToken cancellationToken)
    {
        var judges = entries.Exists(static entry => entry.Family.Policy.FailoverSafety == FailoverSafety.Strict);
        var epoch = judges ? await fill.Link.GreetedAsync(cancellationToken).ConfigureAwait(Rt.Capture) : null;
        EntryAsk[] asks = [.. entries.Select(entry => AskPlain(entry, epoch))];
        await store.ReadManyAsync(fill.Call(asks, epoch), cancellationToken).ConfigureAwait(Rt.Capture);
        return asks;
    }

    /// <summary>Puts what memory has into the results, and a miss for every other key, which comes back; into <paramref name="due"/> what is to be refreshed ahead of its end.</summary>
    public List<CacheEntry<T>> MissingInMemory<T>(
        IEnumerable<CacheKey<T>> keys,
        Dictionary<CacheKey<T>, CacheResult<T>> results,
        List<CacheKey<T>>? due = null
    )
    {
        var missing = new List<CacheEntry<T>>();
        foreach (var key in keys)
        {
            if (!results.TryAdd(key, default))
                continue;
            var shouldRefresh = false;
            if (
                TryTake(
                    due is null ? fill.Memory.Find(key.Entry) : fill.Memory.Find(key.Entry, out shouldRefresh),
                    out CacheResult<T> result
                )
            )
            {
                results[key] = result;
                if (shouldRefresh)
                    due!.Add(key);
            }
            else
            {
                missing.Add(Resolve(key));
            }
        }

        return missing;
    }

    /// <summary>An answer came, be it an error.</summary>
    public void Answered()
    {
        if (watch.IsSilent)
            CacheLog.AnswersAgain(logger);
        watch.Answered();
    }

    /// <summary>A question failed: it is logged and weighed.</summary>
    public void Failed(CacheFamily family, Exception error, long heard)
    {
        if (error is not RedisException failure)
        {
            // The host stops: who still asks is served by loaders.
            Skipped(family);
            return;
        }

        if (watch.Failed(failure, heard))
            CacheLog.Silent(logger, store.CommandTimeout);
        if (_failures.MayLog(out var suppressed))
            CacheLog.ReadFailed(logger, family.Name, error.Message, suppressed);
    }

    public static void Count(CacheFamily family, bool found, bool failed)
    {
        if (found)
            family.CountRedisHit();
        else if (failed)
            family.CountError();
        else
            family.CountMiss();
    }

    // Memory holds JSON as it came; the object is made once, by the first who asks, and shared where its type allows it.
    private bool TryDecode<T>(ProvenEntry entry, out T? value)
    {
        var codec = json.Codec<T>();
        if (!codec.TryDecode(entry.Json, out value, out _))
            return false;
        if (codec.IsImmutable || value is null)
            entry.TryShare(value);
        return true;
    }

    private void Skipped(CacheFamily family)
    {
        if (_failures.MayLog(out var suppressed))
            CacheLog.ReadFailed(logger, family.Name, watch.IsSilent ? "it does not answer." : "there is no connection.", suppressed);
    }

    private CacheResult<T> Unusable<T>(in CacheEntry<T> entry, string reason)
    {
        if (entry.Family.Unreadable.MayLog(out var suppressed))
            CacheLog.Unreadable(logger, entry.Family.Name, typeof(T).Name, reason, suppressed);
        return default;
    }

    // The serializer's own words can quote the payload; the kind of exception and the place say enough.
    private static string PlaceOf(Exception reason) =>
        reason is JsonException { LineNumber: { } line, BytePositionInLine: { } position }
            ? $"{reason.GetType().Name} at line {line + 1}, byte {position}."
            : $"{reason.GetType().Name}.";
}
