using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Onggi.Client.Connections;

namespace Onggi.Client.Transport;

/// <summary>The default over TCP: the thread pool is told when something can be received, and receives it; when it does not come to it, a thread of ours does.</summary>
/// <remarks>
/// <para>A read settles everything that has arrived. Then the next wait is begun, and only after that callers go on, one after the other on the same thread: one that blocks
/// keeps nobody from reading, for the next read happens on another thread. Those who wait behind it are let go by a work item when this takes longer than a moment.</para>
/// <para>When all threads of the pool block, perhaps in waiting for us, bytes lie there and nobody reads. The <see cref="Keeper"/> sees that, and a thread of ours reads and lets callers
/// go on until the pool has come back.</para>
/// </remarks>
internal sealed class SocketPump : ConnectionPump
{
    // Reads without a wait between them before those who are ready are no longer left waiting.
    private const int MostReads = 16;

    // Looks of the keeper, a millisecond each: a busy machine alone is no starvation.
    private const int LooksBeforeRescue = 3;
    private const int IdleBeforeLeaving = 10;
    private static readonly TimeSpan Budget = TimeSpan.FromMicroseconds(100);
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(10);

    // Never taken: the pool gives the turn back before it lets callers go on.
    private static readonly ReaderTurn PoolTurn = new();

    private readonly IReadinessTransport _transport;
    private readonly Action _onReadable;
    private readonly Lock _gate = new();
    private ValueTaskAwaiter<int> _wait;

    // Guarded by the gate: whose turn it is to read, and whether a wait is under way. Without both, nobody would ever read again.
    private ReaderTurn? _turn;
    private bool _waiting;
    private int _stuck;
    private int _seen;

    // Only the keeper's: looks at which those whose replies have come could not go on.
    private int _stuckReady;

    public SocketPump(RespConnection connection, IReadinessTransport transport, TimeProvider time, PumpCounters counters)
        : base(connection, transport, time, counters) => (_transport, _onReadable) = (transport, OnReadable);

    public override bool HasWork => base.HasWork || (Connection.InFlight > 0 && !HasEnded && IsReadable(TimeSpan.Zero));

    protected override void Start()
    {
        _turn = PoolTurn;
        Read();
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
        ReaderTurn turn;
        lock (_gate)
        {
            if (_turn is null ? !IsStarving() : !_turn.TryTake())
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
        lock (_gate)
        {
            _waiting = false;
            if (_turn is not null)
                return;
            _turn = PoolTurn;
        }

        ReadOn();
    }

    private void ReadOn()
    {
        if (!Read())
            Release(long.MaxValue);
        else if (!Ready.IsEmpty && !Release(In(Budget)))
            ReleaseOnPool();
    }

    // Until nothing is there and the turn is given back; false when the connection has ended.
    private bool Read()
    {
        for (var reads = 1; ; reads++)
        {
            if (!TryRead(out var more))
                return false;
            if (!more && TryLeave())
                return true;

            // In a stream that never pauses nobody else would let them go on.
            if (reads % MostReads == 0 && !Ready.IsEmpty)
                ReleaseOnPool();
        }
    }

    /// <summary>Gives the turn back and sees to it that somebody is told of what comes next; <c>false</c> when it has come already, and the turn goes on.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "Only the awaiter is kept, and taken once.")]
    private bool TryLeave()
    {
        lock (_gate)
        {
            if (!_waiting && !HasEnded)
            {
                try
                {
                    _wait = _transport.WhenReadableAsync(Stop).GetAwaiter();
                }
                catch (Exception error)
                {
                    End(error);
                    return true;
                }

                if (_wait.IsCompleted)
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

            _turn = null;
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
                if (!TryRead(out _))
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

    // False when the connection has ended. More can be there when as much came as there was room for.
    private bool TryRead(out bool more)
    {
        more = false;
        try
        {
            var room = Connection.GetReceiveMemory().Span;
            var count = _transport.Receive(room);
            if (count == 0)
            {
                End(null);
                return false;
            }

            more = count == room.Length;
            if (count > 0)
                Received(count);
            return !HasEnded;
        }
        catch (Exception error)
        {
            End(error);
            return false;
        }
    }
}
