using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Onggi.Client.Transport;

/// <summary>One connection's certificates, what it has seen of the server's, and what went wrong in words.</summary>
internal sealed class TlsSession(RedisAddress server, RedisTlsOptions options, TimeProvider time) : IDisposable
{
    private TlsFiles? _files;
    private string? _verdict;
    private bool _wasAsked;

    public TransportStream? Beneath { get; set; }

    /// <summary>The server wants a certificate and has got none.</summary>
    public bool LacksCertificate => _wasAsked && _files?.Client is null;

    public RedisAddress Server => server;

    /// <summary>When the server's certificate ends, or one that it rests on, whichever is first; <c>null</c> while none was accepted.</summary>
    public DateTimeOffset? CertificateEnd { get; private set; }

    private string Name => options.ServerName ?? server.Host;

    public void ReadFiles() => _files = TlsFiles.Read(options);

    public SslClientAuthenticationOptions Authentication()
    {
        var authentication = new SslClientAuthenticationOptions
        {
            TargetHost = Name,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = Trust(),
            RemoteCertificateValidationCallback = Judge,
            // A resumed session would carry the certificates of the old one over a rotation.
            AllowTlsResume = false,
        };
        if (_files!.Client is { } client)
            authentication.ClientCertificateContext = SslStreamCertificateContext.Create(client, _files.Intermediates, offline: true);
        else
            authentication.LocalCertificateSelectionCallback = NoticeRequest;
        return authentication;
    }

    /// <summary>What <paramref name="error"/> means, and what to write instead.</summary>
    public RedisConnectionException Explain(Exception error)
    {
        if (_verdict is not null)
            return Final(_verdict);
        if (Beneath!.HeardOther)
            return Final(
                $"{server} does not speak TLS: it answered in plain bytes. Name its TLS port, or leave out ssl=true and rediss://."
            );
        var alert = TlsAlerts.Find(error);
        if (LacksCertificate && (alert is null || TlsAlerts.IsAboutUs(alert)))
            return Final(
                $"{server} wants a client certificate and none was given. Write tlsCert=… and tlsKey=…, or have the server not ask (tls-auth-clients no)."
            );
        if (_files?.Client is not null && alert is not null && TlsAlerts.IsAboutUs(alert))
            return Final(
                $"{server} refused our client certificate ({alert}). Write tlsCert=… with one that the server's authority has signed and that is valid now; it was read from {options.ClientCertificateFile}."
            );
        if (alert is not null)
            return new RedisConnectionException(
                $"{server} ended the TLS handshake: {alert}. We speak TLS 1.2 and 1.3 and asked for the name '{Name}'.",
                Sent.No,
                error,
                isTransient: !TlsAlerts.IsFinal(alert)
            );
        return new RedisConnectionException(
            $"{server} broke off the TLS handshake ({Innermost(error).TrimEnd('.')}). If its port speaks no TLS, leave out ssl=true and rediss://.",
            Sent.No,
            error
        );

        RedisConnectionException Final(string message) => new(message, Sent.No, error, isTransient: false);
    }

    /// <summary>The port is one without TLS.</summary>
    public RedisConnectionException SpeaksPlain(Exception error) =>
        new(
            $"{server} does not speak TLS: it answered in plain bytes. Name its TLS port, or leave out ssl=true and rediss://.",
            Sent.No,
            error,
            isTransient: false
        );

    public void Dispose() => _files?.Dispose();

    private X509ChainPolicy Trust()
    {
        var policy = new X509ChainPolicy
        {
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationTime = time.GetUtcNow().LocalDateTime,
        };
        if (_files!.Authorities is not { } authorities)
            return policy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(authorities);
        // Those that are no roots help to reach one.
        policy.ExtraStore.AddRange(authorities);
        return policy;
    }

    // Called once before the handshake, without the server's certificate, and again when the server asks.
    private X509Certificate NoticeRequest(
        object sender,
        string targetHost,
        X509CertificateCollection localCertificates,
        X509Certificate? remoteCertificate,
        string[] acceptableIssuers
    )
    {
        _wasAsked |= remoteCertificate is not null;
        return null!;
    }

    private bool Judge(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
        {
            CertificateEnd = chain?.ChainElements.Min(element => new DateTimeOffset(element.Certificate.NotAfter));
            return true;
        }

        _verdict = string.Join(' ', Faults(certificate as X509Certificate2, chain, errors));
        return false;
    }

    private IEnumerable<string> Faults(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null || errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable))
        {
            yield return $"{server} showed no certificate.";
            yield break;
        }

        var status =
            chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status) ?? X509ChainStatusFlags.NoError;
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            foreach (var fault in ChainFaults(certificate, chain!, status))
                yield return fault;
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            yield return $"The certificate of {server} is not for '{Name}': it carries {TlsFiles.Names(certificate)}. Connect by one of its names, or write it as sslHost=…";
    }

    private IEnumerable<string> ChainFaults(X509Certificate2 certificate, X509Chain chain, X509ChainStatusFlags status)
    {
        if ((status & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != X509ChainStatusFlags.NoError)
            yield return options.CertificateAuthorityFile is { } file
                ? $"The certificate of {server} is signed by '{certificate.Issuer}', whom {file} does not lead to. Write tlsCa=… with the authority that signed it."
                : $"The certificate of {server} is signed by '{certificate.Issuer}', whom this system does not trust. Write tlsCa=… with the file of that authority's certificate.";
        if (status.HasFlag(X509ChainStatusFlags.NotTimeValid))
            foreach (var element in chain.ChainElements)
                if (element.ChainElementStatus.Any(one => one.Status == X509ChainStatusFlags.NotTimeValid))
                    yield return NotNow(element.Certificate, element.Certificate.Equals(certificate));
        const X509ChainStatusFlags Told =
            X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotTimeValid;
        if ((status & ~Told) != X509ChainStatusFlags.NoError)
            yield return $"The certificate of {server} cannot be used: {status & ~Told}. Have it made anew for a server (extended key usage serverAuth).";
    }

    private string NotNow(X509Certificate2 certificate, bool own)
    {
        var whose = own ? $"The certificate of {server}" : $"The certificate of '{certificate.Subject}', which that of {server} rests on,";
        return time.GetUtcNow().LocalDateTime > certificate.NotAfter
            ? $"{whose} expired at {certificate.NotAfter.ToUniversalTime():u}. Put a new one on the server."
            : $"{whose} is not valid before {certificate.NotBefore.ToUniversalTime():u}. Check the clocks, or put another one on the server.";
    }

    private static string Innermost(Exception error)
    {
        while (error.InnerException is { } inner)
            error = inner;
        return error.Message;
    }
}
