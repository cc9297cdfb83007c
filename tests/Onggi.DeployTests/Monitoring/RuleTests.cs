using System.Text.RegularExpressions;
using Onggi.Cli.Auditing;
using Onggi.Cli.Deployment.Monitoring;
using YamlDotNet.RepresentationModel;

namespace Onggi.DeployTests.Monitoring;

/// <summary>Rules are what Prometheus takes, fire when they should, do not when they should not, and lead to a page that helps.</summary>
public sealed partial class RuleTests
{
    [ToolFact(Tools.Promtool)]
    public async Task Promtool_takes_the_rules_and_the_configuration()
    {
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            var production = Path.Combine(folder.FullName, "production.yaml");
            await File.WriteAllTextAsync(production, ProductionRules());
            string[][] questions =
            [
                ["check", "rules", Kit.PathOf($"{Kit.Folder}/rules/onggi-rules.yaml"), production],
                ["check", "config", Kit.PathOf($"{Kit.Folder}/prometheus.yaml")],
            ];
            foreach (var question in questions)
            {
                var (code, output) = await Tools.RunAsync(Tools.Promtool, question);
                Assert.True(code == 0, output);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [ToolFact(Tools.Promtool)]
    public async Task Every_alert_of_development_does_as_its_cases_say()
    {
        var (code, output) = await Tools.RunAsync(
            Tools.Promtool,
            "test",
            "rules",
            Kit.PathOf($"{Kit.Folder}/rules/tests/development.yaml")
        );

        Assert.True(code == 0, output);
    }

    [ToolFact(Tools.Promtool)]
    public async Task Every_alert_of_production_does_as_its_cases_say()
    {
        // Production's rules lie in an object of Kubernetes; promtool reads them from a plain file beside the cases.
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "production-rules.yaml"), ProductionRules());
            var cases = Path.Combine(folder.FullName, "production.yaml");
            File.Copy(Kit.PathOf($"{Kit.Folder}/rules/tests/production.yaml"), cases);

            var (code, output) = await Tools.RunAsync(Tools.Promtool, "test", "rules", cases);

            Assert.True(code == 0, output);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // An alert of which a case says that it fires, and none that it does not, may fire always.
    [Fact]
    public void Every_alert_has_a_case_that_fires_and_one_that_does_not()
    {
        var (development, production) = (CasesOf("development.yaml"), CasesOf("production.yaml"));
        foreach (var alert in AlertPlan.Alerts(Kit.Development))
        {
            Assert.True(development[alert.Name].Contains(true), $"{alert.Name} has no case in which it fires.");
            Assert.True(development[alert.Name].Contains(false), $"{alert.Name} has no case in which it does not fire.");
        }

        // What production has of its own, or says otherwise.
        var same = AlertPlan.Alerts(Kit.Development).ToDictionary(alert => alert.Name);
        foreach (var alert in AlertPlan.Alerts(Kit.Production))
        {
            if (same.TryGetValue(alert.Name, out var other) && WithoutEnvironment(other) == WithoutEnvironment(alert))
                continue;
            Assert.True(production[alert.Name].Contains(true), $"{alert.Name} of production has no case in which it fires.");
            Assert.True(production[alert.Name].Contains(false), $"{alert.Name} of production has no case in which it does not fire.");
        }
    }

    [Fact]
    public void Every_alert_says_what_was_seen_and_what_to_do()
    {
        foreach (var alert in Kit.Alerts())
        {
            Assert.True(alert.Summary.Length is > 10 and < 120, alert.Name);
            Assert.True(alert.Action.Length > 20, alert.Name);
            // The value, or that there is nothing to be seen.
            Assert.True(
                alert.Description.Contains("$value", StringComparison.Ordinal)
                    || alert.Expression.Contains("absent(", StringComparison.Ordinal),
                $"{alert.Name} does not tell what was seen."
            );
        }
    }

    [Fact]
    public void The_runbook_has_a_section_for_each_alert_and_none_besides()
    {
        var text = Kit.Text(Kit.Runbook);
        var sections = Section().Matches(text).ToDictionary(match => match.Groups["name"].Value, match => match.Groups["body"].Value);
        var names = Kit.Alerts().Select(alert => alert.Name).ToList();

        Assert.Equal(names.Order(StringComparer.Ordinal), sections.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, body) in sections)
        foreach (var part in (string[])["**Means**", "**Look**", "**Do**"])
            Assert.True(body.Contains(part, StringComparison.Ordinal), $"The section {name} of the runbook lacks {part}.");
    }

