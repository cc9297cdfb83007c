using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>What a newly queued command asks of whoever queued it.</summary>
internal enum FlushHint
{
    /// <summary>Somebody is sending, or will: nothing to do.</summary>
    None,

    /// <summary>It is the only command under way: send at once, on the caller's thread.</summary>
    Now,

    /// <summary>Others are waiting for replies: send soon, together with what they add until then.</summary>
    Soon,

    /// <summary>The connection is closed; the command was not queued.</summary>
    Closed,
}

/// <summary>Receives the pushes of a connection, in the order of the wire, between the replies.</summary>
internal interface IPushSink
{
    void OnPush(ref RespReader push);
}

/// <summary>One connection without its socket: bytes in, bytes out, and the queue of commands that wait for replies.</summary>
/// <remarks>
/// It starts detached, as the backlog of a link that is down; <see cref="Attach"/> drops the commands that nobody waits for any more and lets the rest be sent.
/// The gate covers writing a whole command and taking its place in the queue, nothing else: a command's bytes and its place always agree, and when writing fails both are as before.
/// After <see cref="Close"/> it is never used again; its link makes a new one.
/// </remarks>
internal sealed class RespConnection(ConnectionLimits limits, IPushSink? pushes = null)
{
    private readonly Lock _gate = new();
    private readonly PendingRing _ring = new(limits.MaxInFlight);
    private readonly FrameScanner _scanner = new(limits.Resp);
    private readonly ReceiveBuffer _received = new();

    // Guarded by the gate: the buffer that fills, the one being sent, and where the first byte of the filling one stands in the stream.
    private OutputBuffer _filling = new();
    private OutputBuffer _sending = new();
    private long _streamTaken;
    private bool _closed;

    // Whoever sets it owns sending until TakeOutput finds nothing. A detached connection is owned by its link.
    private bool _sendingOwned = true;
    private volatile bool _attached;

    /// <summary>How many commands wait for replies, those included whose callers have gone.</summary>
    public int InFlight => _ring.Count;

    public bool IsAttached => _attached;

    /// <summary>Writes the command and gives it its place; <see cref="FlushHint.Closed"/> when the connection has ended.</summary>
    /// <exception cref="RedisBusyException">The queue or the buffer is full. Nothing was written.</exception>
    /// <exception cref="ArgumentException">The command cannot be encoded. Nothing was written.</exception>
    public FlushHint TryEnqueue(in Command command, PendingReply pending)
    {
        lock (_gate)
        {
            if (_closed)
                return FlushHint.Closed;
            ThrowIfFull();
            var before = _filling.Length;
            ThrowIfTooLarge(in command, before);
            CommandWriter.Write(_filling, in command);
            pending.Queue = this;
            pending.StreamStart = _streamTaken + before;
            pending.StreamEnd = _streamTaken + _filling.Length;
            _ring.Add(pending);
            if (_sendingOwned)
                return FlushHint.None;
            _sendingOwned = true;
            return _ring.Count == 1 ? FlushHint.Now : FlushHint.Soon;
        }
    }

    /// <summary>Makes the backlog sendable: commands that were given up while the link was down are left out, and were never sent.</summary>
    /// <remarks>The caller owns sending from here: it calls <see cref="TakeOutput"/> until there is nothing.</remarks>
    public void Attach()
    {
        lock (_gate)
        {
            // First the flag, then the look at each place: a caller who gives up either is seen here, or sees the flag and says "maybe".
            _attached = true;
            Interlocked.MemoryBarrier();
            var all = _filling;
            (_filling, _sending) = (_sending, all);
            var waiting = new List<PendingReply>(_ring.Count);
            while (_ring.Peek() is { } pending)
            {
                _ring.Remove();
                if (pending.IsSettled)
                {
                    pending.Release();
                    continue;
                }

                _filling.Write(all.Written.Span[(int)pending.StreamStart..(int)pending.StreamEnd]);
                waiting.Add(pending);
            }

            var at = 0L;
            foreach (var pending in waiting)
            {
                var length = pending.StreamEnd - pending.StreamStart;
                (pending.StreamStart, pending.StreamEnd) = (at, at + length);
                at += length;
                _ring.Add(pending);
            }

            _sending.Clear();
        }
    }

    /// <summary>Hands out what is to be sent next, everything that has been written since the last time; <c>false</c> ends the ownership of sending.</summary>
    public bool TakeOutput(out ReadOnlyMemory<byte> bytes)
    {
        lock (_gate)
        {
            _sending.Clear();
            if (_closed || _filling.Length == 0)
            {
                _sendingOwned = _closed;
                bytes = default;
                return false;
            }

            (_filling, _sending) = (_sending, _filling);
            bytes = _sending.Written;
            _streamTaken += bytes.Length;
            return true;
        }
    }

    /// <summary>Where the next bytes from the server are to be put; then <see cref="OnReceived"/>. Only the reader calls it.</summary>
    public Memory<byte> GetReceiveMemory() => _received.GetMemory(_scanner.Needed);

