using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Onggi.Benchmarks.Operations;

/// <summary>Somebody who reads a key all the time, on a thread and a socket of its own, and knows how long the longest answer took.</summary>
internal sealed class StallProbe : IDisposable
{
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(0.5);

    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly Thread _thread;
    private volatile bool _stop;
    private long _worst;

    public StallProbe(int port)
    {
        _socket.Connect(IPAddress.Loopback, port);
        _thread = new Thread(Ask) { IsBackground = true, Priority = ThreadPriority.AboveNormal };
        _thread.Start();
    }

    /// <summary>The longest answer since this was asked the last time, in ms.</summary>
    public double TakeWorst() => Stopwatch.GetElapsedTime(0, Interlocked.Exchange(ref _worst, 0)).TotalMilliseconds;

    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        _socket.Dispose();
    }

    private void Ask()
    {
        var answer = new byte[64];
        while (!_stop)
        {
            var asked = Stopwatch.GetTimestamp();
            _socket.Send("GET probe\r\n"u8);
            _socket.Receive(answer);
            var took = Stopwatch.GetTimestamp() - asked;
            if (took > Volatile.Read(ref _worst))
                Interlocked.Exchange(ref _worst, took);
            Thread.Sleep(Between);
        }
    }
}
