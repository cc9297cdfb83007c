using System.Text.Json.Nodes;
using Onggi.Client;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What production has beyond development. Its files run as processes in the tests beside these.</summary>
public class ProductionTests
{
    private const string Domain = "phonebill.svc";

    [ToolTheory("kubectl")]
    [InlineData("redis")]
    [InlineData("sentinel")]
    public async Task Three_of_each_are_apart_and_go_before_others(string name)
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        var set = all.One("StatefulSet", name);
        var pod = set.At("spec.template")!;

        Assert.Equal("3", set.Text("spec.replicas"));
        // In order, a pod that waits for a primary with a higher number would keep that one from starting.
        Assert.Equal("Parallel", set.Text("spec.podManagementPolicy"));
        var apart = Assert.Single(pod.Items("spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"));
        Assert.Equal("kubernetes.io/hostname", apart.Text("topologyKey"));
        Assert.True(Reach.Selects(apart.At("labelSelector"), pod.Pairs("metadata.labels")));
        var spread = Assert.Single(pod.Items("spec.topologySpreadConstraints"));
        Assert.Equal("topology.kubernetes.io/zone", spread.Text("topologyKey"));
        Assert.True(Reach.Selects(spread.At("labelSelector"), pod.Pairs("metadata.labels")));
        Assert.True(int.Parse(all.One("PriorityClass", pod.Text("spec.priorityClassName")).Text("value")) > 0);
        // A disk of its own, and no folder of the node that goes with the pod.
        Assert.Equal("data", Manifests.NameOf(Assert.Single(set.Items("spec.volumeClaimTemplates"))));
        Assert.DoesNotContain(pod.Items("spec.volumes"), volume => volume.Text("name") == "data");
    }

    [ToolFact("kubectl")]
    public async Task A_server_asks_who_the_primary_is_before_it_starts_and_hands_over_before_it_ends()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        var (pod, container) = (RedisPodTests.Pod(all), RedisPodTests.Container(all));

        Assert.Equal(["sh", "/onggi/config/redis-entry.sh"], container.Texts("command"));
        Assert.Equal(["sh", "/onggi/config/pre-stop.sh"], container.Texts("lifecycle.preStop.exec.command"));
        Assert.True(int.Parse(pod.Text("spec.terminationGracePeriodSeconds")) >= 60, "pre-stop.sh needs a minute.");
        // It may ask for minutes before it listens.
        Assert.True(
            int.Parse(container.Text("startupProbe.periodSeconds")) * int.Parse(container.Text("startupProbe.failureThreshold")) >= 600
        );
        var folder = all.One("ConfigMap", "redis-config").Pairs("data").Keys;
        Assert.Equal(
            ["common.sh", "pre-stop.sh", "redis-entry.sh", "redis.conf", "reload-tls.sh", "sentinel-entry.sh", "sentinel.conf"],
            folder.Order(StringComparer.Ordinal)
        );
    }

    [ToolFact("kubectl")]
    public async Task The_scripts_are_told_everything_they_ask_for()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        var set = all.One("ConfigMap", "redis-set").Pairs("data");

        Assert.Equal(Enumerable.Range(0, 3).Select(i => $"redis-{i}.redis-headless.{Domain}:6379"), set["ONGGI_PEERS"].Trim().Split(' '));
        Assert.Equal(Enumerable.Range(0, 3).Select(i => $"sentinel-{i}.sentinel.{Domain}:26379"), set["ONGGI_SENTINELS"].Trim().Split(' '));
        Assert.Equal("phonebill", set["ONGGI_MASTER"]);
        foreach (var (name, service, files) in Scripted)
        {
            var pod = all.One("StatefulSet", name).At("spec.template")!;
            var container = pod.Named("spec.containers", name);
            Assert.Contains(
                container.Items("envFrom"),
                source => source.Text("configMapRef.name") == Manifests.NameOf(all.One("ConfigMap", "redis-set"))
            );
            var variables = container.Items("env").ToList();
            // A variable stands for another only when that one comes before it.
            Assert.True(Index("POD_NAME") < Index("ONGGI_HOST") && Index("POD_NAME") >= 0);
            Assert.Equal($"$(POD_NAME).{service}.{Domain}", variables[Index("ONGGI_HOST")].Text("value"));
            foreach (var (path, secret) in files)
            {
                var mount = container.Items("volumeMounts").Single(one => one.Text("mountPath") == $"/run/secrets/{path}");
                Assert.Equal(secret, pod.Named("spec.volumes", mount.Text("name")).Text("secret.secretName"));
            }

            Assert.Contains(container.Items("volumeMounts"), mount => mount.Text("mountPath") == "/onggi/config");
            Assert.Contains(container.Items("volumeMounts"), mount => mount.Text("mountPath") == "/data");

            int Index(string variable) => variables.FindIndex(one => one.Text("name") == variable);
        }
    }

    [ToolFact("kubectl")]
    public async Task Everybody_speaks_TLS()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        foreach (var conf in (string[])["redis.conf", "sentinel.conf"])
        {
            var text = all.One("ConfigMap", "redis-config").Pairs("data")[conf];
            Assert.Equal("0", RedisPodTests.Value(text, "port"));
            Assert.Equal("yes", RedisPodTests.Value(text, "tls-replication"));
        }

        foreach (var connection in Connections(all))
        {
            var options = RedisClientOptions.Parse(connection.Replace("$(REDIS_PASSWORD)", "x").Replace("$(SENTINEL_PASSWORD)", "x"));
            Assert.NotNull(options.Tls);
            Assert.Equal("phonebill", options.SentinelService);
            Assert.Equal("sentinel-client", options.SentinelUser);
            Assert.Equal(Enumerable.Range(0, 3).Select(i => new RedisAddress($"sentinel-{i}.sentinel.{Domain}", 26379)), options.Servers);
        }

        foreach (var name in (string[])["redis", "sentinel"])
            Assert.Equal(
                "/run/secrets/redis-tls/ca.crt",
                all.One("StatefulSet", name).At("spec.template").Named("spec.containers", name).Named("env", "ONGGI_PROBE_CA").Text("value")
            );
        Assert.Equal(
            "/run/secrets/redis-tls/ca.crt",
            all.One("Deployment", "redis-exporter")
                .At("spec.template")
                .Named("spec.containers", "redis-exporter")
                .Named("env", "REDIS_EXPORTER_TLS_CA_CERT_FILE")
                .Text("value")
        );
        // The key is the servers' alone: others see the authority only.
        foreach (var (owner, pod) in all.Pods().Where(pod => !pod.Owner.StartsWith("StatefulSet/", StringComparison.Ordinal)))
        foreach (var volume in pod.Items("spec.volumes").Where(volume => volume.Text("secret.secretName") == "redis-tls"))
            Assert.Equal((owner, "ca.crt"), (owner, Assert.Single(volume.Items("secret.items")).Text("key")));
        Assert.DoesNotContain(ManifestTests.SecretsOf(all), secret => secret.Name == "redis-ca");
    }

    [ToolFact("kubectl")]
    public async Task Services_are_two_of_each_and_know_how_to_log_in_at_the_Sentinels()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        foreach (var service in all.Of("Deployment").Where(found => Labels(found, "app.kubernetes.io/component") == "service"))
        {
            var container = service.At("spec.template").Named("spec.containers", "service");
            Assert.Equal("2", service.Text("spec.replicas"));
            Assert.Equal("/run/secrets/sentinel/password", container.Named("env", "PhoneBill__SentinelPasswordFile").Text("value"));
            Assert.Contains(container.Items("volumeMounts"), mount => mount.Text("mountPath") == "/run/secrets/sentinel");
            // Made-up data are for development.
            Assert.NotEqual("true", container.Named("env", "ConnectionStrings__Database").Text("valueFrom.secretKeyRef.optional"));
        }

        Assert.DoesNotContain(all.Of("Deployment"), found => Manifests.NameOf(found) == "kos");
    }

    [ToolFact("kubectl")]
    public async Task Every_night_there_is_a_proven_backup_and_Prometheus_hears_of_it()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        var job = all.One("CronJob", "backup");
        var pod = job.At("spec.jobTemplate.spec.template")!;
        var container = pod.Named("spec.containers", "backup");
        var textfile = all.One("Deployment", "textfile").At("spec.template")!;

        Assert.Equal("Forbid", job.Text("spec.concurrencyPolicy"));
        Assert.Equal("backup", new Dictionary<string, string>(pod.Pairs("metadata.labels"))["onggi.io/client"]);
        // The proof is a redis-server with all the data.
        var data = long.Parse(RedisPodTests.Value(RedisPodTests.Conf(all), "maxmemory"));
        Assert.True(RedisPodTests.Bytes(container.Text("resources.limits.memory")) >= data * 5 / 4);
        Assert.Equal("metrics", Claim(pod, container, "/metrics"));
        Assert.Equal("backups", Claim(pod, container, "/backups"));
        Assert.Equal("metrics", Claim(textfile, textfile.Named("spec.containers", "textfile"), "/metrics"));
        Assert.Contains("--collector.textfile.directory=/metrics", textfile.Named("spec.containers", "textfile").Texts("args"));
        // Who shows figures does not see what they are about.
        Assert.DoesNotContain(textfile.Items("spec.volumes"), volume => volume.Text("persistentVolumeClaim.claimName") == "backups");
        Assert.Equal("0 4 * * 0", all.One("CronJob", "verify-backups").Text("spec.schedule"));
    }

    [ToolFact("kubectl")]
    public async Task Each_server_is_asked_for_metrics_by_its_own_name()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        var monitors = all.Of("ServiceMonitor").ToList();
        var targets = monitors
            .SelectMany(monitor => monitor.Items("spec.endpoints"))
            .SelectMany(endpoint => endpoint.Texts("params.target"))
            .ToList();

        Assert.Equal(
            [
                .. Enumerable.Range(0, 3).Select(i => $"rediss://redis-{i}.redis-headless.{Domain}:6379"),
                .. Enumerable.Range(0, 3).Select(i => $"rediss://sentinel-{i}.sentinel.{Domain}:26379"),
            ],
            targets
        );
        string[] jobs = ["phonebill", "redis", "redis-exporter", "sentinel", "textfile"];
        Assert.Equal(
            jobs,
            monitors
                .SelectMany(monitor => monitor.Items("spec.endpoints"))
                .Select(endpoint => Label(endpoint, "job"))
                .Distinct()
                .Order(StringComparer.Ordinal)
        );
        foreach (var monitor in monitors)
        {
            var services = all.Of("Service")
                .Where(service => Reach.Selects(monitor.At("spec.selector"), service.Pairs("metadata.labels")))
                .ToList();
            Assert.True(services.Count > 0, $"{Manifests.NameOf(monitor)} selects no Service.");
            foreach (var endpoint in monitor.Items("spec.endpoints"))
                Assert.All(
                    services,
                    service => Assert.Contains(service.Items("spec.ports"), port => port.Text("name") == endpoint.Text("port"))
                );
        }

        Assert.Equal(
            "redis-0",
            Label(monitors.Single(monitor => Manifests.NameOf(monitor) == "redis").Items("spec.endpoints").First(), "instance")
        );
        Assert.NotEmpty(all.Of("PrometheusRule"));
    }

    // Where the scripts look for passwords and certificates, and whose they are.
    private static (string Name, string Service, (string Path, string Secret)[] Files)[] Scripted =>
        [
            (
                "redis",
                "redis-headless",
                [
                    ("redis-acl", "redis-acl"),
                    ("redis-tls", "redis-tls"),
                    ("redis-replica", "redis-credentials-replica"),
                    ("redis-certificates", "redis-credentials-certificates"),
                    ("redis-probe", "redis-credentials-probe"),
                ]
            ),
            (
                "sentinel",
                "sentinel",
                [
                    ("redis-acl", "redis-acl"),
                    ("redis-tls", "redis-tls"),
                    ("redis-sentinel", "redis-credentials-sentinel"),
                    ("redis-probe", "redis-credentials-probe"),
                ]
            ),
        ];

    private static IEnumerable<string> Connections(Manifests all) =>
        [
            all.One("ConfigMap", "phonebill-settings").Pairs("data")["Onggi__ConnectionString"],
            .. all.Pods()
                .SelectMany(pod => Manifests.Containers(pod.Pod))
                .SelectMany(container => container.Items("env"))
                .Where(variable => variable.Text("name") == "ONGGI_REDIS")
                .Select(variable => variable.Text("value")),
        ];

    private static string Label(JsonNode endpoint, string name) =>
        endpoint.Items("relabelings").Single(one => one.Text("targetLabel") == name).Text("replacement");

    private static string Labels(JsonNode found, string name) => found.Pairs("metadata.labels").GetValueOrDefault(name, "");

    private static string Claim(JsonNode pod, JsonNode container, string path) =>
        pod.Named("spec.volumes", container.Items("volumeMounts").Single(mount => mount.Text("mountPath") == path).Text("name"))
            .Text("persistentVolumeClaim.claimName");
}
