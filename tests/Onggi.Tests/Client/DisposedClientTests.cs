using Onggi.Client;
using Onggi.Client.Transport;

namespace Onggi.Tests.Client;

/// <summary>A client that is disposed of opens no further connection, not even one that it never needed before.</summary>
public sealed class DisposedClientTests
{
    [Fact]
    public async Task A_disposed_client_connects_for_nobody()
    {
        var network = new CountingNetwork();
        var options = new RedisClientOptions
        {
            Transports = network,
            CommandTimeout = TimeSpan.FromMilliseconds(300),
            ConnectTimeout = TimeSpan.FromMilliseconds(300),
        };
        var redis = new RedisClient(options);
        await redis.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => redis.SetAsync("k", new byte[1 << 20]).AsTask());
        Assert.Throws<ObjectDisposedException>(() => redis.Send(["PING"], ReplyParsers.Text));
        Assert.Throws<ObjectDisposedException>(() => redis.Subscribe("news"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => redis.SubscribeAsync("news").AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => redis.LeaseAsync().AsTask());
        Assert.Equal(0, network.Asked);
    }

    private sealed class CountingNetwork : ITransportFactory
    {
        private int _asked;

        public int Asked => Volatile.Read(ref _asked);

        public ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _asked);
            return ValueTask.FromException<ITransport>(new IOException("nobody is here"));
        }
    }
}
