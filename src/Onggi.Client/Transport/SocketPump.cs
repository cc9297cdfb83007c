using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Onggi.Client.Connections;

namespace Onggi.Client.Transport;

/// <summary>The default over TCP: the thread pool is told when something can be received, and receives it; when it does not come to it, a thread of ours does.</summary>
/// <remarks>
/// <para>A read settles everything that has arrived. Then the next wait is begun, and only after that callers go on, one after the other on the same thread: one that blocks
/// keeps nobody from reading, for the next read happens on another thread. Those who wait behind it are let go by a work item when this takes longer than a moment.</para>
/// <para>When few were answered and nobody else waits, they go on first, and the wait is begun while Redis is at work on what they ask next; or not at all, when the reply comes so soon that a
/// few looks find it. The turn can be taken from the reader meanwhile: by whoever asks something from another thread, before it waits for its reply, or by the <see cref="Keeper"/> from callers that block.</para>
/// <para>When all threads of the pool block, perhaps in waiting for us, bytes lie there and nobody reads. The <see cref="Keeper"/> sees that, and a thread of ours reads and lets callers
/// go on until the pool has come back.</para>
/// </remarks>
internal sealed class SocketPump : ConnectionPump
{
    // Reads without a wait between them before those who are ready are no longer left waiting.
    private const int MostReads = 16;

    // Reads after which the thread goes back to the pool for a moment.
    private const int MostLingering = 1024;
    private const int MostReplies = 4;

    // Looks of the keeper, a millisecond each: a busy machine alone is no starvation.
    private const int LooksBeforeRescue = 3;
    private const int IdleBeforeLeaving = 10;
    private static readonly TimeSpan Budget = TimeSpan.FromMicroseconds(100);
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(10);

    private readonly IReadinessTransport _transport;
    private readonly Action _onReadable;
    private readonly Lingering _lingering;
    private readonly Func<bool> _look;
    private readonly Lock _gate = new();
    private ConfiguredValueTaskAwaitable<int>.ConfiguredValueTaskAwaiter _wait;

    // Guarded by the gate: whose turn it is to read, and whether a wait is under way. Without both, nobody would ever read again.
    private volatile ReaderTurn? _turn;
    private bool _waiting;

    // The turn of the pool's thread that reads: the same one again and again, until it is taken from it.
    private ReaderTurn _poolTurn = new();
    private int _reading;
    private int _stuck;
    private int _replies;
    private int _seen;
    private Got _seenByLook;

    // Only the keeper's: looks at which those whose replies have come could not go on.
    private int _stuckReady;

    public SocketPump(RespConnection connection, IReadinessTransport transport, TimeProvider time, PumpCounters counters)
        : base(connection, transport, time, counters)
    {
        (_transport, _onReadable, _lingering, _look) = (
            transport,
            OnReadable,
            new Lingering(time),
            () => (_seenByLook = TryRead()) != Got.Nothing
        );
        // From the beginning it is the turn of whoever starts: the keeper knows the pump before, and bytes can lie there already.
        _turn = _poolTurn;
    }

    /// <summary>Besides what is due: a reader in its callers' code cannot read, and bytes can lie there that nobody is told of.</summary>
    public override bool HasWork =>
        base.HasWork || _turn?.IsReleasing == true || (Connection.InFlight > 0 && !HasEnded && IsReadable(TimeSpan.Zero));

    public override void OnEnqueued(Enqueued enqueued)
    {
        // First its place in the queue, then this look; the reader first says that it lets callers go on, and then looks at the queue. One of the two sees the other.
        if (_turn is { IsReleasing: true } turn && turn.Thread != Environment.CurrentManagedThreadId && TryTakeOver(turn))
            _lingering.Disturbed();
        base.OnEnqueued(enqueued);
    }

    protected override void Start()
    {
        Read(lingering: null);
        ReleaseElsewhere();
    }

    public override void OnStuck()
    {
        SendDue(FlushCause.Keeper);
        if (Ready.IsEmpty)
            _stuckReady = 0;
        else if (_stuckReady++ < LooksBeforeRescue)
            ReleaseOnPool();
        else
            _ = OwnThread.RunAsync("Onggi callers", () => Release(long.MaxValue));
        if (_turn is { IsReleasing: true } releasing && TryTakeOver(releasing))
        {
            _lingering.TakenOver();
            Counters.TakenOver();
            return;
        }

        ReaderTurn turn;
        lock (_gate)
        {
            if (_turn is null ? !IsStarving() : _turn == _poolTurn || !_turn.TryTake())
                return;
            _turn = turn = new ReaderTurn();
        }

        Counters.TakenOver();
        _ = OwnThread.RunAsync("Onggi reader", () => Rescue(turn));
    }

    // Bytes lie there at several looks, and nothing has moved between them.
    private bool IsStarving()
    {
        var same = Progress == _seen;
        _seen = Progress;
        _stuck = same && IsReadable(TimeSpan.Zero) ? _stuck + 1 : 0;
        return _stuck >= LooksBeforeRescue;
    }

    private bool IsReadable(TimeSpan most)
    {
        try
        {
            return _transport.WaitReadable(most);
        }
        catch (Exception error)
        {
            End(error);
            return false;
        }
    }

