using Onggi.Cli;
using Onggi.Cli.Migration;
using Onggi.Client;
using Onggi.Migration;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>Keys move while four writers use them: what was answered is there afterwards, wherever the run was killed.</summary>
public sealed class MigrationTests
{
    private const int Enough = 500;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nothing_that_was_answered_is_lost(bool oneServer)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer);
        await using var ledger = await scene.BeginWritingAsync();
        await ledger.WhenWrittenAsync(Enough);

        var result = await scene.RunAsync();
        await ledger.WhenWrittenAsync(Enough);
        await ledger.StopAsync();

        Assert.True(result.Flipped);
        Assert.Equal((0, 0), (result.Repaired, result.DifferentAtLast));
        await AssertMovedAsync(scene, ledger);
        var old = await Assert.ThrowsAsync<RedisServerException>(async () =>
        {
            await using var client = await scene.OldClientAsync();
            await client.SetAsync("user:s1", "late");
        });
        Assert.Equal("NOPERM", old.Code);
    }

    [Fact]
    public async Task Without_the_fence_answered_writes_are_lost()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 100);
        await scene.Source.CommandAsync("ACL", "SETUSER", "svc", "~dev:*");
        await using var ledger = await scene.BeginWritingAsync(perSecond: 200);
        await ledger.WhenWrittenAsync(Enough);

        await scene.RunAsync(new MigrationOptions { SkipFence = true });
        await ledger.WhenWrittenAsync(5 * Enough);
        await ledger.StopAsync();

        await using var client = await scene.NewClientAsync();
        Assert.NotEmpty(await ledger.DifferencesAsync(client, MigrationScene.New));
    }

    [Theory]
    [InlineData(true, "listening")]
    [InlineData(true, "copying")]
    [InlineData(true, "copied")]
    [InlineData(true, "comparing")]
    [InlineData(true, "compared")]
    [InlineData(true, "ready")]
    [InlineData(true, "fencing")]
    [InlineData(true, "fenced")]
    [InlineData(true, "flipping")]
    [InlineData(true, "flipped")]
    [InlineData(false, "copying")]
    [InlineData(false, "fenced")]
    [InlineData(false, "flipping")]
    [InlineData(false, "flipped")]
    public async Task Killed_anywhere_the_next_run_ends_the_same(bool oneServer, string place)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer);
        await using var ledger = await scene.BeginWritingAsync(perSecond: 500);
        await ledger.WhenWrittenAsync(Enough);

        await scene.RunUntilKilledAsync(place);
        if (place is not ("fenced" or "flipping"))
            await ledger.WhenWrittenAsync(Enough);
        var result = await scene.RunAsync();
        await ledger.WhenWrittenAsync(Enough);
        await ledger.StopAsync();

        Assert.Equal((true, place == "flipped"), (result.Flipped, result.WasDone));
        await AssertMovedAsync(scene, ledger);
    }

    [Theory]
    [InlineData(true, "copying")]
    [InlineData(true, "ready")]
    [InlineData(true, "fenced")]
    [InlineData(false, "compared")]
    [InlineData(false, "fenced")]
    public async Task Rolled_back_on_the_way_the_old_side_is_whole_and_the_new_one_clean(bool oneServer, string place)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer);
        var rights = await scene.RightsAsync();
        await using var ledger = await scene.BeginWritingAsync(perSecond: 500);
        await ledger.WhenWrittenAsync(Enough);

        await scene.RunUntilKilledAsync(place);
        var removed = await scene.RollBackAsync();
        await ledger.WhenWrittenAsync(Enough);
        await ledger.StopAsync();

        Assert.True(removed > 0);
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*dev:cache:*"));
        Assert.EndsWith(" old", await scene.EpochAsync(), StringComparison.Ordinal);
        Assert.Equal(rights, await scene.RightsAsync());
        Assert.Equal("2000", await scene.CountAsync(scene.Source, scene.Database, "*user:s*"));
        await using var client = await scene.OldClientAsync();
        Assert.Empty(await ledger.DifferencesAsync(client, MigrationScene.Old));
    }

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, null)]
    [InlineData(true, "fenced")]
    [InlineData(false, "flipping")]
    [InlineData(true, "flipped")]
    [InlineData(true, "removing")]
    public async Task Rolled_back_after_the_cut_over_what_was_written_since_goes_back_too(bool oneServer, string? killedAt)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer);
        await using var ledger = await scene.BeginWritingAsync(perSecond: 500);
        await ledger.WhenWrittenAsync(Enough);
        await scene.RunAsync();
        await ledger.WhenWrittenAsync(Enough);

        if (killedAt is not null)
            await Assert.ThrowsAsync<KilledHere>(() =>
                scene.RollBackAsync(MigrationScene.Options(at => at == killedAt ? throw new KilledHere() : Task.CompletedTask))
            );
        await scene.RollBackAsync();
        await ledger.WhenWrittenAsync(Enough);
        await ledger.StopAsync();

        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*dev:cache:*"));
        Assert.Equal("2000", await scene.CountAsync(scene.Source, scene.Database, "*user:s*"));
        await using var client = await scene.OldClientAsync();
        Assert.Empty(await ledger.DifferencesAsync(client, MigrationScene.Old));
    }

    [Fact]
    public async Task A_lost_connection_of_the_tracking_is_noticed_and_made_good()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true);
        await using var ledger = await scene.BeginWritingAsync();
        await ledger.WhenWrittenAsync(Enough);
        var cuts = 0;

        var result = await scene.RunAsync(
            MigrationScene.Options(async at =>
            {
                if (at is not ("copied" or "compared" or "fencing") || ++cuts > 3)
                    return;
                var clients = (await MigrationScene.AskAsync(scene.Source, 0, "CLIENT", "LIST"))!.Split('\n');
                var tracking = clients.First(line => line.Contains(" flags=t", StringComparison.Ordinal));
                await MigrationScene.AskAsync(scene.Source, 0, "CLIENT", "KILL", "ID", tracking.Split(' ')[0]["id=".Length..]);
                await ledger.WhenWrittenAsync(100);
            })
        );
        await ledger.StopAsync();

        Assert.True(result.Flipped);
        await AssertMovedAsync(scene, ledger);
    }

    [Fact]
    public async Task A_source_that_was_restarted_empty_does_not_empty_the_target()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false);
        await scene.RunUntilKilledAsync("copied");
        var copied = await scene.CountAsync(scene.Target, 0, "*dev:cache:*");

        await scene.Source.RestartAsync(kill: true);
        await scene.Source.CommandAsync("ACL", "SETUSER", "mig", "on", ">pw", "~*", "&*", "+@all");
        var refused = await Assert.ThrowsAsync<ToolException>(() => scene.RunAsync());

        Assert.Contains("was restarted", refused.Message, StringComparison.Ordinal);
        Assert.Equal(copied, await scene.CountAsync(scene.Target, 0, "*dev:cache:*"));
    }

    [Fact]
    public async Task A_target_that_was_restarted_empty_is_filled_again()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false);
        await scene.RunUntilKilledAsync("copied");

        await scene.Target.RestartAsync(kill: true);
        await scene.Target.CommandAsync("ACL", "SETUSER", "mig", "on", ">pw", "~*", "&*", "+@all");
        var result = await scene.RunAsync();

        Assert.Equal((true, 2000), (result.Flipped, result.Repaired));
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
        // Services that saw the epochs of before heed the later ones.
        Assert.True(MigrationEpoch.Parse(await scene.EpochAsync()).Number > 10);
    }

    [Fact]
    public async Task A_source_that_dies_ends_the_run_and_the_next_one_goes_on()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false);
        await MigrationScene.AskAsync(scene.Source, 0, "SAVE");

        await Assert.ThrowsAnyAsync<RedisException>(() =>
            scene.RunAsync(
                new MigrationOptions
                {
                    Patience = TimeSpan.FromSeconds(4),
                    At = at => at == "fenced" ? scene.Source.KillAsync() : Task.CompletedTask,
                }
            )
        );
        Assert.EndsWith(" old", await scene.EpochAsync(), StringComparison.Ordinal);
        await scene.Source.RestartAsync();
        await scene.Source.CommandAsync("ACL", "SETUSER", "mig", "on", ">pw", "~*", "&*", "+@all");
        await scene.Source.CommandAsync("ACL", "SETUSER", "svc", "on", ">pw", "~user:*", "&*", "+@all");

        Assert.True((await scene.RunAsync()).Flipped);
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
    }

    [Fact]
    public async Task A_restarted_source_that_has_its_keys_is_walked_anew()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: false);
        await scene.RunUntilKilledAsync("copying");
        await MigrationScene.AskAsync(scene.Source, 0, "SAVE");

        await scene.Source.RestartAsync();
        await scene.Source.CommandAsync("ACL", "SETUSER", "mig", "on", ">pw", "~*", "&*", "+@all");
        await scene.Source.CommandAsync("ACL", "SETUSER", "svc", "on", ">pw", "~user:*", "&*", "+@all");
        var result = await scene.RunAsync();

        Assert.True(result.Flipped);
        Assert.Equal(2000, result.Copied);
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
    }

    [Fact]
    public async Task A_run_that_slept_cannot_write_when_another_has_gone_on()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true);
        var (sleeps, wakes) = (new TaskCompletionSource(), new TaskCompletionSource());
        var sleeper = scene.RunAsync(
            MigrationScene.Options(async at =>
            {
                if (at != "listening")
                    return;
                // The lock of the state file is another machine's, or the file was copied.
                sleeps.SetResult();
                await wakes.Task;
            })
        );
        await sleeps.Task;
        var state = scene.StatePath + ".copy";
        File.Copy(scene.StatePath, state);

        await using (
            var session = await MigrationSession.OpenAsync(scene.Rules, state, back: null, MigrationScene.Options(), CancellationToken.None)
        )
            await new MigrationRun(session, new Onggi.Cli.Output.ToolProgress(TimeProvider.System)).RunAsync(
                _ => Task.FromResult(true),
                CancellationToken.None
            );
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:s1", "written since");
        wakes.SetResult();

        await Assert.ThrowsAnyAsync<RedisException>(() => sleeper);
        Assert.Equal("written since", await MigrationScene.AskAsync(scene.Target, 0, "GET", "dev:cache:user:s1"));
    }

    [Fact]
    public async Task Two_runs_of_one_state_do_not_run_at_a_time()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await using var session = await MigrationSession.OpenAsync(
            scene.Rules,
            scene.StatePath,
            back: null,
            MigrationScene.Options(),
            CancellationToken.None
        );

        var same = await Assert.ThrowsAsync<ToolException>(() => scene.RunAsync());
        var (code, _, other) = await scene.ToolAsync("run", scene.RulesPath, "--state", scene.StatePath + ".other", "--yes");

        Assert.Contains("has the state", same.Message, StringComparison.Ordinal);
        Assert.Equal(2, code);
        Assert.Contains("another run", other, StringComparison.Ordinal);
    }

    private static async Task AssertMovedAsync(MigrationScene scene, MigrationLedger ledger)
    {
        await using var client = await scene.NewClientAsync();
        var differences = await ledger.DifferencesAsync(client, MigrationScene.New);
        Assert.True(differences.Count == 0, $"{Seed.Line}\n{string.Join('\n', differences.Take(10))}");
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
        Assert.EndsWith(" new", await scene.EpochAsync(), StringComparison.Ordinal);
    }
}
