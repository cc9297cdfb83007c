using Onggi.Client.Connections;

namespace Onggi.Client.Transport;

/// <summary>The connection of callers who block: one of them reads for all, so that no other thread is needed at all.</summary>
/// <remarks>
/// A caller sends on its own thread and then reads; others who come meanwhile wait until their reply has been read by it, or until it has its own and the turn passes to them.
/// So it works when the thread pool has no thread left, and a lone caller pays no switch of threads.
/// </remarks>
internal sealed class SyncPump : ConnectionPump, IReplyDriver
{
    private readonly IBlockingTransport _transport;
    private readonly TimeProvider _time;
    private readonly Lingering _lingering;
    private readonly Func<bool> _look;
    private int _reading;

    public SyncPump(RespConnection connection, IBlockingTransport transport, TimeProvider time, PumpCounters counters)
        : base(connection, transport, time, counters)
    {
        (_transport, _time, _lingering, _look) = (transport, time, new Lingering(time), () => transport.WaitReadable(TimeSpan.Zero));
        connection.Driver = this;
    }

    public override bool HasWork => false;

    protected override void Start() { }

    public override void OnEnqueued(Enqueued enqueued)
    {
        Counters.Flushed(FlushCause.Sync);
        SendIfFree();
    }

    public override void OnStuck() { }

    /// <summary>Reads what has come although nobody waits: late replies, or the end of the connection.</summary>
    public override void LookAround()
    {
        if (Interlocked.CompareExchange(ref _reading, 1, 0) != 0)
            return;
        try
        {
            while (!HasEnded && TryRead(TimeSpan.Zero)) { }
        }
        finally
        {
            PassOn();
        }
    }

    public void Drive(PendingReply pending, SyncWaiter waiter, TimeSpan most)
    {
        if (HasEnded || Interlocked.CompareExchange(ref _reading, 1, 0) != 0)
        {
            waiter.Wait(most);
            return;
        }

        try
        {
            var until = In(most);
            while (!pending.IsCompleted && !HasEnded)
            {
                var left = _time.GetElapsedTime(_time.GetTimestamp(), until);
                if (left <= TimeSpan.Zero)
                    return;
                TryRead(left, polls: _lingering.MayPoll);
            }
        }
        finally
        {
            PassOn();
        }
    }

    // Who finds the turn taken has its place in the queue already: whoever gives the turn back sees it, and wakes it.
    private void PassOn()
    {
        Volatile.Write(ref _reading, 0);
        Interlocked.MemoryBarrier();
        if (Connection.InFlight > 0)
            Connection.WakeNext();
    }

    // What comes within a moment is found sooner by looking than by being woken for it.
    private bool TryRead(TimeSpan most, bool polls = false)
    {
        try
        {
            if (!(polls && _lingering.Poll(_look, Counters)) && !_transport.WaitReadable(most))
                return false;
            var count = _transport.Receive(Connection.GetReceiveMemory().Span);
            if (count > 0)
            {
                try
                {
                    Received(count);
                }
                finally
                {
                    // What was whole before bytes that are broken has its callers too, and nobody else lets them go on.
                    Ready.RunAll();
                }

                return true;
            }

            if (count == 0)
                End(null);
        }
        catch (Exception error)
        {
            End(error);
        }

        return false;
    }
}
