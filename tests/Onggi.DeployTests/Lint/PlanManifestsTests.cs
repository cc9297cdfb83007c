using Onggi.Cli.Deployment.Lint;
using Onggi.DeployTests.Kubernetes;

namespace Onggi.DeployTests.Lint;

/// <summary>The install plan's own manifests, word for word: a schema finds nothing in them. Exactly what is known to be wrong is found, and what rules of our own add, with the reason for each.</summary>
public class PlanManifestsTests
{
    private static readonly string[] Known =
    [
        "SVC003 Service/redis-external",
        "SVC002 Service/redis-metrics",
        "STS001 StatefulSet/redis",
        "NP001 NetworkPolicy/redis-network-policy",
        "NP002 NetworkPolicy/redis-network-policy",
        "POD001 StatefulSet/redis",
        "POD002 StatefulSet/redis",
        "POD003 StatefulSet/redis",
        "IMG001 StatefulSet/redis",
        "IMG003 StatefulSet/redis",
        "SEC001 StatefulSet/redis", // allowPrivilegeEscalation
        "SEC001 StatefulSet/redis", // readOnlyRootFilesystem
        "SEC002 StatefulSet/redis",
        "SEC003 StatefulSet/redis",
        "PRB002 StatefulSet/redis",
        "PRB003 StatefulSet/redis",
        "RES001 StatefulSet/redis",
        "RES002 StatefulSet/redis",
        "VOL001 StatefulSet/redis",
        "VOL002 StatefulSet/redis",
        "REF001 StatefulSet/redis",
        "POD001 Deployment/redis-exporter",
        "POD002 Deployment/redis-exporter",
        "POD003 Deployment/redis-exporter",
        "IMG001 Deployment/redis-exporter",
        "IMG002 Deployment/redis-exporter",
        "SEC001 Deployment/redis-exporter", // allowPrivilegeEscalation
        "SEC001 Deployment/redis-exporter", // readOnlyRootFilesystem
        "SEC001 Deployment/redis-exporter", // runAsNonRoot
        "SEC002 Deployment/redis-exporter",
        "SEC003 Deployment/redis-exporter",
        "PRB001 Deployment/redis-exporter", // livenessProbe
        "PRB001 Deployment/redis-exporter", // readinessProbe
        "RES001 Deployment/redis-exporter",
        "RES002 Deployment/redis-exporter",
        "REF001 Deployment/redis-exporter",
        "CONF001 ConfigMap/redis-config",
        "CONF002 ConfigMap/redis-config",
        "CONF003 ConfigMap/redis-config",
        "CONF004 ConfigMap/redis-config",
        "CONF005 ConfigMap/redis-config",
        "CONF006 ConfigMap/redis-config",
        "CONF007 ConfigMap/redis-config", // latency-monitor-threshold
        "CONF007 ConfigMap/redis-config", // maxmemory-clients
        "CONF007 ConfigMap/redis-config", // lazyfree-lazy-eviction
    ];

    /// <summary>What rules of ours find beside the known ones.</summary>
    private static readonly (string Finding, string Reason)[] More =
    [
        (
            "ONG038 ConfigMap/redis-config",
            "tcp-keepalive 300 is longer than the 240 s of cloud load balancers; the list of known ones had it under timeout"
        ),
        (
            "NP003 Deployment/redis-exporter",
            "no policy is about the exporter's pods: every pod of the cluster reads the figures of all; a warning"
        ),
    ];

    [Fact]
    public void The_plan_has_its_forty_five_known_findings_and_those_of_the_second_table()
    {
        var findings = Lint();

        Assert.Equal(45, Known.Length);
        Assert.Equal(
            Known.Concat(More.Select(more => more.Finding)).Order(StringComparer.Ordinal),
            findings.Select(finding => $"{finding.Rule.Alias} {finding.Object}").Order(StringComparer.Ordinal)
        );
    }

    [Theory]
    [InlineData("SVC003", "redis-service.yaml:31", "NodePort exposes StatefulSet/redis")]
    [InlineData("SVC002", "redis-metrics.yaml:14", "targetPort 9121 is no port of StatefulSet/redis")]
    [InlineData("NP001", "redis-network-policy.yaml:16", "tier=application")]
    [InlineData("POD002", "redis-statefulset.yaml:22", "REDIS_PORT=tcp://")]
    [InlineData("IMG003", "redis-statefulset.yaml:24", "bitnami/redis:7.2")]
    [InlineData("PRB003", "redis-statefulset.yaml:64", "readinessProbe")]
    [InlineData("CONF002", "redis-config.yaml:19", "timeout 30")]
    [InlineData("CONF003", "redis-config.yaml:40", "4 more of the old names: hash-max-ziplist-value")]
    [InlineData("CONF005", "redis-config.yaml:33", "maxclients 100")]
    public void A_finding_names_its_file_line_and_what_stands_there(string alias, string place, string observed)
    {
        Assert.Contains(
            Lint(),
            finding =>
                finding.Rule.Alias == alias
                && finding.Place.EndsWith(place, StringComparison.Ordinal)
                && finding.Observed.Contains(observed, StringComparison.Ordinal)
        );
    }

    [Fact]
    public void With_the_catalog_its_users_and_memory_are_looked_at_too()
    {
        var catalog = File.ReadAllText(Sources.PathOf("samples/PhoneBill/keyspace.json"));

        var more = Lint(catalog).Select(finding => $"{finding.Rule.Alias} {finding.Object}").ToList();

        // The plan's maxmemory is the catalog's limit, and nobody but the exporter connects.
        Assert.Equal(Known.Length + More.Length, more.Count);
    }

    private static IReadOnlyList<LintFinding> Lint(string? catalog = null)
    {
        var objects = ManifestReader.Read([Sources.PathOf("tests/Onggi.DeployTests/Data/plan")], TextReader.Null, static _ => { });
        return ManifestLint.Check(
            new LintContext(new Cli.Deployment.Lint.Manifests(objects))
            {
                Keyspace = catalog is null ? null : Onggi.Keys.Keyspace.Load(catalog),
            }
        );
    }
}
