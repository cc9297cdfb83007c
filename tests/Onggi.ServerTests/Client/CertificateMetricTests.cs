using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.DependencyInjection;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>How long the certificates of servers still hold, as clients have been shown them: what an alert is made of before nobody gets in any more.</summary>
public sealed class CertificateMetricTests : IDisposable
{
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(5);

    private readonly TestAuthority _authority = new();
    private readonly ServiceProvider _host = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly Dictionary<int, double> _left = [];
    private readonly MeterListener _listener = new();

    public CertificateMetricTests()
    {
        _listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name == "onggi.client.certificate.expires_in" && instrument.Meter.Scope == Meters)
                self.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>(
            (_, value, tags, _) =>
            {
                foreach (var tag in tags)
                    if (tag.Key == "server.port")
                        _left.Add((int)tag.Value!, value);
            }
        );
        _listener.Start();
    }

    private IMeterFactory Meters => _host.GetRequiredService<IMeterFactory>();

    public void Dispose()
    {
        _listener.Dispose();
        _host.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public async Task It_is_told_how_long_the_certificate_still_holds()
    {
        await using var server = await StartAsync(days: 7);
        await using var redis = await ConnectAsync(server);

        var left = Assert.Single(Look());

        Assert.Equal(server.TlsPort, left.Key);
        AssertDays(7, left.Value);
    }

    [Fact]
    public async Task Or_the_authority_where_that_ends_first()
    {
        var now = DateTimeOffset.UtcNow;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=An authority that ends soon", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var authority = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(3));
        using var serverKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var signing = new CertificateRequest("CN=server", serverKey, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        signing.CertificateExtensions.Add(names.Build());
        // Whoever signs with other tools is not kept from this.
        using var certificate = signing.Create(
            authority.SubjectName,
            X509SignatureGenerator.CreateForECDsa(key),
            now.AddDays(-1),
            now.AddDays(60),
            [1]
        );
        var file = _authority.Write("soon.pem", authority.ExportCertificatePem());
        await using var server = await TlsServer.StartAsync(
            new RedisServerTls(
                _authority.Write("server.pem", certificate.ExportCertificatePem()),
                _authority.Write("server.key", serverKey.ExportPkcs8PrivateKeyPem()),
                file
            )
        );
        var options = TlsServer.Options(server, _authority);
        options.Tls!.CertificateAuthorityFile = file;
        await using var redis = new RedisClient(options, meters: Meters);
        await redis.PingAsync().Within();

        AssertDays(3, Assert.Single(Look()).Value);
    }

    [Fact]
    public async Task A_new_certificate_is_told_when_somebody_has_connected_anew()
    {
        await using var server = await StartAsync(days: 7);
        await using var redis = await ConnectAsync(server);
        var (certificate, key) = Sign(days: 20);
        await server.CommandAsync("CONFIG", "SET", "tls-cert-file", certificate, "tls-key-file", key);

        var before = Look()[server.TlsPort];
        await server.CommandAsync("CLIENT", "KILL", "TYPE", "normal");
        await Until.TrueAsync(
            () => Look().TryGetValue(server.TlsPort, out var left) && left > TimeSpan.FromDays(19).TotalSeconds,
            "the new certificate is told"
        );

        AssertDays(7, before);
    }

    [Fact]
    public async Task Of_several_servers_each_is_told_also_those_that_are_only_asked_who_the_primary_is()
    {
        await using var primary = await StartAsync(days: 7);
        await using var replica = await StartAsync(days: 14);
        await replica.CommandAsync("REPLICAOF", "127.0.0.1", $"{primary.Port}");
        var options = TlsServer.Options(primary, _authority);
        options.Servers = [new RedisAddress("localhost", primary.TlsPort), new RedisAddress("localhost", replica.TlsPort)];
        await using var redis = new RedisClient(options, meters: Meters);
        await redis.ConnectAsync().Within();

        await Until.TrueAsync(() => Look().Count == 2, "both are told");

        AssertDays(7, Look()[primary.TlsPort]);
        AssertDays(14, Look()[replica.TlsPort]);
    }

    [Fact]
    public async Task Nothing_is_told_of_a_server_that_is_gone_nor_without_TLS()
    {
        var server = await StartAsync(days: 7);
        await using var redis = await ConnectAsync(server);
        await using var plain = new RedisClient(RedisClientOptions.Parse(server.ConnectionString), meters: Meters);
        await plain.PingAsync().Within();
        Assert.Equal([server.TlsPort], Look().Keys);

        await server.DisposeAsync();

        await Until.TrueAsync(() => Look().Count == 0, "nothing is told any more");
    }

    [Fact]
    public async Task A_disposed_client_tells_nothing()
    {
        await using var server = await StartAsync(days: 7);
        var redis = await ConnectAsync(server);
        Assert.Single(Look());

        await redis.DisposeAsync();

        Assert.Empty(Look());
    }

    private static void AssertDays(int expected, double seconds) =>
        Assert.InRange(seconds, (TimeSpan.FromDays(expected) - Slack).TotalSeconds, TimeSpan.FromDays(expected).TotalSeconds);

    private Dictionary<int, double> Look()
    {
        _left.Clear();
        _listener.RecordObservableInstruments();
        return new Dictionary<int, double>(_left);
    }

    private Task<RedisServerProcess> StartAsync(int days)
    {
        var (certificate, key) = Sign(days);
        return TlsServer.StartAsync(new RedisServerTls(certificate, key, _authority.CertificateFile));
    }

    // Valid since yesterday.
    private (string Certificate, string Key) Sign(int days) =>
        _authority.Sign($"server-{Guid.NewGuid():N}", validFor: TimeSpan.FromDays(days + 1));

    private async Task<RedisClient> ConnectAsync(RedisServerProcess server)
    {
        var redis = new RedisClient(TlsServer.Options(server, _authority), meters: Meters);
        await redis.PingAsync().Within();
        return redis;
    }
}
