using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;

namespace Onggi.Client.Transport;

/// <summary>A transport on which a thread of ours waits, instead of the thread pool.</summary>
internal interface IBlockingTransport : ITransport
{
    /// <summary>Blocks until something can be received or the other side has ended; <c>false</c> when the time is over.</summary>
    bool WaitReadable(TimeSpan most);

    /// <summary>Receives what is there; 0 when the other side has ended, -1 when nothing is there.</summary>
    int Receive(Span<byte> buffer);
}

/// <summary>A TCP connection that is never given to the thread pool: system calls on the caller's thread only.</summary>
/// <remarks>
/// A socket that was once used asynchronously wakes a thread of the runtime for every packet from then on. So this one connects, sends and receives
/// without ever doing so; it does not block in a send either: what does not fit into the system's buffer is sent from a thread made for it.
/// </remarks>
internal sealed class BlockingSocketTransport(Socket socket) : IBlockingTransport
{
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(50);

    public bool WaitReadable(TimeSpan most) => socket.Poll(most, SelectMode.SelectRead);

    public int Receive(Span<byte> buffer) => Receive(socket, buffer);

    /// <summary>Receives what is there from a socket that does not block.</summary>
    public static int Receive(Socket socket, Span<byte> buffer)
    {
        var count = socket.Receive(buffer, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => count,
            SocketError.WouldBlock or SocketError.Interrupted => -1,
            _ => throw new SocketException((int)error),
        };
    }

    /// <summary>Blocks; for the handshake, which runs on a thread of its own.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (WaitReadable(Slice) && Receive(buffer.Span) is var count and >= 0)
                return new ValueTask<int>(count);
        }
    }

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            var sent = TrySend(bytes.Span);
            if (sent == 0)
            {
                var rest = bytes;
                return new ValueTask(OwnThread.RunAsync("Onggi sender", () => SendRest(rest)));
            }

            bytes = bytes[sent..];
        }

        return ValueTask.CompletedTask;
    }

    public void Abort() => SocketTransport.Abort(socket);

    public ValueTask DisposeAsync()
    {
        Abort();
        return ValueTask.CompletedTask;
    }

    private bool SendRest(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var sent = TrySend(bytes.Span);
            bytes = bytes[sent..];
            if (sent == 0)
                socket.Poll(Slice, SelectMode.SelectWrite);
        }

        return true;
    }

    private int TrySend(ReadOnlySpan<byte> bytes)
    {
        var sent = socket.Send(bytes, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => sent,
            SocketError.WouldBlock or SocketError.Interrupted => 0,
            _ => throw new SocketException((int)error),
        };
    }
}

/// <summary>Opens connections for threads of our own. It blocks while it connects.</summary>
/// <param name="deadAfter">As for <see cref="SocketTransportFactory"/>.</param>
internal sealed class BlockingSocketTransportFactory(TimeSpan deadAfter) : ITransportFactory
{
    public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        var socket = SocketTransportFactory.NewSocket();
        try
        {
            // Connecting cannot be cancelled but by taking the socket away.
            using (cancellationToken.UnsafeRegister(static socket => ((Socket)socket!).Dispose(), socket))
                socket.Connect(host, port);
            SocketTransportFactory.EndWhenDead(socket, deadAfter);
            socket.Blocking = false;
            return new ValueTask<ITransport>(new BlockingSocketTransport(socket));
        }
        catch (Exception error)
        {
            socket.Dispose();
            if (cancellationToken.IsCancellationRequested)
                throw new OperationCanceledException(error.Message, error, cancellationToken);
            throw;
        }
    }
}

/// <summary>Work that blocks, on a thread made for it.</summary>
internal static class OwnThread
{
    /// <summary>This thread was made for what it is at, and nobody waits for it: it may block.</summary>
    [field: ThreadStatic]
    public static bool MayBlock { get; private set; }

    /// <summary>Begins asynchronous work on a thread made for it, which goes on elsewhere when it first waits.</summary>
    public static Task BeginAsync(string name, Func<Task> work) =>
        RunAsync(
                name,
                () =>
                {
                    MayBlock = true;
                    return work();
                }
            )
            .Unwrap();

    [SuppressMessage("ApiDesign", "RS0030:Do not use banned APIs", Justification = "Threads live in Transport.")]
    public static Task<T> RunAsync<T>(string name, Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(Run) { IsBackground = true, Name = name }.UnsafeStart();
        return done.Task;

        void Run()
        {
            try
            {
                done.SetResult(work());
            }
            catch (Exception error)
            {
                done.SetException(error);
            }
        }
    }
}
