namespace Onggi.Cli.Deployment.Lint;

/// <summary>One way from somebody to a port.</summary>
/// <param name="From">Who.</param>
/// <param name="To">Whose port.</param>
/// <param name="Port">Its number.</param>
/// <param name="IsOpen">Whether policies let it through.</param>
/// <param name="Wanted">Why it has to be open; <c>null</c> where nothing says so.</param>
/// <param name="MayBeClosed">Whether what says so is a setting that several share, and not all of them need.</param>
internal sealed record Way(Caller From, Workload To, int Port, bool IsOpen, string? Wanted, bool MayBeClosed)
{
    /// <summary>Whether Redis or a Sentinel listens there.</summary>
    public bool IsData => To.DataPorts().Contains(Port);

    /// <summary>Open, though nothing says that it has to be; of doors to the data only.</summary>
    public bool IsUnwanted => IsOpen && Wanted is null && IsData && !IsAmongServers;

    /// <summary>Closed, though it has to be open.</summary>
    public bool IsBroken => !IsOpen && Wanted is not null && !MayBeClosed;

    // Redis and its Sentinels talk among themselves in ways that depend on scripts; nobody is let in by that who is not in already.
    private bool IsAmongServers =>
        From.Workload is { } workload && (workload == To || workload.Redis is not null || workload.Sentinel is not null);
}

/// <summary>Who reaches whom at which port.</summary>
internal sealed class Reachability
{
    private readonly LintContext _context;
    private readonly NetworkPolicies _policies;

    public Reachability(LintContext context)
    {
        (_context, _policies) = (context, new NetworkPolicies(context.Manifests));
        Ways = [.. Find()];
    }

    public NetworkPolicies Policies => _policies;

    /// <summary>Every way, by who and where.</summary>
    public IReadOnlyList<Way> Ways { get; }

    /// <summary>The Service that a host's name means; <c>null</c> where it means none of these.</summary>
    public ManifestObject? ServiceOf(string host, string inNamespace)
    {
        var parts = host.TrimEnd('.').Split('.');
        ManifestObject? Service(string name, string place) => _context.Manifests.Find("Service", name, place);
        return parts.Length switch
        {
            1 => Service(parts[0], inNamespace),
            2 => Service(parts[0], parts[1]) ?? Service(parts[1], inNamespace),
            _ when parts[2] == "svc" => Service(parts[0], parts[1]),
            _ when parts.Length > 3 && parts[3] == "svc" => Service(parts[1], parts[2]),
            3 => Service(parts[1], parts[2]),
            _ => null,
        };
    }

    /// <summary>Whether a host's name can only be that of a Service of this cluster.</summary>
    public static bool IsInside(string host) =>
        !host.Contains('.', StringComparison.Ordinal) || host.Contains(".svc", StringComparison.Ordinal);

    /// <summary>Whether somebody outside of the cluster is led here: by a Service with a port of nodes or of a load balancer, or by a port of its node.</summary>
    public bool IsExposed(Workload workload, int port) =>
        workload.Pod["hostNetwork"].IsTrue
        || workload.Containers.Any(container =>
            container.Part["ports"].Items.Any(named => named["hostPort"].Exists && named["containerPort"].Number == port)
        )
        || _context
            .Manifests.Of("Service")
            .Any(service =>
                service.Spec["type"].Text is "NodePort" or "LoadBalancer"
                && _context.Manifests.Behind(service).Contains(workload)
                && service.Spec["ports"].Items.Any(named => TargetOf(named, workload) == port)
            );

    /// <summary>The port of a pod that a Service's port leads to.</summary>
    public static int? TargetOf(YamlPart port, Workload workload) =>
        workload.PortOf(port["targetPort"].Exists ? port["targetPort"] : port["port"], port["protocol"].Text ?? "TCP");

    private IEnumerable<Way> Find()
    {
        foreach (var to in _context.Manifests.Workloads.Where(workload => workload.Stays))
        foreach (
            var port in to
                .Containers.SelectMany(container => container.Ports)
                .Where(port => port.Protocol == "TCP")
                .Select(port => port.Number)
                .Concat(to.DataPorts())
                .Distinct()
        )
        foreach (var from in CallersOf(to))
        {
            var (wanted, mayBeClosed) = Wanted(from, to, port);
            yield return new Way(from, to, port, IsOpen(from, to, port), wanted, mayBeClosed);
        }
    }

    private IEnumerable<Caller> CallersOf(Workload to) =>
        [.. _context.Manifests.Workloads.Select(Caller.Of), Caller.AnyPodOf(to.Namespace), Caller.OtherNamespace, Caller.Outside];

    private bool IsOpen(Caller from, Workload to, int port) =>
        from == Caller.Outside
            ? IsExposed(to, port) && _policies.LetsIn(from, to, port)
            : _policies.LetsIn(from, to, port) && (from.Workload is null || _policies.LetsOut(from.Workload, to, port));

    private (string? Because, bool MayBeClosed) Wanted(Caller from, Workload to, int port)
    {
        if (from.Workload is not { } caller)
            return (null, false);
        if (caller.Namespace == to.Namespace && to.DataPorts().Contains(port) && Role(caller, to) is { } role)
            return (role, false);
        var named = _context
            .Connections.Where(connection => connection.Workload == caller)
            .Where(connection => connection.Servers.Any(server => LeadsTo(server.Host, server.Port, caller.Namespace, to, port)))
            .MinBy(connection => connection.IsShared);
        return (named?.Name, named is { IsShared: true, IsRedis: false });
    }

    // Why it needs the data: by what it is.
    private static string? Role(Workload caller, Workload to)
    {
        if (caller.Sentinel is not null && (caller != to || to.Replicas > 1))
            return "it is a Sentinel";
        if (caller == to && to.Redis is not null && to.Replicas > 1)
            return "replicas copy from it";
        if (caller == to || caller.Redis is not null || caller.Sentinel is not null)
            return null;
        return caller.Client is { } client ? $"{Workload.ClientLabel}: {client}"
            : caller.Exporter is not null ? "it is the exporter"
            : null;
    }

    private bool LeadsTo(string host, int port, string inNamespace, Workload to, int target) =>
        ServiceOf(host, inNamespace) is { } service
        && _context.Manifests.Behind(service).Contains(to)
        && (
            IsHeadless(service)
                ? port == target
                : service.Spec["ports"].Items.Any(named => named["port"].Number == port && TargetOf(named, to) == target)
        );

    /// <summary>Whether names of a Service lead to pods themselves, past its ports.</summary>
    public static bool IsHeadless(ManifestObject service) => service.Spec["clusterIP"].Text == "None";
}
