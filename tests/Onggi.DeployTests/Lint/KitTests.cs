using Onggi.Cli.Deployment.Lint;
using Onggi.DeployTests.Kubernetes;
using Onggi.Keys;
using Built = Onggi.DeployTests.Kubernetes.Manifests;

namespace Onggi.DeployTests.Lint;

/// <summary>In our own kit the lint finds nothing, but for what is opted into and what cannot be known where there is no network.</summary>
public class KitTests
{
    // A digest can be looked up only where there is a network: onggi deploy pin. Development evicts, knowingly.
    private static readonly string[] Tolerated = ["ONG130", "ONG041"];

    [ToolTheory("kubectl")]
    [InlineData("dev", "dev")]
    [InlineData("production", "production")]
    public async Task An_overlay_has_no_findings(string overlay, string environment)
    {
        var findings = ManifestLint.Check(await ContextAsync(overlay, environment));

        Assert.Equal([], findings.Where(finding => !finding.IsWarning || !Tolerated.Contains(finding.Rule.Code)).Select(Say));
    }

    [ToolFact("kubectl")]
    public async Task The_opt_in_that_opens_a_port_of_nodes_says_what_it_opens()
    {
        var findings = ManifestLint.Check(await ContextAsync("dev-nodeport", "dev"));

        var found = Assert.Single(findings, finding => !finding.IsWarning);
        Assert.Equal(("ONG103", "Service/phonebill-redis-nodeport"), (found.Rule.Code, found.Object));
    }

    [ToolTheory("kubectl")]
    [InlineData("dev", "dev")]
    [InlineData("production", "production")]
    public async Task The_matrix_opens_what_is_needed_and_nothing_else(string overlay, string environment)
    {
        var ways = (await ContextAsync(overlay, environment)).Reachability.Ways;

        Assert.Equal([], ways.Where(way => way.IsBroken || way.IsUnwanted).Select(way => $"{way.From.Name} {way.To.Id}:{way.Port}"));
        foreach (var service in (string[])["auth", "users", "bill-inquiry", "product-change", "redis-exporter"])
            Assert.Contains(
                ways,
                way =>
                    way.From.Name == $"Deployment/{service}"
                    && way.To.Id == "StatefulSet/redis"
                    && way is { Port: 6379, IsOpen: true, Wanted: not null }
            );
        foreach (var way in ways.Where(way => way.IsData && way.From.Workload is null))
            Assert.False(way.IsOpen, $"{way.From.Name} {way.To.Id}:{way.Port}");
    }

    private static async Task<LintContext> ContextAsync(string overlay, string environment) =>
        new(new Cli.Deployment.Lint.Manifests(ManifestReader.Parse(overlay, (await Built.OfAsync(overlay)).Text)))
        {
            Keyspace = Keyspace.Load(Sources.Text("samples/PhoneBill/keyspace.json"), environment, null, null, needsSecret: false),
            IsProduction = environment == "production",
        };

    private static string Say(LintFinding finding) => $"{finding.Rule.Code} {finding.Place} {finding.Object}: {finding.Observed}";
}
