using System.Text.RegularExpressions;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>Commands on the pages that need a cluster: nobody runs them here, but what they name is in the manifests, in that namespace, and they can be said from the root of the repository.</summary>
public partial class GuideCommandTests
{
    private static readonly string[] Others =
    [
        "deploy/README.md",
        "docs/operations/deploy-kubernetes.md",
        "docs/operations/high-availability.md",
        "docs/operations/runbook.md",
    ];

    private static readonly Dictionary<string, string> Kinds = new()
    {
        ["statefulset"] = "StatefulSet",
        ["deployment"] = "Deployment",
        ["deploy"] = "Deployment",
        ["cronjob"] = "CronJob",
        ["service"] = "Service",
        ["svc"] = "Service",
    };

    [ToolFact("kubectl")]
    public async Task What_a_command_names_is_in_the_namespace_that_it_names()
    {
        var (faults, looked) = (new List<string>(), 0);
        foreach (var page in Sources.Files("docs/guide", ".md").Concat(Others))
        foreach (Match command in Kubectl().Matches(Sources.Text(page)))
        {
            var space = Space().Match(command.Value).Groups["space"].Value;
            if (space is not ("phonebill" or "phonebill-dev"))
                continue;
            var all = await Manifests.OfAsync(space == "phonebill" ? Manifests.Production : Manifests.Dev);
            foreach (Match thing in Thing().Matches(command.Value))
            {
                looked++;
                var (kind, name) = (Kinds[thing.Groups["kind"].Value], thing.Groups["name"].Value);
                if (!all.Of(kind).Any(found => Manifests.NameOf(found) == name))
                    faults.Add($"{page}: {space} has no {kind}/{name}: {command.Value}");
            }

            foreach (Match pod in Pod().Matches(command.Value))
            {
                looked++;
                var (set, number) = (pod.Groups["set"].Value, int.Parse(pod.Groups["number"].Value));
                if (!all.Of("StatefulSet").Any(found => Manifests.NameOf(found) == set && int.Parse(found.Text("spec.replicas")) > number))
                    faults.Add($"{page}: {space} has no pod {pod.Value.Trim()}: {command.Value}");
            }
        }

        Assert.True(faults.Count == 0, string.Join('\n', faults));
        Assert.True(looked > 60, $"Only {looked} names were found.");
    }

    [Fact]
    public void Commands_for_a_cluster_name_the_catalog_and_files_that_are_there()
    {
        var faults = new List<string>();
        foreach (var page in Sources.Files("docs/guide", ".md").Concat(Others))
        foreach (Match block in Block().Matches(Sources.Text(page)))
        {
            foreach (Match tool in Tool().Matches(block.Value.Replace("\\\n", " ", StringComparison.Ordinal)))
                if (!tool.Value.Contains("samples/PhoneBill/keyspace.json", StringComparison.Ordinal))
                    faults.Add($"{page}: there is no keyspace.json in the root of the repository: {tool.Value}");
            foreach (Match file in Named().Matches(block.Value))
                if (!Path.Exists(Sources.PathOf(file.Value)))
                    faults.Add($"{page}: there is no {file.Value}");
        }

        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    [Fact]
    public void Who_looks_after_production_sees_the_backups()
    {
        var pod = Manifests.Parse(Sources.Text("deploy/kubernetes/tools/operator-production.yaml")).Pods().Single().Pod;
        var mount = pod.Named("spec.containers", "onggi").Items("volumeMounts").Single(one => one.Text("mountPath") == "/backups");

        Assert.Equal("true", mount.Text("readOnly"));
        Assert.Equal("backups", pod.Named("spec.volumes", mount.Text("name")).Text("persistentVolumeClaim.claimName"));
        Assert.Contains(
            Yaml.Documents(Sources.Text("deploy/kubernetes/overlays/production/jobs/volumes.yaml")),
            claim => Manifests.NameOf(claim) == "backups"
        );
    }

    [GeneratedRegex(@"kubectl [^\n`|]*", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Kubectl();

    [GeneratedRegex(@" (-n|--namespace) (?<space>[\w-]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Space();

    [GeneratedRegex(
        @"\b(?<kind>statefulset|deployment|deploy|cronjob|service|svc)[/ ](?<name>[a-z][a-z0-9-]+)(?![\w/-])",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Thing();

    [GeneratedRegex(@" (?<set>redis|sentinel)-(?<number>\d+)\b", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Pod();

    [GeneratedRegex(@"^ *# in the cluster\b.*?^ *```$", RegexOptions.Multiline | RegexOptions.Singleline, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Block();

    [GeneratedRegex(@"\bonggi deploy [^\n|]*", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Tool();

    [GeneratedRegex(@"\b(deploy|samples)/[\w./-]*\w", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Named();
}
