using System.Diagnostics.CodeAnalysis;
using Onggi.Client.Connections;

namespace Onggi.Client.Transport;

/// <summary>A thread of its own reads, and lets callers go on on itself for a short while: the fastest way, for code that never blocks between two awaits.</summary>
/// <remarks>
/// Code that does block keeps the thread from reading. The <see cref="Keeper"/> notices within a millisecond or two and gives the turn to read to another thread; for a while after that
/// callers go on on the thread pool. What did not fit into the time of one batch goes to the thread pool as well.
/// </remarks>
[SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Threads live in Transport.")]
internal sealed class ThreadedPump(RespConnection connection, IBlockingTransport transport, TimeProvider time, PumpCounters counters)
    : ConnectionPump(connection, transport, time, counters)
{
    private static readonly TimeSpan Budget = TimeSpan.FromMicroseconds(50);
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan MostPause = TimeSpan.FromSeconds(1);

    // More than so many at a time keep the reader busy without it.
    private const int MostPolledFor = 4;

    private readonly TimeProvider _time = time;
    private readonly Lingering _lingering = new(time);
    private readonly Func<bool> _look = () => transport.WaitReadable(TimeSpan.Zero);
    private volatile ReaderTurn? _turn;
    private long _onPoolUntil;
    private long _calmSince;
    private TimeSpan _pause = LeastPause;
    private int _stuck;

    /// <summary>Besides what is due: a reader in its callers' code cannot read.</summary>
    public override bool HasWork => base.HasWork || _turn?.IsReleasing == true;

    protected override void Start()
    {
        StartReading();
    }

    public override void OnStuck()
    {
        SendDue(FlushCause.Keeper);
        if (_turn is { } turn && turn.TryTake())
        {
            Counters.TakenOver();
            GoOnOnPool();
            StartReading();
        }

        // The thread pool first; when it does not come to it either, a thread for this alone.
        if (Ready.IsEmpty)
            _stuck = 0;
        else if (_stuck++ == 0)
            ReleaseOnPool();
        else
            _ = OwnThread.RunAsync("Onggi callers", () => Release(long.MaxValue));
    }

    private void StartReading()
    {
        var turn = new ReaderTurn();
        _turn = turn;
        new Thread(() => Read(turn)) { IsBackground = true, Name = "Onggi reader" }.UnsafeStart();
    }

    // Blocking once is no crime, blocking again and again is the way that this program is written.
    private void GoOnOnPool()
    {
        var now = _time.GetTimestamp();
        _pause = _time.GetElapsedTime(_calmSince, now) > MostPause * 10 ? LeastPause : Min(_pause * 2, MostPause);
        _calmSince = now;
        Volatile.Write(ref _onPoolUntil, In(_pause));
    }

    private void Read(ReaderTurn turn)
    {
        try
        {
            while (!HasEnded)
            {
                if (!LooksFor(Connection.InFlight) && !transport.WaitReadable(Slice))
                    continue;
                var count = transport.Receive(Connection.GetReceiveMemory().Span);
                if (count < 0)
                    continue;
                if (count == 0)
                {
                    End(null);
                    break;
                }

                Received(count);
                if (!Ready.IsEmpty && !GoOn(turn))
                    return;
            }
        }
        catch (Exception error)
        {
            End(error);
        }

        ReleaseOnPool();
    }

    // What comes within a moment is found sooner by looking than by being woken for it.
    private bool LooksFor(int replies) => replies is > 0 and <= MostPolledFor && _lingering.MayPoll && _lingering.Poll(_look, Counters);

    // False when the turn to read has passed to another thread meanwhile.
    private bool GoOn(ReaderTurn turn)
    {
        if (_time.GetTimestamp() < Volatile.Read(ref _onPoolUntil))
        {
            Keeper.Watch();
            ReleaseOnPool();
            return true;
        }

        turn.BeginRelease();
        if (!Release(In(Budget)))
            ReleaseOnPool();
        return turn.TryEndRelease();
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
