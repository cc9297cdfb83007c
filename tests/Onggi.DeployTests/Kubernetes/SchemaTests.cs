using System.Text.Json.Nodes;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>Every object is one that the API of Kubernetes takes, with no field that it does not know.</summary>
public class SchemaTests
{
    private const string Folder = "tests/Onggi.DeployTests/Kubernetes/schema";

    [ToolTheory("kubectl npm")]
    [MemberData(nameof(ManifestTests.Overlays), MemberType = typeof(ManifestTests))]
    public async Task All_objects_are_as_the_API_has_them(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var (code, faults) = await CheckAsync(all.Objects);

        Assert.True(code == 0, faults);
        Assert.True(all.Objects.Count > 30, $"{all.Objects.Count} objects.");
    }

    [ToolFact("npm")]
    public async Task So_are_those_that_people_start_by_hand()
    {
        foreach (var file in Sources.Files("deploy/kubernetes/tools", ".yaml"))
        {
            var (code, faults) = await CheckAsync(Manifests.Parse(Sources.Text(file)).Objects);
            Assert.True(code == 0, faults);
        }
    }

    [ToolTheory("kubectl npm")]
    [InlineData("StatefulSet/redis", "spec.replicas", "\"1\"", "/spec/replicas must be integer")]
    [InlineData("StatefulSet/redis", "spec.selector", null, "must have required property selector")]
    [InlineData("StatefulSet/redis", "spec.template.spec.enableServiceLink", "false", "/spec/template/spec/enableServiceLink is no field")]
    [InlineData(
        "StatefulSet/redis",
        "spec.template.spec.containers.0.resources.limits.memory",
        "\"1 GB\"",
        "/spec/template/spec/containers/0/resources/limits/memory"
    )]
    [InlineData(
        "StatefulSet/redis",
        "spec.template.spec.containers.0.livenessProbe.exec.comand",
        "[]",
        "/livenessProbe/exec/comand is no field"
    )]
    [InlineData(
        "StatefulSet/redis",
        "spec.template.spec.containers.0.ports.0.containerPort",
        null,
        "must have required property containerPort"
    )]
    [InlineData(
        "StatefulSet/redis",
        "spec.template.spec.containers.0.volumeMounts.0.mountPath",
        "1",
        "/volumeMounts/0/mountPath must be string"
    )]
    [InlineData(
        "StatefulSet/redis",
        "spec.template.spec.volumes.0.secret",
        "{\"secretname\":\"x\"}",
        "/volumes/0/secret/secretname is no field"
    )]
    [InlineData("Service/phonebill-redis", "spec.ports.0.prt", "6379", "/spec/ports/0/prt is no field")]
    [InlineData("PodDisruptionBudget/redis", "spec.maxUnavailabel", "1", "/spec/maxUnavailabel is no field")]
    [InlineData("NetworkPolicy/redis", "spec.ingress.0.from.0.podSelektor", "{}", "/spec/ingress/0/from/0/podSelektor is no field")]
    [InlineData("CronJob/evening", "spec.timezone", "\"Asia/Seoul\"", "/spec/timezone is no field")]
    [InlineData("CronJob/evening", "spec.schedule", null, "must have required property schedule")]
    [InlineData("Role/night", "rules.0.verb", "[\"get\"]", "/rules/0/verb is no field")]
    [InlineData("Deployment/auth", "metadata.lables", "{}", "/metadata/lables is no field")]
    [InlineData("Deployment/auth", "spec.strategi", "{}", "/spec/strategi is no field")]
    [InlineData("ConfigMap/phonebill-settings", "data.Number", "1", "/data/Number must be string")]
    [InlineData("Namespace/phonebill-dev", "apiVersion", "\"apps/v1\"", "of a kind that the API does not know")]
    public async Task A_fault_is_found_where_it_is(string name, string path, string? value, string expected)
    {
        var all = await Manifests.OfAsync(Manifests.Dev);
        var harmed = all.One(name.Split('/')[0], name.Split('/')[1]).DeepClone();
        Set(harmed, path.Split('.'), value is null ? null : JsonNode.Parse(value));

        var (code, faults) = await CheckAsync([harmed]);

        Assert.Equal(1, code);
        Assert.Contains(expected, faults, StringComparison.Ordinal);
    }

    [ToolTheory("kubectl npm")]
    [InlineData("spec.endpoints.0.relabeling", "[]", "/spec/endpoints/0/relabeling is no field")]
    [InlineData("spec.selector", null, "must have required property selector")]
    public async Task Objects_of_the_Prometheus_operator_are_checked_as_well(string path, string? value, string expected)
    {
        var harmed = (await Manifests.OfAsync(Manifests.Production)).One("ServiceMonitor", "redis").DeepClone();
        Set(harmed, path.Split('.'), value is null ? null : JsonNode.Parse(value));

        var (code, faults) = await CheckAsync([harmed]);

        Assert.Equal(1, code);
        Assert.Contains(expected, faults, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Faults)> CheckAsync(IEnumerable<JsonNode> objects)
    {
        Assert.True(Directory.Exists(Sources.PathOf($"{Folder}/node_modules")), $"Run: npm ci --prefix {Folder}   (./test does)");
        var run = await Tools.RunAsync(
            "node",
            [$"{Folder}/check.mjs"],
            input: new JsonArray([.. objects.Select(one => one.DeepClone())]).ToJsonString()
        );
        Assert.Equal("", run.Error);
        return (run.Code, run.Output);
    }

    // null takes it away.
    private static void Set(JsonNode node, string[] path, JsonNode? value)
    {
        foreach (var part in path[..^1])
            node = node is JsonArray list ? list[int.Parse(part)]! : node[part]!;
        if (value is null)
            node.AsObject().Remove(path[^1]);
        else
            node[path[^1]] = value;
    }
}
