using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Onggi.Client.Transport;

/// <summary>The certificates of <see cref="RedisTlsOptions"/>, read from their files.</summary>
internal sealed class TlsFiles : IDisposable
{
    private TlsFiles(X509Certificate2Collection? authorities, X509Certificate2? client, X509Certificate2Collection intermediates) =>
        (Authorities, Client, Intermediates) = (authorities, client, intermediates);

    public X509Certificate2Collection? Authorities { get; }

    public X509Certificate2? Client { get; }

    public X509Certificate2Collection Intermediates { get; }

    /// <exception cref="RedisConnectionException">A file is missing or cannot be used; the message has its path.</exception>
    public static TlsFiles Read(RedisTlsOptions options)
    {
        var authorities = options.CertificateAuthorityFile is { } ca ? ReadCertificates("the certificate authority (tlsCa)", ca) : null;
        if (options.ClientCertificateFile is not { } certificate)
            return options.ClientKeyFile is { } key
                ? throw Wrong($"There is a key for a client certificate ({key}) but no certificate. Write tlsCert=… too.")
                : new TlsFiles(authorities, null, []);
        var chain = ReadCertificates("the client certificate (tlsCert)", certificate);
        var client = ReadClient(certificate, options.ClientKeyFile ?? certificate);
        chain[0].Dispose();
        chain.RemoveAt(0);
        return new TlsFiles(authorities, client, chain);
    }

    /// <summary>The names and addresses that a server's certificate is for, for a message.</summary>
    public static string Names(X509Certificate2 certificate)
    {
        List<string> names = [];
        foreach (var extension in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
        {
            names.AddRange(extension.EnumerateDnsNames());
            names.AddRange(extension.EnumerateIPAddresses().Select(static (IPAddress address) => address.ToString()));
        }

        return names.Count == 0 ? $"no alternative name, only the subject '{certificate.Subject}'" : $"'{string.Join("', '", names)}'";
    }

    public void Dispose()
    {
        Client?.Dispose();
        foreach (var one in Intermediates.Concat(Authorities ?? []))
            one.Dispose();
    }

    private static X509Certificate2Collection ReadCertificates(string what, string path)
    {
        try
        {
            var certificates = new X509Certificate2Collection();
            certificates.ImportFromPem(File.ReadAllText(path));
            return certificates.Count > 0
                ? certificates
                : throw Wrong($"The file of {what}, {path}, holds no certificate. It must have '-----BEGIN CERTIFICATE-----'.");
        }
        catch (CryptographicException error)
        {
            throw Wrong($"The file of {what}, {path}, holds a certificate that cannot be read ({error.Message.TrimEnd('.')}).", error);
        }
        catch (Exception error) when (IsAboutFile(error))
        {
            throw Unreadable(what, path, error);
        }
    }

    private static X509Certificate2 ReadClient(string certificatePath, string keyPath)
    {
        string certificate;
        string key;
        try
        {
            certificate = File.ReadAllText(certificatePath);
            key = File.ReadAllText(keyPath);
        }
        catch (Exception error) when (IsAboutFile(error))
        {
            throw Unreadable("the client certificate's key (tlsKey)", keyPath, error);
        }

        if (
            key.Contains("BEGIN ENCRYPTED PRIVATE KEY", StringComparison.Ordinal)
            || key.Contains("Proc-Type: 4,ENCRYPTED", StringComparison.Ordinal)
        )
            throw Wrong(
                $"The key in {keyPath} is encrypted. Write tlsKey=… with a key that is not, in a file that only this service can read."
            );
        if (!key.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
            throw Wrong($"{keyPath} holds no private key. Write tlsKey=… with the file of the client certificate's key, in PEM.");
        try
        {
            var client = X509Certificate2.CreateFromPem(certificate, key);
            return OperatingSystem.IsWindows() ? Persisted(client) : client;
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            // Without the inner error, for nobody promises what is in the words of one about a key.
            throw Wrong(
                $"The key in {keyPath} cannot be used for the certificate in {certificatePath}: it belongs to another one, or is damaged."
            );
        }
    }

    // Windows' TLS takes no key that lives in memory alone.
    private static X509Certificate2 Persisted(X509Certificate2 client)
    {
        using (client)
            return X509CertificateLoader.LoadPkcs12(client.Export(X509ContentType.Pkcs12), null);
    }

    private static bool IsAboutFile(Exception error) =>
        error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException;

    private static RedisConnectionException Unreadable(string what, string path, Exception error) =>
        Wrong(
            error is FileNotFoundException or DirectoryNotFoundException
                ? $"The file of {what}, {path}, is not there. Relative paths start at the current directory."
                : $"The file of {what}, {path}, cannot be read: {error.Message.TrimEnd('.')}.",
            error
        );

    private static RedisConnectionException Wrong(string message, Exception? error = null) =>
        new(message, Sent.No, error, isTransient: false);
}
