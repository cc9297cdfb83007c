using System.Text.Json.Nodes;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>A pod as network policies see it.</summary>
/// <param name="Labels">Its labels.</param>
/// <param name="Namespace">The labels of its namespace; <c>null</c> for the one that the policies are in.</param>
internal sealed record Peer(IReadOnlyDictionary<string, string> Labels, IReadOnlyDictionary<string, string>? Namespace = null);

/// <summary>Who may open a connection to whom, by the rules of networking.k8s.io/v1: what no policy selects is open, what one selects is closed but for what some policy lets through.</summary>
internal sealed class Reach(IEnumerable<JsonNode> policies)
{
    private readonly List<JsonNode> _policies = [.. policies];

    /// <summary>Whether one pod gets through to another: the policies of the one must let it out, those of the other let it in. Of other namespaces nothing is known.</summary>
    public bool Allows(Peer from, Peer to, int port, string protocol = "TCP") =>
        (from.Namespace is not null || Passes("Egress", "egress", "to", from, to, port, protocol))
        && (to.Namespace is not null || Passes("Ingress", "ingress", "from", to, from, port, protocol));

    /// <summary>Whether a pod of ours may open a connection to somewhere outside.</summary>
    public bool AllowsOut(Peer from, int port, string protocol = "TCP") => Passes("Egress", "egress", "to", from, null, port, protocol);

    private bool Passes(string type, string rules, string peers, Peer whose, Peer? other, int port, string protocol)
    {
        var selecting = _policies
            .Where(policy => policy.Texts("spec.policyTypes").Contains(type) && Selects(policy.At("spec.podSelector"), whose.Labels))
            .ToList();
        return selecting.Count == 0
            || selecting
                .SelectMany(policy => policy.Items($"spec.{rules}"))
                .Any(rule => IsPort(rule, port, protocol) && IsPeer(rule, peers, other));
    }

    private static bool IsPort(JsonNode rule, int port, string protocol)
    {
        var ports = rule.Items("ports").ToList();
        return ports.Count == 0
            || ports.Exists(one =>
                one.Text("port") == $"{port}" && (one.Text("protocol") is "" ? "TCP" : one.Text("protocol")) == protocol
            );
    }

    private static bool IsPeer(JsonNode rule, string peers, Peer? other)
    {
        var list = rule.Items(peers).ToList();
        return list.Count == 0 || list.Exists(peer => other is not null && IsPeer(peer, other));
    }

    private static bool IsPeer(JsonNode peer, Peer other)
    {
        // A block of addresses says nothing of pods here.
        if (peer.At("ipBlock") is not null)
            return false;
        var space = peer.At("namespaceSelector");
        if (space is null ? other.Namespace is not null : other.Namespace is null || !Selects(space, other.Namespace))
            return false;
        return peer.At("podSelector") is not { } pods || Selects(pods, other.Labels);
    }

    /// <summary>Whether a label selector selects these labels.</summary>
    public static bool Selects(JsonNode? selector, IReadOnlyDictionary<string, string> labels) =>
        selector.Pairs("matchLabels").All(pair => labels.TryGetValue(pair.Key, out var value) && value == pair.Value)
        && selector
            .Items("matchExpressions")
            .All(one =>
            {
                var has = labels.TryGetValue(one.Text("key"), out var value);
                return one.Text("operator") switch
                {
                    "In" => has && one.Texts("values").Contains(value!),
                    "NotIn" => !has || !one.Texts("values").Contains(value!),
                    "Exists" => has,
                    "DoesNotExist" => !has,
                    var other => throw new InvalidOperationException($"The operator {other}."),
                };
            });
}