    // The exporter's own series are compared with its page in the live test.
    [Fact]
    public void Series_of_the_library_and_the_tool_are_those_that_they_show()
    {
        var page = Kit.Text("docs/features/metrics.md");
        var known = Documented().Matches(page).Select(match => match.Groups["name"].Value).ToHashSet(StringComparer.Ordinal);
        known.UnionWith([
            AuditMetrics.Timestamp,
            AuditMetrics.Keys,
            AuditMetrics.FamilyBytes,
            AuditMetrics.Findings,
            AuditMetrics.Refusals,
        ]);
        known.UnionWith([FamilyRules.Info, FamilyRules.ShareBytes, FamilyRules.RestBytes]);

        var unknown = Expressions
            .All()
            .Where(name => !name.StartsWith("redis_", StringComparison.Ordinal) && name != "up")
            .Where(name => !known.Contains(name) && !known.Contains(HistogramEnd().Replace(name, "")))
            .ToList();

        Assert.Empty(unknown);
    }

    [ToolFact(Tools.Amtool)]
    public async Task Amtool_takes_the_configuration_of_the_alert_manager()
    {
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            // Files with addresses are new in 0.26; Debian's 0.25 wants the address itself.
            var file = Path.Combine(folder.FullName, "alertmanager.yaml");
            var text = Kit.Text($"{Kit.Folder}/alertmanager.yaml");
            Assert.Equal(2, UrlFile().Count(text));
            await File.WriteAllTextAsync(file, UrlFile().Replace(text, "url: http://127.0.0.1:1/"));

            var (code, output) = await Tools.RunAsync(Tools.Amtool, "check-config", file);
            Assert.True(code == 0, output);
            (string[] Labels, string Receiver)[] routes =
            [
                (["severity=critical"], "on-call"),
                (["severity=warning"], "team"),
                ([], "team"),
            ];
            foreach (var (labels, receiver) in routes)
            {
                (code, output) = await Tools.RunAsync(Tools.Amtool, ["config", "routes", "test", $"--config.file={file}", .. labels]);
                // It warns of what it was told to do.
                Assert.Equal((0, receiver), (code, output.Split('\n')[0]));
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The groups of the committed object, as a plain file.</summary>
    private static string ProductionRules()
    {
        var lines = Kit.Text(Kit.Resource).Split('\n');
        var groups = lines.SkipWhile(line => line != "  groups:").Select(line => line.Length > 2 ? line[2..] : line);
        return string.Join('\n', groups);
    }

    /// <summary>Whether the cases of each alert fire.</summary>
    private static ILookup<string, bool> CasesOf(string file)
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(Kit.Text($"{Kit.Folder}/rules/tests/{file}"));
        yaml.Load(reader);
        return ((YamlSequenceNode)yaml.Documents[0].RootNode["tests"])
            .SelectMany(test => (YamlSequenceNode)test["alert_rule_test"])
            .ToLookup(one => ((YamlScalarNode)one["alertname"]).Value!, one => ((YamlSequenceNode)one["exp_alerts"]).Children.Count > 0);
    }

    private static AlertRule WithoutEnvironment(AlertRule alert) =>
        alert with
        {
            Expression = alert.Expression.Replace("production", "dev", StringComparison.Ordinal),
        };

    [GeneratedRegex(
        @"^### (?<name>\w+)\n(?<body>(?:(?!^#).*\n)*)",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 2_000
    )]
    private static partial Regex Section();

    [GeneratedRegex("`(?<name>(onggi|db)_[a-z_]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Documented();

    [GeneratedRegex("_(bucket|count|sum)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex HistogramEnd();

    [GeneratedRegex("url_file: .*", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    internal static partial Regex UrlFile();
}
