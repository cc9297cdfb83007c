using Onggi.Keys;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>What the lint looks at, and what it was told beside.</summary>
internal sealed class LintContext(Manifests manifests)
{
    /// <summary>What <c>onggi deploy secrets</c> makes: it is never among the manifests.</summary>
    public static readonly string[] KnownSecrets = ["redis-acl", "redis-tls", "redis-ca", "redis-sentinel", "redis-credentials-*"];

    /// <summary>On a Namespace, or on what needs it: names of what is made elsewhere, as for <c>--external</c>.</summary>
    public const string ExternalAnnotation = "onggi.io/external";

    private IReadOnlyList<ClientConnection>? _connections;
    private Reachability? _reachability;

    public Manifests Manifests => manifests;

    /// <summary>The catalog, bound to the environment; <c>null</c> for what can be said without one.</summary>
    public Keyspace? Keyspace { get; init; }

    /// <summary>Whether it must survive a restart.</summary>
    public bool IsProduction { get; init; }

    /// <summary>Names, or patterns with a star, of Secrets and other objects that are made elsewhere.</summary>
    public IReadOnlyList<string> MadeElsewhere { get; init; } = [];

    /// <summary>The file of users, when it was named.</summary>
    public (string File, string Text)? Users { get; init; }

    /// <summary>Every connection that a container's environment names.</summary>
    public IReadOnlyList<ClientConnection> Connections => _connections ??= ClientConnections.In(manifests);

    /// <summary>Who reaches whom.</summary>
    public Reachability Reachability => _reachability ??= new Reachability(this);

    /// <summary>How many processes of services connect to Redis, as the manifests have it.</summary>
    public int Instances => manifests.Workloads.Where(workload => workload.Stays && IsClient(workload)).Sum(workload => workload.Replicas);

    /// <summary>Whether it uses Redis: it says so itself, or a variable names a Redis.</summary>
    public bool IsClient(Workload workload) =>
        workload.Redis is null
        && workload.Sentinel is null
        && (workload.Client is not null || Connections.Any(connection => connection.Workload == workload && connection.IsRedis));

    /// <summary>Whether an object of that name is made elsewhere.</summary>
    public bool IsMadeElsewhere(string kind, string name) =>
        MadeElsewhere.Concat(Annotated).Any(pattern => IsLike(pattern, name) || IsLike(pattern, $"{kind}/{name}"))
        || (kind == "Secret" && KnownSecrets.Any(pattern => IsLike(pattern, name)));

    private IEnumerable<string> Annotated =>
        manifests
            .Objects.Select(found => found.Metadata["annotations"][ExternalAnnotation].Text ?? "")
            .SelectMany(text => text.Split([' ', ',', '\n'], StringSplitOptions.RemoveEmptyEntries));

    private static bool IsLike(string pattern, string name) =>
        pattern.EndsWith('*')
            ? name.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase)
            : string.Equals(pattern, name, StringComparison.OrdinalIgnoreCase);
}
