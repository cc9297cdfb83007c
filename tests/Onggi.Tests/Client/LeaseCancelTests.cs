using System.Diagnostics;
using Onggi.Client;
using Onggi.Client.Transport;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>A call on a lease that is cancelled in the moment in which it is sent.</summary>
public sealed class LeaseCancelTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Cancelled_while_it_is_being_sent_nothing_is_executed_for_it_later()
    {
        using var cancel = new CancellationTokenSource();
        await using var server = Silent();
        await using var redis = new RedisClient(Options(server, cancel));
        await using var lease = await redis.LeaseAsync().AsTask().WaitAsync(Bound);

        var popping = lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, Timeout.InfiniteTimeSpan, cancel.Token).AsTask();

        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => popping.WaitAsync(Bound));
        Assert.Equal(Sent.Maybe, cancelled.Data[nameof(Sent)]);
        var watch = Stopwatch.StartNew();
        while (lease.IsUsable)
        {
            Assert.True(watch.Elapsed < Bound, "The connection stands, and the server would still take an element for nobody.");
            await Task.Delay(1);
        }
    }

    [Fact]
    public async Task Cancelled_before_it_was_sent_the_lease_goes_on()
    {
        using var never = new CancellationTokenSource();
        await using var server = Silent();
        await using var redis = new RedisClient(Options(server, never));
        await using var lease = await redis.LeaseAsync().AsTask().WaitAsync(Bound);

        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            lease.SendAsync(["BLPOP", "queue", 0], ReplyParsers.TextArray, new CancellationToken(canceled: true)).AsTask()
        );

        Assert.Equal(Sent.No, cancelled.Data[nameof(Sent)]);
        Assert.Equal("PONG", await lease.SendAsync(["PING"], ReplyParsers.Text, Bound).AsTask().WaitAsync(Bound));
    }

    private static FakeRedis Silent() =>
        FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(command => command[0] == "PING" ? "+PONG\r\n" : null);
        });

    private static RedisClientOptions Options(FakeRedis server, CancellationTokenSource cancel) =>
        new()
        {
            Port = server.Port,
            CommandTimeout = Bound,
            Transports = new Network(cancel),
        };

    private sealed class Network(CancellationTokenSource cancel) : ITransportFactory
    {
        public async ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken) =>
            new Transport(await SocketTransportFactory.Shared.ConnectAsync(host, port, cancellationToken), cancel);
    }

    // The caller itself sends, before its call has come back to it.
    private sealed class Transport(ITransport inner, CancellationTokenSource cancel) : ITransport
    {
        public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReceiveAsync(buffer, cancellationToken);

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            if (bytes.Span.IndexOf("BLPOP"u8) >= 0)
                cancel.Cancel();
            return inner.SendAsync(bytes, cancellationToken);
        }

        public void Abort() => inner.Abort();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