    private void OnReadable()
    {
        TakeWait();
        ReaderTurn turn;
        lock (_gate)
        {
            _waiting = false;
            if (_turn is not null)
                return;
            _turn = turn = _poolTurn;
        }

        if (!Read(turn))
            Release(long.MaxValue);
        else if (!Ready.IsEmpty && !Release(In(Budget)))
            ReleaseOnPool();
    }

    // Until nothing is there and the turn is given back, or taken; false when the connection has ended.
    private bool Read(ReaderTurn? lingering)
    {
        var got = TryRead();
        for (var reads = 1; ; reads++)
        {
            if (got == Got.End)
                return false;
            if (got != Got.AllThereWasRoomFor)
            {
                if (lingering is not null && reads < MostLingering && MayLinger)
                {
                    if (!TryGoOn(lingering))
                        return true;
                    got = Poll();
                    if (got != Got.Nothing)
                        continue;
                }

                if (TryLeave())
                    return true;
            }

            // In a stream that never pauses nobody else would let them go on.
            if (reads % MostReads == 0 && !Ready.IsEmpty)
                ReleaseOnPool();
            got = TryRead();
        }
    }

    // All that was asked has been answered, to few: what comes next, they ask for when they go on.
    private bool MayLinger =>
        _replies <= MostReplies && !Connection.TakesPushes && !Ready.IsEmpty && Connection.InFlight == 0 && _lingering.MayGoFirst;

    // False when the turn was taken meanwhile, and somebody else has begun the wait.
    private bool TryGoOn(ReaderTurn turn)
    {
        turn.BeginRelease();
        if (Connection.IsIdle() && !Release(In(Budget)))
            ReleaseOnPool();
        return turn.TryEndRelease();
    }

    // Looks for a moment whether the reply to what they have asked is there already.
    [SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Threads live in Transport.")]
    private Got Poll()
    {
        if (!Ready.IsEmpty || Connection.InFlight == 0 || !_lingering.MayPoll || ThreadPool.PendingWorkItemCount > 0)
            return Got.Nothing;
        _lingering.Poll(_look, Counters);
        return _seenByLook;
    }

    // Takes the turn from the pool's thread that is in its callers' code, and sees to it that somebody is told of what comes next.
    private bool TryTakeOver(ReaderTurn turn)
    {
        lock (_gate)
        {
            if (turn != _poolTurn || _turn != turn || !turn.TryTake())
                return false;
            _turn = _poolTurn = new ReaderTurn();
            TryLeave(readsOn: false);
            return true;
        }
    }

    /// <summary>Gives the turn back and sees to it that somebody is told of what comes next; <c>false</c> when it has come already, and the turn goes on.</summary>
    /// <param name="readsOn">Whether the caller goes on reading then; otherwise the pool is told of it.</param>
    [SuppressMessage("Reliability", "CA2012", Justification = "Only the awaiter is kept, and taken once.")]
    private bool TryLeave(bool readsOn = true)
    {
        lock (_gate)
        {
            if (_waiting || HasEnded)
            {
                _turn = null;
                return true;
            }

            try
            {
                // Whoever takes a turn over can be a caller, with a context of its own.
                _wait = _transport.WhenReadableAsync(Stop).ConfigureAwait(Rt.Capture).GetAwaiter();
            }
            catch (Exception error)
            {
                End(error);
                return true;
            }

            if (readsOn && _wait.IsCompleted)
            {
                TakeWait();
                return false;
            }

            _waiting = true;
            _turn = null;

            // From here on another thread may be reading, as soon as it gets through the gate.
            _wait.UnsafeOnCompleted(_onReadable);
            return true;
        }
    }

    // What was wrong, if anything, the next read says.
    private void TakeWait()
    {
        try
        {
            _wait.GetResult();
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            End(error);
        }
    }

    // Until the pool has come back, or there is nothing to do any more.
    private bool Rescue(ReaderTurn turn)
    {
        for (var idle = 0; ; )
        {
            if (IsReadable(Slice))
            {
                idle = 0;
                if (TryRead() == Got.End)
                {
                    Release(long.MaxValue);
                    return true;
                }

                turn.BeginRelease();
                if (!Release(In(Budget)))
                    ReleaseOnPool();
                if (!turn.TryEndRelease())
                    return true;
            }
            else
            {
                idle++;
            }

            if ((HasPoolComeBack() || idle >= IdleBeforeLeaving || HasEnded) && TryLeave())
            {
                Release(long.MaxValue);
                return true;
            }
        }
    }

    private bool HasPoolComeBack()
    {
        lock (_gate)
            return !_waiting;
    }

    private Got TryRead()
    {
        // Two at a time would give replies to the wrong callers: whatever brought that about, the connection ends instead.
        if (Interlocked.Exchange(ref _reading, 1) != 0)
        {
            Abort("Two threads were to read at a time.");
            return Got.End;
        }

        try
        {
            var room = Connection.GetReceiveMemory().Span;
            var count = _transport.Receive(room);
            if (count == 0)
            {
                End(null);
                return Got.End;
            }

            if (count > 0)
                _replies = Received(count);
            return HasEnded ? Got.End
                : count < 0 ? Got.Nothing
                : count == room.Length ? Got.AllThereWasRoomFor
                : Got.Some;
        }
        catch (Exception error)
        {
            End(error);
            return Got.End;
        }
        finally
        {
            Volatile.Write(ref _reading, 0);
        }
    }

    private enum Got
    {
        Nothing,
        Some,

        // More can be there.
        AllThereWasRoomFor,
        End,
    }
}
