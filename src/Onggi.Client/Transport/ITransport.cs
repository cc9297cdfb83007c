namespace Onggi.Client.Transport;

/// <summary>A stream of bytes to a server and back. Beneath it are sockets (and, in tests, whatever a test wants to happen).</summary>
internal interface ITransport : IAsyncDisposable
{
    /// <summary>Receives at least one byte; 0 when the other side has ended.</summary>
    ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends all the bytes.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Ends both directions at once: a receive that waits comes back with an error or 0.</summary>
    void Abort();
}

/// <summary>Makes transports: the seam for TLS, for proxies, and for simulations.</summary>
internal interface ITransportFactory
{
    ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken);
}
