using System.Globalization;
using Onggi.Cli.Deployment.Lint;

namespace Onggi.DeployTests.Lint;

/// <summary>Each rule finds its fault in manifests that are sound without it, and no other rule finds anything there.</summary>
public class RuleTests
{
    private const string Here = "";
    private const string Alive = "exec: { command: [\"sh\", \"/etc/redis/alive.sh\"] }";
    private const string Exporters = "- podSelector: { matchLabels: { app: redis-exporter } }\n";
    private const string NotLinked = "enableServiceLinks: false";

    /// <summary>One fault.</summary>
    /// <param name="codes">What is found, and nothing else.</param>
    /// <param name="owner">The object in which at least one of them is found.</param>
    /// <param name="where">The object that is changed; the same one where nothing is named.</param>
    /// <param name="changes">What stands there when it is right, and what the test writes instead; further pairs of these.</param>
    public sealed class Case(string codes, string owner, string where, params string[] changes)
    {
        public string Codes => codes;

        public string Owner => owner;

        public string Changed => where.Length > 0 ? where : owner;

        public IEnumerable<(string Sound, string Fault)> Changes => changes.Chunk(2).Select(pair => (pair[0], pair[1]));

        public override string ToString() =>
            $"{codes} {owner}: {string.Join(" / ", Changes.Select(change => change.Fault.Trim().ReplaceLineEndings(" ")))}";
    }

    [Fact]
    public void Sound_manifests_have_no_findings() =>
        Assert.Equal(
            [],
            SoundManifests.Lint(SoundManifests.Text).Select(finding => $"{finding.Rule.Code} {finding.Place} {finding.Observed}")
        );

    [Fact]
    public void Sound_manifests_have_no_findings_in_production_or_without_a_catalog()
    {
        Assert.Empty(SoundManifests.Lint(SoundManifests.Text, isProduction: true));
        Assert.Empty(SoundManifests.Lint(SoundManifests.Text, catalog: null));
    }

    [Theory]
    [MemberData(nameof(Services))]
    [MemberData(nameof(Network))]
    [MemberData(nameof(Pods))]
    [MemberData(nameof(Images))]
    [MemberData(nameof(Security))]
    [MemberData(nameof(Probes))]
    [MemberData(nameof(Capacity))]
    [MemberData(nameof(References))]
    [MemberData(nameof(Clients))]
    [MemberData(nameof(Settings))]
    public void A_fault_is_found_under_its_code_and_nothing_else_is(Case fault)
    {
        var text = Put(fault);

        var findings = SoundManifests.Lint(text);

        Assert.Equal(
            fault.Codes.Split(' ').Order(StringComparer.Ordinal),
            findings.Select(finding => finding.Rule.Code).Distinct().Order(StringComparer.Ordinal)
        );
        Assert.Contains(findings, finding => finding.Object == fault.Owner);
        Assert.All(findings, finding => AssertWhole(finding, text));
    }

