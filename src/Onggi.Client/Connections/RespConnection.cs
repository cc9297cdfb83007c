using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>What became of a command that was to be queued.</summary>
internal enum Enqueued
{
    /// <summary>It is the only command under way: nothing is gained by waiting for others.</summary>
    Alone,

    /// <summary>Others wait for replies: send it soon, together with what they add until then.</summary>
    AmongOthers,

    /// <summary>There is no room: it was not queued.</summary>
    Full,

    /// <summary>The connection is closed: it was not queued.</summary>
    Closed,

    /// <summary>It is for another connection: it was not queued.</summary>
    Elsewhere,
}

/// <summary>Receives the pushes of a connection, in the order of the wire, between the replies.</summary>
internal interface IPushSink
{
    /// <summary>The number of the connection that began last; 0 where they are not counted.</summary>
    long Generation => 0;

    /// <summary>A connection stands; nothing has been sent on it yet.</summary>
    void Begin() { }

    void OnPush(ref RespReader push);

    /// <summary>The connection has ended: no push and no reply of it follows, and nobody who waits on it has gone on yet.</summary>
    void End() { }
}

/// <summary>Reads replies on the thread of a caller who waits for one.</summary>
internal interface IReplyDriver
{
    /// <summary>Reads, or waits while another thread reads, until the reply has come or so much time is over.</summary>
    void Drive(PendingReply pending, SyncWaiter waiter, TimeSpan most);
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
    private volatile bool _refused;

    // Which connection it is, where they are counted; 0 while it is detached.
    private long _generation;

    // While detached only counted: the bytes stand in the commands themselves, and a preamble takes its place when it is attached.
    private long _backlogBytes;
    private int _backlogPlaces;

    // Held while what has arrived is read: whoever ends the connection waits for it, whichever thread reads.
    private readonly Lock _reading = new();
    private bool _readingEnded;

    /// <summary>How many commands wait for replies, those included whose callers have gone.</summary>
    public int InFlight => _ring.Count;

    public bool IsAttached => _attached;

    /// <summary>Things come that nobody asked for, and somebody wants them soon.</summary>
    public bool TakesPushes => pushes is not null;

    /// <summary>Nobody waits for a reply. Whoever has a place in the queue that is not seen here, got it after this call, and sees what was written before it.</summary>
    public bool IsIdle()
    {
        lock (_gate)
            return _ring.Count == 0;
    }

    /// <summary>Whether a part of a frame has arrived. Only the reader asks.</summary>
    public bool HasUnread => !_received.Unread.IsEmpty;

    /// <summary>Lets a caller who blocks do the reading; <c>null</c> where others read.</summary>
    public IReplyDriver? Driver { get; set; }

    /// <summary>Somebody was refused for want of room, and now there is some: true once.</summary>
    public bool HasRoomAgain()
    {
        if (!_refused || _ring.Count > _ring.Capacity / 2 || _filling.Length > limits.MaxBufferedBytes / 2)
            return false;
        _refused = false;
        return true;
    }

    /// <summary>Gives the command its place and copies its bytes.</summary>
    public Enqueued TryEnqueue(PendingReply pending) => TryEnqueue(new ReadOnlySpan<PendingReply>(in pending));

    /// <summary>Gives commands their places, one right after the other, with nobody else's between them; all or none.</summary>
    public Enqueued TryEnqueue(ReadOnlySpan<PendingReply> commands)
    {
        var (places, bytes, onlyOn) = (commands.Length, 0L, 0L);
        foreach (var pending in commands)
        {
            bytes += pending.Frame.Length;
            onlyOn |= pending.Traits.OnlyOn;
            if (pending.Preamble is not { } preamble)
                continue;
            places++;
            bytes += preamble.Frame.Length;
        }

        lock (_gate)
        {
            if (_closed)
                return Enqueued.Closed;
            // A backlog will be sent to whoever is reached next: that is never the connection that somebody has known.
            if (onlyOn != 0 && onlyOn != _generation)
                return Enqueued.Elsewhere;
            if (!HasRoom(places, bytes))
            {
                _refused = true;
                return Enqueued.Full;
            }

            foreach (var pending in commands)
                Add(pending);
            return _ring.Count == places ? Enqueued.Alone : Enqueued.AmongOthers;
        }
    }

