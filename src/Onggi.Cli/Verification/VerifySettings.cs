using Onggi.Cli.Checks;
using Onggi.Keys;

namespace Onggi.Cli.Verification;

/// <summary>What <c>onggi verify</c> was asked to look at.</summary>
internal sealed record VerifySettings
{
    /// <summary>The catalog, bound to the environment.</summary>
    public required Keyspace Keyspace { get; init; }

    /// <summary>What the catalog is called.</summary>
    public required string CatalogFile { get; init; }

    /// <summary>The connection; <c>null</c> for that of the environment variable.</summary>
    public string? Redis { get; init; }

    /// <summary>Whether it must survive a restart, and warnings of development are findings.</summary>
    public bool IsProduction { get; init; }

    /// <summary>How many processes of services connect.</summary>
    public int Instances { get; init; }

    /// <summary>redis.conf; <c>null</c> for none.</summary>
    public string? ConfFile { get; init; }

    /// <summary>The file of users; <c>null</c> for none.</summary>
    public string? AclFile { get; init; }

    /// <summary>Folders and files of manifests; none for none.</summary>
    public IReadOnlyList<string> Manifests { get; init; } = [];

    /// <summary>The folder of passwords; <c>null</c> for none.</summary>
    public string? Secrets { get; init; }

    /// <summary>Whether keys of our own may be written.</summary>
    public bool ProbeWrites { get; init; }

    /// <summary>Whether connections are cut, to see who comes back.</summary>
    public bool Drill { get; init; }

    /// <summary>Restarts Redis, in a shell; <c>null</c> for not at all.</summary>
    public string? Restart { get; init; }

    /// <summary>How long services may take to come back.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Answers the drill's question.</summary>
    public bool Yes { get; init; }

    /// <summary>Whether this runs where nobody may reach Redis.</summary>
    public bool Outside { get; init; }

    /// <summary>Bytes that the container may take; <c>null</c> for what the server says of its machine.</summary>
    public long? Container { get; init; }

    /// <summary>Addresses of metrics.</summary>
    public IReadOnlyList<Uri> Metrics { get; init; } = [];

    /// <summary>The folder in which documents and artefacts are looked for; <c>null</c> for none.</summary>
    public string? Readiness { get; init; }

    public Suppressions Suppressions { get; init; } = Suppressions.None;
}
