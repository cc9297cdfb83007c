using Onggi.Cli.Deployment.Monitoring;
using Onggi.Testing;
using YamlDotNet.RepresentationModel;

namespace Onggi.DeployTests.Monitoring;

/// <summary>Development is off at night: nobody is called because of that, and of everything else as always.</summary>
public sealed class NightAlertTests
{
    private static readonly string[] Gone = ["RedisExporterDown", "RedisUnwatched", "OnggiServiceDown"];

    [ToolFact(Tools.Alertmanager)]
    public async Task At_night_it_is_not_told_that_development_is_gone()
    {
        await using var stack = await MonitoringStack.StartAlertmanagerAloneAsync(isNight: true);

        await stack.AlertAsync([.. Gone.Select(name => Labels(name, "dev")), .. Gone.Select(name => Labels(name, "production"))]);
        await stack.AlertAsync(Labels("RedisMemoryHigh", "dev"), Labels("RedisDown", "dev"));
        string[] expected = ["RedisMemoryHigh dev", "RedisDown dev", .. Gone.Select(name => $"{name} production")];
        await ToldAsync(stack, expected);
        // And once more, so that whatever was to be told of the first ones would have been.
        await stack.AlertAsync(Labels("RedisEvicting", "dev"));
        await ToldAsync(stack, "RedisEvicting dev");

        Assert.Equal(expected.Append("RedisEvicting dev").Order(StringComparer.Ordinal), Told(stack));
    }

    [ToolFact(Tools.Alertmanager)]
    public async Task By_day_it_is_told_to_whom_it_should()
    {
        await using var stack = await MonitoringStack.StartAlertmanagerAloneAsync(isNight: false);

        await stack.AlertAsync([.. Gone.Select(name => Labels(name, "dev"))]);
        await ToldAsync(stack, [.. Gone.Select(name => $"{name} dev")]);

        foreach (var told in stack.Webhook!.Told)
            Assert.Equal(told.Name == "RedisExporterDown" ? "on-call" : "team", told.Receiver);
    }

    // Of all alerts those that fire where there is nothing to be scraped.
    [Fact]
    public void What_is_silent_at_night_is_what_fires_when_everything_is_gone()
    {
        var gone = AlertPlan.Alerts(Kit.Development).Where(alert => alert.Expression.Contains("absent(", StringComparison.Ordinal));

        Assert.Equal(gone.Select(alert => alert.Name).Order(StringComparer.Ordinal), Gone.Order(StringComparer.Ordinal));
        var silent = Configuration()["route"]
            ["routes"]
            .AllNodes.OfType<YamlMappingNode>()
            .Where(route => Has(route, "mute_time_intervals"));
        foreach (var route in silent.ToList())
            Assert.Contains(
                $"alertname=~\"{string.Join('|', Gone)}\"",
                ((YamlSequenceNode)route["matchers"]).Select(matcher => ((YamlScalarNode)matcher).Value)
            );
        Assert.Equal(2, silent.Count());
    }

    internal static YamlMappingNode Configuration()
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(Kit.Text($"{Kit.Folder}/alertmanager.yaml"));
        yaml.Load(reader);
        return (YamlMappingNode)yaml.Documents[0].RootNode;
    }

    private static bool Has(YamlMappingNode node, string key) => node.Children.ContainsKey(new YamlScalarNode(key));

    private static Dictionary<string, string> Labels(string alert, string environment) =>
        new(StringComparer.Ordinal)
        {
            ["alertname"] = alert,
            ["environment"] = environment,
            // One for each, so that none silences another.
            ["system"] = alert,
            ["severity"] = alert is "RedisExporterDown" or "RedisDown" ? "critical" : "warning",
        };

    private static Task ToldAsync(MonitoringStack stack, params string[] alerts) =>
        Until.TrueAsync(() => !alerts.Except(Told(stack)).Any(), $"told are {string.Join(", ", alerts)}");

    private static IEnumerable<string> Told(MonitoringStack stack) =>
        stack.Webhook!.Told.Select(told => $"{told.Name} {told.Labels["environment"]}").Distinct().Order(StringComparer.Ordinal);
}
