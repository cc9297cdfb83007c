using System.Diagnostics;
using System.Security.Cryptography;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Every way in which TLS does not come about is said at once, by what is wrong, with what to write instead.</summary>
public sealed class TlsRefusalTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task The_wrong_name()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls(names: ["redis.example.org", "10.1.2.3"]));

        await RefusedAsync(
            TlsServer.Options(server, _authority),
            "not for 'localhost'",
            "'redis.example.org', '10.1.2.3'",
            "sslHost=",
            $"localhost:{server.TlsPort}"
        );
    }

    [Fact]
    public async Task An_unknown_authority()
    {
        using var other = new TestAuthority("another authority");
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());

        await RefusedAsync(TlsServer.Options(server, other), "Onggi test authority", other.CertificateFile, "tlsCa=");
    }

    [Fact]
    public async Task An_authority_that_the_system_does_not_trust()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        var options = TlsServer.Options(server, _authority);
        options.Tls = new RedisTlsOptions();

        await RefusedAsync(options, "this system does not trust", "tlsCa=");
    }

    [Fact]
    public async Task An_expired_certificate()
    {
        var (certificate, key) = _authority.Sign("old", validFrom: TimeSpan.FromDays(-2), validFor: TimeSpan.FromDays(1));
        await using var server = await TlsServer.StartAsync(new RedisServerTls(certificate, key, _authority.CertificateFile));

        await RefusedAsync(
            TlsServer.Options(server, _authority),
            $"The certificate of localhost:{server.TlsPort} expired at",
            "Put a new one"
        );
    }

    [Fact]
    public async Task A_certificate_from_the_future()
    {
        var (certificate, key) = _authority.Sign("new", validFrom: TimeSpan.FromDays(2), validFor: TimeSpan.FromDays(1));
        await using var server = await TlsServer.StartAsync(new RedisServerTls(certificate, key, _authority.CertificateFile));

        await RefusedAsync(TlsServer.Options(server, _authority), "is not valid before", "Check the clocks");
    }

    [Fact]
    public async Task A_certificate_that_is_only_a_clients()
    {
        var (certificate, key) = _authority.Sign("notaserver", forServers: false);
        await using var server = await TlsServer.StartAsync(new RedisServerTls(certificate, key, _authority.CertificateFile));

        await RefusedAsync(TlsServer.Options(server, _authority), "cannot be used", "serverAuth");
    }

    [Fact]
    public async Task Several_faults_are_said_together()
    {
        using var other = new TestAuthority("another authority");
        var (certificate, key) = _authority.Sign("old", ["elsewhere"], TimeSpan.FromDays(-2), TimeSpan.FromDays(1));
        await using var server = await TlsServer.StartAsync(new RedisServerTls(certificate, key, _authority.CertificateFile));

        await RefusedAsync(TlsServer.Options(server, other), "does not lead to", "expired at", "not for 'localhost'");
    }

    [Theory]
    [InlineData("TLSv1.2")]
    [InlineData("TLSv1.3")]
    public async Task No_client_certificate_where_one_is_wanted(string protocol)
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls("yes", protocol));

        await RefusedAsync(TlsServer.Options(server, _authority), "wants a client certificate and none was given", "tlsCert=");
    }

    [Theory]
    [InlineData("TLSv1.2", false)]
    [InlineData("TLSv1.3", false)]
    [InlineData("TLSv1.3", true)]
    public async Task A_client_certificate_that_the_server_does_not_take(string protocol, bool expired)
    {
        using var other = new TestAuthority("another authority");
        await using var server = await TlsServer.StartAsync(_authority.ServerTls("yes", protocol));
        var options = TlsServer.Options(server, _authority);
        var (certificate, key) = expired
            ? _authority.Sign("client", validFrom: TimeSpan.FromDays(-2), validFor: TimeSpan.FromDays(1), forServers: false)
            : other.Sign("client", forServers: false);
        (options.Tls!.ClientCertificateFile, options.Tls.ClientKeyFile) = (certificate, key);

        await RefusedAsync(
            options,
            "refused our client certificate",
            expired ? "certificate expired" : "unknown ca",
            certificate,
            "tlsCert="
        );
    }

    [Fact]
    public async Task TLS_to_a_plain_port()
    {
        await using var server = await RedisServerProcess.StartAsync();
        var options = TlsServer.Options(server, _authority);
        options.Port = server.Port;

        await RefusedAsync(options, $"localhost:{server.Port} does not speak TLS", "leave out ssl=true");
    }

    [Fact]
    public async Task A_plain_port_that_says_nothing_is_said_to_be_perhaps_that()
    {
        await using var silent = FakeRedis.Start(connection => connection.UntilClosedAsync());
        var options = new RedisClientOptions
        {
            Port = silent.Port,
            ConnectTimeout = TimeSpan.FromMilliseconds(300),
            Tls = new RedisTlsOptions(),
        };
        await using var redis = new RedisClient(options);
        await redis.ConnectAsync().FailsWith<RedisConnectionException>();

        var error = await redis.ConnectAsync().FailsWith<RedisConnectionException>();

        Assert.Contains("or its port does not speak TLS", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plain_to_a_TLS_port()
    {
        await using var server = await TlsServer.StartAsync(_authority.ServerTls());
        var options = TlsServer.Options(server, _authority);
        options.Tls = null;

        await RefusedAsync(options, "speaks TLS, and we spoke without", "ssl=true", "rediss://");
    }

    [Fact]
    public async Task No_version_in_common()
    {
        // The server speaks 1.2 alone, with a cipher that only old clients have.
        await using var server = await RedisServerProcess.StartAsync(
            new RedisServerSettings { Tls = _authority.ServerTls(protocols: "TLSv1.2"), Flags = ["--tls-ciphers", "PSK-AES128-CBC-SHA"] }
        );

        await RefusedAsync(TlsServer.Options(server, _authority), "ended the TLS handshake: handshake failure", "TLS 1.2 and 1.3");
    }

    [Fact]
    public async Task Files_that_are_not_there_or_hold_something_else()
    {
        var (certificate, key) = _authority.Sign("client", forServers: false);
        var (_, otherKey) = _authority.Sign("other", forServers: false);
        using var rsa = RSA.Create(2048);
        var encrypted = _authority.Write(
            "encrypted.key",
            rsa.ExportEncryptedPkcs8PrivateKeyPem("pw", new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000))
        );
        var text = _authority.Write("text.pem", "nothing of that kind");
        var damaged = _authority.Write("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        var missing = Path.Combine(_authority.Folder, "missing.pem");

        await WrongAsync(new() { CertificateAuthorityFile = missing }, missing, "is not there", "tlsCa");
        await WrongAsync(new() { CertificateAuthorityFile = _authority.Folder }, _authority.Folder, "cannot be read", "tlsCa");
        await WrongAsync(new() { CertificateAuthorityFile = text }, text, "holds no certificate", "BEGIN CERTIFICATE");
        await WrongAsync(new() { CertificateAuthorityFile = damaged }, damaged, "cannot be read");
        await WrongAsync(new() { ClientCertificateFile = missing, ClientKeyFile = key }, missing, "is not there", "tlsCert");
        await WrongAsync(new() { ClientCertificateFile = certificate, ClientKeyFile = missing }, missing, "is not there", "tlsKey");
        await WrongAsync(new() { ClientCertificateFile = certificate }, certificate, "holds no private key", "tlsKey=");
        await WrongAsync(new() { ClientCertificateFile = certificate, ClientKeyFile = text }, text, "holds no private key");
        await WrongAsync(new() { ClientCertificateFile = certificate, ClientKeyFile = encrypted }, encrypted, "is encrypted", "tlsKey=");
        await WrongAsync(
            new() { ClientCertificateFile = certificate, ClientKeyFile = otherKey },
            otherKey,
            certificate,
            "belongs to another"
        );
        await WrongAsync(new() { ClientKeyFile = key }, key, "no certificate", "tlsCert=");
    }

    // No server is needed to find it.
    private static async Task WrongAsync(RedisTlsOptions tls, params string[] says) =>
        await RefusedAsync(
            new RedisClientOptions
            {
                Port = LoopbackPorts.Free(),
                ConnectTimeout = TimeSpan.FromMinutes(1),
                Tls = tls,
            },
            says
        );

    private static async Task RefusedAsync(RedisClientOptions options, params string[] says)
    {
        var watch = Stopwatch.StartNew();

        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();

        Assert.All(says, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
        Assert.Equal((Sent.No, false), (error.Sent, error.IsTransient));
        Assert.DoesNotContain("PRIVATE KEY-----\nM", error.ToString(), StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15));
    }
}
