using System.Text.Json;
using Onggi.Cli.Migration;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>What stands in the way is found before anything is moved, and said with what to do.</summary>
public sealed class MigrationPreflightTests
{
    [Fact]
    public async Task A_plan_counts_and_moves_nothing()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 200);

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath, "--json");

        var plan = JsonElement.Parse(output);
        Assert.Equal(0, code);
        Assert.Equal(200, plan.GetProperty("rules")[0].GetProperty("keys").GetInt64());
        Assert.DoesNotContain(
            plan.GetProperty("findings").EnumerateArray(),
            finding => finding.GetProperty("level").GetString() == "error"
        );
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*dev:cache:*"));
        Assert.Null(await scene.EpochAsync());
    }

    [Theory]
    [InlineData("MIG03", "ACL", "SETUSER", "mig", "-restore")]
    [InlineData("MIG03", "ACL", "SETUSER", "mig", "-acl")]
    [InlineData("MIG04", "ACL", "DELUSER", "svc")]
    [InlineData("MIG04", "ACL", "SETUSER", "svc", "(+get ~x)")]
    [InlineData("MIG05", "SET", "strange", "1")]
    [InlineData("MIG08", "0:SET", "dev:cache:user:7", "theirs")]
    [InlineData("MIG08", "0:SET", "{dev:cache:user:7}:l", "theirs")]
    public async Task What_stands_in_the_way_is_found(string code, params string[] defect)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 500);
        var database = defect[0].StartsWith("0:", StringComparison.Ordinal) ? 0 : 1;
        defect[0] = defect[0].Replace("0:", "", StringComparison.Ordinal);
        await MigrationScene.AskAsync(scene.Source, database, defect);

        var (exit, output, _) = await scene.ToolAsync("plan", scene.RulesPath, "--json");
        var (run, _, error) = await scene.ToolAsync("run", scene.RulesPath, "--yes");

        var found = JsonElement.Parse(output).GetProperty("findings").EnumerateArray().ToList();
        Assert.Equal((1, 1), (exit, run));
        Assert.Contains(
            found,
            finding => finding.GetProperty("code").GetString() == code && finding.GetProperty("level").GetString() == "error"
        );
        Assert.Contains($"error {code}", error, StringComparison.Ordinal);
        Assert.Null(await scene.EpochAsync());
    }

    [Fact]
    public async Task A_target_without_room_is_found()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 100);
        await scene.Target.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(1, code);
        Assert.Contains("error   MIG09", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "db": 0, "from": "user:", "to": "user:v2:", "class": "state" }""")]
    [InlineData("""{ "db": 1, "from": "user:", "to": "user:", "class": "state" }""")]
    [InlineData("""{ "db": 1, "from": "user:", "to": "us", "class": "state" }""")]
    public async Task Names_that_cannot_be_told_apart_are_refused_on_one_server(string rule)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await scene.WriteRulesAsync(rule, extra: """ "others": "leave",""");

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(1, code);
        Assert.Contains("error   MIG02", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_keys_that_lead_to_one_name_are_found()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await MigrationScene.AskAsync(scene.Source, 0, "SET", "user:s3", "another");
        await scene.WriteRulesAsync(
            """{ "db": 1, "from": "user:", "to": "dev:user:", "class": "state" }, { "db": 0, "from": "user:", "to": "dev:user:", "class": "state" }"""
        );

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(1, code);
        Assert.Contains("error   MIG06 Two keys lead to one name", output, StringComparison.Ordinal);
        Assert.Contains("user:s3", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_writes_past_the_fence_is_found()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        using var stranger = await RawRedis.ConnectAsync(scene.Source.Port);
        await stranger.CommandAsync("PING");

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(1, code);
        Assert.Contains("The user \"default\" may write the old keys, is connected", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rights_that_the_services_will_need_are_named()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false, keys: 10);
        await scene.Target.CommandAsync("ACL", "SETUSER", "svc", "resetkeys", "~nothing:*");

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(0, code);
        Assert.Contains("ACL SETUSER svc %R~dev:onggi:*", output, StringComparison.Ordinal);
        Assert.Contains("ACL SETUSER svc ~dev:cache:user:*", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_target_that_cannot_be_reached_is_said_so()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false, keys: 10);
        await scene.Target.KillAsync();

        var (code, _, error) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(2, code);
        Assert.Contains("onggi: the target", error, StringComparison.Ordinal);
        Assert.DoesNotContain("pw", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_epoch_that_is_none_and_a_folder_that_is_not_there_are_said_so()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:onggi:migration:test", "something else");

        var (status, _, said) = await scene.ToolAsync("status", scene.RulesPath);
        var (run, _, refused) = await scene.ToolAsync("run", scene.RulesPath, "--yes");
        var (code, _, error) = await scene.ToolAsync("run", scene.RulesPath, "--yes", "--state", scene.StatePath + ".none/state");

        Assert.Equal((2, 2, 2), (status, run, code));
        Assert.Contains("dev:onggi:migration:test: The epoch of the migration cannot be read", said, StringComparison.Ordinal);
        Assert.Contains("cannot be read", refused, StringComparison.Ordinal);
        Assert.DoesNotContain("another onggi", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Changed_rules_are_not_gone_on_with()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 100);
        await scene.RunUntilKilledAsync("copied");
        await scene.WriteRulesAsync("""{ "db": 1, "from": "user:", "to": "dev:other:", "class": "state" }""");

        var (code, _, error) = await scene.ToolAsync("run", scene.RulesPath, "--yes");

        Assert.Equal(2, code);
        Assert.Contains("the rules were changed", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_target_stops_the_run_and_leaves_no_fence()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false, keys: 2000);
        var rights = await scene.RightsAsync();
        await scene.Target.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var refused = await Assert.ThrowsAsync<Onggi.Client.RedisServerException>(() => scene.RunAsync());
        await scene.Target.CommandAsync("CONFIG", "SET", "maxmemory", "0");

        Assert.Equal("OOM", refused.Code);
        Assert.Equal(rights, await scene.RightsAsync());
        Assert.True((await scene.RunAsync()).Flipped);
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
    }
}
