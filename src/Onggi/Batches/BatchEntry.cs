using Onggi.Caching;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Batches;

/// <summary>What a batch does with an entry.</summary>
public enum BatchOperation
{
    /// <summary>Reads it.</summary>
    Get,

    /// <summary>Puts a value, and withdraws the right of whoever is loading it to store what it began before.</summary>
    Set,

    /// <summary>Removes it, with that right: an invalidation.</summary>
    Delete,

    /// <summary>Begins its life anew.</summary>
    Expire,
}

/// <summary>One entry of a batch, and what has become of it.</summary>
public abstract class BatchEntry
{
    private protected BatchEntry(BatchOperation operation, CacheFamily family, string wireName) =>
        (Operation, OfFamily, WireName) = (operation, family, wireName);

    /// <summary>What is done.</summary>
    public BatchOperation Operation { get; }

    /// <summary>The family's name in the catalog.</summary>
    public string Family => OfFamily.Name;

    /// <summary>What has become of it, as far as is known.</summary>
    public BatchOutcome Outcome { get; private set; }

    /// <summary>Why it failed; <c>null</c> when it did not. Of a delete it is an <see cref="InvalidationUnconfirmedException"/>: readers may get the old value.</summary>
    public RedisException? Error { get; private set; }

    /// <summary>Whether Redis can have executed it: <see cref="Sent.No"/> is safe to be made again in any case.</summary>
    public Sent Sent =>
        Outcome switch
        {
            BatchOutcome.NotSent => Sent.No,
            BatchOutcome.Failed => Error!.Sent,
            _ => Sent.Maybe,
        };

    internal CacheFamily OfFamily { get; }

    internal string WireName { get; }

    internal bool IsChange => Operation != BatchOperation.Get;

    /// <summary>How much of a batch's bytes it takes.</summary>
    internal virtual long Bytes => WireName.Length;

    /// <summary>Answers without Redis, where that is possible.</summary>
    internal virtual bool TryAnswer(EntryCommands commands) => false;

    /// <summary>Adds its commands to those that go out together.</summary>
    internal abstract void AddTo(RedisBatch batch, EntryCommands commands, Epoch? epoch);

    /// <summary>Takes the results of its commands, when all have an end.</summary>
    internal abstract void Finish(EntryCommands commands);

    /// <summary>What the script of an atomic batch is told of it.</summary>
    internal abstract void WriteArgs(Span<RedisArg> args);

    /// <summary>Reads its element of that script's answer, on the reading loop.</summary>
    internal abstract void Read(ref RespReader reader, EntryCommands commands);

    /// <summary>Takes what was read.</summary>
    internal abstract void FinishAtomic(EntryCommands commands);

    internal virtual void Fail(RedisException error) => (Outcome, Error) = (BatchOutcome.Failed, error);

    internal void Leave(BatchOutcome outcome) => Outcome = outcome;

    /// <summary>Takes over what has become of a command; <c>true</c> when it was answered.</summary>
    private protected bool Follow(BatchItem command)
    {
        switch (command.Outcome)
        {
            case BatchOutcome.Answered:
                return true;
            case BatchOutcome.Failed:
                Fail(command.Error!);
                return false;
            default:
                Leave(command.Outcome);
                return false;
        }
    }
}

/// <summary>One entry of a batch, and its result.</summary>
/// <typeparam name="T">Of a get the <see cref="CacheResult{T}"/>; of a set always <c>true</c>; of a delete whether there was something to remove, be it only a right to fill it; of an expire whether there was something within its life.</typeparam>
public abstract class BatchEntry<T> : BatchEntry
{
    private T? _value;

    private protected BatchEntry(BatchOperation operation, CacheFamily family, string wireName)
        : base(operation, family, wireName) { }

    /// <summary>The result.</summary>
    /// <exception cref="RedisException">It failed: this is <see cref="BatchEntry.Error"/>.</exception>
    /// <exception cref="InvalidOperationException">There is none: see <see cref="BatchEntry.Outcome"/>.</exception>
    public T Value =>
        Outcome switch
        {
            BatchOutcome.Answered => _value!,
            BatchOutcome.Failed => throw Error!,
            BatchOutcome.NotSent => throw new InvalidOperationException($"The {Operation} of {Family} has no result: it was not sent."),
            _ => throw new InvalidOperationException($"The {Operation} of {Family} has no result: the wait for it was cancelled."),
        };

    private protected void Answer(T value)
    {
        _value = value;
        Leave(BatchOutcome.Answered);
    }
}
