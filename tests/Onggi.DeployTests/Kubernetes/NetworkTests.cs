namespace Onggi.DeployTests.Kubernetes;

/// <summary>Who reaches whom, reckoned from the policies as they are applied: every pod of an overlay, and strangers, against every port.</summary>
public class NetworkTests
{
    private const int Redis = 6379;
    private const int Sentinel = 26379;
    private const int Http = 8080;
    private static readonly string[] Services = ["auth", "bill-inquiry", "product-change", "users"];
    private static readonly Peer Prometheus = Outside(("app", "prometheus"), ("onggi.io/monitoring", "true"));
    private static readonly Peer Ingress = Outside(("app", "ingress"), ("onggi.io/ingress", "true"));
    private static readonly Peer Stranger = new(new Dictionary<string, string> { ["app"] = "anything" });
    private static readonly Peer Elsewhere = Outside(("onggi.io/client", "auth"), ("kubernetes.io/metadata.name", "elsewhere"));
    private static readonly Peer Tool = new(new Dictionary<string, string> { ["onggi.io/client"] = "operator" });

    private static readonly Peer Dns = new(
        new Dictionary<string, string> { ["k8s-app"] = "kube-dns" },
        new Dictionary<string, string> { ["kubernetes.io/metadata.name"] = "kube-system" }
    );

