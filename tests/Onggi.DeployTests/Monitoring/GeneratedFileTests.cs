using System.Text.Json;
using Onggi.Cli.Deployment.Monitoring;

namespace Onggi.DeployTests.Monitoring;

/// <summary>What the tool makes from the catalog lies in the repository as it makes it.</summary>
public sealed class GeneratedFileTests
{
    [Fact]
    public async Task Rules_and_dashboards_of_development_are_as_the_catalog_says()
    {
        var (code, output) = await Kit.RunAsync(
            "deploy",
            "monitoring",
            "--catalog",
            Kit.PathOf(Kit.Catalog),
            "--out",
            Kit.PathOf(Kit.Folder),
            "--check"
        );

        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task Rules_of_production_are_as_the_catalog_says()
    {
        var (code, output) = await Kit.RunAsync(
            "deploy",
            "monitoring",
            "--catalog",
            Kit.PathOf(Kit.Catalog),
            "--environment",
            "production",
            "--production",
            "--prometheus-rule",
            Kit.PathOf(Kit.Resource),
            "--check"
        );

        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task A_file_that_was_changed_or_is_missing_is_told()
    {
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            string[] command = ["deploy", "monitoring", "--catalog", Kit.PathOf(Kit.Catalog), "--out", folder.FullName];
            Assert.Equal(0, (await Kit.RunAsync(command)).Code);
            Assert.Equal(0, (await Kit.RunAsync([.. command, "--check"])).Code);

            await File.AppendAllTextAsync(Path.Combine(folder.FullName, "rules/onggi-rules.yaml"), "# mine\n");
            File.Delete(Path.Combine(folder.FullName, "grafana/cache.json"));

            var (code, output) = await Kit.RunAsync([.. command, "--check"]);
            Assert.Equal(1, code);
            Assert.Contains("rules/onggi-rules.yaml is not as the catalog says", output, StringComparison.Ordinal);
            Assert.Contains("grafana/cache.json is not as the catalog says", output, StringComparison.Ordinal);
            Assert.DoesNotContain("sessions.json", output, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Shares_owners_and_limits_come_from_the_catalog()
    {
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            var catalog = Path.Combine(folder.FullName, "keyspace.json");
            await File.WriteAllTextAsync(
                catalog,
                """
                {
                  "system": "shop", "environment": "test", "memory": { "limit": "100mb" }, "services": { "front": {} },
                  "families": {
                    "basket": { "key": "basket:{id}", "value": "string", "owner": "front", "share": "25%" },
                    "price": { "key": "price:{id}", "value": "string" }
                  }
                }
                """
            );
            var (code, output) = await Kit.RunAsync(
                "deploy",
                "monitoring",
                "--catalog",
                catalog,
                "--out",
                folder.FullName,
                "--runbook",
                "https://wiki/runbook"
            );
            Assert.True(code == 0, output);

            var rules = await File.ReadAllTextAsync(Path.Combine(folder.FullName, "rules/onggi-rules.yaml"));
            Assert.Contains("expr: 'vector(26214400)'", rules, StringComparison.Ordinal);
            Assert.Contains("expr: 'vector(78643200)'", rules, StringComparison.Ordinal);
            Assert.Contains("onggi_family: 'basket'\n          kind: 'cache'\n          owner: 'front'", rules, StringComparison.Ordinal);
            Assert.Contains("redis_memory_max_bytes{job=\"redis\"} != 104857600", rules, StringComparison.Ordinal);
            Assert.Contains("job=\"shop\"", rules, StringComparison.Ordinal);
            Assert.Contains("runbook_url: 'https://wiki/runbook#redisdown'", rules, StringComparison.Ordinal);
            // Nothing but caches: evictions lose nothing.
            Assert.DoesNotContain("alert: RedisEvictsState", rules, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // Where people read it nobody knows but they: an address that was made up would be worse than none.
    [Theory]
    [InlineData(null, "docs/operations/runbook.md", true)]
    [InlineData("wiki/runbook", "wiki/runbook", true)]
    [InlineData("https://wiki/runbook", "https://wiki/runbook", false)]
    public async Task A_link_that_cannot_be_clicked_is_said(string? runbook, string page, bool isSaid)
    {
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            string[] command = ["deploy", "monitoring", "--catalog", Kit.PathOf(Kit.Catalog), "--out", folder.FullName];
            var (code, output) = await Kit.RunAsync(runbook is null ? command : [.. command, "--runbook", runbook]);

            Assert.True(code == 0, output);
            Assert.Equal(isSaid, output.Contains("nobody can click", StringComparison.Ordinal));
            var rules = await File.ReadAllTextAsync(Path.Combine(folder.FullName, "rules/onggi-rules.yaml"));
            Assert.Contains($"runbook_url: '{page}#redisdown'", rules, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // Elsewhere somebody else sees to it: a Sentinel that was never there must not be missed for ever.
    [Theory]
    [InlineData(2, true)]
    [InlineData(0, false)]
    public void A_Sentinel_is_missed_where_there_are_replicas(int replicas, bool isMissed) =>
        Assert.Equal(
            isMissed,
            AlertPlan.Alerts(Kit.Production with { Replicas = replicas }).Any(alert => alert.Name == "RedisSentinelDown")
        );

    [Theory]
    [InlineData("--window", "10")]
    [InlineData("--for", "soon")]
    [InlineData("--for", "0s")]
    public async Task What_is_no_time_is_refused(string option, string value)
    {
        var (code, output) = await Kit.RunAsync(
            "deploy",
            "monitoring",
            "--catalog",
            Kit.PathOf(Kit.Catalog),
            "--out",
            "/nowhere",
            option,
            value
        );

        Assert.Equal(2, code);
        Assert.Contains("is no time of Prometheus", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Readiness_finds_them()
    {
        var (_, output) = await Kit.RunAsync(
            "verify",
            "--category",
            "readiness",
            "--readiness",
            Kit.PathOf("."),
            "--catalog",
            Kit.PathOf(Kit.Catalog),
            "--redis",
            "127.0.0.1:1,connectTimeout=300",
            "--json"
        );

        var observed = JsonElement
            .Parse(output)
            .GetProperty("checks")
            .EnumerateArray()
            .ToDictionary(check => check.GetProperty("code").GetString()!, check => check.GetProperty("observed").GetString());
        Assert.StartsWith("deploy/monitoring/grafana/", observed["ONG071"], StringComparison.Ordinal);
        Assert.EndsWith("rules.yaml", observed["ONG072"], StringComparison.Ordinal);
    }

    [Fact]
    public void Dashboards_can_be_imported()
    {
        var files = Directory.GetFiles(Kit.PathOf($"{Kit.Folder}/grafana"), "*.json");
        var uids = new List<string>();
        foreach (var file in files)
        {
            var dashboard = JsonElement.Parse(File.ReadAllText(file));
            uids.Add(dashboard.GetProperty("uid").GetString()!);
            // Grafana takes 40 characters.
            Assert.InRange(uids[^1].Length, 1, 40);
            var variables = dashboard.GetProperty("templating").GetProperty("list").EnumerateArray().ToList();
            Assert.Equal("datasource", variables[0].GetProperty("type").GetString());
            var names = variables.ConvertAll(variable => "$" + variable.GetProperty("name").GetString());
            var panels = dashboard.GetProperty("panels").EnumerateArray().ToList();
            Assert.Equal(panels.Count, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
            foreach (var panel in panels.Where(panel => panel.TryGetProperty("targets", out _)))
            {
                Assert.Equal("${datasource}", panel.GetProperty("datasource").GetProperty("uid").GetString());
                var place = panel.GetProperty("gridPos");
                Assert.InRange(place.GetProperty("x").GetInt32() + place.GetProperty("w").GetInt32(), 1, 24);
                foreach (var target in panel.GetProperty("targets").EnumerateArray())
                {
                    Assert.Equal("${datasource}", target.GetProperty("datasource").GetProperty("uid").GetString());
                    foreach (var word in target.GetProperty("expr").GetString()!.Split('"', '[', ']').Where(word => word.StartsWith('$')))
                        Assert.True(word == "$__rate_interval" || names.Contains(word), $"{file} knows no {word}.");
                }
            }
        }

        Assert.Equal(5, files.Length);
        Assert.Equal(5, uids.Distinct().Count());
    }
}
