using Onggi.Client;
using Onggi.Client.Transport;

namespace Onggi.ServerTests.Client;

/// <summary>Counts how often something is sent to the network.</summary>
internal sealed class CountingTransports(ITransportFactory inner) : ITransportFactory
{
    private int _sends;

    public int Sends => Volatile.Read(ref _sends);

    public async ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken) =>
        new Counted(await inner.ConnectAsync(host, port, cancellationToken), this);

    private sealed class Counted(ITransport inner, CountingTransports counting) : ITransport
    {
        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReceiveAsync(buffer, cancellationToken);

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref counting._sends);
            return inner.SendAsync(bytes, cancellationToken);
        }

        public void Abort() => inner.Abort();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
