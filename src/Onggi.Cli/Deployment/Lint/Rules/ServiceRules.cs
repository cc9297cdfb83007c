namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>Services, and the pods that they lead to.</summary>
internal static class ServiceRules
{
    public static IEnumerable<LintFinding> Check(LintContext context)
    {
        foreach (var service in context.Manifests.Of("Service").Where(service => service.Spec["selector"].Exists))
        {
            var behind = context.Manifests.Behind(service).ToList();
            if (behind.Count == 0)
                yield return LintRules.ServiceSelectsNothing.At(
                    service,
                    service.Spec["selector"],
                    $"it selects {Selector.Spell(service.Spec["selector"])}, and no workload has these labels.",
                    "Write the labels of the pods' template."
                );
            foreach (var finding in Ports(service, behind).Concat(Exposure(service, behind)).Concat(Balance(service, behind)))
                yield return finding;
        }

        foreach (var workload in context.Manifests.Workloads)
        foreach (var finding in HeadlessService(context, workload).Concat(OwnPods(workload)))
            yield return finding;
    }

    private static IEnumerable<LintFinding> Ports(ManifestObject service, List<Workload> behind) =>
        from port in service.Spec["ports"].Items
        let protocol = port["protocol"].Text ?? "TCP"
        from workload in behind
        let ports = workload.Containers.SelectMany(container => container.Ports).Where(known => known.Protocol == protocol).ToList()
        let target = Reachability.TargetOf(port, workload)
        where target is null || !ports.Exists(known => known.Number == target)
        let named = (port["targetPort"].Exists ? port["targetPort"] : port["port"]).Text
        select LintRules.ServicePort.At(
            service,
            port,
            $"targetPort {named} is no port of {workload.Id}, which has {(ports.Count == 0 ? "none" : string.Join(", ", ports.Select(Spell)))}.",
            ports.Count == 0
                ? "Name the port under the container's ports, or select the pods that have it."
                : "Write one of these, or select the pods that have it."
        );

    private static string Spell(ContainerPort port) => port.Name is null ? $"{port.Number}" : $"{port.Name} ({port.Number})";

    private static IEnumerable<LintFinding> Exposure(ManifestObject service, List<Workload> behind)
    {
        var type = service.Spec["type"].Text ?? "ClusterIP";
        var isOutside = type is "NodePort" or "LoadBalancer" || service.Spec["externalIPs"].Items.Any();
        if (!isOutside || !behind.Exists(workload => workload.DataPorts().Count > 0))
            yield break;
        yield return LintRules.Exposed.At(
            service,
            service.Spec["type"].Exists ? service.Spec["type"] : service.Spec["externalIPs"],
            $"{(type == "ClusterIP" ? "externalIPs" : type)} exposes {string.Join(", ", behind.Select(workload => workload.Id))} outside of the cluster.",
            $"Write: type: ClusterIP. For people: kubectl -n {service.Namespace} port-forward {behind[0].Object.Kind.ToLowerInvariant()}/{behind[0].Object.Name} 6383:{behind[0].DataPorts()[0]}"
        );
    }

    private static IEnumerable<LintFinding> Balance(ManifestObject service, List<Workload> behind)
    {
        if (Reachability.IsHeadless(service))
            yield break;
        var labels = service.Spec["selector"].Strings();
        // A label of a single pod, or one that moves with the role, finds one pod.
        if (labels.ContainsKey("statefulset.kubernetes.io/pod-name") || labels.Keys.Any(IsRole))
            yield break;
        var several = behind.Where(workload => workload.Redis is not null).ToList();
        if (several.Sum(workload => workload.Replicas) > 1)
            yield return LintRules.Balanced.At(
                service,
                service.Spec["selector"],
                $"it sends to any of the {several.Sum(workload => workload.Replicas)} pods of {string.Join(", ", several.Select(workload => workload.Id))}.",
                "Write: clusterIP: None, and let clients ask the Sentinels; or select the primary by a label that moves with its role."
            );
    }

    private static bool IsRole(string label) =>
        label.EndsWith("role", StringComparison.OrdinalIgnoreCase) || label.EndsWith("primary", StringComparison.OrdinalIgnoreCase);

    private static IEnumerable<LintFinding> HeadlessService(LintContext context, Workload workload)
    {
        if (!workload.IsStatefulSet)
            yield break;
        var name = workload.Object.Spec["serviceName"];
        var service = context.Manifests.Find("Service", name.Text, workload.Namespace);
        if (service is not null && Reachability.IsHeadless(service))
            yield break;
        yield return LintRules.NotHeadless.At(
            workload.Object,
            name,
            !name.Exists ? "it has no serviceName."
                : service is null ? $"its serviceName {name.Text} is no Service here."
                : $"its serviceName {name.Text} is a Service with an address of its own.",
            $"Add a Service {workload.Object.Name}-headless with clusterIP: None, and write: serviceName: {workload.Object.Name}-headless"
        );
    }

    private static IEnumerable<LintFinding> OwnPods(Workload workload)
    {
        var selector = workload.Object.Spec["selector"];
        if (
            workload.Object.Kind is "Deployment" or "StatefulSet" or "DaemonSet" or "ReplicaSet"
            && !Selector.Matches(selector, workload.Labels)
        )
            yield return LintRules.NoStatefulPods.At(
                workload.Object,
                selector,
                $"it selects {Selector.Spell(selector)}, and its own pods are not among these.",
                "Write these labels under spec.template.metadata.labels."
            );
    }
}