    /// <summary>Why there is no room, for whoever was refused.</summary>
    public RedisBusyException Busy(PendingReply pending)
    {
        var most = _attached ? _ring.Capacity : limits.MaxBacklog;
        if (_ring.Count < most)
            return new RedisBusyException(
                $"{pending.Frame.Length} bytes more would pass the limit of {limits.MaxBufferedBytes} that wait to be sent. Wait until Redis has taken them, or raise MaxBufferedBytes."
            );
        return new RedisBusyException(
            _attached
                ? $"{most} commands wait for replies already. Ask less at a time, or raise MaxInFlight."
                : $"There is no connection, and {most} commands wait for one already."
        );
    }

    /// <summary>Makes the backlog sendable: commands that were given up while the link was down are left out, and were never sent.</summary>
    /// <remarks>The caller owns sending from here: it calls <see cref="TakeOutput"/> until there is nothing.</remarks>
    public void Attach()
    {
        lock (_gate)
        {
            // First the flag, then the look at each place: a caller who gives up either is seen here, or sees the flag and says "maybe".
            _attached = true;
            _generation = pushes?.Generation ?? 0;
            Interlocked.MemoryBarrier();
            var waiting = new List<PendingReply>(_ring.Count);
            while (_ring.Peek() is { } pending)
            {
                _ring.Remove();
                if (pending.IsSettled)
                    pending.Release();
                else
                    waiting.Add(pending);
            }

            foreach (var pending in waiting)
                Add(pending);
        }
    }

    /// <summary>Takes the ownership of sending, when there is something to send and nobody has it; then <see cref="TakeOutput"/> until there is nothing.</summary>
    public bool TryBeginSending()
    {
        lock (_gate)
        {
            if (_sendingOwned || _filling.Length == 0)
                return false;
            _sendingOwned = true;
            return true;
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

    /// <summary>Reads every whole frame of what has arrived and settles the commands they answer, in order. Their callers go on from <paramref name="ready"/>.</summary>
    /// <exception cref="RespProtocolException">The stream is broken; the connection must be closed.</exception>
    /// <returns>How many replies and pushes there were.</returns>
    public int OnReceived(int count, ReadyQueue ready)
    {
        lock (_reading)
        {
            if (_readingEnded)
                return 0;
            var frames = 0;
            _received.Received(count);
            while (_scanner.Scan(_received.Unread) is var length and > 0)
            {
                var frame = _received.Unread[..length];
                Dispatch(_scanner.HasStreamedParts ? StreamedFrame.Flatten(frame) : frame, ready);
                _received.Consume(length);
                frames++;
            }

            return frames;
        }
    }

    /// <summary>From here on nothing that arrives is read; waits for what is just being read.</summary>
    /// <remarks>A connection can be given up while its reader is at work: without this, what it reads then would come after the news that the connection has ended, and two would take from one queue.</remarks>
    public void EndReading()
    {
        lock (_reading)
            _readingEnded = true;
    }

    /// <summary>Takes bytes as they come, for tests, simulations and handshakes: the same path as from a socket. Callers go on on this thread.</summary>
    public void OnBytes(ReadOnlySpan<byte> bytes)
    {
        var ready = new ReadyQueue();
        while (!bytes.IsEmpty)
        {
            var room = GetReceiveMemory();
            var count = Math.Min(room.Length, bytes.Length);
            bytes[..count].CopyTo(room.Span);
            bytes = bytes[count..];
            try
            {
                OnReceived(count, ready);
            }
            finally
            {
                // What was whole before bytes that are broken has its callers too.
                ready.RunAll();
            }
        }
    }

    /// <summary>Ends the connection: every command that waits fails now, told whether it can have been sent, or is asked again. Called by the reader's side only, once.</summary>
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
            Fail(pending, pending.MaybeExecuted || pending.StreamStart < taken ? Sent.Maybe : Sent.No, reason, cause);
            pending.Release();
        }
    }