    /// <summary>Reads every whole frame of what has arrived and settles the commands they answer, in order.</summary>
    /// <exception cref="RespProtocolException">The stream is broken; the connection must be closed.</exception>
    public void OnReceived(int count)
    {
        _received.Received(count);
        while (_scanner.Scan(_received.Unread) is var length and > 0)
        {
            var frame = _received.Unread[..length];
            Dispatch(_scanner.HasStreamedParts ? StreamedFrame.Flatten(frame) : frame);
            _received.Consume(length);
        }
    }

    /// <summary>Takes bytes as they come, for tests and simulations: the same path as from a socket.</summary>
    public void OnBytes(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var room = GetReceiveMemory();
            var count = Math.Min(room.Length, bytes.Length);
            bytes[..count].CopyTo(room.Span);
            bytes = bytes[count..];
            OnReceived(count);
        }
    }

    /// <summary>Ends the connection: every command that waits fails now, told whether it can have been sent. Called by the reader's side only, once.</summary>
    public void Close(string reason, Exception? cause)
    {
        long taken;
        lock (_gate)
        {
            _closed = true;
            taken = _attached ? _streamTaken : 0;
        }

        while (_ring.Peek() is { } pending)
        {
            _ring.Remove();
            var sent = pending.StreamStart < taken ? Sent.Maybe : Sent.No;
            pending.TryFail(pending.Word, new RedisConnectionException($"{reason} {Outcome(pending, sent)}", sent, cause));
            pending.Release();
        }
    }

    /// <summary>Fails the commands whose time is over. Their places stay. Returns when the oldest place was asked for, or <see cref="long.MaxValue"/>.</summary>
    public long Expire(long now, Func<PendingReply, Sent, Exception> timeout)
    {
        var state = new Expiry(now, timeout);
        _ring.ForEach(state, static (pending, state) => state.Visit(pending));
        return state.Oldest;
    }

    private void ThrowIfFull()
    {
        var most = _attached ? _ring.Capacity : limits.MaxBacklog;
        if (_ring.Count >= most)
            throw new RedisBusyException(
                _attached
                    ? $"{most} commands wait for replies already. Ask less at a time, or raise MaxInFlight."
                    : $"There is no connection, and {most} commands wait for one already."
            );
    }

    // Before anything is written, so that a refused command costs no memory.
    private void ThrowIfTooLarge(in Command command, int waiting)
    {
        if (waiting + command.MostBytes <= limits.MaxBufferedBytes)
            return;
        var size = CommandWriter.Measure(in command);
        if (waiting + size > limits.MaxBufferedBytes)
            throw new RedisBusyException(
                $"{waiting} bytes wait to be sent; {size} more would pass the limit of {limits.MaxBufferedBytes}. Wait until Redis has taken them, or raise MaxBufferedBytes."
            );
    }

    private void Dispatch(ReadOnlySpan<byte> frame)
    {
        if (_scanner.IsPush)
        {
            var push = new RespReader(frame);
            push.Read();
            if (_ring.Peek() is { ConfirmedBy: { } awaited } && Confirms(push, awaited))
                Settle(frame);
            pushes?.OnPush(ref push);
            return;
        }

        if (_ring.Peek() is null)
            throw new RespProtocolException("A reply came that nobody asked for.");
        if (_ring.Peek() is { ConfirmedBy: not null } && !_scanner.IsError)
            throw new RespProtocolException("A subscription was answered with a reply instead of a push.");
        Settle(frame);
    }

    private void Settle(ReadOnlySpan<byte> frame)
    {
        var pending = _ring.Peek()!;
        _ring.Remove();
        try
        {
            pending.Reply(frame);
        }
        finally
        {
            pending.Release();
        }
    }

    // >3 subscribe <channel> <count>
    private static bool Confirms(RespReader push, PushConfirmation awaited)
    {
        if (push.Count < 2 || !push.Read() || push.IsAggregate || push.ReadString() != awaited.Kind)
            return false;
        return push.Read() && !push.IsAggregate && push.ReadString() == awaited.Channel;
    }

    private static string Outcome(PendingReply pending, Sent sent) =>
        sent == Sent.No ? $"{pending.Name} was not sent." : $"Whether {pending.Name} was executed is not known.";

    private sealed class Expiry(long now, Func<PendingReply, Sent, Exception> timeout)
    {
        public long Oldest { get; private set; } = long.MaxValue;

        public void Visit(PendingReply pending)
        {
            // The word first: if the object is used again meanwhile, the deadline read is a later one or the word no longer fits.
            var word = pending.Word;
            Oldest = Math.Min(Oldest, pending.Asked);
            if (pending.Deadline > now)
                return;

            // Settled while detached, Attach leaves it out; attached, its bytes are under way whatever the caller does.
            pending.TryFail(word, this, static (pending, expiry) => expiry.Timeout(pending));
        }

        private Exception Timeout(PendingReply pending) => timeout(pending, pending.SentWhenSettled);
    }
}

/// <summary>What one connection holds at the most.</summary>
internal sealed record ConnectionLimits
{
    public RespLimits Resp { get; init; } = RespLimits.Default;

    public int MaxInFlight { get; init; } = 4096;

    public int MaxBacklog { get; init; } = 1024;

    public int MaxBufferedBytes { get; init; } = 256 << 20;
}
