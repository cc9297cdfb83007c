using System.Globalization;
using System.Text.Json.Nodes;
using Onggi.Cli;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>The pod of Redis: its memory, its probes, its file.</summary>
public class RedisPodTests
{
    [ToolTheory("kubectl")]
    [InlineData(Manifests.Dev, 0.50)]
    [InlineData(Manifests.NodePort, 0.50)]
    // With snapshots and the append-only file every page that changes is there twice for a while.
    [InlineData(Manifests.Production, 0.45)]
    public async Task There_is_room_for_more_than_the_data(string overlay, double most)
    {
        var all = await Manifests.OfAsync(overlay);
        var conf = Conf(all);
        var data = long.Parse(Value(conf, "maxmemory"), CultureInfo.InvariantCulture);
        var limit = Bytes(Container(all).Text("resources.limits.memory"));

        Assert.True(data <= most * limit, $"maxmemory {data} is {(double)data / limit:P0} of the container's {limit} bytes.");
        Assert.Equal(overlay == Manifests.Production ? "yes" : "no", Value(conf, "appendonly"));
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(ManifestTests.Overlays), MemberType = typeof(ManifestTests))]
    public async Task Its_probes_tell_a_hung_server_from_one_that_loads(string overlay)
    {
        var container = Container(await Manifests.OfAsync(overlay));

        Assert.Equal(["sh", "/scripts/probe-live.sh"], container.Texts("startupProbe.exec.command"));
        Assert.Equal(["sh", "/scripts/probe-live.sh"], container.Texts("livenessProbe.exec.command"));
        Assert.Equal(["sh", "/scripts/probe-ready.sh"], container.Texts("readinessProbe.exec.command"));
        // The script ends by itself before the kubelet ends it, and a script of Redis's may run into BUSY (5 s) before that.
        Assert.True(Number(container, "livenessProbe.timeoutSeconds") > 12 + 1);
        Assert.True(Number(container, "readinessProbe.timeoutSeconds") > 3);
        // A minute of silence at least, before what is in memory is thrown away.
        Assert.True(Number(container, "livenessProbe.periodSeconds") * Number(container, "livenessProbe.failureThreshold") >= 60);
        // Nothing that is told to Redis's container has a password in it: passwords are files.
        Assert.DoesNotContain(container.Items("env"), variable => variable.At("valueFrom.secretKeyRef") is not null);
        foreach (var command in container.Mappings().SelectMany(mapping => mapping.Texts("command")))
            Assert.DoesNotContain("redis-cli", command, StringComparison.Ordinal);
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(ManifestTests.Overlays), MemberType = typeof(ManifestTests))]
    public async Task The_file_of_users_is_where_redis_conf_looks_for_it(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var (pod, conf) = (Pod(all), Conf(all));
        var mount = Container(all)
            .Items("volumeMounts")
            .Single(one => one.Text("mountPath") == Path.GetDirectoryName(Value(conf, "aclfile")));

        Assert.Equal("users.acl", Path.GetFileName(Value(conf, "aclfile")));
        Assert.Equal("redis-acl", pod.Named("spec.volumes", mount.Text("name")).Text("secret.secretName"));
        Assert.Contains(Container(all).Items("volumeMounts"), one => one.Text("mountPath") == Value(conf, "dir"));
    }

    [Theory]
    [InlineData("dev", "deploy/kubernetes/overlays/dev/config")]
    [InlineData("production", "deploy/kubernetes/overlays/production/config")]
    public async Task The_files_are_what_the_catalog_says_now(string environment, string folder)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();

        var code = await OnggiTool.RunAsync(
            [
                "deploy",
                "files",
                "-c",
                Sources.PathOf("samples/PhoneBill/keyspace.json"),
                "-e",
                environment,
                "--out",
                Sources.PathOf(folder),
                "--check",
            ],
            output,
            error
        );

        Assert.True(code == 0, $"{output}{error}");
    }

    [ToolFact("kubectl")]
    public async Task What_a_client_connects_to_in_development_is_the_Service_and_its_port()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);
        var connection = all.One("ConfigMap", "phonebill-settings").Pairs("data")["Onggi__ConnectionString"];
        var service = all.One("Service", connection.Split(':')[0]);

        Assert.Equal(connection.Split(':')[1], Assert.Single(service.Items("spec.ports")).Text("port"));
        Assert.Equal("ClusterIP", service.Text("spec.type"));
        Assert.Equal("http://kos:8080", all.One("ConfigMap", "phonebill-settings").Pairs("data")["Kos__BaseUrl"]);
    }

    internal static JsonNode Pod(Manifests all) => all.One("StatefulSet", "redis").At("spec.template")!;

    internal static JsonNode Container(Manifests all) => Pod(all).Named("spec.containers", "redis");

    /// <summary>The redis.conf that the pod would get.</summary>
    internal static string Conf(Manifests all) => all.One("ConfigMap", "redis-config").Pairs("data")["redis.conf"];

    internal static string Value(string conf, string name) =>
        conf.Split('\n').Last(line => line.StartsWith($"{name} ", StringComparison.Ordinal))[(name.Length + 1)..].Trim();

    internal static long Bytes(string quantity) =>
        quantity[^2..] switch
        {
            "Gi" => long.Parse(quantity[..^2], CultureInfo.InvariantCulture) << 30,
            "Mi" => long.Parse(quantity[..^2], CultureInfo.InvariantCulture) << 20,
            _ => long.Parse(quantity, CultureInfo.InvariantCulture),
        };

    private static int Number(JsonNode node, string path) => int.Parse(node.Text(path), CultureInfo.InvariantCulture);
}
