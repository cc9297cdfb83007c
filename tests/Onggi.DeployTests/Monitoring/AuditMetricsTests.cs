using Onggi.Testing;

namespace Onggi.DeployTests.Monitoring;

/// <summary>What an audit tells Prometheus is what it found.</summary>
public sealed class AuditMetricsTests
{
    [Fact]
    public async Task The_page_has_families_findings_and_who_was_refused()
    {
        await using var team = await TeamRedis.MakeAsync(Kit.PathOf(Kit.Catalog));
        var server = await team.StartAsync();
        using var redis = await TeamRedis.BreakAsync(server);
        for (var i = 0; i < 5; i++)
            await redis.CommandAsync("SET", $"dev:codes:{i}", "{}", "EX", "600");
        await redis.CommandAsync("SET", "dev:nobody:knows", "x");
        await Assert.ThrowsAsync<InvalidOperationException>(() => RawRedis.ConnectAsync(server.Port, "operator", "a guess"));
        using (var users = await RawRedis.ConnectAsync(server.Port, "users", team.PasswordOf("users")))
            for (var i = 0; i < 2; i++)
                await Assert.ThrowsAsync<InvalidOperationException>(() => users.CommandAsync("FLUSHALL"));
        var file = Path.Combine(team.FolderName, "onggi_audit.prom");
        await File.WriteAllTextAsync(file, "what was there before");

        var (code, output) = await AuditAsync(team, server, file);

        Assert.True(code == 1, output);
        var page = await File.ReadAllTextAsync(file);
        Assert.Equal("5", ValueOf(page, "onggi_audit_keys", "onggi_family=\"codes\""));
        Assert.InRange(double.Parse(ValueOf(page, "onggi_audit_family_bytes", "onggi_family=\"codes\"")!), 5 * 50, 5 * 500);
        Assert.Equal("1", ValueOf(page, "onggi_audit_findings", "code=\"ONG080\",severity=\"finding\""));
        Assert.Equal("1", ValueOf(page, "onggi_audit_refusals", "user=\"operator\",reason=\"auth\""));
        Assert.Equal("2", ValueOf(page, "onggi_audit_refusals", "user=\"users\",reason=\"command\""));
        Assert.InRange(
            DateTimeOffset.UtcNow.ToUnixTimeSeconds() - double.Parse(ValueOf(page, "onggi_audit_timestamp_seconds", "")!),
            -1,
            120
        );
        // Whose it is, and never a key's name.
        Assert.Contains("system=\"phonebill\",environment=\"dev\",server=\"", page, StringComparison.Ordinal);
        Assert.DoesNotContain("knows", page, StringComparison.Ordinal);

        // What is mended is gone from the page, and the alert with it.
        await redis.CommandAsync("DEL", "dev:nobody:knows");
        (code, output) = await AuditAsync(team, server, file);
        Assert.True(code == 0, output);
        Assert.Null(ValueOf(await File.ReadAllTextAsync(file), "onggi_audit_findings", "code=\"ONG080\",severity=\"finding\""));
    }

    [ToolFact(Tools.Promtool)]
    public async Task Promtool_finds_the_page_flawless()
    {
        await using var team = await TeamRedis.MakeAsync(Kit.PathOf(Kit.Catalog));
        var server = await team.StartAsync();
        await TeamRedis.BreakAsync(server, "SET", "dev:nobody:knows", "x");
        var file = Path.Combine(team.FolderName, "onggi_audit.prom");
        await AuditAsync(team, server, file);

        var (code, output) = await Tools.RunAsync("sh", "-c", "promtool check metrics < \"$0\"", file);

        Assert.Equal((0, ""), (code, output));
    }

    private static Task<(int Code, string Output)> AuditAsync(TeamRedis team, RedisServerProcess server, string file) =>
        Kit.RunAsync(
            "audit",
            "--exact",
            "--metrics",
            file,
            "--catalog",
            Kit.PathOf(Kit.Catalog),
            "--redis",
            $"127.0.0.1:{server.Port},user=operator,password={team.PasswordOf("operator")}"
        );

    private static string? ValueOf(string page, string metric, string labels) =>
        page.Split('\n')
            .Where(line =>
                line.StartsWith(metric + "{", StringComparison.Ordinal) && line.Contains($"{labels}}} ", StringComparison.Ordinal)
            )
            .Select(line => line.Split(' ')[^1])
            .SingleOrDefault();
}
