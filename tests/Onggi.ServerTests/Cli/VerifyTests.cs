using System.Text.Json;
using System.Xml.Linq;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary><c>onggi verify</c> on a good Redis, on none, and told to do other things.</summary>
public sealed class VerifyTests
{
    [Fact]
    public async Task A_server_with_our_settings_and_users_is_well_and_its_files_too()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("SET", "dev:bill:1", "{}", "EX", "100");

        // A busy machine can miss the goals of speed for a moment.
        var (code, output, error) = await server.RunAsync(
            "verify",
            "--wait",
            "60s",
            "--pre",
            "--probe-writes",
            "--conf",
            server.ConfFile,
            "--acl",
            server.AclFile,
            "--secrets",
            server.SecretsFolder,
            "--json"
        );

        Assert.True(code == 0, output + error);
        var checks = Checks(output);
        Assert.DoesNotContain(checks.Values, state => state is "finding" or "failed");
        foreach (
            var check in (string[])["ONG003", "ONG004", "ONG006", "ONG007", "ONG009", "ONG016", "ONG022", "ONG023", "ONG060", "ONG061"]
        )
            Assert.Equal("ok", checks[check]);
        // Development evicts, knowingly: that is the one warning, in the file and in force.
        Assert.Equal(["ONG030–ONG051", "ONG035–ONG051"], checks.Where(check => check.Value == "warning").Select(check => check.Key));
        Assert.Equal("1", await server.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task It_changes_nothing_unless_it_is_asked_to()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("SET", "dev:bill:1", "{}", "EX", "1000");
        var before = await WritesAsync(server);

        Assert.Equal(0, (await server.RunAsync("verify", "--wait", "60s")).Code);
        var idle = await WritesAsync(server);
        Assert.Equal(0, (await server.RunAsync("verify", "--probe-writes", "--category", "keys")).Code);

        Assert.Equal(before, idle);
        Assert.Equal(2, await WritesAsync(server) - before);
        Assert.Equal("1", await server.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task A_server_that_shares_one_password_is_well_enough_for_development_and_not_for_production()
    {
        await using var server = await ToolServer.StartAsync();
        await using var shared = await RedisServerProcess.StartAsync(
            new RedisServerSettings
            {
                Password = "Hunter2Hunter2",
                Flags = ["--databases", "1", "--maxmemory", "512mb", "--tcp-keepalive", "60", "--maxclients", "1000"],
            }
        );

        var development = await server.RunAsync("verify", "--wait", "60s", "--redis", shared.ConnectionString);
        var production = await server.RunAsync("verify", "--production", "--redis", shared.ConnectionString);

        Assert.Equal((0, 1), (development.Code, production.Code));
        Assert.Contains("ONG005 warning", development.Output, StringComparison.Ordinal);
        Assert.Contains("means nothing without ONG005", development.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(
            "Hunter2",
            development.Output + development.Error + production.Output + production.Error,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Who_is_not_there_is_told_and_what_depends_on_him_is_skipped()
    {
        await using var server = await ToolServer.StartAsync();

        var (code, output, _) = await server.RunAsync(
            "verify",
            "--live",
            "--json",
            "--redis",
            $"127.0.0.1:{LoopbackPorts.Free()},connectTimeout=500"
        );

        Assert.Equal(2, code);
        var checks = Checks(output);
        Assert.Equal("failed", checks["ONG001"]);
        Assert.All(checks.Where(check => check.Key != "ONG001"), check => Assert.Equal("skipped", check.Value));
    }

    [Fact]
    public async Task A_wrong_password_is_told_and_not_repeated()
    {
        await using var server = await ToolServer.StartAsync();

        var (code, output, error) = await server.RunAsync(
            "verify",
            "--redis",
            $"127.0.0.1:{server.Redis.Port},user=operator,password=Hunter2Hunter2"
        );

        Assert.Equal(2, code);
        Assert.Contains("refused the password of user 'operator'", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Hunter2", output + error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_may_not_ask_is_told_to_log_in_as_the_operator()
    {
        await using var server = await ToolServer.StartAsync();

        var (code, output, _) = await server.RunAsync("verify", "--category", "access", "--redis", server.ConnectionOf("front"));

        Assert.Equal(2, code);
        Assert.Contains("Log in as the operator", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_that_nobody_knows_is_not_called_out_of_reach()
    {
        await using var server = await ToolServer.StartAsync();

        var (code, output, _) = await server.RunAsync("verify", "--outside", "--redis", "redis.invalid:6379");

        Assert.Equal(2, code);
        Assert.Contains("nobody knows this name", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_waits_until_all_is_well()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("ACL", "SETUSER", "front", "+flushdb");
        var waiting = server.RunAsync("verify", "--category", "access", "--wait", "60s");
        Assert.False(waiting.IsCompleted);

        await server.CommandAsync("ACL", "SETUSER", "front", "-flushdb");
        var (code, output, _) = await waiting;

        Assert.Equal(0, code);
        Assert.DoesNotContain("ONG007 127", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_still_wrong_when_the_wait_is_over_is_told()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("ACL", "SETUSER", "front", "+flushdb");

        var (code, output, error) = await server.RunAsync("verify", "--category", "access", "--wait", "2s");

        Assert.Equal(1, code);
        Assert.Contains("not yet: ONG007", error, StringComparison.Ordinal);
        Assert.Contains("front may FLUSHDB", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_decided_to_be_lived_with_is_no_finding_until_its_day()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("ACL", "SETUSER", "front", "+flushdb");
        var file = server.PathOf("lived.json");
        await File.WriteAllTextAsync(
            file,
            """{ "suppressions": [ { "code": "ONG007", "where": "user front", "reason": "until the old batch is gone", "until": "2999-12-31" } ] }"""
        );
        var lived = await server.RunAsync("verify", "--category", "access", "--suppressions", file);
        await File.WriteAllTextAsync(
            file,
            """{ "suppressions": [ { "code": "ONG007", "reason": "until the old batch is gone", "until": "2020-12-31" } ] }"""
        );
        var expired = await server.RunAsync("verify", "--category", "access", "--suppressions", file);
        await File.WriteAllTextAsync(file, """{ "suppressions": [ { "code": "ONG007", "until": "2999-12-31" } ] }""");
        var unreasoned = await server.RunAsync("verify", "--category", "access", "--suppressions", file);

        Assert.Equal((0, 1, 2), (lived.Code, expired.Code, unreasoned.Code));
        Assert.Contains("1 suppressed", lived.Output, StringComparison.Ordinal);
        Assert.Contains("ONG029", expired.Output, StringComparison.Ordinal);
        Assert.Contains("ONG007", expired.Output, StringComparison.Ordinal);
        Assert.Contains("lacks \"reason\"", unreasoned.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Slow_answers_miss_the_goals()
    {
        await using var server = await ToolServer.StartAsync();
        await using var proxy = FaultProxy.Start(server.Redis.Port);
        proxy.Delay = TimeSpan.FromMilliseconds(80);

        var (code, output, _) = await server.RunAsync(
            "verify",
            "--category",
            "performance",
            "--json",
            "--redis",
            $"127.0.0.1:{proxy.Port},user=operator,password={server.PasswordOf("operator")}"
        );

        Assert.Equal(1, code);
        Assert.Equal("finding", Checks(output)["ONG022"]);
        Assert.Equal("finding", Checks(output)["ONG023"]);
    }

    [Theory]
    [InlineData(null, 2, "add --yes")]
    [InlineData("no\n", 2, "the answer was no")]
    [InlineData("cut\n", 0, "connections cut")]
    public async Task The_drill_asks_first_and_sees_who_comes_back(string? answer, int expected, string says)
    {
        await using var server = await ToolServer.StartAsync();
        await using var front = await server.ConnectAsync("front");

        var (code, output, error) = answer is null
            ? await server.RunAsync("verify", "--drill", "--category", "recovery")
            : await server.AnswerAsync(answer, "verify", "--drill", "--category", "recovery");

        Assert.Equal(expected, code);
        Assert.Contains(says, output + error, StringComparison.Ordinal);
        if (answer == "cut\n")
            Assert.Contains("back: front after", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, "ok")]
    [InlineData(false, "finding")]
    public async Task The_drill_restarts_Redis_and_sees_what_comes_back(bool comesBack, string expected)
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("SET", "dev:bill:1", "{}", "EX", "1000");
        await using var front = await server.ConnectAsync("front");
        var asked = server.PathOf("asked");
        var drill = server.AnswerAsync(
            "cut\nrestart\n",
            "verify",
            "--drill",
            "--restart",
            $"touch {asked}",
            "--patience",
            comesBack ? "60s" : "300ms",
            "--category",
            "recovery",
            "--json"
        );
        await Until.TrueAsync(() => Task.FromResult(File.Exists(asked) || drill.IsCompleted));
        if (comesBack)
            await server.Redis.RestartAsync();

        var (code, output, error) = await drill;

        Assert.True(output.Length > 0, error);
        Assert.Equal(expected, Checks(output)["ONG066"]);
        Assert.Equal(comesBack ? 0 : 1, code);
        Assert.Equal(comesBack, output.Contains("with 0 of 1 keys; back: front", StringComparison.Ordinal));
    }

    [Fact]
    public async Task In_production_a_restart_must_not_lose_everything()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("SET", "dev:bill:1", "{}", "EX", "1000");
        var asked = server.PathOf("asked");
        var drill = server.RunAsync(
            "verify",
            "--production",
            "--drill",
            "--yes",
            "--restart",
            $"touch {asked}",
            "--category",
            "recovery",
            "--json"
        );
        await Until.TrueAsync(() => Task.FromResult(File.Exists(asked) || drill.IsCompleted));
        await server.Redis.RestartAsync();

        var (_, output, error) = await drill;

        Assert.True(output.Length > 0, error);
        Assert.Equal("finding", Checks(output)["ONG066"]);
        Assert.Contains("of 1 keys none was there afterwards", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_that_say_the_exporter_is_refused_are_found_and_good_ones_are_well()
    {
        await using var server = await ToolServer.StartAsync();
        foreach (
            var (body, expected) in (IEnumerable<(string, string)>)
                [("redis_up 1\n", "ok"), ("redis_up 0\n", "finding"), ("up 1\n", "finding")]
        )
        {
            await using var metrics = new MetricsServer(body);

            var (_, output, _) = await server.RunAsync("verify", "--category", "monitoring", "--metrics", metrics.Address, "--json");

            Assert.Equal(expected, Checks(output)["ONG021"]);
        }
    }

    [Theory]
    [InlineData(950, 50, "ok")]
    [InlineData(900, 100, "warning")]
    [InlineData(850, 150, "warning")]
    [InlineData(700, 300, "finding")]
    [InlineData(70, 30, "skipped")]
    public async Task The_hit_rate_is_that_of_each_family_by_the_services_own_figures(int hits, int misses, string expected)
    {
        await using var server = await ToolServer.StartAsync();
        await using var metrics = new MetricsServer(
            $$"""
            # TYPE onggi_cache_requests_total counter
            onggi_cache_requests_total{onggi_family="bill",onggi_outcome="memory"} {{hits - 10}}
            onggi_cache_requests_total{onggi_family="bill",onggi_outcome="redis"} 10
            onggi_cache_requests_total{onggi_family="bill",onggi_outcome="miss"} {{misses}}
            onggi_cache_requests_total{onggi_family="bill",onggi_outcome="error"} 5000
            onggi_cache_requests_total{onggi_family="secret",onggi_outcome="miss"} 100

            """
        );

        var (_, output, _) = await server.RunAsync("verify", "--category", "performance", "--metrics", metrics.Address, "--json");

        Assert.Equal(expected, Checks(output)["ONG024"]);
    }

    [Fact]
    public async Task Misses_that_Redis_counts_prove_nothing_and_are_told()
    {
        await using var server = await ToolServer.StartAsync();
        await using (var op = await server.ConnectAsync("operator"))
            for (var i = 0; i < 1200; i++)
                await op.GetAsync($"dev:bill:{i}");

        var (_, output, _) = await server.RunAsync("verify", "--category", "performance", "--json");

        Assert.Equal("skipped", Checks(output)["ONG024"]);
        Assert.Contains("--metrics of the services tells it by family", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Programs_get_JUnit_and_SARIF_and_people_a_page()
    {
        await using var server = await ToolServer.StartAsync();
        await server.CommandAsync("ACL", "SETUSER", "front", "+flushdb");
        var page = server.PathOf("verify.html");

        var (_, junit, _) = await server.RunAsync("verify", "-o", "junit", "--category", "access");
        var (_, sarif, _) = await server.RunAsync("verify", "-o", "sarif", "--category", "access", "--report", page);

        var cases = XElement.Parse(junit).Elements("testcase").ToList();
        var failed = Assert.Single(cases, one => one.Element("failure") is not null);
        Assert.StartsWith("ONG007 ", failed.Attribute("name")!.Value, StringComparison.Ordinal);
        var results = JsonElement.Parse(sarif).GetProperty("runs")[0].GetProperty("results");
        Assert.Equal("ONG007", Assert.Single(results.EnumerateArray()).GetProperty("ruleId").GetString());
        var html = await File.ReadAllTextAsync(page);
        Assert.Contains("front may FLUSHDB", html, StringComparison.Ordinal);
        Assert.Contains("docs/operations/findings.md#ong007", html, StringComparison.Ordinal);
        foreach (var file in Directory.GetFiles(server.SecretsFolder))
            Assert.DoesNotContain(await File.ReadAllTextAsync(file), html, StringComparison.Ordinal);
    }

    private static async Task<long> WritesAsync(ToolServer server)
    {
        var stats = (await server.CommandAsync("INFO", "commandstats"))!;
        return stats
            .Split('\n')
            .Where(line =>
                line.StartsWith("cmdstat_set:", StringComparison.Ordinal) || line.StartsWith("cmdstat_expire:", StringComparison.Ordinal)
            )
            .Sum(line => long.Parse(line.Split("calls=")[1].Split(',')[0], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static Dictionary<string, string> Checks(string output) =>
        JsonElement
            .Parse(output)
            .GetProperty("checks")
            .EnumerateArray()
            .ToDictionary(check => check.GetProperty("code").GetString()!, check => check.GetProperty("state").GetString()!);
}
