using System.Net.Security;

namespace Onggi.Client.Transport;

/// <summary>Asks a port that did not understand us whether it speaks the other way, on a connection of its own.</summary>
/// <remarks>
/// Redis tells neither: a plain port takes the greeting of TLS for the beginning of a line and waits for its end, and a TLS port cuts a plain connection without a word.
/// Nothing that is secret is sent.
/// </remarks>
internal static class PortProbe
{
    /// <summary>How long a port may be silent before it is asked, and how long it has to answer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Whether a plain PING is answered by something like Redis. Never throws.</summary>
    public static async ValueTask<bool> SpeaksPlainAsync(
        ITransportFactory plain,
        RedisAddress server,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var answer = new byte[64];
        var count = 0;
        await AskAsync(
                plain,
                server,
                time,
                async (transport, timeout) =>
                {
                    await transport.SendAsync("PING\r\n"u8.ToArray(), timeout).ConfigureAwait(Rt.Capture);
                    count = await transport.ReceiveAsync(answer, timeout).ConfigureAwait(Rt.Capture);
                },
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
        return count > 0 && answer[0] is (byte)'+' or (byte)'-';
    }

    /// <summary>Whether the greeting of TLS is answered with one. Never throws.</summary>
    public static async ValueTask<bool> SpeaksTlsAsync(
        ITransportFactory plain,
        RedisAddress server,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        TransportStream? heard = null;
        await AskAsync(
                plain,
                server,
                time,
                async (transport, timeout) =>
                {
                    heard = new TransportStream(transport);
                    var stream = new SslStream(heard);
                    await using var ending = stream.ConfigureAwait(Rt.Capture);

                    // Nobody is trusted: the handshake ends when the certificate has come.
                    var greeting = new SslClientAuthenticationOptions
                    {
                        TargetHost = server.Host,
                        RemoteCertificateValidationCallback = static (_, _, _, _) => false,
                    };
                    await stream.AuthenticateAsClientAsync(greeting, timeout).ConfigureAwait(Rt.Capture);
                },
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
        return heard is { HasHeard: true, HeardOther: false };
    }

    private static async ValueTask AskAsync(
        ITransportFactory plain,
        RedisAddress server,
        TimeProvider time,
        Func<ITransport, CancellationToken, ValueTask> ask,
        CancellationToken cancellationToken
    )
    {
        using var timeout = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var transport = await plain.ConnectAsync(server.Host, server.Port, either.Token).ConfigureAwait(Rt.Capture);
            await using var closing = transport.ConfigureAwait(Rt.Capture);
            await ask(transport, either.Token).ConfigureAwait(Rt.Capture);
        }
        catch (Exception)
        {
            // No answer is an answer, and what has come until then counts.
        }
    }
}
