using System.Text.Json.Nodes;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What a pod must not be able to do.</summary>
internal static class Hardening
{
    /// <summary>Ways to undo it, each of which must be found.</summary>
    public static IReadOnlyList<(string What, Action<JsonNode> Harm)> Harms { get; } =
    [
        ("root", pod => Security(pod)["runAsUser"] = 0),
        ("root allowed", pod => Security(pod).Remove("runAsNonRoot")),
        ("no seccomp profile", pod => Security(pod).Remove("seccompProfile")),
        ("an unconfined seccomp profile", pod => Security(pod)["seccompProfile"]!["type"] = "Unconfined"),
        ("service links", pod => Spec(pod).Remove("enableServiceLinks")),
        ("escalation", pod => OfContainer(pod).Remove("allowPrivilegeEscalation")),
        ("a root file system that can be written", pod => OfContainer(pod)["readOnlyRootFilesystem"] = false),
        ("capabilities", pod => OfContainer(pod).Remove("capabilities")),
        ("an added capability", pod => OfContainer(pod)["capabilities"]!["add"] = new JsonArray("NET_ADMIN")),
        ("privileged", pod => OfContainer(pod)["privileged"] = true),
        ("the host's network", pod => Spec(pod)["hostNetwork"] = true),
        ("a folder of the host", pod => Spec(pod)["volumes"]!.AsArray().Add(JsonNode.Parse("""{"name":"host","hostPath":{"path":"/"}}"""))),
        ("a file that is mounted by itself", pod => Mounts(pod)[0]!["subPath"] = "redis.conf"),
        ("secrets that everybody reads", pod => Secret(pod)["secret"]!["defaultMode"] = 420),
        ("no account of its own", pod => Spec(pod).Remove("serviceAccountName")),
    ];

    public static IEnumerable<string> Faults(string owner, JsonNode pod)
    {
        var faults = new List<string>();
        Want("spec.enableServiceLinks", "false");
        Want("spec.securityContext.runAsNonRoot", "true");
        Want("spec.securityContext.seccompProfile.type", "RuntimeDefault");
        if (pod.Text("spec.securityContext.runAsUser") is "" or "0")
            faults.Add($"{owner} does not say as whom it runs, or runs as root.");
        if (pod.Text("spec.serviceAccountName") is "" or "default")
            faults.Add($"{owner} has no service account of its own.");
        foreach (var name in (string[])["hostNetwork", "hostPID", "hostIPC"])
            if (pod.Text($"spec.{name}") is not ("" or "false"))
                faults.Add($"{owner} has {name}.");
        foreach (var volume in pod.Items("spec.volumes"))
        {
            if (volume.At("hostPath") is not null)
                faults.Add($"{owner} reads folders of its node.");
            if (volume.At("secret") is not null && volume.Text("secret.defaultMode") != $"{0b100_100_000}")
                faults.Add($"{owner}: the secret {volume.Text("secret.secretName")} can be read by everybody in the pod.");
            if (volume.At("emptyDir") is not null && volume.Text("emptyDir.sizeLimit").Length == 0)
                faults.Add($"{owner}: {volume.Text("name")} can fill the node's disk.");
        }

        foreach (var container in Manifests.Containers(pod))
        {
            var name = $"{owner} {container.Text("name")}";
            if (container.Text("securityContext.allowPrivilegeEscalation") != "false")
                faults.Add($"{name} may escalate.");
            if (container.Text("securityContext.readOnlyRootFilesystem") != "true")
                faults.Add($"{name} may write its image.");
            if (
                !container.Texts("securityContext.capabilities.drop").SequenceEqual(["ALL"])
                || container.Items("securityContext.capabilities.add").Any()
            )
                faults.Add($"{name} keeps capabilities.");
            if (container.Text("securityContext.privileged") is "true" || container.Text("securityContext.runAsUser") is "0")
                faults.Add($"{name} is privileged.");
            if (container.Items("volumeMounts").Any(mount => mount.At("subPath") is not null))
                faults.Add($"{name} mounts a single file, which never changes.");
        }

        return faults;

        void Want(string path, string value)
        {
            if (pod.Text(path) != value)
                faults.Add($"{owner}: {path} is '{pod.Text(path)}', not {value}.");
        }
    }

    private static JsonObject Spec(JsonNode pod) => pod["spec"]!.AsObject();

    private static JsonObject Security(JsonNode pod) => Spec(pod)["securityContext"]!.AsObject();

    private static JsonObject OfContainer(JsonNode pod) => Spec(pod)["containers"]![0]!["securityContext"]!.AsObject();

    private static JsonArray Mounts(JsonNode pod) => Spec(pod)["containers"]![0]!["volumeMounts"]!.AsArray();

    private static JsonNode Secret(JsonNode pod) => pod.Items("spec.volumes").First(volume => volume.At("secret") is not null);
}
