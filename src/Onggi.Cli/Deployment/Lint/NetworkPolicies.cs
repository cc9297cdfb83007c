namespace Onggi.Cli.Deployment.Lint;

/// <summary>Whom a connection comes from, as policies see it.</summary>
/// <param name="Name">What the matrix calls it.</param>
/// <param name="Namespace">Its namespace; <c>null</c> for what is outside of the cluster.</param>
/// <param name="Labels">Its pods' labels.</param>
/// <param name="Workload">The workload; <c>null</c> for those who stand for everybody else.</param>
internal sealed record Caller(string Name, string? Namespace, IReadOnlyDictionary<string, string> Labels, Workload? Workload)
{
    private static readonly Dictionary<string, string> NoLabels = [];

    public static Caller Of(Workload workload) => new(workload.Id, workload.Namespace, workload.Labels, workload);

    /// <summary>A pod of the namespace that nobody has said anything about.</summary>
    public static Caller AnyPodOf(string inNamespace) => new("any other pod", inNamespace, NoLabels, null);

    /// <summary>A pod of a namespace that nobody has said anything about.</summary>
    public static Caller OtherNamespace { get; } = new("other namespaces", "", NoLabels, null);

    public static Caller Outside { get; } = new("outside", null, NoLabels, null);
}

/// <summary>What the NetworkPolicies let through, by the rules of Kubernetes: what no policy is about is open, and what one is about is closed but for what a policy admits.</summary>
internal sealed class NetworkPolicies(Manifests manifests)
{
    private const string NamespaceName = "kubernetes.io/metadata.name";
    private static readonly string[] Everywhere = ["0.0.0.0/0", "::/0"];

    /// <summary>The policies that say who may come in here.</summary>
    public IEnumerable<ManifestObject> IngressOf(Workload workload) => About(workload, "Ingress");

    /// <summary>The policies that say where it may go.</summary>
    public IEnumerable<ManifestObject> EgressOf(Workload workload) => About(workload, "Egress");

    /// <summary>Whether the caller gets in at a port.</summary>
    public bool LetsIn(Caller from, Workload to, int port) => !IngressOf(to).Any() || Admitting(from, to, port) is not null;

    /// <summary>The policy that lets the caller in at a port; <c>null</c> where none does.</summary>
    public ManifestObject? Admitting(Caller from, Workload to, int port) =>
        IngressOf(to)
            .FirstOrDefault(policy =>
                policy.Spec["ingress"].Items.Any(rule => Names(rule["from"], policy, from) && HasPort(rule["ports"], to, port))
            );

    /// <summary>Whether a workload gets out to another's port.</summary>
    public bool LetsOut(Workload from, Workload to, int port)
    {
        var policies = EgressOf(from).ToList();
        return policies.Count == 0
            || policies.Exists(policy =>
                policy.Spec["egress"].Items.Any(rule => Names(rule["to"], policy, Caller.Of(to)) && HasPort(rule["ports"], to, port))
            );
    }

    /// <summary>Whether a workload may ask for names.</summary>
    public bool LetsAskForNames(Workload from)
    {
        var policies = EgressOf(from).ToList();
        return policies.Count == 0
            || policies.Exists(policy =>
                policy
                    .Spec["egress"]
                    .Items.Any(rule =>
                        (
                            !rule["ports"].Items.Any()
                            || rule["ports"].Items.Any(port => port["port"].Number == 53 && port["protocol"].Text == "UDP")
                        )
                        && (
                            !rule["to"].Items.Any()
                            || rule["to"].Items.Any(peer => peer["namespaceSelector"].Exists || peer["ipBlock"].Exists)
                        )
                    )
            );
    }

    /// <summary>The rules of a policy that name somebody, with where they stand.</summary>
    public static IEnumerable<YamlPart> PeersOf(ManifestObject policy) =>
        policy
            .Spec["ingress"]
            .Items.SelectMany(rule => rule["from"].Items)
            .Concat(policy.Spec["egress"].Items.SelectMany(rule => rule["to"].Items));

    private IEnumerable<ManifestObject> About(Workload workload, string direction) =>
        manifests
            .Of("NetworkPolicy")
            .Where(policy =>
                policy.Namespace == workload.Namespace
                && Selector.Matches(policy.Spec["podSelector"], workload.Labels)
                && TypesOf(policy).Contains(direction, StringComparer.Ordinal)
            );

    private static List<string> TypesOf(ManifestObject policy)
    {
        var said = policy.Spec["policyTypes"].Items.Select(type => type.Text ?? "").ToList();
        if (said.Count > 0)
            return said;
        return policy.Spec["egress"].Exists ? ["Ingress", "Egress"] : ["Ingress"];
    }

    private bool Names(YamlPart peers, ManifestObject policy, Caller caller) =>
        !peers.Items.Any() || peers.Items.Any(peer => IsPeer(peer, policy, caller));

    private bool IsPeer(YamlPart peer, ManifestObject policy, Caller caller)
    {
        if (peer["ipBlock"].Exists)
            return caller.Namespace is null || Everywhere.Contains(peer["ipBlock"]["cidr"].Text);
        if (caller.Namespace is null)
            return false;
        var isPlace = peer["namespaceSelector"].Exists
            ? Selector.Matches(peer["namespaceSelector"], LabelsOf(caller.Namespace))
            : caller.Namespace == policy.Namespace;
        return isPlace && (!peer["podSelector"].Exists || Selector.Matches(peer["podSelector"], caller.Labels));
    }

    private Dictionary<string, string> LabelsOf(string name)
    {
        var labels = new Dictionary<string, string>(
            manifests.Of("Namespace").FirstOrDefault(found => found.Name == name)?.Labels ?? new Dictionary<string, string>(),
            StringComparer.Ordinal
        )
        {
            [NamespaceName] = name,
        };
        return labels;
    }

    private static bool HasPort(YamlPart ports, Workload to, int port) =>
        !ports.Items.Any()
        || ports.Items.Any(wanted =>
            (wanted["protocol"].Text ?? "TCP") == "TCP"
            && (
                !wanted["port"].Exists
                || (to.PortOf(wanted["port"]) is { } first && port >= first && port <= (wanted["endPort"].Number ?? first))
            )
        );
}
