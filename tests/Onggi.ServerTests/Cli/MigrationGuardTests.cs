using System.Text.Json;
using Onggi.Cli.Migration;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>What is nobody's business of a migration stays as it is: others' keys, others' runs, rights that nobody had.</summary>
public sealed class MigrationGuardTests
{
    private const string Nested = """
        { "db": 1, "from": "user:", "to": "dev:user:", "class": "state" },
        { "db": 1, "from": "user:tmp:", "to": "dev:tmp:", "class": "state", "move": false }
        """;

    [Fact]
    public async Task What_was_never_begun_is_not_rolled_back_over_somebodys_keys()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:7", "theirs");
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:s1", "theirs");

        var (ran, _, refusal) = await scene.ToolAsync("run", scene.RulesPath, "--yes");
        var (code, _, said) = await scene.ToolAsync("rollback", scene.RulesPath, "--yes");

        Assert.Equal((1, 2), (ran, code));
        Assert.Contains("MIG08", refusal, StringComparison.Ordinal);
        Assert.Contains("nothing was begun", said, StringComparison.Ordinal);
        Assert.Equal("2", await scene.CountAsync(scene.Target, 0, "dev:cache:*"));
        Assert.Null(await scene.EpochAsync());
    }

    [Theory]
    [InlineData("run", "nothing was moved")]
    [InlineData("rollback", "nothing was rolled back")]
    [InlineData("retire", "nothing was removed")]
    public async Task A_no_is_heard_and_said(string command, string expected)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);

        var (code, _, error) = await ToolRun.OfAsync("no\n", CancellationToken.None, "migrate", command, scene.RulesPath);

        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "dev:cache:*"));
    }

    [Fact]
    public async Task Whoever_has_lost_the_state_removes_only_what_is_a_copy_for_certain()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 100);
        await scene.ToolAsync("run", scene.RulesPath, "--no-cut-over");
        File.Delete(scene.StatePath);
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:7", "theirs");
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:s1", "changed");

        var (code, output, error) = await scene.ToolAsync("rollback", scene.RulesPath, "--yes", "--json");

        Assert.True(code == 0, error);
        var said = JsonElement.Parse(output);
        Assert.Equal((99, 2), (said.GetProperty("removed").GetInt64(), said.GetProperty("left").GetInt64()));
        Assert.Equal("theirs", await MigrationScene.AskAsync(scene.Target, 0, "GET", "dev:cache:user:7"));
        Assert.Equal("2", await scene.CountAsync(scene.Target, 0, "*dev:cache:*"));
    }

    [Theory]
    [InlineData(true, "run")]
    [InlineData(true, "rollback")]
    [InlineData(true, "retire")]
    [InlineData(false, "run")]
    [InlineData(false, "rollback")]
    public async Task An_epoch_that_was_lost_after_the_cut_over_is_no_leave_to_write_over_the_new_side(bool isDone, string command)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 20);
        if (isDone)
            await scene.ToolAsync("run", scene.RulesPath, "--yes");
        else
            await scene.RunUntilKilledAsync("flipped");
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:s1", "since");
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:new", "since");
        // Evicted, or removed with the other keys that are nobody's.
        await MigrationScene.AskAsync(scene.Target, 0, "DEL", "dev:onggi:migration:test");

        var (code, _, error) = await scene.ToolAsync(command, scene.RulesPath, "--yes");
        var value = await MigrationScene.AskAsync(scene.Target, 0, "GET", "dev:cache:user:s1");
        var left = await scene.CountAsync(scene.Target, 0, "*dev:cache:user:*");
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:onggi:migration:test", "13 new");
        var (decided, _, problem) = await scene.ToolAsync("rollback", scene.RulesPath, "--yes");

        Assert.Equal((2, "since", "21"), (code, value, left));
        Assert.Contains("which side is the true one is not known", error, StringComparison.Ordinal);
        Assert.True(decided == 0, problem);
        Assert.Equal("since", await MigrationScene.AskAsync(scene.Source, 1, "GET", "user:new"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_second_rollback_removes_nothing(bool afterTheCutOver)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 20);
        await scene.ToolAsync("run", scene.RulesPath, afterTheCutOver ? "--yes" : "--no-cut-over");
        await scene.ToolAsync("rollback", scene.RulesPath, "--yes");
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:7", "since");

        var (code, output, _) = await scene.ToolAsync("rollback", scene.RulesPath, "--yes");

        Assert.Equal(0, code);
        Assert.Contains("rolled back before", output, StringComparison.Ordinal);
        Assert.Equal("since", await MigrationScene.AskAsync(scene.Target, 0, "GET", "dev:cache:user:7"));
    }

    [Fact]
    public async Task What_stayed_where_it_was_is_there_after_the_way_back()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 20);
        await scene.WriteRulesAsync(Nested);
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "user:tmp:1", "stays");

        await scene.RunAsync();
        await scene.RollBackAsync();

        Assert.Equal("stays", await MigrationScene.AskAsync(scene.Source, 1, "GET", "user:tmp:1"));
        Assert.Equal("21", await scene.CountAsync(scene.Source, 1, "*"));
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*dev:user:*"));
    }

    [Fact]
    public async Task A_restart_does_not_take_the_fence_away_where_users_are_in_a_file()
    {
        var folder = Directory.CreateTempSubdirectory("onggi-fence-");
        try
        {
            var file = Path.Combine(folder.FullName, "users.acl");
            await File.WriteAllTextAsync(file, "user default on nopass ~* &* +@all\n");
            await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 20, flags: ["--aclfile", file]);
            var before = await scene.RightsAsync();

            var result = await scene.RunAsync();
            var fenced = await scene.RightsAsync();
            await MigrationScene.AskAsync(scene.Source, 0, "SAVE");
            await scene.Source.RestartAsync(kill: true);
            var afterwards = await scene.RightsAsync();
            await scene.RollBackAsync();
            var (released, _, said) = await scene.ToolAsync("release", scene.RulesPath);
            await scene.Source.RestartAsync(kill: true);

            Assert.Null(result.FenceNotSaved);
            Assert.NotEqual(before, fenced);
            Assert.Equal(fenced, afterwards);
            Assert.True(released == 0, said);
            Assert.Equal(before, await scene.RightsAsync());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("some of the keys", "~user:7:*", "+@all")]
    [InlineData("lists only", "~user:*", "+rpush")]
    [InlineData("in a selector", "(+hset ~user:*)")]
    [InlineData("of all databases alike", "~orders:*", "+set")]
    public async Task Everybody_who_may_write_an_old_key_is_found(string who, params string[] rights)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        if (who == "of all databases alike")
            await scene.WriteRulesAsync("""{ "db": 1, "from": "", "to": "dev:user-service:", "class": "state" }""");
        await scene.Source.CommandAsync(["ACL", "SETUSER", "batch", "on", ">pw", "-@all", "+ping", "+select", .. rights]);
        using var connected = await RawRedis.ConnectAsync(scene.Source.Port);
        await connected.CommandAsync("AUTH", "batch", "pw");

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(1, code);
        Assert.Contains("The user \"batch\" may write the old keys, is connected", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("%R~user:*", "+@all")]
    [InlineData("~user:*", "+get")]
    [InlineData("~orders:*", "+@all")]
    public async Task Who_only_reads_or_writes_elsewhere_stands_in_nobodys_way(params string[] rights)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await scene.Source.CommandAsync(["ACL", "SETUSER", "batch", "on", ">pw", "-@all", .. rights, "-@dangerous"]);

        var (code, output, _) = await scene.ToolAsync("plan", scene.RulesPath);

        Assert.Equal(0, code);
        Assert.DoesNotContain("\"batch\"", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_missed_while_changes_are_followed_is_copied_before_anybody_asks()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false, keys: 50);
        await using var watcher = await MigrationScene.ClientAsync(scene.Target, 0, "mig");
        var (equal, fences) = (false, 0);
        await using var session = await MigrationSession.OpenAsync(
            scene.Rules,
            scene.StatePath,
            back: null,
            MigrationScene.Options(at =>
            {
                fences += at == "fencing" ? 1 : 0;
                return Task.CompletedTask;
            }),
            CancellationToken.None
        );

        var result = await new MigrationRun(session, new Onggi.Cli.Output.ToolProgress(TimeProvider.System)).RunAsync(
            _ => MissAsync(),
            CancellationToken.None
        );

        Assert.True(equal);
        Assert.Equal((false, 0), (result.Flipped, fences));

        async Task<bool> MissAsync()
        {
            // In one step, so that nobody is told of it.
            using var raw = await RawRedis.ConnectAsync(scene.Source.Port);
            var clients = (await raw.CommandAsync("CLIENT", "LIST"))!.Split('\n');
            var tracking = clients.First(line => line.Contains(" flags=t", StringComparison.Ordinal)).Split(' ')[0]["id=".Length..];
            await raw.CommandAsync("MULTI");
            await raw.CommandAsync("CLIENT", "KILL", "ID", tracking);
            await raw.CommandAsync("SET", "user:unseen", "1");
            await raw.CommandAsync("EXEC");
            await Until.TrueAsync(async () => await watcher.GetStringAsync("dev:cache:user:unseen") == "1");
            equal = true;
            return false;
        }
    }

    [Fact]
    public async Task Retired_keys_can_be_put_back()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 300);
        var undo = scene.StatePath + ".undo";
        await scene.ToolAsync("run", scene.RulesPath, "--yes");

        var (code, output, error) = await scene.ToolAsync("retire", scene.RulesPath, "--yes", "--undo", undo, "--json");
        var left = await scene.CountAsync(scene.Source, 1, "*");
        var (elsewhere, _, refused) = await ToolRun.OfAsync("undelete", undo, "--redis", MigrationScene.Connection(scene.Source));
        var (restored, _, problem) = await ToolRun.OfAsync(
            "undelete",
            undo,
            "--redis",
            $"{MigrationScene.Connection(scene.Source)},defaultDatabase=1"
        );

        Assert.Equal(2, elsewhere);
        Assert.Contains("Add defaultDatabase=1", refused, StringComparison.Ordinal);
        Assert.True(code == 0, error);
        Assert.Equal(300, JsonElement.Parse(output).GetProperty("removed").GetInt64());
        Assert.Equal(undo, JsonElement.Parse(output).GetProperty("undo")[0].GetString());
        Assert.Equal("0", left);
        Assert.True(restored == 0, problem);
        Assert.Equal("300", await scene.CountAsync(scene.Source, 1, "*"));
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
    }

    [Fact]
    public async Task Retiring_that_was_stopped_goes_on_with_its_file_and_no_other()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 3000);
        var undo = scene.StatePath + ".undo";
        await scene.ToolAsync("run", scene.RulesPath, "--yes");
        await File.WriteAllTextAsync(undo, "somebody's");
        var (taken, _, there) = await scene.ToolAsync("retire", scene.RulesPath, "--yes", "--undo", undo);
        File.Delete(undo);
        await Assert.ThrowsAsync<KilledHere>(() => RetireAsync(scene, undo, killedAfter: 2));

        var (other, _, refused) = await scene.ToolAsync("retire", scene.RulesPath, "--yes");
        var (code, _, error) = await scene.ToolAsync("retire", scene.RulesPath, "--yes", "--undo", undo);
        var (restored, _, problem) = await ToolRun.OfAsync(
            "undelete",
            undo,
            "--redis",
            $"{MigrationScene.Connection(scene.Source)},defaultDatabase=1"
        );

        Assert.Equal((2, 2), (taken, other));
        Assert.Contains("is there already", there, StringComparison.Ordinal);
        Assert.Contains("the same --undo", refused, StringComparison.Ordinal);
        Assert.True(code == 0, error);
        Assert.True(restored == 0, problem);
        Assert.Equal("3000", await scene.CountAsync(scene.Source, 1, "*"));
    }

    private static async Task RetireAsync(MigrationScene scene, string undo, int killedAfter)
    {
        await using var session = await MigrationSession.OpenAsync(
            scene.Rules,
            scene.StatePath,
            back: null,
            MigrationScene.Options(at => at == "removing" && --killedAfter == 0 ? throw new KilledHere() : Task.CompletedTask),
            CancellationToken.None
        );
        await new MigrationEnd(session, new Onggi.Cli.Output.ToolProgress(TimeProvider.System)).RetireAsync(undo, CancellationToken.None);
    }
}
