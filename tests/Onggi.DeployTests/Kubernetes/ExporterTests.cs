using System.Globalization;
using System.Text.Json.Nodes;
using Onggi.Testing;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>The exporter, started with the environment that the manifests and compose.yaml give it, on a Redis with the catalog's users.</summary>
public sealed class ExporterTests : IDisposable
{
    private const string Exporter = "prometheus-redis-exporter";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-exporter-");
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(20) };

    public void Dispose()
    {
        _http.Dispose();
        _folder.Delete(recursive: true);
    }

    [ToolFact("kubectl redis_exporter")]
    public async Task In_the_cluster_it_asks_each_server_over_TLS_and_is_refused_nothing()
    {
        using var authority = new TestAuthority();
        var (certificate, key) = authority.Sign("redis");
        await using var redis = await StartAsync(new RedisServerTls(certificate, key, authority.CertificateFile, "optional"));
        var all = await Manifests.OfAsync(Manifests.Production);
        var environment = all.One("Deployment", "redis-exporter")
            .At("spec.template")
            .Named("spec.containers", "redis-exporter")
            .Items("env")
            .ToDictionary(
                one => one.Text("name"),
                one =>
                    one.At("valueFrom") is not null ? PasswordOf("exporter")
                    : one.Text("value").EndsWith("/ca.crt", StringComparison.Ordinal) ? authority.CertificateFile
                    : one.Text("value")
            );

        await using var exporter = await RunAsync(environment);

        Assert.Contains(
            "redis_up 1\n",
            await ScrapeAsync(exporter.Address, $"rediss://localhost:{redis.TlsPort}"),
            StringComparison.Ordinal
        );
        // By itself it knows of no server: one that is not there would be down for ever.
        Assert.DoesNotContain("redis_up", await _http.GetStringAsync(new Uri(exporter.Address, "/metrics")), StringComparison.Ordinal);
        Assert.Equal("", await AskAsync(redis, "ACL", "LOG"));
    }

    [ToolFact("redis_exporter")]
    public async Task On_a_laptop_it_finds_its_password_by_the_address_that_Prometheus_asks_for()
    {
        await using var redis = await StartAsync(null);
        var environment = Yaml.Documents(Sources.Text("deploy/compose.yaml"))
            .Single()
            .Pairs("services.redis-exporter.environment")
            .ToDictionary();
        // As secrets.sh writes it.
        environment["REDIS_PASSWORD_FILE"] = Path.Combine(_folder.FullName, "exporter.json");
        await File.WriteAllTextAsync(
            environment["REDIS_PASSWORD_FILE"],
            new JsonObject
            {
                [$"redis://exporter@127.0.0.1:{redis.Port}"] = PasswordOf("exporter"),
                [$"redis://127.0.0.1:{redis.Port}"] = PasswordOf("exporter"),
            }.ToJsonString()
        );

        await using var exporter = await RunAsync(environment);

        Assert.Contains("redis_up 1\n", await ScrapeAsync(exporter.Address, $"redis://127.0.0.1:{redis.Port}"), StringComparison.Ordinal);
        Assert.Equal("", await AskAsync(redis, "ACL", "LOG"));
    }

    private string PasswordOf(string user) => File.ReadAllText(Path.Combine(_folder.FullName, "secrets", user)).Trim();

    private async Task<RedisServerProcess> StartAsync(RedisServerTls? tls)
    {
        var acl = Path.Combine(_folder.FullName, "users.acl");
        var (code, output) = await Monitoring.Kit.RunAsync(
            "acl",
            "file",
            "--catalog",
            Sources.PathOf("samples/PhoneBill/keyspace.json"),
            "--secrets",
            Path.Combine(_folder.FullName, "secrets"),
            "--out",
            acl
        );
        Assert.True(code == 0, output);
        return await RedisServerProcess.StartAsync(new RedisServerSettings { Tls = tls, Flags = ["--aclfile", acl] });
    }

    private async Task<string?> AskAsync(RedisServerProcess redis, params string[] command)
    {
        using var connection = await RawRedis.ConnectAsync(redis.Port, "operator", PasswordOf("operator"));
        return await connection.CommandAsync(command);
    }

    private async Task<RunningExporter> RunAsync(Dictionary<string, string> environment)
    {
        var port = LoopbackPorts.Free().ToString(CultureInfo.InvariantCulture);
        var process = await Monitoring.WatchedProcess.StartAsync(
            Exporter,
            _folder.FullName,
            environment,
            $"--web.listen-address=127.0.0.1:{port}"
        );
        var exporter = new RunningExporter(process, new Uri($"http://127.0.0.1:{port}"));
        // The path that the probes ask.
        await process.AnswersAsync(_http, new Uri(exporter.Address, "/health"), TimeSpan.FromSeconds(30));
        return exporter;
    }

    private Task<string> ScrapeAsync(Uri exporter, string target) =>
        _http.GetStringAsync(new Uri(exporter, $"/scrape?target={Uri.EscapeDataString(target)}"));

    private sealed record RunningExporter(Monitoring.WatchedProcess Process, Uri Address) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Process.DisposeAsync();
    }
}
