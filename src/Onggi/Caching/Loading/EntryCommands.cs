using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>The cache's part of batches: what is asked and changed there goes by the rules of the cache, and is taken in as its own.</summary>
/// <remarks>A batch fills no memory: what is read once, and in bulk, would push out what is asked for all the time.</remarks>
internal sealed class EntryCommands(
    Keyspace keyspace,
    CacheOptions options,
    EntryReader reader,
    EntryWriter writer,
    EntryFiller filler,
    CoherenceLink link,
    ICacheStore store
)
{
    // What the script says of a key of another type.
    private const long WrongType = -3;

    // A replica may not have heard yet of what was confirmed to have been removed.
    private const CommandOptions Reading = CommandOptions.Idempotent | CommandOptions.Primary;

    private static readonly ReplyParser<long> ReadLeft = static (ref reader) => reader.ReadInt64();

    private readonly ReplyParser<ReadReply> _value = ValueOf(options.MaxValueBytes);

    /// <summary>For what changes entries, and for what is judged by the epoch of the cache's own connection.</summary>
    public RedisBatch NewBatch()
    {
        link.Start();
        return store.NewBatch();
    }

    /// <summary>For plain reads.</summary>
    public RedisBatch NewReadBatch() => store.NewReadBatch();

    /// <exception cref="KeyNotFoundException">The catalog has no such family.</exception>
    /// <exception cref="InvalidOperationException">The type cannot be written as JSON.</exception>
    public CacheEntry<T> Resolve<T>(in CacheKey<T> key) => reader.Resolve(key);

    public bool TryMemory<T>(in CacheKey<T> key, out CacheResult<T> result) => reader.TryMemory(key, out result);

    /// <summary>The value as it goes into Redis.</summary>
    /// <exception cref="ArgumentException">It is larger than <see cref="CacheOptions.MaxValueBytes"/>.</exception>
    public FilledEntry Filled<T>(in CacheEntry<T> entry, T? value, TimeSpan? ttl)
    {
        if (ttl is { } given)
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(given, TimeSpan.Zero, nameof(ttl));
        return new(
            entry.WireName,
            writer.Encode(entry, value),
            Milliseconds(filler.TimeToLive(entry, value, ttl)),
            entry.Family.Policy.Large
        );
    }

    /// <summary>How long an entry lives whose life begins anew: a value, and a "not found".</summary>
    /// <exception cref="InvalidOperationException">The age of the family's values is told from what is left of their lives.</exception>
    public (long LifeMs, long NegativeMs) LifeAnew<T>(in CacheEntry<T> entry, TimeSpan? ttl)
    {
        if (ttl is { } given)
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(given, TimeSpan.Zero, nameof(ttl));
        if (entry.Family.Policy.FailoverSafety == FailoverSafety.Strict)
            throw new InvalidOperationException(
                $"The family {entry.Family.Name} has FailoverSafety.Strict, which tells a value's age from its life: a life that begins anew would make an old value young. Put the value again."
            );
        var settings = entry.Family.Settings;
        var negative = ttl ?? settings.NegativeTtl;
        return (
            Milliseconds(keyspace.PhysicalTtl(settings, entry.WireName, ttl)),
            Milliseconds(negative < settings.MaxTtl ? negative : settings.MaxTtl)
        );
    }

    /// <summary>Since when what was written is believed, where a family asks for that; one question for the whole batch.</summary>
    /// <exception cref="RedisTimeoutException">The connection of the cache was not ready in time. Nothing was sent.</exception>
    public ValueTask<Epoch> EpochAsync(CancellationToken cancellationToken) => link.GreetedAsync(cancellationToken);

    /// <summary>Adds what reads an entry.</summary>
    /// <param name="batch">Goes out with the others.</param>
    /// <param name="entry">What is read.</param>
    /// <param name="epoch">Needed where the family has <see cref="FailoverSafety.Strict"/>.</param>
    public ReadCommands AddRead<T>(RedisBatch batch, in CacheEntry<T> entry, Epoch? epoch)
    {
        if (entry.Family.Policy.FailoverSafety == FailoverSafety.Strict)
        {
            RedisArg[] beliefs =
            [
                epoch!.BelievedFrom(entry.Family.Policy),
                Milliseconds(keyspace.PhysicalTtl(entry.Family.Settings, entry.WireName)),
                (long)entry.Family.Settings.NegativeTtl.TotalMilliseconds,
            ];
            return new(batch.Add(CacheStore.ReadScript, [entry.WireName], beliefs, BelievedOf(epoch), Reading), null);
        }

        var value = batch.Add(["GET", entry.WireName], _value, Reading);
        // Without a grace, what is there is within its life.
        return entry.Family.Settings.Grace > TimeSpan.Zero
            ? new(value, batch.Add(["PTTL", entry.WireName], ReadLeft, Reading))
            : new(value, null);
    }

    public BatchItem<long> AddPut(RedisBatch batch, in FilledEntry entry) =>
        batch.Add(
            CacheStore.PutScript,
            [entry.WireName, LeaseName.Of(entry.WireName)],
            [entry.Json, entry.LifeMs],
            Changed(entry.WireName)
        );

    /// <summary>Adds what removes an entry and the right to fill it. Twice is as good as once.</summary>
    public BatchItem<long> AddRemove(RedisBatch batch, string wireName) =>
        // mutant: LeaseStays
        batch.Add(
            ["UNLINK", wireName, CoherenceMutants.LeaseStays ? wireName : LeaseName.Of(wireName)],
            Changed(wireName),
            CommandOptions.Idempotent
        );

    /// <summary>Reads the reply to a change, once it has been told here: on the reading loop, because an answer that Redis gave before the change can have arrived in between.</summary>
    public ReplyParser<long> Changed(string wireName) =>
        (ref reader) =>
        {
            writer.Forget(wireName);
            return reader.ReadInt64();
        };

    /// <summary>The same of the only element of a list.</summary>
    public ReplyParser<long> ChangedFirst(string wireName)
    {
        var changed = Changed(wireName);
        return (ref reader) =>
        {
            reader.Read();
            return changed(ref reader);
        };
    }

    public void Forget(string wireName) => writer.Forget(wireName);

    public void Removed(CacheFamily family, string[] wireNames) => writer.Removed(family, wireNames);

    /// <inheritdoc cref="EntryWriter.WaitForAllAsync"/>
    public ValueTask WaitForAllAsync(int count, CancellationToken cancellationToken) => writer.WaitForAllAsync(count, cancellationToken);

    /// <summary>The value of a script's answer: its JSON, which may be too large, and how long it lives.</summary>
    public ReadReply ReadPair(ref Client.Resp.RespReader reader)
    {
        reader.Read();
        var reply = _value(ref reader);
        reader.Read();
        return reply with { Left = reader.ReadInt64() };
    }

    /// <summary>What a read found, counted; a miss, with a line in the log, where it cannot be taken.</summary>
    public CacheResult<T> Take<T>(in CacheEntry<T> entry, in ReadReply reply)
    {
        var there = reply.Json is not null || reply.IsOversized;
        var grace = IsNull(reply.Json) ? 0 : (long)entry.Family.Settings.Grace.TotalMilliseconds;
        var isFresh = there && (reply.Left == -1 || reply.Left > grace);
        var result =
            isFresh || reply.Left == WrongType
                ? reader.Decode(entry, new Asked(AskCode.Fresh, reply.Json, reply.IsOversized, reply.Left, null), isStale: false)
                : default;
        EntryReader.Count(entry.Family, result.Found, failed: false);
        return result;
    }

    /// <summary>A key of another type is as good as a value that cannot be read.</summary>
    public static ReadReply OfAnotherType { get; } = new(null, false, WrongType);

    private static ReplyParser<ReadReply> ValueOf(int mostBytes) =>
        (ref reader) =>
        {
            var isOversized = reader.Value.Length > mostBytes;
            return new(isOversized ? null : reader.ReadBytes(), isOversized, -1);
        };

    // The epoch that was sent along is of one connection: what comes over the next is not judged by it.
    private ReplyParser<ReadReply> BelievedOf(Epoch epoch) =>
        (ref reader) =>
        {
            if (epoch.Generation != link.Generation)
                throw new RedisConnectionException(
                    "The connection has changed since the question was made: its answer is not believed.",
                    Sent.No
                );
            reader.Read();
            return ReadPair(ref reader);
        };

    private static bool IsNull(byte[]? json) => json is not null && json.AsSpan().SequenceEqual("null"u8);

    private static long Milliseconds(TimeSpan span) => Math.Max(1, (long)span.TotalMilliseconds);
}

/// <summary>The commands that read an entry.</summary>
/// <param name="Value">Its value; where a script reads it, also how long it lives.</param>
/// <param name="Left">How long it lives; <c>null</c> where nobody needs to ask.</param>
internal readonly record struct ReadCommands(BatchItem<ReadReply> Value, BatchItem<long>? Left);

/// <summary>What Redis has of an entry.</summary>
/// <param name="Json">The value; <c>null</c> when there is none that can be taken.</param>
/// <param name="IsOversized">Whether there is one that is larger than the cache takes.</param>
/// <param name="Left">Milliseconds of its life with grace; -1 without end, -2 for no key, -3 for a key of another type.</param>
internal readonly record struct ReadReply(byte[]? Json, bool IsOversized, long Left);
