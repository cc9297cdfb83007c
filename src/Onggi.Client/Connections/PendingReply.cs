using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;
using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>The place of a command in the queue of those that wait for a reply, and the caller's promise of its result.</summary>
/// <remarks>
/// It has two owners: the caller, and the connection whose queue it stands in. A caller who gives up (cancelled, timed out) leaves a tombstone: the
/// place stays, so that later replies still meet their commands, and the object is used again only when both have let go. The word that is compared and swapped
/// to settle it holds a generation, so that whoever looks at a recycled object cannot settle its next use.
/// </remarks>
internal abstract class PendingReply
{
    private const int Settled = 1;

    // Settled while nobody uses the object: a look that comes late, with the deadline of a past use, finds nothing to settle.
    private int _word = Settled;
    private int _owners;

    /// <summary>When the caller's patience ends, as a timestamp of the client's TimeProvider.</summary>
    public long Deadline { get; private set; }

    /// <summary>When the command was given to the client.</summary>
    public long Asked { get; private set; }

    /// <summary>Where the command begins and ends in the stream of bytes to send.</summary>
    public long StreamStart { get; set; }

    /// <inheritdoc cref="StreamStart"/>
    public long StreamEnd { get; set; }

    /// <summary>The command's name, for messages and metrics.</summary>
    public string Name { get; private set; } = "";

    /// <summary>A command that is confirmed by a push (SUBSCRIBE and its kin): the push that does it.</summary>
    public PushConfirmation? ConfirmedBy { get; private set; }

    /// <summary>The connection in whose queue it has its place.</summary>
    public RespConnection? Queue { get; set; }

    /// <summary>Asked after settling: a backlog leaves out what is settled, so it was never sent; what is attached is under way.</summary>
    public Sent SentWhenSettled => Queue is { IsAttached: false } ? Sent.No : Sent.Maybe;

    /// <summary>Identifies this use of the object; taken before its deadline is read, it settles this use or none.</summary>
    public int Word => Volatile.Read(ref _word);

    public bool IsSettled => (Word & Settled) != 0;

    protected Completions? Completions { get; private set; }

    /// <summary>Reads the reply and settles with its value; called by the connection, once, for the place's reply.</summary>
    public abstract void Reply(ReadOnlySpan<byte> frame);

    /// <summary>Settles with an error, when nobody has settled this use before.</summary>
    public bool TryFail(int word, Exception error)
    {
        if (!TrySettle(word))
            return false;
        SetException(error);
        return true;
    }

    /// <summary>Settles with an error that is made after settling, so that it can tell what is true from then on.</summary>
    public bool TryFail<TState>(int word, TState state, Func<PendingReply, TState, Exception> error)
    {
        if (!TrySettle(word))
            return false;
        SetException(error(this, state));
        return true;
    }

    /// <summary>What a caller gets whose token was cancelled; <c>Data["Sent"]</c> says whether the command can have been executed.</summary>
    public static OperationCanceledException Cancelled(string name, Sent sent, CancellationToken token)
    {
        var message =
            sent == Sent.No
                ? $"{name} was cancelled before it was sent."
                : $"The wait for the reply to {name} was cancelled; the command itself may still be executed.";
        var cancelled = new OperationCanceledException(message, token);
        cancelled.Data[nameof(Sent)] = sent;
        return cancelled;
    }

    /// <summary>One of the two owners lets go.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _owners) != 0)
            return;
        Volatile.Write(ref _word, _word | Settled);
        ConfirmedBy = null;
        Queue = null;
        Recycle();
    }

    protected void Begin(string name, long asked, long deadline, PushConfirmation? confirmedBy, Completions? completions)
    {
        (Name, Asked, Deadline, ConfirmedBy, Completions) = (name, asked, deadline, confirmedBy, completions);
        (StreamStart, StreamEnd) = (long.MaxValue, long.MaxValue);
        _owners = 2;

        // Last: from here on whoever reads the word reads the deadline of this use, or a later one.
        Volatile.Write(ref _word, (_word & ~Settled) + 2);
    }

    protected bool TrySettle(int word) => (word & Settled) == 0 && Interlocked.CompareExchange(ref _word, word | Settled, word) == word;

    protected abstract void SetException(Exception error);

    protected abstract void Recycle();
}

