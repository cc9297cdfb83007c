using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What holds in every overlay, whatever it is for.</summary>
public partial class ManifestTests
{
    public static TheoryData<string> Overlays => [.. Manifests.Overlays];

    [ToolFact("kubectl")]
    public void There_are_three_overlays() => Assert.Equal([Manifests.Dev, Manifests.NodePort, Manifests.Production], Manifests.Overlays);

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task All_objects_are_in_the_namespace_that_the_overlay_brings_along(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var space = Manifests.NameOf(Assert.Single(all.Of("Namespace")));

        Assert.Equal(overlay == Manifests.Production ? "phonebill" : "phonebill-dev", space);
        foreach (var found in all.Objects.Where(found => found.Text("kind") is not ("Namespace" or "PriorityClass")))
            Assert.Equal($"{Said(found)} in {space}", $"{Said(found)} in {found.Text("metadata.namespace")}");
        Assert.Distinct(all.Objects.Select(Said));
        Assert.All(
            all.Objects,
            found => Assert.Equal("phonebill", found.Text("metadata.labels.app.kubernetes.io/part-of") is "" ? Label(found) : "")
        );
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Every_pod_is_hardened(string overlay)
    {
        var faults = (await Manifests.OfAsync(overlay)).Pods().SelectMany(pod => Hardening.Faults(pod.Owner, pod.Pod)).ToList();

        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    [Theory]
    [InlineData("nobody")]
    [InlineData("operator-dev")]
    [InlineData("operator-production")]
    public void So_are_the_pods_that_people_start(string tool)
    {
        var all = Manifests.Parse(Sources.Text($"deploy/kubernetes/tools/{tool}.yaml"));

        var (owner, pod) = Assert.Single(all.Pods());
        Assert.Empty(Hardening.Faults(owner, pod));
        // Whoever is to get in carries the label; who is not to carries none.
        Assert.Equal(tool == "nobody" ? "" : "operator", pod.Pairs("metadata.labels").GetValueOrDefault("onggi.io/client", ""));
    }

    [ToolFact("kubectl")]
    public async Task A_pod_that_is_not_hardened_is_found_out_in_each_point()
    {
        var pods = (await Manifests.OfAsync(Manifests.Dev)).Pods();
        foreach (var (what, harm) in Hardening.Harms)
        {
            var harmed = pods.First(pod => pod.Owner == "StatefulSet/redis").Pod.DeepClone();
            harm(harmed);
            Assert.True(Hardening.Faults("redis", harmed).Any(), $"{what} is not found.");
        }
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Only_who_scales_at_night_has_a_token_of_the_API(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);

        Assert.All(all.Of("ServiceAccount"), account => Assert.Equal("false", account.Text("automountServiceAccountToken")));
        var with = all.Pods().Where(pod => pod.Pod.Text("spec.automountServiceAccountToken") != "false").Select(pod => pod.Owner);
        Assert.Equal(overlay == Manifests.Production ? [] : ["CronJob/evening", "CronJob/morning"], with.Order(StringComparer.Ordinal));
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Memory_is_what_was_asked_for_and_no_processor_is_throttled(string overlay)
    {
        foreach (var (owner, pod) in (await Manifests.OfAsync(overlay)).Pods())
        foreach (var container in Manifests.Containers(pod))
        {
            var name = $"{owner} {container.Text("name")}";
            Assert.True(container.Text("resources.limits.memory").Length > 0, $"{name} has no limit of memory.");
            Assert.Equal($"{name} {container.Text("resources.limits.memory")}", $"{name} {container.Text("resources.requests.memory")}");
            Assert.True(container.Text("resources.requests.cpu").Length > 0, $"{name} asks for no processor.");
            Assert.Equal($"{name} ", $"{name} {container.Text("resources.limits.cpu")}");
        }
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Every_image_has_an_exact_tag(string overlay)
    {
        foreach (var (owner, pod) in (await Manifests.OfAsync(overlay)).Pods())
        foreach (var container in Manifests.Containers(pod))
            Assert.True(ExactTag().IsMatch(container.Text("image")), $"{owner}: {container.Text("image")}");
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Whatever_runs_for_long_can_be_disturbed_one_at_a_time(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var budgets = all.Of("PodDisruptionBudget").ToList();
        foreach (var workload in all.Of("StatefulSet").Concat(all.Of("Deployment")))
        {
            var labels = workload.Pairs("spec.template.metadata.labels");
            var budget = Assert.Single(budgets, one => Reach.Selects(one.At("spec.selector"), labels));
            Assert.Equal("1", budget.Text("spec.maxUnavailable"));
            Assert.Null(budget.At("spec.minAvailable"));
        }
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Whatever_runs_for_long_is_probed_by_a_question_and_not_by_an_open_port(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        foreach (var workload in all.Of("StatefulSet").Concat(all.Of("Deployment")))
        foreach (var container in workload.Items("spec.template.spec.containers"))
        foreach (var probe in (string[])["livenessProbe", "readinessProbe"])
        {
            Assert.True(container.At(probe) is JsonObject, $"{Said(workload)} has no {probe}.");
            Assert.True((container.At($"{probe}.exec") ?? container.At($"{probe}.httpGet")) is not null, $"{Said(workload)} {probe}");
            Assert.True(int.Parse(container.Text($"{probe}.timeoutSeconds")) >= 3, $"{Said(workload)} {probe} waits a second only.");
        }
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Every_reference_leads_to_something_and_every_Service_to_a_port(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        foreach (var (owner, pod) in all.Pods())
        {
            Has(all, "ServiceAccount", pod.Text("spec.serviceAccountName"), owner);
            foreach (var volume in pod.Items("spec.volumes"))
            {
                if (volume.Text("configMap.name") is { Length: > 0 } map)
                    Has(all, "ConfigMap", map, owner);
                if (volume.Text("persistentVolumeClaim.claimName") is { Length: > 0 } claim)
                    Has(all, "PersistentVolumeClaim", claim, owner);
            }

            foreach (var container in Manifests.Containers(pod))
            {
                foreach (var source in container.Items("envFrom"))
                    Has(all, "ConfigMap", source.Text("configMapRef.name"), owner);
                // What a script is called by its container is what its ConfigMap holds.
                foreach (var script in container.Texts("command").Where(word => word.StartsWith("/scripts/", StringComparison.Ordinal)))
                {
                    var mount = container.Items("volumeMounts").Single(one => one.Text("mountPath") == "/scripts").Text("name");
                    var map = pod.Named("spec.volumes", mount).Text("configMap.name");
                    var held = all.Of("ConfigMap").Single(found => Manifests.NameOf(found) == map).Pairs("data");
                    Assert.Contains(Path.GetFileName(script), held.Keys);
                }
            }
        }

        foreach (var service in all.Of("Service"))
        {
            var pods = all.Pods().Where(pod => Selects(service.Pairs("spec.selector"), pod.Pod.Pairs("metadata.labels"))).ToList();
            Assert.True(pods.Count > 0, $"{Said(service)} selects nothing.");
            foreach (var (owner, pod) in pods)
            foreach (var port in service.Items("spec.ports"))
                Assert.Contains(
                    port.Text("targetPort"),
                    Manifests.Containers(pod).SelectMany(container => container.Items("ports")).Select(one => one.Text("name"))
                );
        }

        foreach (var set in all.Of("StatefulSet"))
        {
            var service = all.One("Service", set.Text("spec.serviceName"));
            Assert.Equal("None", service.Text("spec.clusterIP"));
        }

        // It would put REDIS_PORT=tcp://… into pods that somebody forgot to protect from it.
        Assert.DoesNotContain(all.Of("Service"), service => Manifests.NameOf(service) == "redis");
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(Overlays))]
    public async Task Every_Secret_that_is_asked_for_is_on_the_page_and_none_is_in_the_manifests(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var page = Sources.Text("deploy/README.md");

        Assert.Empty(all.Of("Secret"));
        var asked = SecretsOf(all).Distinct().Order().ToList();
        Assert.NotEmpty(asked);
        foreach (var (name, key) in asked)
        {
            var row = page.Split('\n').SingleOrDefault(line => line.StartsWith($"| `{Generic(name)}` |", StringComparison.Ordinal));
            Assert.True(row is not null, $"{name} has no row in deploy/README.md.");
            Assert.True(key is null || row.Contains($"`{key}`", StringComparison.Ordinal), $"{name}: its row does not name the key {key}.");
        }
    }

    /// <summary>The Secrets that pods ask for, with the key where one is named.</summary>
    internal static IEnumerable<(string Name, string? Key)> SecretsOf(Manifests all)
    {
        foreach (var (_, pod) in all.Pods())
        {
            foreach (var volume in pod.Items("spec.volumes").Where(volume => volume.At("secret") is not null))
            {
                yield return (volume.Text("secret.secretName"), null);
                foreach (var item in volume.Items("secret.items"))
                    yield return (volume.Text("secret.secretName"), item.Text("key"));
            }

            foreach (var variable in Manifests.Containers(pod).SelectMany(container => container.Items("env")))
                if (variable.At("valueFrom.secretKeyRef") is { } secret)
                    yield return (secret.Text("name"), secret.Text("key"));
        }
    }

    // One row for all users of Redis.
    private static string Generic(string secret) =>
        secret.StartsWith("redis-credentials-", StringComparison.Ordinal) ? "redis-credentials-USER" : secret;

    private static string Label(JsonNode found) =>
        (found.At("metadata.labels") as JsonObject)?["app.kubernetes.io/part-of"]?.ToString() ?? "";

    private static string Said(JsonNode found) => $"{found.Text("kind")}/{Manifests.NameOf(found)}";

    private static void Has(Manifests all, string kind, string name, string whose) =>
        Assert.True(all.Of(kind).Any(found => Manifests.NameOf(found) == name), $"{whose} names {kind}/{name}, which is not there.");

    private static bool Selects(IReadOnlyDictionary<string, string> selector, IReadOnlyDictionary<string, string> labels) =>
        selector.All(pair => labels.TryGetValue(pair.Key, out var value) && value == pair.Value);

    [GeneratedRegex(@"^[a-z0-9./_-]+:v?\d+\.\d+\.\d+$", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ExactTag();
}
