namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>Who reaches whom, and who should.</summary>
internal static class NetworkRules
{
    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [.. Policies(context), .. Exposed(context), .. Unprotected(context), .. Ways(context), .. Names(context)];

    private static IEnumerable<LintFinding> Policies(LintContext context)
    {
        foreach (var policy in context.Manifests.Of("NetworkPolicy"))
        {
            if (!context.Manifests.SelectedBy(policy, policy.Spec["podSelector"]).Any())
                yield return LintRules.IdlePolicy.At(
                    policy,
                    policy.Spec["podSelector"],
                    $"it is about {Selector.Spell(policy.Spec["podSelector"])}, and no workload has these labels.",
                    "Write the labels of the pods' template, or remove the policy."
                );
            foreach (var peer in NetworkPolicies.PeersOf(policy).Where(peer => IsUnknown(context, policy, peer)))
                yield return LintRules.UnknownPeer.At(
                    policy,
                    peer,
                    $"the peer {Selector.Spell(peer["podSelector"])} matches no known workload.",
                    $"Write the callers' own labels: onggi's clients have {Workload.ClientLabel}."
                );
        }
    }

    // Pods of namespaces that are not among these manifests cannot be known.
    private static bool IsUnknown(LintContext context, ManifestObject policy, YamlPart peer)
    {
        if (!peer["podSelector"].Exists || peer["namespaceSelector"].Exists)
            return false;
        return !context.Manifests.SelectedBy(policy, peer["podSelector"]).Any();
    }

    private static IEnumerable<LintFinding> Exposed(LintContext context)
    {
        foreach (var service in context.Manifests.Of("Service").Where(service => service.Spec["type"].Text is "NodePort" or "LoadBalancer"))
        foreach (var workload in context.Manifests.Behind(service))
        foreach (var policy in Refusing(context, service, workload).Take(1))
            yield return LintRules.NodePortBehindPolicy.At(
                policy,
                policy.Root,
                $"it admits no address outside, and the {service.Spec["type"].Text} {service.Id} leads from there to the pods of {workload.Id}.",
                $"Remove {service.Id}; or say openly who may come: - from: [{{ ipBlock: {{ cidr: 10.0.0.0/8 }} }}]"
            );
    }

    private static IEnumerable<ManifestObject> Refusing(LintContext context, ManifestObject service, Workload workload) =>
        service
            .Spec["ports"]
            .Items.Select(port => Reachability.TargetOf(port, workload))
            .Any(port => port is { } number && !context.Reachability.Policies.LetsIn(Caller.Outside, workload, number))
            ? context.Reachability.Policies.IngressOf(workload)
            : [];

    private static IEnumerable<LintFinding> Unprotected(LintContext context)
    {
        foreach (var workload in context.Manifests.Workloads.Where(workload => workload.Stays))
        {
            var isData = workload.DataPorts().Count > 0;
            if (context.Reachability.Policies.IngressOf(workload).Any() || (!isData && !HasPorts(workload)))
                continue;
            yield return LintRules.NoPolicy.At(
                workload.Object,
                workload.Template["metadata"]["labels"],
                isData ? "no NetworkPolicy is about it: every pod of the cluster reaches its data." : "no NetworkPolicy is about it.",
                "Add a policy for the namespace that denies everything (podSelector: {}), and one for these pods that admits their callers.",
                isWarning: !isData
            );
        }
    }

    private static bool HasPorts(Workload workload) => workload.Containers.Any(container => container.Ports.Count > 0);

    private static IEnumerable<LintFinding> Ways(LintContext context)
    {
        var policies = context.Reachability.Policies;
        foreach (var way in context.Reachability.Ways)
        {
            if (way.IsBroken)
            {
                var isIn = policies.LetsIn(way.From, way.To, way.Port);
                var guard = isIn ? Guard(policies.EgressOf(way.From.Workload!), "egress") : Guard(policies.IngressOf(way.To), "ingress");
                yield return LintRules.ClosedWay.At(
                    guard,
                    guard.Root,
                    $"{way.From.Name} does not {(isIn ? "get out" : "get in")} to port {way.Port} of {way.To.Id}, which it needs ({way.Wanted}).",
                    isIn
                        ? $"Add egress to the pods of {way.To.Id}, port {way.Port}."
                        : $"Add ingress from the pods of {way.From.Name}, port {way.Port}."
                );
            }
            else if (way.IsUnwanted && way.From != Caller.Outside && policies.Admitting(way.From, way.To, way.Port) is { } open)
                yield return LintRules.OpenWay.At(
                    open,
                    open.Root,
                    $"{way.From.Name} {(way.From.Workload is null ? "get" : "gets")} in at port {way.Port} of {way.To.Id}, and nothing says that it has to.",
                    $"Admit only who has the label {Workload.ClientLabel}; and give it to who needs Redis."
                );
        }
    }

    // Where something has to be admitted: in the policy that admits the most already, not in the one that denies everything.
    private static ManifestObject Guard(IEnumerable<ManifestObject> policies, string direction) =>
        policies.MaxBy(policy => policy.Spec[direction].Items.Count())!;

    private static IEnumerable<LintFinding> Names(LintContext context)
    {
        foreach (var workload in context.Manifests.Workloads)
        {
            if (context.Reachability.Policies.LetsAskForNames(workload))
                continue;
            if (!context.Connections.Any(connection => connection.Workload == workload) && workload.Client is null)
                continue;
            var policy = Guard(context.Reachability.Policies.EgressOf(workload), "egress");
            yield return LintRules.NoNames.At(
                policy,
                policy.Root,
                $"{workload.Id} connects by name, and may not ask for names.",
                "Add egress: - to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } } }], ports 53 of UDP and TCP."
            );
        }
    }
}
