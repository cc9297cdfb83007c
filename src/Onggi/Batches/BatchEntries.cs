using Onggi.Caching;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Batches;

/// <summary>Reads an entry.</summary>
internal sealed class GetEntry<T>(CacheEntry<T> entry) : BatchEntry<CacheResult<T>>(BatchOperation.Get, entry.Family, entry.WireName)
{
    private ReadCommands _asked;
    private ReadReply _reply;

    internal override bool TryAnswer(EntryCommands commands)
    {
        if (!commands.TryMemory(entry.Key, out var result))
            return false;
        Answer(result);
        return true;
    }

    internal override void AddTo(RedisBatch batch, EntryCommands commands, Epoch? epoch) => _asked = commands.AddRead(batch, entry, epoch);

    internal override void Finish(EntryCommands commands)
    {
        if (_asked.Value is not { } value)
            return;
        if (value.Error is RedisServerException { Code: "WRONGTYPE" })
            Answer(commands.Take(entry, EntryCommands.OfAnotherType));
        else if (Follow(value) && (_asked.Left is null || Follow(_asked.Left)))
            Answer(commands.Take(entry, _asked.Left is { } left ? value.Value with { Left = left.Value } : value.Value));
    }

    internal override void Fail(RedisException error)
    {
        base.Fail(error);
        EntryReader.Count(entry.Family, found: false, failed: true);
    }

    internal override void WriteArgs(Span<RedisArg> args) => args[0] = "g";

    // Values are made of it later: not on the reading loop.
    internal override void Read(ref RespReader reader, EntryCommands commands) => _reply = commands.ReadPair(ref reader);

    internal override void FinishAtomic(EntryCommands commands) => Answer(commands.Take(entry, _reply));
}

/// <summary>Changes an entry.</summary>
internal abstract class ChangeEntry(BatchOperation operation, CacheFamily family, string wireName)
    : BatchEntry<bool>(operation, family, wireName)
{
    // What the script says of a key of another type.
    private const long WrongType = -3;

    private BatchItem<long>? _asked;
    private long _reply;

    internal override void AddTo(RedisBatch batch, EntryCommands commands, Epoch? epoch) => _asked = Add(batch, commands);

    internal override void Finish(EntryCommands commands)
    {
        if (_asked is { } asked && Follow(asked))
            Take(asked.Value);
    }

    internal override void Read(ref RespReader reader, EntryCommands commands) => _reply = commands.Changed(WireName)(ref reader);

    internal override void FinishAtomic(EntryCommands commands) => Take(_reply);

    private protected abstract BatchItem<long> Add(RedisBatch batch, EntryCommands commands);

    private protected void Take(long reply)
    {
        if (reply == WrongType)
            Fail(new RedisServerException("WRONGTYPE Operation against a key holding the wrong kind of value"));
        else
            Answer(reply > 0);
    }
}

/// <summary>Puts a value.</summary>
internal sealed class SetEntry(CacheFamily family, FilledEntry filled) : ChangeEntry(BatchOperation.Set, family, filled.WireName)
{
    internal override long Bytes => base.Bytes + filled.Json.Length;

    internal override void WriteArgs(Span<RedisArg> args) => (args[0], args[1], args[2]) = ("s", filled.Json, filled.LifeMs);

    private protected override BatchItem<long> Add(RedisBatch batch, EntryCommands commands) => commands.AddPut(batch, filled);
}

/// <summary>Removes an entry, and the right to fill it.</summary>
internal sealed class DeleteEntry(CacheFamily family, string wireName) : ChangeEntry(BatchOperation.Delete, family, wireName)
{
    internal override void WriteArgs(Span<RedisArg> args) => args[0] = "d";

    internal override void Fail(RedisException error) =>
        base.Fail(
            error as InvalidationUnconfirmedException
                ?? new InvalidationUnconfirmedException(
                    $"Redis did not confirm that an entry of {Family} was removed: {error.Message} Readers may get the old value until its time to live ends; make the call again.",
                    error.Sent,
                    error
                )
        );

    private protected override BatchItem<long> Add(RedisBatch batch, EntryCommands commands) => commands.AddRemove(batch, WireName);
}

/// <summary>Begins an entry's life anew.</summary>
internal sealed class ExpireEntry(CacheFamily family, string wireName, long lifeMs, long negativeMs)
    : ChangeEntry(BatchOperation.Expire, family, wireName)
{
    internal override void WriteArgs(Span<RedisArg> args) =>
        (args[0], args[2], args[3], args[4]) = ("e", lifeMs, (long)OfFamily.Settings.Grace.TotalMilliseconds, negativeMs);

    private protected override BatchItem<long> Add(RedisBatch batch, EntryCommands commands)
    {
        var args = BatchScript.NewArgs(1);
        WriteArgs(args);
        return batch.Add(BatchScript.Script, BatchScript.KeysOf(WireName), args, commands.ChangedFirst(WireName));
    }
}
