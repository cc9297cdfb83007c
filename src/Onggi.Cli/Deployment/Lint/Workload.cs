namespace Onggi.Cli.Deployment.Lint;

/// <summary>What runs pods: a Deployment, a StatefulSet, a CronJob, a pod itself.</summary>
internal sealed class Workload
{
    /// <summary>The label that says: this may reach Redis, as this service.</summary>
    public const string ClientLabel = "onggi.io/client";

    private const int RedisPort = 6379;
    private const int SentinelPort = 26379;

    private Workload(ManifestObject found, YamlPart template)
    {
        (Object, Template, Pod) = (found, template, template["spec"]);
        Labels = template["metadata"]["labels"].Strings();
        Containers = [.. Pod["containers"].Items.Select(part => new Container(part, isInit: false))];
        AllContainers = [.. Pod["initContainers"].Items.Select(part => new Container(part, isInit: true)), .. Containers];
    }

    public ManifestObject Object { get; }

    public string Id => Object.Id;

    public string Namespace => Object.Namespace;

    /// <summary>The pod with its labels.</summary>
    public YamlPart Template { get; }

    /// <summary>The pod's own <c>spec</c>.</summary>
    public YamlPart Pod { get; }

    public IReadOnlyDictionary<string, string> Labels { get; }

    /// <summary>Those that run together.</summary>
    public IReadOnlyList<Container> Containers { get; }

    /// <summary>The same, and those before them.</summary>
    public IReadOnlyList<Container> AllContainers { get; }

    /// <summary>How many pods at most: what it says itself, or what its autoscaler may make of it.</summary>
    public int Replicas { get; set; } = 1;

    public bool IsStatefulSet => Object.Kind == "StatefulSet";

    /// <summary>Whether its pods are to stay, and so have probes.</summary>
    public bool Stays => Object.Kind is not ("Job" or "CronJob");

    /// <summary>The container that is a Redis server; <c>null</c> where there is none.</summary>
    public Container? Redis => Stays ? Containers.FirstOrDefault(container => IsServer(container) && !IsSentinelServer(container)) : null;

    /// <summary>The container that is a Sentinel; <c>null</c> where there is none.</summary>
    public Container? Sentinel => Stays ? Containers.FirstOrDefault(container => IsServer(container) && IsSentinelServer(container)) : null;

    /// <summary>The container that is an exporter of Redis's figures; <c>null</c> where there is none.</summary>
    public Container? Exporter => Containers.FirstOrDefault(container => container.Image?.Name is "redis_exporter" or "redis-exporter");

    /// <summary>The service of the catalog, or the user, as which it may reach Redis; <c>null</c> where it says none.</summary>
    public string? Client => Labels.GetValueOrDefault(ClientLabel);

    /// <summary>The ports on which Redis or Sentinel is reached here.</summary>
    public IReadOnlyList<int> DataPorts()
    {
        var ports = new List<int>();
        if (Redis is { } redis)
            ports.AddRange(PortsOf(redis, RedisPort));
        if (Sentinel is { } sentinel)
            ports.AddRange(PortsOf(sentinel, SentinelPort));
        return ports;
    }

    /// <summary>The number of a port that a Service or a policy names; <c>null</c> where no container has it.</summary>
    public int? PortOf(YamlPart wanted, string protocol = "TCP")
    {
        if (wanted.Number is { } number)
            return (int)number;
        return Containers
            .SelectMany(container => container.Ports)
            .FirstOrDefault(port => port.Name == wanted.Text && port.Protocol == protocol)
            ?.Number;
    }

    /// <summary>Whether a plain selector finds its pods. Pods of a StatefulSet have their own names as a label.</summary>
    public bool IsSelectedBy(YamlPart selector) =>
        selector
            .Strings()
            .All(pair =>
                Labels.GetValueOrDefault(pair.Key) == pair.Value
                || (
                    IsStatefulSet
                    && pair.Key == "statefulset.kubernetes.io/pod-name"
                    && pair.Value.StartsWith($"{Object.Name}-", StringComparison.Ordinal)
                )
            );

    /// <summary>The volume that a mount names; nothing where the pod has none of that name, and for a claim that a StatefulSet makes.</summary>
    public YamlPart VolumeOf(string? name) => Pod["volumes"].Items.FirstOrDefault(volume => volume["name"].Text == name);

    /// <summary>Whether the StatefulSet makes a claim for each pod under this name.</summary>
    public bool ClaimsOf(string? name) => Object.Spec["volumeClaimTemplates"].Items.Any(claim => claim["metadata"]["name"].Text == name);

    /// <summary>The workload of an object; <c>null</c> when it runs no pods.</summary>
    public static Workload? Of(ManifestObject found)
    {
        var template = found.Kind switch
        {
            "Deployment" or "StatefulSet" or "DaemonSet" or "ReplicaSet" or "Job" => found.Spec["template"],
            "CronJob" => found.Spec["jobTemplate"]["spec"]["template"],
            "Pod" => found.Root,
            _ => default,
        };
        return template.Exists ? new Workload(found, template) { Replicas = (int)(found.Spec["replicas"].Number ?? 1) } : null;
    }

    private static List<int> PortsOf(Container container, int usual)
    {
        var named = container.Ports.Where(port => port.Number != 0).Select(port => port.Number).ToList();
        return named.Count > 0 ? named : [usual];
    }

    private static bool IsServer(Container container) =>
        container.Image?.Name is "redis" or "valkey" or "redis-stack-server" or "redis-stack" or "keydb" or "dragonfly"
        && !container.Words.Any(word => word.Text == "redis-cli");

    private static bool IsSentinelServer(Container container) =>
        container.Words.Any(word =>
            word.Text?.Contains("redis-sentinel", StringComparison.Ordinal) == true
            || word.Text?.Contains("--sentinel", StringComparison.Ordinal) == true
            || word.Text?.Contains("sentinel.conf", StringComparison.Ordinal) == true
        )
        || container.Name.Contains("sentinel", StringComparison.OrdinalIgnoreCase)
        || container.Ports.Any(port => port.Number == SentinelPort);
}
