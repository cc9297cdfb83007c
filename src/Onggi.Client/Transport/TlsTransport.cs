using System.Net.Security;

namespace Onggi.Client.Transport;

/// <summary>TLS over another transport, after the handshake.</summary>
/// <remarks>
/// One sender and one reader at a time, as everywhere; the two may be at work together. With TLS 1.3 a server judges our certificate only after our side of the handshake has ended:
/// until its first byte has come, whatever goes wrong is told as a handshake that failed.
/// </remarks>
internal sealed class TlsTransport(SslStream stream, ITransport inner, TlsSession session) : ITransport
{
    private bool _accepted;
    private SeenCertificates? _seen;

    /// <summary>When the certificate ends that the server has shown, or one that it rests on.</summary>
    public DateTimeOffset? CertificateEnd => session.CertificateEnd;

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _accepted ? stream.ReadAsync(buffer, cancellationToken) : ReceiveFirstAsync(buffer, cancellationToken);

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        _accepted ? stream.WriteAsync(bytes, cancellationToken) : SendFirstAsync(bytes, cancellationToken);

    // Ends what is beneath: a read that waits up here comes back with that.
    public void Abort() => inner.Abort();

    /// <summary>Has the certificate counted among those of standing connections, until this one is disposed.</summary>
    public void ShowIn(SeenCertificates seen)
    {
        _seen = seen;
        seen.Add(session.Server, this);
    }

    public async ValueTask DisposeAsync()
    {
        _seen?.Remove(this);
        inner.Abort();
        await stream.DisposeAsync().ConfigureAwait(Rt.Capture);
        await inner.DisposeAsync().ConfigureAwait(Rt.Capture);
        session.Dispose();
    }

    private async ValueTask<int> ReceiveFirstAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            var count = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(Rt.Capture);
            if (count == 0 && session.LacksCertificate)
                throw session.Explain(new EndOfStreamException("The server closed the connection."));
            _accepted |= count > 0;
            return count;
        }
        catch (Exception error) when (error is not (OperationCanceledException or RedisConnectionException))
        {
            throw session.Explain(error);
        }
    }

    private async ValueTask SendFirstAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // Refused already, and the reason waits to be read.
            await ReceiveFirstAsync(new byte[1], cancellationToken).ConfigureAwait(Rt.Capture);
            throw session.Explain(error);
        }
    }
}

/// <summary>Makes TLS connections over those of another factory.</summary>
internal sealed class TlsTransportFactory(ITransportFactory inner, RedisTlsOptions options, TimeProvider time) : ITransportFactory
{
    /// <exception cref="RedisConnectionException">The handshake failed, or our own files cannot be used; the message says which and what to write instead.</exception>
    public async ValueTask<ITransport> ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        // Before the server is bothered: what is wrong with our own files needs no server to be found.
        var session = new TlsSession(new RedisAddress(host, port), options, time);
        SslStream? stream = null;
        try
        {
            session.ReadFiles();
            var transport = await inner.ConnectAsync(host, port, cancellationToken).ConfigureAwait(Rt.Capture);
            session.Beneath = new TransportStream(transport);
            stream = new SslStream(session.Beneath);
            await AuthenticateAsync(stream, transport, session, cancellationToken).ConfigureAwait(Rt.Capture);
            return new TlsTransport(stream, transport, session);
        }
        catch
        {
            if (stream is not null)
                await stream.DisposeAsync().ConfigureAwait(Rt.Capture);
            session.Dispose();
            throw;
        }
    }

    private async Task AuthenticateAsync(SslStream stream, ITransport transport, TlsSession session, CancellationToken cancellationToken)
    {
        var handshake = stream.AuthenticateAsClientAsync(session.Authentication(), cancellationToken);
        try
        {
            await handshake.WaitAsync(PortProbe.Patience, time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException) when (!handshake.IsCompleted)
        {
            await ContinueAsync(handshake, transport, session, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw session.Explain(error);
        }
    }

    // It takes long. A slow server is waited for; one that has said nothing may be one that does not understand.
    private async Task ContinueAsync(Task handshake, ITransport transport, TlsSession session, CancellationToken cancellationToken)
    {
        var isPlain =
            !session.Beneath!.HasHeard
            && await PortProbe.SpeaksPlainAsync(inner, session.Server, time, cancellationToken).ConfigureAwait(Rt.Capture)
            && !session.Beneath.HasHeard;
        if (isPlain)
            transport.Abort();
        try
        {
            await handshake.ConfigureAwait(Rt.Capture);
        }
        catch (Exception error) when (isPlain || error is not OperationCanceledException)
        {
            throw isPlain ? session.SpeaksPlain(error) : session.Explain(error);
        }
    }
}
