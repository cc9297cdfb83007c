namespace Onggi.Cli.Deployment.Secrets;

/// <summary>What the Secrets are made for.</summary>
internal sealed record SecretTerms
{
    /// <summary>The namespace, which the names in certificates end in.</summary>
    public required string Namespace { get; init; }

    /// <summary>Whether there are replicas, Sentinels and TLS.</summary>
    public required bool IsReplicated { get; init; }

    /// <summary>How many Redis pods and how many Sentinels there are at most: certificates name each.</summary>
    public int Pods { get; init; } = 5;

    /// <summary>What names of the cluster end in.</summary>
    public string ClusterDomain { get; init; } = "cluster.local";

    /// <summary>Further names for the certificate.</summary>
    public IReadOnlyList<string> AlsoNames { get; init; } = [];

    /// <summary>The step of a change of passwords that is to be done; <c>null</c> for none.</summary>
    public RotationTerms? Rotation { get; init; }

    /// <summary>How long certificates hold.</summary>
    public TimeSpan Life { get; init; } = TimeSpan.FromDays(365);

    /// <summary>How long before its end a certificate is replaced.</summary>
    public TimeSpan RenewBefore { get; init; } = TimeSpan.FromDays(60);

    /// <summary>Further random secrets: the Secret and its key.</summary>
    public IReadOnlyList<(string Name, string Key)> Randoms { get; init; } = [];

    /// <summary>Further keys that sign tokens: the Secret of the private one; the public one is in NAME-public.</summary>
    public IReadOnlyList<string> SigningKeys { get; init; } = [];
}
