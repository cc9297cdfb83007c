using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Onggi.Testing;

/// <summary>A certificate authority for one test, and the PEM files of what it signs, in a directory that goes with it.</summary>
public sealed class TestAuthority : IDisposable
{
    private readonly X509Certificate2 _certificate;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("onggi-tls-");
    private int _serial;

    /// <summary>Makes an authority of this name.</summary>
    public TestAuthority(string name = "Onggi test authority")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        var now = DateTimeOffset.UtcNow;
        _certificate = request.CreateSelfSigned(now.AddDays(-30), now.AddDays(30));
        CertificateFile = Write("ca.pem", _certificate.ExportCertificatePem());
    }

    /// <summary>The authority's certificate.</summary>
    public string CertificateFile { get; }

    /// <summary>The directory of the files.</summary>
    public string Folder => _directory.FullName;

    /// <summary>Signs a certificate; its files are <c>name.pem</c> and <c>name.key</c>, written anew when the name comes again.</summary>
    /// <param name="name">The file's and the subject's name.</param>
    /// <param name="dnsNames">For which hosts; addresses are told from names.</param>
    /// <param name="validFrom">From when on, counted from now.</param>
    /// <param name="validFor">For how long from then on.</param>
    /// <param name="forServers">Whether it is a server's certificate, or only a client's.</param>
    public (string Certificate, string Key) Sign(
        string name,
        string[]? dnsNames = null,
        TimeSpan? validFrom = null,
        TimeSpan? validFor = null,
        bool forServers = true
    )
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(
            new X509EnhancedKeyUsageExtension([new Oid(forServers ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], false)
        );
        var names = new SubjectAlternativeNameBuilder();
        foreach (var one in dnsNames ?? ["localhost", "127.0.0.1"])
            if (IPAddress.TryParse(one, out var address))
                names.AddIpAddress(address);
            else
                names.AddDnsName(one);
        request.CertificateExtensions.Add(names.Build());
        var from = DateTimeOffset.UtcNow + (validFrom ?? TimeSpan.FromDays(-1));
        using var certificate = request.Create(
            _certificate,
            from,
            from + (validFor ?? TimeSpan.FromDays(10)),
            BitConverter.GetBytes(++_serial)
        );
        return (Write($"{name}.pem", certificate.ExportCertificatePem()), Write($"{name}.key", key.ExportPkcs8PrivateKeyPem()));
    }

    /// <summary>Writes a file beside the others.</summary>
    public string Write(string file, string text)
    {
        var path = Path.Combine(Folder, file);
        File.WriteAllText(path, text + "\n");
        return path;
    }

    /// <summary>What a redis-server needs to speak TLS with a certificate of this authority.</summary>
    public RedisServerTls ServerTls(string askClients = "no", string protocols = "TLSv1.2 TLSv1.3", params string[] names)
    {
        var (certificate, key) = Sign("server", names.Length == 0 ? null : names);
        return new RedisServerTls(certificate, key, CertificateFile, askClients, protocols);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _certificate.Dispose();
        _directory.Delete(recursive: true);
    }
}