/// <summary>Hears of every command that ends, for metrics.</summary>
internal abstract class Completions
{
    public abstract void Completed(PendingReply pending, Exception? error);
}

/// <summary>The push that confirms a command: its kind (<c>subscribe</c> …) and its channel.</summary>
internal sealed record PushConfirmation(string Kind, string Channel);

/// <summary>A <see cref="PendingReply"/> whose reply becomes a <typeparamref name="T"/>. Pooled; awaited once.</summary>
internal sealed class PendingReply<T> : PendingReply, IValueTaskSource<T>
{
    private const int KeepAtMost = 1024;
    private static readonly ConcurrentQueue<PendingReply<T>> Pool = new();

    private ManualResetValueTaskSourceCore<T> _source = new() { RunContinuationsAsynchronously = true };
    private ReplyParser<T>? _parser;
    private CancellationTokenRegistration _registration;
    private bool _taken;

    public ValueTask<T> Task => new(this, _source.Version);

    public static PendingReply<T> Rent(
        ReplyParser<T> parser,
        string name,
        long asked,
        long deadline,
        PushConfirmation? confirmedBy = null,
        Completions? completions = null
    )
    {
        if (!Pool.TryDequeue(out var pending))
            pending = new PendingReply<T>();
        pending._parser = parser;
        pending.Begin(name, asked, deadline, confirmedBy, completions);
        return pending;
    }

    /// <summary>Lets the caller's token end the wait. Called when the command has its place in the queue.</summary>
    public void CancelOn(CancellationToken cancellationToken) =>
        _registration = cancellationToken.UnsafeRegister(
            static (state, token) =>
            {
                // The registration is disposed before the object is used again: the word is of this use.
                var pending = (PendingReply<T>)state!;
                pending.TryFail(pending.Word, token, static (pending, token) => Cancelled(pending.Name, pending.SentWhenSettled, token));
            },
            this
        );

    public override void Reply(ReadOnlySpan<byte> frame)
    {
        var word = Word;
        if (IsSettled)
            return;
        T value;
        try
        {
            var reader = new RespReader(frame);
            reader.Read();
            if (reader.IsError)
            {
                TryFail(word, new RedisServerException(reader.ReadString()!));
                return;
            }

            value = _parser!(ref reader);
        }
        catch (Exception error)
        {
            // The reply was whole, only not what the caller reads: that is between the two of them, the connection goes on.
            TryFail(word, error as RedisException ?? new RedisReplyException($"The reply to {Name} could not be read.", error));
            return;
        }

        if (!TrySettle(word))
            return;
        Completions?.Completed(this, null);
        _source.SetResult(value);
    }

    public T GetResult(short token)
    {
        // Awaiting a ValueTask twice is a misuse; it must not hand this object, or its next result, to two callers.
        if (_source.GetStatus(token) == ValueTaskSourceStatus.Pending || _taken)
            throw new InvalidOperationException(
                "A ValueTask of a Redis command is awaited once, and only when it has completed. Use AsTask() to keep it."
            );
        _taken = true;
        try
        {
            return _source.GetResult(token);
        }
        finally
        {
            // Waits for a cancellation that is running right now: after this nobody but the connection knows the object.
            _registration.Dispose();
            Release();
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _source.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    protected override void SetException(Exception error)
    {
        Completions?.Completed(this, error);
        _source.SetException(error);
    }

    protected override void Recycle()
    {
        _parser = null;
        _registration = default;
        _taken = false;
        _source.Reset();
        if (Pool.Count < KeepAtMost)
            Pool.Enqueue(this);
    }
}
