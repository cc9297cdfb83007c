using Onggi.Keys;

namespace Onggi.Cli.Deployment.Monitoring;

/// <summary>What rules and dashboards are made for.</summary>
/// <param name="Keyspace">The catalog, bound to the environment.</param>
internal sealed record MonitoringTerms(Keyspace Keyspace)
{
    /// <summary>The job under which Prometheus scrapes each Redis, through the exporter.</summary>
    public const string RedisJob = "redis";

    /// <summary>The job under which it scrapes the exporter itself.</summary>
    public const string ExporterJob = "redis-exporter";

    /// <summary>The job under which it scrapes each Sentinel, through the exporter as well.</summary>
    public const string SentinelJob = "sentinel";

    /// <summary>Where the runbook lies unless it is said otherwise.</summary>
    public const string DefaultRunbook = "docs/operations/runbook.md";

    /// <summary>Whether it must survive a restart: then replicas, an append-only file and backups are missed when they are not there.</summary>
    public bool IsProduction { get; init; }

    /// <summary>How many replicas a production primary has.</summary>
    public int Replicas { get; init; } = 2;

    /// <summary>After how many hours a proven backup is too old.</summary>
    public int BackupHours { get; init; } = 36;

    /// <summary>After how many hours an audit is too old.</summary>
    public int AuditHours { get; init; } = 26;

    /// <summary>The page that each alert's link leads to, without the anchor.</summary>
    public string Runbook { get; init; } = DefaultRunbook;

    /// <summary>Over what everything is measured, in the place of each rule's own window; <c>null</c> for those.</summary>
    public string? Window { get; init; }

    /// <summary>How long a condition must hold, in the place of each rule's own time; <c>null</c> for those.</summary>
    public string? Wait { get; init; }

    /// <summary>The job under which Prometheus scrapes the services.</summary>
    public string ServicesJob => Keyspace.System;

    /// <summary>Over what a rule measures.</summary>
    public string Over(string usual) => Window ?? usual;

    /// <summary>Selects the series of the system's own jobs that carry these names: backups and audits.</summary>
    public string Own => $"system=\"{Keyspace.System}\",environment=\"{Keyspace.Environment}\"";

    /// <summary>Bytes that the families without a share have together; <c>null</c> where the catalog names no limit.</summary>
    public long? Rest =>
        Keyspace.MemoryLimit is { } limit ? (long)(limit * (1 - Keyspace.Families.Sum(family => family.Share ?? 0))) : null;
}
