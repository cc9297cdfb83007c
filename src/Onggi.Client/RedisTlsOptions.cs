namespace Onggi.Client;

/// <summary>How a <see cref="RedisClient"/> speaks TLS (1.2 or 1.3): whom it trusts, and what it shows of itself.</summary>
/// <remarks>
/// The files are read again for every new connection, so replacing them is enough to rotate certificates. What is wrong with them is said, with the path, when the client connects.
/// Revocation is not checked and nothing is downloaded while a certificate is checked: the server sends its intermediate certificates, or the authority's file has them.
/// </remarks>
public sealed class RedisTlsOptions
{
    /// <summary>A PEM file with one or several certificate authorities. Only these are trusted then.</summary>
    /// <value>Default <c>null</c>: those that the system trusts.</value>
    public string? CertificateAuthorityFile { get; set; }

    /// <summary>A PEM file with the certificate that is shown to a server that asks for one, its intermediates after it.</summary>
    /// <value>Default <c>null</c>: none is shown.</value>
    public string? ClientCertificateFile { get; set; }

    /// <summary>A PEM file with the private key of <see cref="ClientCertificateFile"/>, not encrypted.</summary>
    /// <value>Default <c>null</c>: it is in the certificate's file.</value>
    public string? ClientKeyFile { get; set; }

    /// <summary>The name that the server's certificate must carry.</summary>
    /// <value>Default <c>null</c>: the host that is connected to.</value>
    public string? ServerName { get; set; }
}