    /// <summary>Wakes the blocked caller whose reply comes next, so that it reads. Any thread; waking one too many is harmless.</summary>
    public void WakeNext() => _ring.Oldest?.Wake();

    /// <summary>Fails the commands whose time is over. Their places stay. Returns when the oldest place was asked for, or <see cref="long.MaxValue"/>.</summary>
    public long Expire(long now, Func<PendingReply, Sent, Exception> timeout)
    {
        var state = new Expiry(now, timeout);
        _ring.ForEach(state, static (pending, state) => state.Visit(pending));
        return state.Oldest;
    }

    private bool HasRoom(int places, long bytes)
    {
        if (!_attached)
            return _backlogPlaces + places <= limits.MaxBacklog && _backlogBytes + bytes <= limits.MaxBufferedBytes;
        return _ring.Count + places <= _ring.Capacity && _filling.Length + bytes <= limits.MaxBufferedBytes;
    }

    private void Add(PendingReply pending)
    {
        pending.Queue = this;
        if (pending.HasWaited && _attached && IsGivenUp(pending))
        {
            pending.Release();
            return;
        }

        pending.Transaction?.Begin();
        pending.First?.Begin();
        pending.StreamStart = _streamTaken + _filling.Length;
        if (!_attached)
        {
            _backlogBytes += pending.Frame.Length;
            _backlogPlaces += pending.Preamble is null ? 1 : 2;
            _ring.Add(pending);
            return;
        }

        if (pending.Preamble is { } preamble)
        {
            _filling.Write(preamble.Frame);
            _ring.Add(preamble);
        }

        _filling.Write(pending.Frame);
        _ring.Add(pending);
    }

    // As in Attach: first the queue, then the look. A caller who gives up either is seen here, or sees the queue and says "maybe".
    private static bool IsGivenUp(PendingReply pending)
    {
        Interlocked.MemoryBarrier();
        return pending.IsSettled;
    }

    private static void Fail(PendingReply pending, Sent sent, string reason, Exception? cause)
    {
        var word = pending.Word;
        if (pending.IsSettled)
            return;
        var error = new RedisConnectionException($"{reason} {Outcome(pending, sent)}", sent, cause);
        if (!TryAgain(pending, error))
            pending.TryFail(word, error);
    }

    // Those behind it must hear of the end as well, whatever goes wrong with this one.
    private static bool TryAgain(PendingReply pending, RedisConnectionException error)
    {
        try
        {
            return pending.Origin?.TryAgain(pending, error) == true;
        }
        catch (Exception)
        {
            return false;
        }
    }

    private void Dispatch(ReadOnlySpan<byte> frame, ReadyQueue ready)
    {
        if (_scanner.IsPush)
        {
            var push = new RespReader(frame);
            push.Read();
            if (_ring.Peek() is { ConfirmedBy: { } awaited } && Confirms(push, awaited))
                Settle(frame, ready);
            pushes?.OnPush(ref push);
            return;
        }

        if (_ring.Peek() is null)
            throw new RespProtocolException("A reply came that nobody asked for.");
        if (_ring.Peek() is { ConfirmedBy: not null } && !_scanner.IsError)
            throw new RespProtocolException("A subscription was answered with a reply instead of a push.");
        Settle(frame, ready);
    }

    private void Settle(ReadOnlySpan<byte> frame, ReadyQueue ready)
    {
        var pending = _ring.Peek()!;
        if (pending.Transaction is { } transaction && transaction.TryTake(frame))
            return;
        if (pending.First is { } first && first.TryTake(frame, pending.Name, isWanted: !pending.IsSettled))
            return;
        _ring.Remove();
        if (pending.Reply(frame))
            ready.Add(pending);
        else
            pending.Release();
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
