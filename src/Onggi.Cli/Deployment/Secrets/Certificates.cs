using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Onggi.Cli.Deployment.Secrets;

/// <summary>A certificate with its key, both in PEM.</summary>
/// <param name="Certificate">The certificate.</param>
/// <param name="Key">Its key, not encrypted.</param>
internal sealed record CertificatePair(string Certificate, string Key);

/// <summary>The team's own authority, and the certificate that all servers of a set share.</summary>
internal static class Certificates
{
    /// <summary>How long an authority holds.</summary>
    public static readonly TimeSpan AuthorityLife = TimeSpan.FromDays(3650);

    private const int SerialBytes = 16;
    private const string ForServers = "1.3.6.1.5.5.7.3.1";
    private const string ForClients = "1.3.6.1.5.5.7.3.2";

    // Clocks of machines differ.
    private static readonly TimeSpan Before = TimeSpan.FromHours(1);

    /// <summary>Makes an authority.</summary>
    public static CertificatePair Authority(string name, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using var certificate = request.CreateSelfSigned(now - Before, now + AuthorityLife);
        return Pair(certificate, key);
    }

    /// <summary>Signs a certificate for these names. It is for clients, too: replicas and Sentinels show it to the servers that they connect to.</summary>
    public static CertificatePair Sign(CertificatePair authority, string name, IEnumerable<string> names, DateTimeOffset now, TimeSpan life)
    {
        using var issuer = X509Certificate2.CreateFromPem(authority.Certificate, authority.Key);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ForServers), new Oid(ForClients)], false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(issuer, true, false));
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var one in names)
            if (IPAddress.TryParse(one, out var address))
                alternatives.AddIpAddress(address);
            else
                alternatives.AddDnsName(one);
        request.CertificateExtensions.Add(alternatives.Build());
        var last = new DateTimeOffset(issuer.NotAfter);
        var end = now + life < last ? now + life : last;
        using var certificate = request.Create(issuer, now - Before, end, RandomNumberGenerator.GetBytes(SerialBytes));
        return Pair(certificate, key);
    }

    /// <summary>Why a certificate must be replaced; <c>null</c> where it need not.</summary>
    public static string? WhyNot(string certificate, string authority, IEnumerable<string> names, DateTimeOffset now, TimeSpan renewBefore)
    {
        using var ours = X509Certificate2.CreateFromPem(certificate);
        using var issuer = X509Certificate2.CreateFromPem(authority);
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(issuer);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        if (!chain.Build(ours))
            return "another authority signed it";
        if (End(certificate) - now <= renewBefore)
            return $"it ends on {End(certificate):yyyy-MM-dd}";
        var covered = Names(ours);
        return names.FirstOrDefault(name => !covered.Contains(name)) is { } lacking ? $"it is not for {lacking}" : null;
    }

    /// <summary>When a certificate ends.</summary>
    public static DateTimeOffset End(string certificate)
    {
        using var ours = X509Certificate2.CreateFromPem(certificate);
        return new DateTimeOffset(ours.NotAfter);
    }

    private static HashSet<string> Names(X509Certificate2 certificate)
    {
        var alternatives = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().ToList();
        return alternatives
            .SelectMany(extension => extension.EnumerateDnsNames())
            .Concat(alternatives.SelectMany(extension => extension.EnumerateIPAddresses()).Select(address => address.ToString()))
            .ToHashSet(StringComparer.OrdinalIgnoreCase);
    }

    private static CertificatePair Pair(X509Certificate2 certificate, ECDsa key) =>
        new(certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
}
