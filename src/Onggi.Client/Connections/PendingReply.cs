using System.Diagnostics;
using System.Threading.Tasks.Sources;
using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>The place of a command in the queue of those that wait for a reply, the bytes it was written as, and the caller's promise of its result.</summary>
/// <remarks>
/// It has two owners: the caller, and the connection whose queue it stands in. A caller who gives up (cancelled, timed out) leaves a tombstone: the
/// place stays, so that later replies still meet their commands, and the object is used again only when both have let go. The word that is compared and swapped
/// to settle it holds a generation, so that whoever looks at a recycled object cannot settle its next use.
/// It keeps its own bytes, so that a command that was not executed can be asked again, here or elsewhere, when its caller's arguments are long gone.
/// </remarks>
internal abstract class PendingReply
{
    private const int Settled = 1;
    private const int FrameSize = 192;
    private const int KeepFrame = 2 << 10;

    private readonly OutputBuffer _frame = new(FrameSize, KeepFrame);
    private SyncWaiter? _waiter;

    // Settled while nobody uses the object: a look that comes late, with the deadline of a past use, finds nothing to settle.
    private int _word = Settled;
    private int _owners;

    /// <summary>When the caller's patience ends, as a timestamp of the client's TimeProvider.</summary>
    public long Deadline { get; private set; }

    /// <summary>When the command was given to the client; <see cref="long.MaxValue"/> for what no caller asked for.</summary>
    public long Asked { get; protected set; }

    /// <summary>Where the command begins in the stream of bytes to send.</summary>
    public long StreamStart { get; set; }

    /// <summary>The command's name, for messages and metrics.</summary>
    public string Name { get; protected set; } = "";

    /// <summary>The script, when the command is an EVALSHA.</summary>
    public RedisScript? Script { get; private set; }

    /// <summary>A command that is confirmed by a push (SUBSCRIBE and its kin): the push that does it.</summary>
    public PushConfirmation? ConfirmedBy { get; set; }

    /// <summary>What must stand right before it on the wire; <c>null</c> for nothing.</summary>
    public Preamble? Preamble { get; set; }

    /// <summary>A transaction, which has several replies; <c>null</c> for every other command.</summary>
    public TransactionReplies? Transaction { get; set; }

    /// <summary>Reads the first reply where the place holds two commands; <c>null</c> for one.</summary>
    public FirstReply? First { get; set; }

    /// <summary>Who asked: hears of the end, and may ask again.</summary>
    public CommandOrigin? Origin { get; private set; }

    /// <summary>What the origin knows of it.</summary>
    public CommandTraits Traits { get; set; }

    /// <summary>Whom the origin gave it to last, where it wants to know when the answer has come.</summary>
    public object? Target { get; set; }

    /// <summary>The caller's span, when somebody listens for such; <c>null</c> otherwise.</summary>
    public Activity? Activity { get; set; }

    /// <summary>How often it was asked again.</summary>
    public int Retries { get; set; }

    /// <summary>The connection in whose queue it has its place.</summary>
    public RespConnection? Queue { get; set; }

    /// <summary>The encoded command.</summary>
    public ReadOnlySpan<byte> Frame => _frame.Written.Span;

    /// <summary>Asked after settling: a backlog leaves out what is settled, so it was never sent; what is attached is under way.</summary>
    public Sent SentWhenSettled => MaybeExecuted || Queue is { IsAttached: true } ? Sent.Maybe : Sent.No;

    /// <summary>It stood in a line before it is given its place: its caller can give up, and be told that it was not sent, while that is done.</summary>
    public bool HasWaited { get; set; }

    /// <summary>It was on its way once already, and no reply came; it is asked again because doing it twice is harmless.</summary>
    public bool MaybeExecuted { get; set; }

    /// <summary>Identifies this use of the object; taken before its deadline is read, it settles this use or none.</summary>
    public int Word => Volatile.Read(ref _word);

    public bool IsSettled => (Word & Settled) != 0;

    /// <summary>Whether the caller can take the result.</summary>
    public abstract bool IsCompleted { get; }

    /// <summary>The last refusal, when it is asked again because of one.</summary>
    public RedisException? Refused { get; set; }

    /// <summary>A caller who blocks: woken when it is over, or when it is its turn to read.</summary>
    public void WakeOnCompletion(SyncWaiter waiter) => Volatile.Write(ref _waiter, waiter);

    public void Wake() => Volatile.Read(ref _waiter)?.Wake();

    /// <summary>Writes the command into its own bytes.</summary>
    /// <exception cref="ArgumentException">It cannot be encoded.</exception>
    /// <exception cref="RedisBusyException">It takes more than <paramref name="most"/> bytes; nothing was written.</exception>
    public void Encode(in Command command, int most = int.MaxValue)
    {
        if (command.MostBytes > most && CommandWriter.Measure(in command) is var size && size > most)
            throw new RedisBusyException(
                $"{command.Name} takes {size} bytes, over the limit of {most} that may wait to be sent. Raise MaxBufferedBytes."
            );
        Script = command.Script;
        _frame.Clear();
        CommandWriter.Write(_frame, in command);
    }

