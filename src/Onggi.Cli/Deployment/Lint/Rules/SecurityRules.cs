namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>What a container may do to its node.</summary>
internal static class SecurityRules
{
    private const string Context = "securityContext";

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        from workload in context.Manifests.Workloads
        from finding in Pod(workload).Concat(workload.AllContainers.SelectMany(container => Container(workload, container)))
        select finding;

    private static IEnumerable<LintFinding> Pod(Workload workload)
    {
        foreach (var name in (string[])["hostNetwork", "hostPID", "hostIPC"])
            if (workload.Pod[name].IsTrue)
                yield return LintRules.HostAccess.At(workload.Object, workload.Pod[name], $"{name} is on.", $"Remove {name}.");
        foreach (var volume in workload.Pod["volumes"].Items.Where(volume => volume["hostPath"].Exists))
            yield return LintRules.HostAccess.At(
                workload.Object,
                volume,
                $"the volume {volume["name"].Text} is {volume["hostPath"]["path"].Text} of the node.",
                "Use a claim, or an emptyDir."
            );
    }

    private static IEnumerable<LintFinding> Container(Workload workload, Container container)
    {
        var own = container.Part[Context];
        var pods = workload.Pod[Context];
        foreach (var (name, isRight) in Settings(own, pods))
            if (!isRight)
                yield return LintRules.Privileges.At(
                    workload.Object,
                    own.Exists ? own : container.Part,
                    $"{container.Name} lacks {name}.",
                    $"Write in its securityContext: {name}{(name == "readOnlyRootFilesystem: true" ? ", and mount an emptyDir where it writes." : "")}"
                );
        if (!own["capabilities"]["drop"].Items.Any(one => string.Equals(one.Text, "ALL", StringComparison.OrdinalIgnoreCase)))
            yield return LintRules.Capabilities.At(
                workload.Object,
                own["capabilities"],
                $"{container.Name} keeps capabilities.",
                "Write in its securityContext: capabilities: { drop: [\"ALL\"] }"
            );
        var seccomp = own["seccompProfile"].Exists ? own["seccompProfile"] : pods["seccompProfile"];
        if (seccomp["type"].Text is not ("RuntimeDefault" or "Localhost"))
            yield return LintRules.Seccomp.At(
                workload.Object,
                seccomp.Exists ? seccomp : container.Part,
                $"{container.Name} has {(seccomp.Exists ? $"seccompProfile {seccomp["type"].Text}" : "no seccompProfile")}.",
                "Write in the pod's securityContext: seccompProfile: { type: RuntimeDefault }"
            );
        if (own["privileged"].IsTrue)
            yield return LintRules.HostAccess.At(workload.Object, own["privileged"], $"{container.Name} is privileged.", "Remove it.");
        foreach (var port in container.Part["ports"].Items.Where(port => port["hostPort"].Exists))
            yield return LintRules.HostAccess.At(
                workload.Object,
                port["hostPort"],
                $"{container.Name} takes port {port["hostPort"].Text} of its node.",
                "Remove hostPort, and use a Service."
            );
    }

    private static IEnumerable<(string Name, bool IsRight)> Settings(YamlPart own, YamlPart pods)
    {
        yield return ("allowPrivilegeEscalation: false", own["allowPrivilegeEscalation"].IsFalse);
        yield return ("readOnlyRootFilesystem: true", own["readOnlyRootFilesystem"].IsTrue);
        var nonRoot = own["runAsNonRoot"].Exists ? own["runAsNonRoot"] : pods["runAsNonRoot"];
        var user = own["runAsUser"].Exists ? own["runAsUser"] : pods["runAsUser"];
        yield return ("runAsNonRoot: true", nonRoot.IsTrue && user.Number is not 0);
    }
}
