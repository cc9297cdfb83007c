using System.Diagnostics.CodeAnalysis;
using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Client.Transport;

/// <summary>Moves bytes between a <see cref="RespConnection"/> and its transport, and lets callers go on whose replies have come.</summary>
/// <remarks>
/// Sending never sleeps to collect more. A caller who is alone sends at once, on its own thread. Otherwise the buffer is marked as due, and whoever is letting callers go on, or one work item,
/// sends what has come together by then. What is due for more than a moment is sent by the <see cref="Keeper"/>, so that sending never depends on the thread pool alone.
/// </remarks>
internal abstract class ConnectionPump(RespConnection connection, ITransport transport, TimeProvider time, PumpCounters counters)
    : IThreadPoolWorkItem
{
    // A large value goes out in parts, so that its progress is seen.
    private const int Part = 256 << 10;

    // Callers who go on in one batch, or for how long, before what they have asked is sent: the server begins while the others go on.
    private const int FlushEvery = 64;
    private static readonly TimeSpan FlushAfter = TimeSpan.FromMicroseconds(30);
    private const int LookEvery = 8;

    private readonly TaskCompletionSource<(string, Exception?)> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _flushTicks = (long)(FlushAfter.TotalSeconds * time.TimestampFrequency);
    private string? _abortReason;
    private long _lastProgress = time.GetTimestamp();
    private int _due;
    private int _releasing;
    private int _progress;

    /// <summary>When bytes came in last, or a part of a large value went out, as a timestamp.</summary>
    public long LastProgress => Volatile.Read(ref _lastProgress);

    /// <summary>Moves with everything that is done here: who looks twice sees whether something hangs.</summary>
    public int Progress => Volatile.Read(ref _progress);

    /// <summary>Ends the client.</summary>
    protected CancellationToken Stop { get; private set; }

    protected bool HasEnded => _ended.Task.IsCompleted;

    protected RespConnection Connection { get; } = connection;

    protected ITransport Transport { get; } = transport;

    protected PumpCounters Counters { get; } = counters;

    /// <summary>Those whose replies have come.</summary>
    protected ReadyQueue Ready { get; } = new();

    /// <summary>Called when a command was refused for want of room, and there is some again.</summary>
    public Action? RoomAgain { get; init; }

    /// <summary>Something is to be sent, or callers are to go on, and somebody has been asked to do it.</summary>
    public virtual bool HasWork => Volatile.Read(ref _due) != 0 || !Ready.IsEmpty;

    /// <summary>Replies are awaited.</summary>
    public bool IsWaiting => Connection.InFlight > 0;

    /// <summary>Reads until the connection ends; the reason why it did. Never throws.</summary>
    public Task<(string Reason, Exception? Cause)> RunAsync(CancellationToken cancellationToken)
    {
        Stop = cancellationToken;
        Start();
        return _ended.Task;
    }

    /// <summary>Does what a newly queued command asks for.</summary>
    [SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Transport is where work meets the thread pool.")]
    public virtual void OnEnqueued(Enqueued enqueued)
    {
        // Alone, but others are just being let go on: what they ask comes along.
        if (enqueued == Enqueued.Alone && (Volatile.Read(ref _releasing) == 0 || Ready.IsEmpty))
        {
            Counters.Flushed(FlushCause.Alone);
            SendIfFree();
            return;
        }

        if (Volatile.Read(ref _due) != 0 || Interlocked.Exchange(ref _due, 1) != 0)
            return;

        // First the mark, then the look: whoever lets callers go on looks at the mark when it has done.
        Keeper.Watch();
        if (Volatile.Read(ref _releasing) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Sends, on this thread, what is due.</summary>
    public void SendDue(FlushCause cause)
    {
        if (Interlocked.Exchange(ref _due, 0) == 0)
            return;
        Counters.Flushed(cause);
        SendIfFree();
    }

    /// <summary>Looks for what nobody waits for: the end of a connection on which a blocked caller reads only while there is one.</summary>
    public virtual void LookAround() { }

    /// <summary>What the keeper asks for when nothing has moved for a moment although there is work.</summary>
    public abstract void OnStuck();

    /// <summary>Ends the connection from our side, for this reason.</summary>
    public void Abort(string reason)
    {
        _abortReason ??= reason;
        Transport.Abort();
        End(null);
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (!Ready.IsEmpty)
            Release(long.MaxValue);
        SendDue(FlushCause.Queued);
    }

    /// <summary>Sends what is there until nothing is; only who owns sending calls it.</summary>
    public void Flush()
    {
        try
        {
            while (Connection.TakeOutput(out var bytes))
            {
                Counters.Sent(bytes.Length);
                var sending = bytes.Length <= Part ? Transport.SendAsync(bytes, CancellationToken.None) : SendPartsAsync(bytes);
                if (!sending.IsCompletedSuccessfully)
                {
                    _ = FinishAsync(sending);
                    return;
                }

                sending.GetAwaiter().GetResult();
                Moved();
                if (Connection.HasRoomAgain())
                    RoomAgain?.Invoke();
            }
        }
        catch (Exception error)
        {
            OnSendFailed(error);
        }
    }

    /// <summary>Begins to read; it must not block.</summary>
    protected abstract void Start();

    /// <summary>Lets callers go on, on this thread, until there are none or the time is over, then sends what they have asked meanwhile.</summary>
    /// <returns>Whether all could go on.</returns>
    protected bool Release(long until)
    {
        var all = true;
        Keeper.Watch();
        Interlocked.Increment(ref _releasing);
        try
        {
            var flush = time.GetTimestamp() + _flushTicks;
            for (var released = 1; RunOne(); released++)
            {
                Moved();
                if (released % LookEvery != 0)
                    continue;
                var now = time.GetTimestamp();
                if (released % FlushEvery == 0 || now >= flush)
                {
                    SendDue(FlushCause.Batch);
                    flush = now + _flushTicks;
                }

                if (now < until || Ready.IsEmpty)
                    continue;
                all = false;
                break;
            }
        }
        finally
        {
            Interlocked.Decrement(ref _releasing);
        }

        SendDue(FlushCause.Batch);
        return all;
    }

    /// <summary>Lets callers go on, but not on this thread: it is the link's own, which must see the connection end however long a caller blocks.</summary>
    protected void ReleaseElsewhere()
    {
        if (Ready.IsEmpty)
            return;
        Keeper.Watch();
        ReleaseOnPool();
    }

    protected long In(TimeSpan span) => time.GetTimestamp() + (long)(span.TotalSeconds * time.TimestampFrequency);

    [SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Transport is where work meets the thread pool.")]
    protected void ReleaseOnPool() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    protected void Moved() => Volatile.Write(ref _progress, _progress + 1);

    /// <summary>Reads what has arrived.</summary>
    /// <returns>How many replies and pushes were whole.</returns>
    protected int Received(int count)
    {
        Volatile.Write(ref _lastProgress, time.GetTimestamp());
        Moved();
        var replies = Connection.OnReceived(count, Ready);
        Counters.Received(count, replies);
        if (Connection.HasRoomAgain())
            RoomAgain?.Invoke();
        return replies;
    }

    /// <summary>The connection has ended, with this error or without one; the first to say so is believed.</summary>
    protected void End(Exception? error) =>
        _ended.TrySetResult(
            error switch
            {
                null => (_abortReason ?? "The server closed the connection.", null),
                OperationCanceledException when Stop.IsCancellationRequested => ("The client was disposed.", null),
                RespProtocolException { IsWellFormed: true } => ($"The connection is of no use ({error.Message}).", error),
                RespProtocolException => ($"The server sent what is not RESP3 ({error.Message}).", error),

                // The top of the reading loop: whatever it was, the connection has ended, and its callers are told so.
                _ => (_abortReason ?? $"The connection was lost ({error.Message}).", error),
            }
        );

    private bool RunOne()
    {
        try
        {
            return Ready.TryRunOne();
        }
        catch (Exception)
        {
            // A caller's own awaiter threw: its own affair, the others go on.
            return true;
        }
    }

    protected void SendIfFree()
    {
        if (Connection.TryBeginSending())
            Flush();
    }

    private async Task FinishAsync(ValueTask sending)
    {
        try
        {
            await sending.ConfigureAwait(Rt.Capture);
        }
        catch (Exception error)
        {
            OnSendFailed(error);
            return;
        }

        Moved();
        Flush();
    }

    private async ValueTask SendPartsAsync(ReadOnlyMemory<byte> bytes)
    {
        for (; !bytes.IsEmpty; bytes = bytes[Math.Min(Part, bytes.Length)..])
        {
            await Transport.SendAsync(bytes[..Math.Min(Part, bytes.Length)], CancellationToken.None).ConfigureAwait(Rt.Capture);
            // Of large ones only: what is small goes into the system's buffers, whether anybody takes it out of them or not.
            if (bytes.Length > Part)
                Volatile.Write(ref _lastProgress, time.GetTimestamp());
        }
    }

    private void OnSendFailed(Exception error) => Abort($"Sending failed ({error.Message}).");
}