    [Fact]
    public void Where_no_policy_is_everybody_reaches_the_data()
    {
        var open = string.Join(
            "---\n",
            SoundManifests.Text.Split("---\n").Where(one => !one.Contains("kind: NetworkPolicy", StringComparison.Ordinal))
        );

        var findings = SoundManifests.Lint(open);

        Assert.All(findings, finding => Assert.Equal("ONG112", finding.Rule.Code));
        Assert.Equal(
            ["Deployment/billing True", "Deployment/redis-exporter True", "StatefulSet/redis False", "StatefulSet/sentinel False"],
            findings.Select(finding => $"{finding.Object} {finding.IsWarning}").Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void Every_rule_has_a_fault_that_it_finds()
    {
        var tried = (
            (IEnumerable<object[]>[])
                [Services(), Network(), Pods(), Images(), Security(), Probes(), Capacity(), References(), Clients(), Settings()]
        )
            .SelectMany(rows => rows)
            .SelectMany(row => ((Case)row[0]).Codes.Split(' '))
            .Append("ONG112")
            .ToHashSet(StringComparer.Ordinal);

        Assert.Equal([], LintRules.All.Select(rule => rule.Code).Where(code => !tried.Contains(code)));
    }

    public static IEnumerable<object[]> Services() =>
        Rows(
            new("ONG101", "Service/redis-metrics", Here, "selector: { app: redis-exporter }", "selector: { app: exporter }"),
            new("ONG102", "Service/redis-metrics", Here, "targetPort: metrics", "targetPort: 9122"),
            new("ONG102", "Service/billing", Here, "targetPort: http", "targetPort: https"),
            new("ONG103 ONG111", "Service/redis-headless", Here, "clusterIP: None", "clusterIP: None\n  type: NodePort"),
            new("ONG104", "StatefulSet/redis", Here, "serviceName: redis-headless", "serviceName: billing"),
            new("ONG104", "StatefulSet/sentinel", Here, "serviceName: sentinel", "serviceName: nobody"),
            new("ONG104 ONG105", "Service/redis-headless", Here, "  clusterIP: None\n", ""),
            new("ONG106", "Deployment/billing", Here, "matchLabels: { app: billing }", "matchLabels: { app: bills }")
        );

    public static IEnumerable<object[]> Network() =>
        Rows(
            new(
                "ONG110",
                "NetworkPolicy/redis",
                Here,
                Exporters,
                Exporters + "        - podSelector: { matchLabels: { tier: application } }\n"
            ),
            new("ONG110 ONG113", "NetworkPolicy/redis", Here, Exporters, "- podSelector: { matchLabels: { app: exporter } }\n"),
            new("ONG113", "NetworkPolicy/out", Here, "- { port: 6379, endPort: 26379 }", "- { port: 6379 }"),
            new("ONG114", "NetworkPolicy/redis", Here, Exporters, "- podSelector: {}\n"),
            new("ONG114", "NetworkPolicy/redis", Here, Exporters, Exporters + "        - namespaceSelector: {}\n"),
            new("ONG113 ONG115", "NetworkPolicy/billing", Here, "{ app: billing }", "{ app: bills }"),
            new(
                "ONG116",
                "NetworkPolicy/out",
                Here,
                "        - { protocol: UDP, port: 53 }\n        - { protocol: TCP, port: 53 }",
                "        - { protocol: TCP, port: 443 }"
            )
        );

    public static IEnumerable<object[]> Pods() =>
        Rows(
            new("ONG120", "Deployment/billing", Here, "      automountServiceAccountToken: false\n", ""),
            new(
                "ONG121",
                "Deployment/billing",
                Here,
                NotLinked + "\n",
                "enableServiceLinks: true\n",
                "- name: Mode\n",
                "- { name: BILLING_PORT, value: \"8080\" }\n            - name: Mode\n"
            ),
            new(
                "ONG122",
                "StatefulSet/sentinel",
                "PodDisruptionBudget/others",
                "[sentinel, billing, redis-exporter]",
                "[billing, redis-exporter]"
            ),
            new(
                "ONG122",
                "Deployment/redis-exporter",
                "PodDisruptionBudget/others",
                "[sentinel, billing, redis-exporter]",
                "[sentinel, billing]"
            ),
            new("ONG122 ONG123", "PodDisruptionBudget/redis", Here, "{ app: redis }", "{ app: rediss }"),
            new("ONG124", "PodDisruptionBudget/redis", Here, "maxUnavailable: 1", "minAvailable: 3"),
            new("ONG124", "PodDisruptionBudget/redis", Here, "maxUnavailable: 1", "maxUnavailable: 0"),
            new("ONG125", "HorizontalPodAutoscaler/billing", Here, "kind: Deployment, name: billing", "kind: Deployment, name: bills"),
            new("ONG125", "HorizontalPodAutoscaler/billing", Here, "kind: Deployment, name: billing", "kind: StatefulSet, name: redis"),
            new("ONG125", "HorizontalPodAutoscaler/billing", "Deployment/billing", "cpu: 100m, ", ""),
            new("ONG126", "StatefulSet/redis", Here, "podAntiAffinity:", "nodeAffinity:"),
            new("ONG127", "StatefulSet/redis", Here, "preStop:", "postStart:"),
            new("ONG128", "CronJob/tidy", Here, "  timeZone: Asia/Seoul\n", ""),
            new("ONG128", "CronJob/tidy", Here, "  concurrencyPolicy: Forbid\n", "")
        );

    public static IEnumerable<object[]> Images() =>
        Rows(
            new("ONG130", "Deployment/billing", Here, ":0.1.0@" + SoundManifests.Digest, ":0.1.0"),
            new("ONG130 ONG131", "Deployment/billing", Here, ":0.1.0@" + SoundManifests.Digest, ":latest"),
            new("ONG130 ONG131", "Deployment/billing", Here, ":0.1.0@" + SoundManifests.Digest, ""),
            new("ONG132", "Deployment/billing", Here, "shop/billing:0.1.0", "docker.io/bitnami/billing:0.1.0"),
            new("ONG133", "StatefulSet/redis", Here, "redis:7.2.5", "redis:6.2.14")
        );

    public static IEnumerable<object[]> Security() =>
        Rows(
            new("ONG140", "Deployment/billing", Here, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
            new("ONG140", "Deployment/billing", Here, "            readOnlyRootFilesystem: true\n", ""),
            new("ONG140", "Deployment/billing", Here, "runAsNonRoot: true", "runAsNonRoot: true\n        runAsUser: 0"),
            new("ONG141", "Deployment/billing", Here, "drop: [\"ALL\"]", "drop: [\"NET_RAW\"]"),
            new("ONG142", "Deployment/billing", Here, "type: RuntimeDefault", "type: Unconfined"),
            new("ONG143", "Deployment/billing", Here, "password=$(REDIS_PASSWORD)", "password=Hunter2Hunter2"),
            new(
                "ONG143",
                "Deployment/billing",
                Here,
                "- name: Mode\n",
                "- { name: Tokens__SigningKey, value: Hunter2Hunter2 }\n            - name: Mode\n"
            ),
            new("ONG143", "ConfigMap/billing-config", Here, "mode: normal", "mode: normal\n  api-key: Hunter2Hunter2"),
            new("ONG143", "ConfigMap/billing-config", Here, "\"BaseUrl\": \"http://billing:8080\"", "\"Password\": \"Hunter2Hunter2\""),
            new(
                "ONG143",
                "ConfigMap/redis-config",
                Here,
                "    port 26379\n",
                "    port 26379\n    sentinel auth-pass shop Hunter2Hunter2\n"
            ),
            new(
                "ONG143",
                "Service/billing",
                Here,
                "labels: { app: billing }",
                "labels: { app: billing }\n  annotations: { contact: \"https://kim:Hunter2Hunter2@example.org\" }"
            ),
            new(
                "ONG143",
                "CronJob/tidy",
                Here,
                "args: [\"audit\"]",
                "args: [\"audit\", \"redis://operator:Hunter2Hunter2@redis-0.redis-headless:6379\"]"
            ),
            new(
                "ONG144",
                "Secret/extra",
                "ConfigMap/billing-config",
                "apiVersion: v1\n",
                "apiVersion: v1\nkind: Secret\nmetadata: { name: extra, namespace: shop }\nstringData: { word: Hunter2Hunter2 }\n---\napiVersion: v1\n"
            ),
            new("ONG145", "Deployment/billing", Here, NotLinked, NotLinked + "\n      hostPID: true"),
            new("ONG145", "Deployment/billing", Here, "containerPort: 8080 }", "containerPort: 8080, hostPort: 8080 }"),
            new(
                "ONG145",
                "Deployment/billing",
                Here,
                "allowPrivilegeEscalation: false",
                "allowPrivilegeEscalation: false\n            privileged: true"
            ),
            new(
                "ONG145",
                "Deployment/billing",
                Here,
                "      volumes:\n",
                "      volumes:\n        - { name: logs, hostPath: { path: /var/log } }\n"
            )
        );

    public static IEnumerable<object[]> Probes() =>
        Rows(
            new(
                "ONG150",
                "Deployment/billing",
                Here,
                "          readinessProbe:\n            httpGet: { path: /health, port: 8080 }\n",
                ""
            ),
            new(
                "ONG151",
                "StatefulSet/redis",
                Here,
                "livenessProbe:\n            " + Alive,
                "livenessProbe:\n            tcpSocket: { port: redis }"
            ),
            new("ONG152", "StatefulSet/redis", Here, "redis-cli --user probe ping", "redis-cli -a \\\"$REDISCLI_AUTH\\\" ping"),
            new("ONG152", "ConfigMap/redis-config", Here, "redis-cli --user probe ping", "redis-cli --pass \"$P\" ping"),
            new(
                "ONG153",
                "StatefulSet/redis",
                Here,
                "          startupProbe:\n            " + Alive + "\n            failureThreshold: 60\n",
                ""
            ),
            new("ONG154", "StatefulSet/redis", "ConfigMap/redis-config", "PONG | LOADING* | BUSY* | MASTERDOWN*", "PONG"),
            new("ONG155", "Deployment/billing", Here, "port: 8080 }\n          securityContext", "port: 8081 }\n          securityContext"),
            new(
                "ONG155",
                "StatefulSet/sentinel",
                Here,
                "readinessProbe:\n            tcpSocket: { port: sentinel }",
                "readinessProbe:\n            tcpSocket: { port: redis }"
            )
        );

    public static IEnumerable<object[]> Capacity() =>
        Rows(
            new("ONG160", "StatefulSet/redis", Here, "cpu: 250m, memory: 640Mi", "cpu: 250m, memory: 256Mi"),
            new("ONG161", "StatefulSet/redis", Here, "limits: { memory: 640Mi }", "limits: { cpu: 500m, memory: 640Mi }"),
            new("ONG162", "StatefulSet/redis", Here, "limits: { memory: 640Mi }", "limits: { cpu: 4 }"),
            new(
                "ONG163",
                "StatefulSet/redis",
                Here,
                "cpu: 250m, memory: 640Mi",
                "cpu: 250m, memory: 512Mi",
                "limits: { memory: 640Mi }",
                "limits: { memory: 512Mi }"
            ),
            new(
                "ONG164",
                "ConfigMap/redis-config",
                "Deployment/billing",
                "- name: Mode\n",
                "- { name: Pool__MaxPoolSize, value: \"200\" }\n            - name: Mode\n"
            ),
            new("ONG165", "ConfigMap/redis-config", Here, "maxmemory 256mb", "maxmemory 128mb"),
            new("ONG166", "Deployment/billing", Here, "user=billing,password", "user=billing,keepAlive=300,password")
        );

    public static IEnumerable<object[]> References() =>
        Rows(
            new("ONG170", "StatefulSet/redis", Here, "mountPath: /etc/redis }", "mountPath: /etc/redis, subPath: redis.conf }"),
            new(
                "ONG132 ONG171",
                "StatefulSet/redis",
                Here,
                "image: redis:7.2.5",
                "image: bitnami/redis:7.2.5",
                "mountPath: /etc/redis }",
                "mountPath: /opt/bitnami/redis/etc }"
            ),
            new("ONG172", "StatefulSet/redis", Here, "mountPath: /data }", "mountPath: /elsewhere }"),
            new("ONG173", "StatefulSet/redis", Here, "- { name: acl, mountPath: /acl }", "- { name: users, mountPath: /acl }"),
            new("ONG180", "Deployment/billing", Here, "name: redis-credentials-billing", "name: billing-secret"),
            new("ONG180", "Deployment/billing", Here, "name: billing-config, key", "name: billing-settings, key"),
            new("ONG180", "Deployment/billing", Here, NotLinked, NotLinked + "\n      serviceAccountName: billing"),
            new("ONG181", "Deployment/billing", Here, "key: mode", "key: moods"),
            new(
                "ONG182",
                "ConfigMap/billing-config",
                Here,
                "apiVersion: v1\n",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: billing-config, namespace: shop }\ndata: { mode: other }\n---\napiVersion: v1\n"
            ),
            new("ONG183", "ServiceMonitor/redis", Here, "- port: metrics", "- port: http"),
            new("ONG183", "ServiceMonitor/redis", Here, "matchLabels: { app: redis-exporter }", "matchLabels: { app: exporter }")
        );

    public static IEnumerable<object[]> Clients() =>
        Rows(
            new("ONG190", "Deployment/redis-exporter", Here, "redis://redis-0.redis-headless.shop", "redis://redis.shop"),
            new("ONG190", "ConfigMap/billing-config", Here, "http://billing:8080", "http://bills:8080"),
            new("ONG190", "ConfigMap/billing-config", Here, "http://billing:8080", "http://billing:80"),
            new("ONG191", "Deployment/redis-exporter", Here, "redis://redis-0", "rediss://redis-0"),
            new("ONG191", "Deployment/redis-exporter", "ConfigMap/redis-config", "    port 6379\n", "    port 0\n    tls-port 6379\n"),
            new("ONG192", "Deployment/billing", Here, "user=billing,", "user=bill,"),
            new("ONG192", "Deployment/billing", Here, "user=billing,", "user=orders,"),
            new("ONG192", "Deployment/redis-exporter", Here, "            - { name: REDIS_USER, value: exporter }\n", ""),
            new("ONG192", "CronJob/tidy", Here, "onggi.io/client: operator", "onggi.io/client: tidy"),
            new("ONG193", "Deployment/billing", Here, "serviceName=shop,", "serviceName=shop,wrong=1,"),
            new("ONG194", "ConfigMap/redis-config", Here, "redis-headless 6379 2", "redis-headless 6379 1"),
            new("ONG194", "Deployment/billing", Here, "serviceName=shop,", "serviceName=mymaster,")
        );

    public static IEnumerable<object[]> Settings() =>
        Rows(
            new("ONG034", "ConfigMap/redis-config", Here, "    aclfile /acl/users.acl\n", "    # aclfile comes later\n"),
            new("ONG037 ONG166", "ConfigMap/redis-config", Here, "timeout 0", "timeout 10"),
            new(
                "ONG043",
                "ConfigMap/redis-config",
                Here,
                "timeout 0",
                "timeout 0\n    hash-max-ziplist-entries 512\n    zset-max-ziplist-value 64"
            ),
            new(
                "ONG060 ONG061",
                "ConfigMap/billing-config",
                Here,
                "mode: normal",
                "mode: normal\n  users.acl: |\n    user default on nopass ~* +@all\n    user billing on #0000 resetkeys -@all"
            )
        );

    /// <summary>A finding says all that a reader needs, and no secret.</summary>
    private static void AssertWhole(LintFinding finding, string text)
    {
        Assert.Matches(@"^shop\.yaml:\d+$", finding.Place);
        Assert.InRange(int.Parse(finding.Place.Split(':')[1], CultureInfo.InvariantCulture), 1, text.Split('\n').Length);
        Assert.All(
            (string[])[finding.Observed, finding.Fix, finding.Rule.Expected, finding.Rule.Why, finding.AsFinding().Link],
            said => Assert.False(string.IsNullOrWhiteSpace(said))
        );
        Assert.DoesNotContain("Hunter2", $"{finding.Observed} {finding.Fix}", StringComparison.Ordinal);
    }

    private static string Put(Case fault)
    {
        var owner = fault.Changed.Split('/');
        var documents = SoundManifests.Text.Split("---\n");
        var at = Array.FindIndex(
            documents,
            document =>
                document.Contains($"kind: {owner[0]}\n", StringComparison.Ordinal)
                && document.Contains($"metadata:\n  name: {owner[1]}\n", StringComparison.Ordinal)
        );
        foreach (var (sound, wrong) in fault.Changes)
        {
            Assert.Contains(sound, documents[at], StringComparison.Ordinal);
            var begin = documents[at].IndexOf(sound, StringComparison.Ordinal);
            documents[at] = string.Concat(documents[at].AsSpan(0, begin), wrong, documents[at].AsSpan(begin + sound.Length));
        }

        return string.Join("---\n", documents);
    }

    private static IEnumerable<object[]> Rows(params Case[] cases) => cases.Select(one => new object[] { one });
}
