using System.Net.Sockets;

namespace Onggi.Client.Transport;

/// <summary>A transport that tells when something can be received, and leaves it to any thread to receive it.</summary>
internal interface IReadinessTransport : IBlockingTransport
{
    /// <summary>Ends when something can be received or the other side has ended. Others may receive meanwhile.</summary>
    ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken);
}

/// <summary>A TCP connection.</summary>
internal sealed class SocketTransport : IReadinessTransport
{
    private readonly Socket _socket;

    public SocketTransport(Socket socket)
    {
        _socket = socket;

        // For the calls that are not asynchronous: they take what there is, past those that wait.
        socket.Blocking = false;
    }

    public bool WaitReadable(TimeSpan most) => _socket.Poll(most, SelectMode.SelectRead);

    public int Receive(Span<byte> buffer) => BlockingSocketTransport.Receive(_socket, buffer);

    public ValueTask<int> WhenReadableAsync(CancellationToken cancellationToken) =>
        _socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, cancellationToken);

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var sending = _socket.SendAsync(bytes, SocketFlags.None, cancellationToken);
        if (!sending.IsCompletedSuccessfully)
            return SendRestAsync(sending, bytes, cancellationToken);
        var sent = sending.Result;
        return sent == bytes.Length ? ValueTask.CompletedTask : SendRestAsync(new ValueTask<int>(sent), bytes, cancellationToken);
    }

    public void Abort() => Abort(_socket);

    public static void Abort(Socket socket)
    {
        // Shutdown first: on Linux it wakes a receive that another thread has under way; disposing alone does so too, but later data could still be read.
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // Already ended by the other side.
        }
        catch (ObjectDisposedException)
        {
            return;
        }

        socket.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Abort();
        return ValueTask.CompletedTask;
    }

    private async ValueTask SendRestAsync(ValueTask<int> sending, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        bytes = bytes[await sending.ConfigureAwait(Rt.Capture)..];
        while (!bytes.IsEmpty)
            bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, cancellationToken).ConfigureAwait(Rt.Capture)..];
    }
}

/// <summary>Opens TCP connections with the settings that a request-reply protocol wants.</summary>
/// <param name="deadAfter">After how long the system gives up a connection whose other side takes nothing, where the system can; zero for its own default.</param>
internal sealed class SocketTransportFactory(TimeSpan deadAfter = default) : ITransportFactory
{
    public static readonly SocketTransportFactory Shared = new();

    // https://man7.org/linux/man-pages/man7/tcp.7.html
    private const int ProtocolTcp = 6;
    private const int TcpUserTimeout = 18;

    public async ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        var socket = NewSocket();
        try
        {
            await socket.ConnectAsync(host, port, cancellationToken).ConfigureAwait(Rt.Capture);
            EndWhenDead(socket, deadAfter);
            return new SocketTransport(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public static Socket NewSocket()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 30);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        return socket;
    }

    /// <summary>For a socket that is connected: before that it would bound the connecting too.</summary>
    public static void EndWhenDead(Socket socket, TimeSpan deadAfter)
    {
        if (!OperatingSystem.IsLinux() || deadAfter <= TimeSpan.Zero)
            return;

        // Keep-alive is silent while sent bytes wait to be acknowledged: without this the system sends them again for a quarter of an hour.
        Span<byte> milliseconds = stackalloc byte[sizeof(int)];
        BitConverter.TryWriteBytes(milliseconds, (int)Math.Min(deadAfter.TotalMilliseconds, int.MaxValue));
        socket.SetRawSocketOption(ProtocolTcp, TcpUserTimeout, milliseconds);
    }
}
