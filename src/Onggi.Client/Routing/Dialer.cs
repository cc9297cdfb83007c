using Onggi.Client.Connections;
using Onggi.Client.Transport;

namespace Onggi.Client.Routing;

/// <summary>Opens one connection: the transport, the handshake over it, and the pump that fits them.</summary>
internal sealed class Dialer(RedisClientOptions options, LinkSettings settings, Login login, TimeProvider time)
{
    // Whether threads of ours wait on the socket, instead of the thread pool. Tests' and tools' own transports decide for themselves.
    private bool Blocks =>
        options is { Transports: SocketTransportFactory, Tls: null }
        && (
            settings.Purpose == LinkPurpose.Blocking
            || (options.InlineCompletion && settings.Purpose is LinkPurpose.Commands or LinkPurpose.Tracking)
        );

    /// <summary>Those who will use it block, perhaps on every thread of the pool, before there is a connection: making the first one must not need the pool.</summary>
    public bool BeginsOnOwnThread => Blocks && settings.Purpose == LinkPurpose.Blocking;

    /// <summary>Connects and greets.</summary>
    /// <exception cref="RedisConnectionException">The server refuses us, or is not the one that is wanted.</exception>
    public Task<(ITransport Transport, RedisServerInfo Server)> DialAsync(
        RedisAddress address,
        RedisCredentials? credentials,
        CancellationToken cancellationToken
    ) =>
        Blocks && !OwnThread.MayBlock
            ? OwnThread.RunAsync(
                "Onggi connect",
                () => EstablishAsync(address, credentials, cancellationToken).AsTask().GetAwaiter().GetResult()
            )
            : EstablishAsync(address, credentials, cancellationToken).AsTask();

    public ConnectionPump NewPump(RespConnection connection, ITransport transport, Action roomAgain) =>
        transport switch
        {
            BlockingSocketTransport blocking when settings.Purpose == LinkPurpose.Blocking => new SyncPump(
                connection,
                blocking,
                time,
                settings.Counters
            )
            {
                RoomAgain = roomAgain,
            },
            IReadinessTransport socket => new SocketPump(connection, socket, time, settings.Counters) { RoomAgain = roomAgain },
            IBlockingTransport blocking => new ThreadedPump(connection, blocking, time, settings.Counters) { RoomAgain = roomAgain },
            _ => new AsyncPump(connection, transport, time, settings.Counters) { RoomAgain = roomAgain },
        };

    private async ValueTask<(ITransport, RedisServerInfo)> EstablishAsync(
        RedisAddress address,
        RedisCredentials? credentials,
        CancellationToken cancellationToken
    )
    {
        var transport = await options
            .Network(time, Blocks)
            .ConnectAsync(address.Host, address.Port, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        try
        {
            var handshake = new Handshake(transport, options, login, settings.Setup, time);
            var server = await handshake.RunAsync(credentials, cancellationToken).ConfigureAwait(Rt.Capture);
            if (settings.Server.Refuse(address, server) is { } refused)
                throw refused;
            (transport as TlsTransport)?.ShowIn(settings.Counters.Certificates);
            return (transport, server);
        }
        catch
        {
            await transport.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }
    }
}
