using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Onggi.Client.Connections;

namespace Onggi.Client.Transport;

/// <summary>Asynchronous receives on the thread pool, over anything that has them: TLS, and what tests make. Otherwise like <see cref="SocketPump"/>, without its way out of a starved pool.</summary>
internal sealed class AsyncPump : ConnectionPump
{
    // Reads that end at once, one after the other, before those who are ready are no longer left waiting.
    private const int MostReads = 16;
    private static readonly TimeSpan Budget = TimeSpan.FromMicroseconds(100);

    private readonly Action _onReceived;
    private ValueTaskAwaiter<int> _receiving;

    public AsyncPump(RespConnection connection, ITransport transport, TimeProvider time, PumpCounters counters)
        : base(connection, transport, time, counters) => _onReceived = OnReceived;

    protected override void Start()
    {
        Read(isLink: true);
    }

    public override void OnStuck()
    {
        SendDue(FlushCause.Keeper);
        if (!Ready.IsEmpty)
            ReleaseOnPool();
    }

    private void OnReceived()
    {
        if (Take())
            Read(isLink: false);
        else
            Release(long.MaxValue);
    }

    [SuppressMessage("Reliability", "CA2012", Justification = "Only the awaiter is kept, and taken once.")]
    private void Read(bool isLink)
    {
        for (var reads = 1; ; reads++)
        {
            try
            {
                _receiving = Transport.ReceiveAsync(Connection.GetReceiveMemory(), Stop).GetAwaiter();
            }
            catch (Exception error)
            {
                End(error);
                GoOn(isLink, long.MaxValue);
                return;
            }

            if (!_receiving.IsCompleted)
            {
                // From here on another thread may be reading.
                _receiving.UnsafeOnCompleted(_onReceived);
                if (!Ready.IsEmpty)
                    GoOn(isLink, In(Budget));
                return;
            }

            if (!Take())
            {
                GoOn(isLink, long.MaxValue);
                return;
            }

            if (reads % MostReads == 0 && !Ready.IsEmpty)
                ReleaseOnPool();
        }
    }

    private void GoOn(bool isLink, long until)
    {
        if (isLink)
            ReleaseElsewhere();
        else if (!Release(until))
            ReleaseOnPool();
    }

    // False when the connection has ended.
    private bool Take()
    {
        try
        {
            var count = _receiving.GetResult();
            if (count > 0)
            {
                Received(count);
                return true;
            }

            End(null);
        }
        catch (Exception error)
        {
            End(error);
        }

        return false;
    }
}
