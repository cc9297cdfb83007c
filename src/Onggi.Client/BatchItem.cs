using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;

namespace Onggi.Client;

/// <summary>What has become of one command of a batch or transaction.</summary>
public enum BatchOutcome
{
    /// <summary>It was not executed: not sent yet, or not any more.</summary>
    NotSent,

    /// <summary>It was answered: <see cref="BatchItem{T}.Value"/> is there.</summary>
    Answered,

    /// <summary><see cref="BatchItem.Error"/> says why.</summary>
    Failed,

    /// <summary>The wait was cancelled when it was on its way: whether it was executed is not known.</summary>
    Unknown,
}

/// <summary>One command of a <see cref="RedisBatch"/> or <see cref="RedisTransaction"/>, and what has become of it.</summary>
public abstract class BatchItem
{
    private protected BatchItem(string name) => Name = name;

    /// <summary>What has become of it, as far as is known.</summary>
    public BatchOutcome Outcome { get; private set; }

    /// <summary>Why it failed; <c>null</c> when it did not.</summary>
    public RedisException? Error { get; private set; }

    /// <summary>The command's name, for messages and metrics.</summary>
    internal string Name { get; }

    internal RedisScript? Script { get; init; }

    internal CommandTraits Traits { get; init; }

    /// <summary>Makes the place in the queue for this command.</summary>
    internal abstract PendingReply Prepare(Router router, ReadOnlySpan<byte> frame);

    /// <summary>Lets the caller's token end the wait; once it has its place.</summary>
    internal abstract void CancelOn(CancellationToken cancellationToken);

    /// <summary>Waits for its end, whatever it is.</summary>
    internal abstract ValueTask FinishAsync();

    /// <summary>Reads its result from the reply to EXEC, whose element the reader stands on.</summary>
    internal abstract void Read(ref RespReader reader);

    internal void Fail(RedisException error) => (Outcome, Error) = (BatchOutcome.Failed, error);

    internal void Leave(BatchOutcome outcome) => Outcome = outcome;
}

/// <summary>One command of a <see cref="RedisBatch"/> or <see cref="RedisTransaction"/>, and its result.</summary>
/// <typeparam name="T">What the command returns.</typeparam>
public sealed class BatchItem<T> : BatchItem
{
    private readonly ReplyParser<T> _parser;
    private PendingReply<T>? _pending;
    private T? _value;

    internal BatchItem(string name, ReplyParser<T> parser)
        : base(name) => _parser = parser;

    /// <summary>The result.</summary>
    /// <exception cref="RedisException">It failed: this is <see cref="BatchItem.Error"/>.</exception>
    /// <exception cref="InvalidOperationException">There is none: see <see cref="BatchItem.Outcome"/>.</exception>
    public T Value =>
        Outcome switch
        {
            BatchOutcome.Answered => _value!,
            BatchOutcome.Failed => throw Error!,
            BatchOutcome.NotSent => throw new InvalidOperationException($"{Name} has no result: it was not sent."),
            _ => throw new InvalidOperationException($"{Name} has no result: the wait for it was cancelled."),
        };

    internal override PendingReply Prepare(Router router, ReadOnlySpan<byte> frame) =>
        _pending = router.Prepare(frame, Name, Script, Traits, _parser);

    internal override void CancelOn(CancellationToken cancellationToken) => _pending!.CancelOn(cancellationToken);

    internal override async ValueTask FinishAsync()
    {
        var pending = _pending!;
        _pending = null;
        try
        {
            _value = await pending.Task.ConfigureAwait(Rt.Capture);
            Leave(BatchOutcome.Answered);
        }
        catch (RedisException error)
        {
            Fail(error);
        }
        catch (OperationCanceledException cancelled)
        {
            Leave(cancelled.Data[nameof(Sent)] is Sent.No ? BatchOutcome.NotSent : BatchOutcome.Unknown);
        }
    }

    internal override void Read(ref RespReader reader)
    {
        if (reader.IsError)
        {
            Fail(new RedisServerException(reader.ReadString()!));
            return;
        }

        // On a copy: a parser that stops halfway must not shift the results behind it.
        var own = reader;
        reader.Skip();
        try
        {
            _value = _parser(ref own);
            Leave(BatchOutcome.Answered);
        }
        catch (Exception error)
        {
            Fail(error as RedisException ?? new RedisReplyException($"The reply to {Name} could not be read.", error));
        }
    }
}
