using System.Diagnostics;
using System.Text.RegularExpressions;
using Onggi.Cli.Deployment.Monitoring;
using Onggi.Testing;

namespace Onggi.DeployTests.Monitoring;

/// <summary>Every query of every dashboard gives data where there is something to be seen, and every series of a rule is one that the exporter shows.</summary>
[Collection(LiveAlertTests.Live)]
public sealed partial class LiveDashboardTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    [ToolFact(Tools.Exporter, Tools.Prometheus)]
    public async Task Every_query_gives_data_and_every_command_of_the_runbook_runs()
    {
        var folder = Directory.CreateTempSubdirectory("onggi-monitoring-tests");
        try
        {
            var catalog = Path.Combine(folder.FullName, "keyspace.json");
            await File.WriteAllTextAsync(catalog, BusyService.Catalog());
            await using var team = await TeamRedis.MakeAsync(catalog);
            var primary = await team.StartAsync(
                "--appendonly",
                "yes",
                "--latency-monitor-threshold",
                "1",
                "--slowlog-log-slower-than",
                "100"
            );
            var replica = await team.StartAsync("--replicaof", $"127.0.0.1 {primary.Port}");
            var textfile = folder.CreateSubdirectory("textfile").FullName;
            await using var service = await BusyService.StartAsync($"127.0.0.1:{primary.Port},user=breaker,password=breaker", textfile);
            var redis = $"127.0.0.1:{primary.Port},user=operator,password={team.PasswordOf("operator")}";
            await Until.TrueAsync(() => service.Rounds > 2, "there is something to audit", Bound);
            await WriteTextfilesAsync(catalog, redis, folder.FullName, textfile);
            await using var stack = await MonitoringStack.StartAsync(
                team.PasswordOf("exporter"),
                catalog,
                [("primary", $"{primary.Port}", "all"), ("replica", $"{replica.Port}", "all")],
                [("phonebill", service.Address, "/metrics"), ("textfile", service.Address, "/textfile")],
                alerts: false
            );

            await AssertDataAsync(stack);
            await AssertSeriesAsync(stack, primary, replica);
            await AssertRunbookAsync(catalog, redis);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // As the jobs do it: the audit, a proven backup, and what both say of themselves.
    private static async Task WriteTextfilesAsync(string catalog, string redis, string folder, string textfile)
    {
        string[] connection = ["--catalog", catalog, "--redis", redis];
        var audited = await Kit.RunAsync(["audit", "--metrics", Path.Combine(textfile, "onggi_audit.prom"), .. connection]);
        Assert.True(audited.Code is 0 or 1, audited.Output);
        var backups = Path.Combine(folder, "backups");
        Directory.CreateDirectory(backups);
        var saved = await Kit.RunAsync(["backup", "create", "--out", backups, .. connection]);
        Assert.True(saved.Code == 0, saved.Output);
        var told = await Kit.RunAsync("backup", "metrics", backups, "--out", Path.Combine(textfile, "onggi_backup.prom"));
        Assert.True(told.Code == 0, told.Output);
    }

    private static async Task AssertDataAsync(MonitoringStack stack)
    {
        var open = Directory
            .GetFiles(Kit.PathOf($"{Kit.Folder}/grafana"), "*.json")
            .SelectMany(file =>
                Expressions
                    .OfDashboard(File.ReadAllText(file))
                    .Select(query => (Where: $"{Path.GetFileName(file)}, {query.Panel}", query.Expression))
            )
            .ToList();
        Assert.True(open.Count > 80, $"Only {open.Count} queries were found.");
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(500))
        {
            var empty = new List<(string Where, string Expression)>();
            foreach (var query in open)
                if (
                    !HasData(
                        await stack.AskAsync(
                            Variable().Replace(query.Expression, match => match.Value == "$__rate_interval" ? "10s" : ".*")
                        )
                    )
                )
                    empty.Add(query);
            if (empty.Count == 0)
                return;
            Assert.True(
                watch.Elapsed < Bound,
                $"These give no data:\n{string.Join('\n', empty.Select(query => $"{query.Where}: {query.Expression}"))}"
            );
            open = empty;
        }
    }

    // A division by nothing is no data.
    private static bool HasData(IReadOnlyList<(string Labels, string Value)> series) => series.Any(one => one.Value != "NaN");

    private static async Task AssertSeriesAsync(MonitoringStack stack, RedisServerProcess primary, RedisServerProcess replica)
    {
        var shown = string.Concat(await stack.PageAsync(primary.Port), await stack.PageAsync(replica.Port))
            .Split('\n')
            .Where(line => line.StartsWith("redis_", StringComparison.Ordinal))
            .Select(line => line.Split('{', ' ')[0])
            .ToHashSet(StringComparer.Ordinal);

        var unknown = Expressions.All().Where(name => name.StartsWith("redis_", StringComparison.Ordinal)).Except(shown).ToList();
        Assert.True(unknown.Count == 0, $"The exporter does not show {string.Join(", ", unknown)}.");
        // What the rules make of the catalog is there, too.
        Assert.NotEmpty(await stack.AskAsync(FamilyRules.Info));
        Assert.NotEmpty(await stack.AskAsync(FamilyRules.ShareBytes));
        Assert.NotEmpty(await stack.AskAsync(FamilyRules.RestBytes));
    }

    private static async Task AssertRunbookAsync(string catalog, string redis)
    {
        var commands = Look()
            .Matches(Kit.Text(Kit.Runbook))
            .SelectMany(line => Command().Matches(line.Value))
            .Select(match => match.Groups["arguments"].Value)
            .Distinct()
            .ToList();
        Assert.True(commands.Count > 8, $"Only {commands.Count} commands were found.");
        foreach (var command in commands)
        {
            string[] words = [.. command.Split(' '), "--redis", redis];
            string[] needsCatalog = ["audit", "acl", "locks"];
            if (needsCatalog.Contains(words[0]))
                words = [.. words, "--catalog", catalog];
            var (code, output) = await Kit.RunAsync(words);
            Assert.True(code is 0 or 1, $"onggi {command}: {output}");
        }
    }

    [GeneratedRegex(@"\$\w+", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Variable();

    [GeneratedRegex(@"^\*\*Look\*\*.*$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Look();

    [GeneratedRegex("`onggi (?<arguments>[a-z][^`]*)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Command();
}