    /// <summary>Writes another command behind it, whose reply is the place's.</summary>
    /// <exception cref="ArgumentException">It cannot be encoded.</exception>
    public void EncodeMore(in Command command) => CommandWriter.Write(_frame, in command);

    /// <summary>Takes what is encoded already.</summary>
    public void Encode(ReadOnlySpan<byte> frame, RedisScript? script)
    {
        Script = script;
        _frame.Clear();
        _frame.Write(frame);
    }

    /// <summary>Makes the EVALSHA an EVAL, which brings the script along.</summary>
    public void EncodeWithSource()
    {
        var source = Script!;
        var rest = Frame[(Frame.IndexOf((byte)'\r') + source.EvalShaHead.Length)..].ToArray();
        var count = Frame[..Frame.IndexOf((byte)'\r')].ToArray();
        _frame.Clear();
        _frame.Write(count);
        CommandWriter.WriteEvalHead(_frame, source);
        _frame.Write(rest);
        Script = null;
    }

    /// <summary>Reads the reply and settles with its value, or hands itself back to its origin to be asked again; called by the connection, once, for the place's reply.</summary>
    /// <returns>Whether <see cref="Complete"/> is to be called.</returns>
    public abstract bool Reply(ReadOnlySpan<byte> frame);

    /// <summary>Lets the caller go on, on this thread, after <see cref="Reply"/> has settled it.</summary>
    public abstract void Complete();

    /// <summary>Settles with an error, when nobody has settled this use before. The caller goes on on another thread.</summary>
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

    /// <summary>One more owner: whoever will ask again.</summary>
    public virtual void Hold() => Interlocked.Increment(ref _owners);

    /// <summary>One of the owners lets go.</summary>
    public virtual void Release()
    {
        if (Interlocked.Decrement(ref _owners) != 0)
            return;
        Volatile.Write(ref _word, _word | Settled);
        (ConfirmedBy, Queue, Preamble, Script, Origin, Refused) = (null, null, null, null, null, null);
        (Target, Activity, Transaction, First, _waiter) = (null, null, null, null, null);
        _frame.Clear();
        Recycle();
    }

    protected void Begin(string name, long asked, long deadline, CommandOrigin? origin)
    {
        (Name, Asked, Deadline, Origin, Traits, Retries) = (name, asked, deadline, origin, default, 0);
        (MaybeExecuted, HasWaited) = (false, false);
        StreamStart = long.MaxValue;
        _owners = 2;

        // Last: from here on whoever reads the word reads the deadline of this use, or a later one.
        Volatile.Write(ref _word, (_word & ~Settled) + 2);
    }

    protected bool TrySettle(int word) => (word & Settled) == 0 && Interlocked.CompareExchange(ref _word, word | Settled, word) == word;

    protected abstract void SetException(Exception error);

    protected abstract void Recycle();
}

/// <summary>Who asked: hears of every command that ends, for metrics, and decides whether one that was not executed is asked again.</summary>
internal abstract class CommandOrigin
{
    public abstract void Completed(PendingReply pending, Exception? error);

    /// <summary>
    /// Takes the command over to ask it again, with <see cref="PendingReply.Hold"/> before anybody else can see it, or returns <c>false</c>: then the caller gets the error.
    /// Runs on the reading loop; it must not block.
    /// </summary>
    public abstract bool TryAgain(PendingReply pending, RedisException error);
}

/// <summary>Hears of every command that begins and ends, for metrics and traces.</summary>
internal abstract class Completions
{
    public abstract void Started(PendingReply pending);

    public abstract void Completed(PendingReply pending, Exception? error);
}

/// <summary>What must be known of a command to send it again, or elsewhere.</summary>
/// <param name="Options">What the caller asked for.</param>
/// <param name="Slot">The hash slot of its keys; negative when it has none, or several, or nobody has looked: see <c>KeySlots</c>.</param>
/// <param name="Blocks">Its caller blocks until the reply comes.</param>
/// <param name="OnlyOn">The connection that it is for, by its number: it is sent on that one or not at all; 0 for any.</param>
internal readonly record struct CommandTraits(CommandOptions Options, int Slot = -1, bool Blocks = false, long OnlyOn = 0);

/// <summary>The push that confirms a command: its kind (<c>subscribe</c> …) and its channel.</summary>
internal sealed record PushConfirmation(string Kind, string Channel);