    [ToolTheory("kubectl")]
    [InlineData(Manifests.Dev, "")]
    [InlineData(Manifests.NodePort, "")]
    [InlineData(Manifests.Production, "CronJob/audit CronJob/backup StatefulSet/redis StatefulSet/sentinel")]
    public async Task Redis_is_reached_by_the_clients_and_the_exporter_and_by_nobody_else(string overlay, string others)
    {
        var all = await Manifests.OfAsync(overlay);

        string[] expected =
        [
            .. Services.Select(service => $"Deployment/{service}"),
            "Deployment/redis-exporter",
            .. others.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), Reaching(all, "StatefulSet/redis", Redis));
        var reach = new Reach(all.Of("NetworkPolicy"));
        var redis = PeerOf(all, "StatefulSet/redis");
        Assert.True(reach.Allows(Tool, redis, Redis), "A pod with the tool, started by hand.");
        foreach (var stranger in (Peer[])[Stranger, Elsewhere, Prometheus, Ingress])
            Assert.False(reach.Allows(stranger, redis, Redis));
        // No other port either.
        Assert.Empty(Reaching(all, "StatefulSet/redis", Http));
    }

    [ToolFact("kubectl")]
    public async Task Sentinels_are_asked_by_clients_and_servers_only()
    {
        var all = await Manifests.OfAsync(Manifests.Production);

        string[] expected =
        [
            "CronJob/audit",
            "CronJob/backup",
            "Deployment/redis-exporter",
            .. Services.Select(service => $"Deployment/{service}"),
            "StatefulSet/redis",
            "StatefulSet/sentinel",
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), Reaching(all, "StatefulSet/sentinel", Sentinel));
        Assert.True(new Reach(all.Of("NetworkPolicy")).Allows(Tool, PeerOf(all, "StatefulSet/sentinel"), Sentinel));
    }

    [ToolTheory("kubectl")]
    [InlineData(Manifests.Dev)]
    [InlineData(Manifests.Production)]
    public async Task Services_are_reached_by_requests_metrics_and_the_warm_up(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var reach = new Reach(all.Of("NetworkPolicy"));
        string[] expected = overlay == Manifests.Dev ? ["CronJob/morning", "CronJob/warm-up"] : ["CronJob/warm-up"];
        foreach (var service in Services)
        {
            var peer = PeerOf(all, $"Deployment/{service}");
            Assert.Equal(expected, Reaching(all, $"Deployment/{service}", Http));
            Assert.True(reach.Allows(Prometheus, peer, Http) && reach.Allows(Ingress, peer, Http));
            Assert.False(reach.Allows(Elsewhere, peer, Http) || reach.Allows(Stranger, peer, Http));
        }
    }

    [ToolFact("kubectl")]
    public async Task Metrics_are_for_Prometheus()
    {
        var all = await Manifests.OfAsync(Manifests.Production);
        var reach = new Reach(all.Of("NetworkPolicy"));

        Assert.True(reach.Allows(Prometheus, PeerOf(all, "Deployment/redis-exporter"), 9121));
        Assert.True(reach.Allows(Prometheus, PeerOf(all, "Deployment/textfile"), 9100));
        Assert.Empty(Reaching(all, "Deployment/redis-exporter", 9121));
        Assert.Empty(Reaching(all, "Deployment/textfile", 9100));
    }

    [ToolFact("kubectl")]
    public async Task The_legacy_system_is_asked_by_the_two_services_that_need_it()
    {
        var all = await Manifests.OfAsync(Manifests.Dev);

        Assert.Equal(["Deployment/bill-inquiry", "Deployment/product-change"], Reaching(all, "Deployment/kos", Http));
    }

    [ToolTheory("kubectl")]
    [MemberData(nameof(ManifestTests.Overlays), MemberType = typeof(ManifestTests))]
    public async Task Everybody_may_look_up_names_and_only_who_needs_it_gets_out(string overlay)
    {
        var all = await Manifests.OfAsync(overlay);
        var reach = new Reach(all.Of("NetworkPolicy"));
        foreach (var (owner, pod) in all.Pods())
        {
            var peer = new Peer(pod.Pairs("metadata.labels"));
            Assert.True(reach.Allows(peer, Dns, 53, "UDP") && reach.Allows(peer, Dns, 53), $"{owner} cannot look up names.");
            Assert.False(reach.AllowsOut(peer, 80), $"{owner} gets out.");
            Assert.Equal((owner, owner is "CronJob/evening" or "CronJob/morning"), (owner, reach.AllowsOut(peer, 6443)));
            Assert.Equal((owner, Services.Contains(owner.Split('/')[1])), (owner, reach.AllowsOut(peer, 5432)));
        }
    }

    [ToolFact("kubectl")]
    public async Task The_node_port_admits_one_block_of_addresses_and_sees_who_asks()
    {
        var all = await Manifests.OfAsync(Manifests.NodePort);
        var service = Assert.Single(all.Of("Service"), service => service.Text("spec.type") == "NodePort");
        var opened = all.Of("NetworkPolicy")
            .Where(policy =>
                policy.Items("spec.ingress").SelectMany(rule => rule.Items("from")).Any(peer => peer.At("ipBlock") is not null)
            );

        Assert.Equal("Local", service.Text("spec.externalTrafficPolicy"));
        Assert.Equal("30679", Assert.Single(service.Items("spec.ports")).Text("nodePort"));
        var policy = Assert.Single(opened);
        Assert.Equal("redis-nodeport", Manifests.NameOf(policy));
        // The example block of RFC 5737: as delivered nobody gets in.
        Assert.Equal(
            ["203.0.113.0/24"],
            policy.Items("spec.ingress").SelectMany(rule => rule.Items("from")).Select(peer => peer.Text("ipBlock.cidr"))
        );
        foreach (var overlay in (string[])[Manifests.Dev, Manifests.Production])
            Assert.DoesNotContain(
                (await Manifests.OfAsync(overlay)).Of("Service"),
                other => other.Text("spec.type") is "NodePort" or "LoadBalancer"
            );
    }

    [Fact]
    public void The_reckoning_knows_what_policies_mean()
    {
        var policies = Yaml.Documents(
            """
            spec: { podSelector: {}, policyTypes: [Ingress, Egress] }
            ---
            spec:
              podSelector: { matchLabels: { app: a } }
              policyTypes: [Ingress]
              ingress: [{ from: [{ podSelector: { matchLabels: { app: b } } }], ports: [{ port: 1, protocol: TCP }] }]
            ---
            spec:
              podSelector: { matchExpressions: [{ key: app, operator: In, values: [b, c] }] }
              policyTypes: [Egress]
              egress: [{ to: [{ podSelector: {} }] }]
            """
        );
        var reach = new Reach(policies);
        Peer a = Named("a"),
            b = Named("b"),
            c = Named("c");

        Assert.True(reach.Allows(b, a, 1));
        Assert.False(reach.Allows(b, a, 2), "Another port.");
        Assert.False(reach.Allows(b, a, 1, "UDP"), "Another protocol.");
        Assert.False(reach.Allows(c, a, 1), "Let out, but not let in.");
        Assert.False(reach.Allows(a, b, 1), "Not let out.");
        Assert.False(reach.Allows(b with { Namespace = new Dictionary<string, string>() }, a, 1), "The same labels in another namespace.");
        Assert.True(new Reach([]).Allows(c, a, 1), "Without policies everything is open.");
    }

    private static Peer Named(string app) => new(new Dictionary<string, string> { ["app"] = app });

    private static Peer Outside((string Key, string Value) pod, (string Key, string Value) space) =>
        new(new Dictionary<string, string> { [pod.Key] = pod.Value }, new Dictionary<string, string> { [space.Key] = space.Value });

    private static Peer PeerOf(Manifests all, string owner) =>
        new(all.Pods().Single(pod => pod.Owner == owner).Pod.Pairs("metadata.labels"));

    private static IEnumerable<string> Reaching(Manifests all, string owner, int port)
    {
        var (reach, to) = (new Reach(all.Of("NetworkPolicy")), PeerOf(all, owner));
        return all.Pods()
            .Where(pod => reach.Allows(new Peer(pod.Pod.Pairs("metadata.labels")), to, port))
            .Select(pod => pod.Owner)
            .Order(StringComparer.Ordinal);
    }
}
