using Onggi.Cli.Deployment.Lint;

namespace Onggi.DeployTests.Lint;

/// <summary>What policies let through, by the rules of Kubernetes.</summary>
public class NetworkPoliciesTests
{
    private const string Pods = """
        apiVersion: v1
        kind: Pod
        metadata: { name: redis, namespace: a, labels: { app: redis } }
        spec: { containers: [{ name: redis, image: redis, ports: [{ name: redis, containerPort: 6379 }] }] }
        ---
        apiVersion: v1
        kind: Pod
        metadata: { name: bill, namespace: a, labels: { app: bill, tier: app } }
        spec: { containers: [{ name: bill, image: bill }] }
        ---
        apiVersion: v1
        kind: Pod
        metadata: { name: far, namespace: b, labels: { app: bill } }
        spec: { containers: [{ name: far, image: far }] }
        ---
        apiVersion: v1
        kind: Namespace
        metadata: { name: b, labels: { team: billing } }
        """;

    [Theory]
    // Nobody is about it: open to all.
    [InlineData("podSelector: { matchLabels: { app: other } }", "bill far any outside")]
    // Somebody is, and admits nobody.
    [InlineData("podSelector: {}", "")]
    [InlineData("podSelector: {}, ingress: []", "")]
    [InlineData("podSelector: {}, ingress: [{}]", "bill far any outside")]
    // Only about the way out: nothing is said of the way in.
    [InlineData("podSelector: {}, policyTypes: [Egress]", "bill far any outside")]
    [InlineData("podSelector: {}, egress: [{}]", "")]
    [InlineData("podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }]", "bill any")]
    [InlineData("podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: bill } } }] }]", "bill")]
    [InlineData("podSelector: {}, ingress: [{ from: [{ namespaceSelector: {} }] }]", "bill far any")]
    [InlineData("podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: billing } } }] }]", "far")]
    [InlineData(
        "podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: b } } }] }]",
        "far"
    )]
    // In one peer both must hold, in two one of them.
    [InlineData(
        "podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: billing } }, podSelector: { matchLabels: { app: other } } }] }]",
        ""
    )]
    [InlineData(
        "podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: billing } } }, { podSelector: { matchLabels: { app: bill } } }] }]",
        "bill far"
    )]
    [InlineData("podSelector: {}, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: tier, operator: Exists }] } }] }]", "bill")]
    [InlineData(
        "podSelector: {}, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: tier, operator: DoesNotExist }] } }] }]",
        "any"
    )]
    [InlineData(
        "podSelector: {}, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: app, operator: In, values: [bill, x] }] } }] }]",
        "bill"
    )]
    [InlineData(
        "podSelector: {}, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: app, operator: NotIn, values: [bill] }] } }] }]",
        "any"
    )]
    [InlineData("podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }]", "outside")]
    [InlineData("podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 0.0.0.0/0 } }] }]", "bill far any outside")]
    // Ports: by number, by name, in a range, and of TCP.
    [InlineData("podSelector: {}, ingress: [{ ports: [{ port: 6379 }] }]", "bill far any outside")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ port: redis }] }]", "bill far any outside")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ port: 6000, endPort: 7000 }] }]", "bill far any outside")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ protocol: TCP }] }]", "bill far any outside")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ port: 6380 }] }]", "")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ port: 7000, endPort: 8000 }] }]", "")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ port: other }] }]", "")]
    [InlineData("podSelector: {}, ingress: [{ ports: [{ protocol: UDP, port: 6379 }] }]", "")]
    public void Who_gets_in(string spec, string callers)
    {
        var (policies, manifests) = Read(spec);
        var redis = manifests.Workloads[0];

        (string Name, Caller Who)[] all =
        [
            ("bill", Caller.Of(manifests.Workloads[1])),
            ("far", Caller.Of(manifests.Workloads[2])),
            ("any", Caller.AnyPodOf("a")),
            ("outside", Caller.Outside),
        ];
        var open = all.Where(caller => policies.LetsIn(caller.Who, redis, 6379));

        Assert.Equal(callers, string.Join(' ', open.Select(caller => caller.Name)));
    }

    [Theory]
    [InlineData("podSelector: {}", true, true)]
    [InlineData("podSelector: {}, policyTypes: [Egress]", false, false)]
    [InlineData(
        "podSelector: {}, egress: [{ to: [{ podSelector: { matchLabels: { app: redis } } }], ports: [{ port: 6379 }] }]",
        true,
        false
    )]
    [InlineData("podSelector: {}, egress: [{ to: [{ podSelector: { matchLabels: { app: other } } }] }]", false, false)]
    [InlineData("podSelector: {}, egress: [{ ports: [{ protocol: UDP, port: 53 }, { port: 6379 }] }]", true, true)]
    [InlineData("podSelector: {}, egress: [{ to: [{ namespaceSelector: {} }], ports: [{ protocol: UDP, port: 53 }] }]", false, true)]
    [InlineData("podSelector: {}, egress: [{}]", true, true)]
    public void Who_gets_out_and_may_ask_for_names(string spec, bool toRedis, bool forNames)
    {
        var (policies, manifests) = Read(spec);

        Assert.Equal(toRedis, policies.LetsOut(manifests.Workloads[1], manifests.Workloads[0], 6379));
        Assert.Equal(forNames, policies.LetsAskForNames(manifests.Workloads[1]));
    }

    [Fact]
    public void Several_policies_admit_what_each_of_them_admits()
    {
        var (policies, manifests) = Read(
            "podSelector: {}",
            "podSelector: { matchLabels: { app: redis } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: bill } } }] }]"
        );

        Assert.True(policies.LetsIn(Caller.Of(manifests.Workloads[1]), manifests.Workloads[0], 6379));
        Assert.False(policies.LetsIn(Caller.AnyPodOf("a"), manifests.Workloads[0], 6379));
        Assert.Equal("p1", policies.Admitting(Caller.Of(manifests.Workloads[1]), manifests.Workloads[0], 6379)!.Name);
    }

    [Theory]
    [InlineData("512Mi", 512L << 20)]
    [InlineData("1Gi", 1L << 30)]
    [InlineData("1G", 1_000_000_000L)]
    [InlineData("1.5Ki", 1536L)]
    [InlineData("100", 100L)]
    [InlineData("1e3", 1000L)]
    [InlineData("much", null)]
    [InlineData(null, null)]
    public void Quantities_are_read_as_kubernetes_reads_them(string? text, long? bytes) => Assert.Equal(bytes, Quantity.Bytes(text));

    private static (NetworkPolicies Policies, Manifests Manifests) Read(params string[] specs)
    {
        var texts = specs.Select(
            (spec, i) =>
                $"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: p{i}, namespace: a }}\nspec: {{ {spec} }}\n"
        );
        var manifests = new Manifests(ManifestReader.Parse("test.yaml", string.Join("\n---\n", [Pods, .. texts])));
        return (new NetworkPolicies(manifests), manifests);
    }
}