/// <summary>A short command that must stand right before another one: <c>ASKING</c>, <c>CLIENT CACHING YES</c>. Its place in the queue belongs to nobody, and is shared.</summary>
internal sealed class Preamble : PendingReply
{
    public static readonly Preamble Asking = new("ASKING", ["ASKING"]);
    public static readonly Preamble Caching = new("CLIENT CACHING", ["CLIENT", "CACHING", "YES"]);

    private Preamble(string name, RedisArg[] command)
    {
        (Name, Asked) = (name, long.MaxValue);
        Encode(new Command(command));
    }

    /// <exception cref="RespProtocolException">The server refused it: what follows does not mean what its caller wanted, and must not be believed.</exception>
    public override bool Reply(ReadOnlySpan<byte> frame)
    {
        var reader = new RespReader(frame);
        reader.Read();
        return reader.IsError ? throw Refusal(reader.ReadString()) : false;
    }

    public override bool IsCompleted => true;

    public override void Complete() { }

    private RespProtocolException Refusal(string? why) => new($"{Name} was refused: {why}") { IsWellFormed = true };

    public override void Hold() { }

    public override void Release() { }

    protected override void SetException(Exception error) { }

    protected override void Recycle() { }
}

/// <summary>A <see cref="PendingReply"/> whose reply becomes a <typeparamref name="T"/>. Pooled; awaited once.</summary>
internal sealed class PendingReply<T> : PendingReply, IValueTaskSource<T>
{
    private ManualResetValueTaskSourceCore<T> _source;
    private Delegate? _parser;
    private object? _state;
    private ReadWithState? _readWithState;
    private CancellationTokenRegistration _registration;
    private T? _value;
    private Exception? _error;
    private bool _taken;

    private delegate T ReadWithState(object state, Delegate parser, ref RespReader reader);

    public ValueTask<T> Task => new(this, _source.Version);

    public static PendingReply<T> Rent(ReplyParser<T>? parser, string name, long asked, long deadline, CommandOrigin? origin = null)
    {
        var pending = PendingPool<PendingReply<T>>.Rent() ?? new PendingReply<T>();
        pending._parser = parser;
        pending.Begin(name, asked, deadline, origin);
        return pending;
    }

    /// <summary>Reads with a parser that is given <paramref name="state"/>.</summary>
    public void ReadWith<TState>(TState state, ReplyParser<TState, T> parser)
        where TState : class
    {
        (_state, _parser, _readWithState) = (state, parser, WithState<TState>.Read);
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

    public override bool IsCompleted => _source.GetStatus(_source.Version) != ValueTaskSourceStatus.Pending;

    /// <summary>The result for a caller who blocks.</summary>
    public T GetResult() => GetResult(_source.Version);

    public override bool Reply(ReadOnlySpan<byte> frame)
    {
        var word = Word;
        if (IsSettled)
            return false;
        var settled = false;
        try
        {
            var reader = new RespReader(frame);
            reader.Read();
            if (reader.IsError || First?.Failure is not null)
            {
                var refused = First?.Failure ?? new RedisServerException(reader.ReadString()!);
                if (Origin?.TryAgain(this, CauseOf(refused)) == true || !TrySettle(word))
                    return false;
                _error = refused;
                return true;
            }

            // Settled first: a caller who gives up from now on waits until the reply is read, so that nothing is written where it no longer looks.
            settled = TrySettle(word);
            if (!settled)
                return false;
            _value = _state is null ? ((ReplyParser<T>)_parser!)(ref reader) : _readWithState!(_state, _parser!, ref reader);
        }
        catch (Exception error)
        {
            // The reply was whole, only not what the caller reads: that is between the two of them, the connection goes on.
            _error = error as RedisException ?? new RedisReplyException($"The reply to {Name} could not be read.", error);
        }

        return settled || TrySettle(word);
    }

    private RedisException CauseOf(RedisException refused) =>
        Transaction is { } transaction && refused is RedisServerException exec ? transaction.CauseOf(exec) : refused;

    public override void Complete()
    {
        Origin?.Completed(this, _error);
        _source.RunContinuationsAsynchronously = false;
        if (_error is null)
            _source.SetResult(_value!);
        else
            _source.SetException(_error);
        Wake();
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

    // From a timer, a cancellation or the end of a connection: their threads are not for the caller's code.
    protected override void SetException(Exception error)
    {
        Origin?.Completed(this, error);
        _source.RunContinuationsAsynchronously = true;
        _source.SetException(error);
        Wake();
    }

    protected override void Recycle()
    {
        (_parser, _state, _registration, _value, _error, _taken) = (null, null, default, default, null, false);
        _source.Reset();
        PendingPool<PendingReply<T>>.Return(this);
    }

    private static class WithState<TState>
        where TState : class
    {
        public static readonly ReadWithState Read = static (object state, Delegate parser, ref RespReader reader) =>
            ((ReplyParser<TState, T>)parser)((TState)state, ref reader);
    }
}
