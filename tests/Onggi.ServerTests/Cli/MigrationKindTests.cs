using System.Diagnostics;
using System.Globalization;
using System.Text;
using Onggi.Cli.Migration;
using Onggi.Client;
using Onggi.Migration;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>What is moved and what is not, keys that go in pieces, databases that become one, and the tool as a process.</summary>
public sealed class MigrationKindTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Caches_stay_and_locks_are_waited_for()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 50);
        await scene.WriteRulesAsync(
            """
            { "db": 1, "from": "user:", "to": "dev:cache:user:", "class": "state" },
            { "db": 1, "from": "page:", "to": "dev:cache:page:", "class": "cache" },
            { "db": 1, "from": "locks:", "to": "dev:locks:", "class": "lock" }
            """
        );
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "page:1", "html");
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "locks:a", "owner", "PX", "1500");
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "{locks:a}:fence", "7");

        var held = true;
        await scene.RunAsync(
            MigrationScene.Options(async at =>
            {
                if (at == "flipping")
                    held = await MigrationScene.AskAsync(scene.Source, 1, "EXISTS", "locks:a") == "1";
            })
        );

        Assert.False(held);
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*dev:cache:page:*"));
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*dev:locks:*"));
        Assert.Equal("50", await scene.CountAsync(scene.Target, 0, "*dev:cache:user:*"));
    }

    [Fact]
    public async Task A_lock_that_is_not_let_go_ends_the_cut_over_and_the_fence()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await scene.WriteRulesAsync(
            """{ "db": 1, "from": "user:", "to": "dev:cache:user:", "class": "state" }, { "db": 1, "from": "locks:", "to": "dev:locks:", "class": "lock" }"""
        );
        var rights = await scene.RightsAsync();
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "locks:a", "owner");

        var refused = await Assert.ThrowsAsync<Onggi.Cli.ToolException>(() =>
            scene.RunAsync(new MigrationOptions { LockPatience = TimeSpan.FromMilliseconds(200) })
        );

        Assert.Contains("locks:a", refused.Message, StringComparison.Ordinal);
        Assert.Equal(rights, await scene.RightsAsync());
        Assert.EndsWith(" old", await scene.EpochAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Keys_that_go_in_pieces_are_the_same_afterwards(bool oneServer)
    {
        await using var scene = await MigrationScene.StartAsync(oneServer, keys: 120);
        await MigrationScene.EvalAsync(
            scene.Source,
            scene.Database,
            """
            redis.call('SET', 'user:big1', string.rep('abc', 1000000))
            for i = 1, 2500 do
              redis.call('HSET', 'user:big2', 'f' .. i, string.rep('v', i % 100))
              redis.call('SADD', 'user:big3', 'm' .. i)
              redis.call('ZADD', 'user:big4', i / 7, 'm' .. i)
              redis.call('RPUSH', 'user:big5', i % 3 == 0 and '' or i)
            end
            redis.call('ZADD', 'user:big4', '-inf', 'least')
            redis.call('PEXPIRE', 'user:big2', 5000000)
            """
        );

        var result = await scene.RunAsync(prepare: session =>
        {
            for (var i = 1; i <= 120; i++)
                session.Big.Add(scene.Database, new KeyName(Encoding.UTF8.GetBytes($"user:s{i.ToString(CultureInfo.InvariantCulture)}")));
            for (var i = 1; i <= 5; i++)
                session.Big.Add(scene.Database, new KeyName(Encoding.UTF8.GetBytes($"user:big{i.ToString(CultureInfo.InvariantCulture)}")));
        });

        Assert.Equal((125, 0), (result.Copied, result.Repaired));
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
        Assert.Equal("0", await scene.CountAsync(scene.Target, 0, "*:part:*"));
    }

    [Fact]
    public async Task Two_databases_become_one_name_space()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 300);
        await MigrationScene.EvalAsync(scene.Source, 0, "for i = 1, 300 do redis.call('SET', 'user:t' .. i, i, 'PX', 4000000) end");
        await scene.WriteRulesAsync(
            """{ "db": 1, "from": "user:", "to": "dev:user:", "class": "state" }, { "db": 0, "from": "user:", "to": "dev:user:", "class": "state" }"""
        );
        var moved = false;

        var result = await scene.RunAsync(
            MigrationScene.Options(async at =>
            {
                if (at != "ready" || moved)
                    return;
                // A name that goes from one database to the other is still the one key.
                moved = true;
                await MigrationScene.AskAsync(scene.Source, 0, "SET", "user:s1", "now here");
                await MigrationScene.AskAsync(scene.Source, 1, "DEL", "user:s1", "user:s2");
            })
        );

        Assert.True(result.Flipped);
        Assert.Equal("599", await scene.CountAsync(scene.Target, 0, "*dev:user:*"));
        Assert.Equal("now here", await MigrationScene.AskAsync(scene.Target, 0, "GET", "dev:user:s1"));
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
    }

    [Fact]
    public async Task The_whole_of_a_database_goes_to_a_prefix()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 300);
        await scene.WriteRulesAsync("""{ "db": 1, "from": "", "to": "dev:user-service:", "class": "state" }""");
        var written = false;

        var result = await scene.RunAsync(
            MigrationScene.Options(async at =>
            {
                if (at != "compared" || written)
                    return;
                written = true;
                await MigrationScene.AskAsync(scene.Source, 1, "SET", "user:s1", "changed");
                await MigrationScene.AskAsync(scene.Source, 1, "DEL", "user:s2");
            })
        );

        Assert.Equal((true, 0), (result.Flipped, result.Repaired));
        Assert.Equal("changed", await MigrationScene.AskAsync(scene.Target, 0, "GET", "dev:user-service:user:s1"));
        Assert.Equal("299", await scene.CountAsync(scene.Target, 0, "*dev:user-service:*"));
    }

    [Fact]
    public async Task The_tool_moves_verifies_goes_back_and_removes()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 300);

        var (ran, _, asked) = await scene.ToolAsync("run", scene.RulesPath);
        var (held, stopped, _) = await scene.ToolAsync("run", scene.RulesPath, "--no-cut-over");
        var (moved, said, _) = await scene.ToolAsync("run", scene.RulesPath, "--yes");
        var (verified, same, _) = await scene.ToolAsync("verify", scene.RulesPath);
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:s1", "since");
        var (differs, which, _) = await scene.ToolAsync("verify", scene.RulesPath);
        var (_, status, _) = await scene.ToolAsync("status", scene.RulesPath);
        var (back, removed, _) = await scene.ToolAsync("rollback", scene.RulesPath, "--yes");
        var (released, _, _) = await scene.ToolAsync("release", scene.RulesPath);

        Assert.Equal((2, 0, 0, 0, 1, 0, 0), (ran, held, moved, verified, differs, back, released));
        Assert.Contains("add --yes", asked, StringComparison.Ordinal);
        Assert.Contains("Not cut over", stopped, StringComparison.Ordinal);
        Assert.Contains("the new side is the true one", said, StringComparison.Ordinal);
        Assert.Contains("300 keys compared, 0 differ.", same, StringComparison.Ordinal);
        Assert.Contains("user:s1 → dev:cache:user:s1", which, StringComparison.Ordinal);
        Assert.Contains("the new side is the true one", status, StringComparison.Ordinal);
        Assert.Contains("300 copies were removed", removed, StringComparison.Ordinal);
        Assert.Equal("since", await MigrationScene.AskAsync(scene.Source, 1, "GET", "user:s1"));
        Assert.Contains(" ~user:* ", await scene.RightsAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Retired_the_old_keys_are_gone_and_the_new_ones_stay()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 300);

        var (early, _, no) = await scene.ToolAsync("retire", scene.RulesPath, "--yes");
        await scene.ToolAsync("run", scene.RulesPath, "--yes");
        var (code, _, _) = await scene.ToolAsync("retire", scene.RulesPath, "--yes");
        var (late, _, gone) = await scene.ToolAsync("rollback", scene.RulesPath, "--yes");

        Assert.Equal((2, 0, 2), (early, code, late));
        Assert.Contains("not the true one", no, StringComparison.Ordinal);
        Assert.Contains("no way back", gone, StringComparison.Ordinal);
        Assert.Equal("0", await scene.CountAsync(scene.Source, 1, "*"));
        Assert.Equal("300", await scene.CountAsync(scene.Target, 0, "*dev:cache:user:*"));
    }

    [Fact]
    public async Task The_process_may_be_killed_and_the_next_one_goes_on()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 20_000);
        await using var ledger = await scene.BeginWritingAsync(perSecond: 200);
        await ledger.WhenWrittenAsync(100);
        using var first = Process.Start(
            new ProcessStartInfo("dotnet", [ToolPath(), "migrate", "run", scene.RulesPath, "--follow"])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            }
        )!;
        try
        {
            // Not as the default user: one who is connected and could write stands in the way.
            await using var watcher = await MigrationScene.ClientAsync(scene.Target, 0, "mig");
            var deadline = DateTime.UtcNow + Bound;
            while (await watcher.SendAsync(["EVAL", "return #redis.call('KEYS', 'dev:cache:*')", 0], ReplyParsers.Int64) == 0)
            {
                Assert.True(DateTime.UtcNow < deadline, "It copies nothing.");
                Assert.False(first.HasExited, first.HasExited ? await first.StandardError.ReadToEndAsync() : "");
                await Task.Delay(1);
            }
        }
        finally
        {
            first.Kill();
        }

        await first.WaitForExitAsync();
        await ledger.WhenWrittenAsync(200);
        var (code, output, error) = await scene.ToolAsync("run", scene.RulesPath, "--yes");
        await ledger.WhenWrittenAsync(200);
        await ledger.StopAsync();

        Assert.True(code == 0, output + error);
        await using var client = await scene.NewClientAsync();
        Assert.Empty(await ledger.DifferencesAsync(client, MigrationScene.New));
        Assert.Empty(await scene.DifferencesOfOldKeysAsync());
    }

    [Fact]
    public async Task Followed_until_it_is_stopped_the_old_side_stays_the_true_one()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 200);
        await using var ledger = await scene.BeginWritingAsync(perSecond: 200);
        using var stop = new CancellationTokenSource();
        // Not as the default user: one who is connected and could write stands in the way.
        await using var watcher = await MigrationScene.ClientAsync(scene.Target, 0, "mig");
        var running = ToolRun.OfAsync(answers: null, stop.Token, "migrate", "run", scene.RulesPath, "--follow");

        await Until.TrueAsync(async () => await watcher.GetStringAsync("dev:onggi:migration:test") == "2 shadow");
        await ledger.WhenWrittenAsync(200);
        await ledger.StopAsync();
        await Until.TrueAsync(async () => (await ledger.DifferencesAsync(watcher, MigrationScene.New)).Count == 0);
        await stop.CancelAsync();
        var (code, _, _) = await running;

        Assert.Equal((130, "3 old"), (code, await scene.EpochAsync()));
        await using var client = await scene.OldClientAsync();
        Assert.Empty(await ledger.DifferencesAsync(client, MigrationScene.Old));
    }

    [Fact]
    public async Task A_fence_of_reads_leaves_nobody_with_old_values()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await scene.WriteRulesAsync(extra: """ "fence": "reads-and-writes",""");
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "user:a", "old");
        await using var old = await scene.OldClientAsync();
        await using var other = await scene.NewClientAsync();
        var options = scene.Shim;
        options.RefreshEvery = TimeSpan.FromHours(1);
        await using var shim = await OnggiMigration.StartAsync(old, other, options);

        await scene.RunAsync();
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:cache:user:a", "new");

        Assert.Equal("new", await shim.ReadAsync((side, token) => side.Redis.GetStringAsync(side.Key("a"), token)));
        Assert.Equal(MigrationPhase.New, shim.Epoch.Phase);
    }

    [Fact]
    public async Task Reads_are_compared_in_the_shadow_and_a_right_that_is_missing_for_good_is_said_at_once()
    {
        await using var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "user:a", "1");
        await MigrationScene.AskAsync(scene.Source, 1, "SET", "user:b", "1");
        await MigrationScene.AskAsync(scene.Source, 0, "SET", "dev:cache:user:a", "1");
        await MigrationScene.AskAsync(scene.Source, 0, "SET", "dev:cache:user:b", "2");
        await using var old = await scene.OldClientAsync();
        await using var other = await scene.NewClientAsync();
        var options = scene.Shim;
        (options.ShadowEvery, options.ShadowPatience) = (1, TimeSpan.FromMilliseconds(100));
        await using var shim = await OnggiMigration.StartAsync(old, other, options);

        var refused = await Assert.ThrowsAsync<RedisServerException>(async () =>
            await shim.WriteAsync((side, token) => side.Redis.SetAsync("nobody's", "x", cancellationToken: token))
        );
        await MigrationScene.AskAsync(scene.Target, 0, "SET", "dev:onggi:migration:test", "2 shadow");
        await shim.RefreshAsync();
        foreach (var (name, mismatches) in new[] { ("a", 0), ("b", 1) })
        {
            var before = shim.ShadowReads;
            Assert.Equal("1", await shim.ReadAsync((side, token) => side.Redis.GetStringAsync(side.Key(name), token)));
            await Until.TrueAsync(() => shim.ShadowReads != before);
            Assert.Equal(mismatches, shim.ShadowMismatches);
        }

        Assert.Equal("NOPERM", refused.Code);
    }

    // Beside the tests it lacks what their framework brings.
    private static string ToolPath()
    {
        var slash = Path.DirectorySeparatorChar;
        return Path.Combine(
            AppContext.BaseDirectory.Replace(
                $"{slash}tests{slash}Onggi.ServerTests{slash}bin{slash}",
                $"{slash}src{slash}Onggi.Cli{slash}bin{slash}",
                StringComparison.Ordinal
            ),
            "Onggi.Cli.dll"
        );
    }
}
