using System.Text;
using Onggi.Cli.Backup;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>Backups put back into a real server.</summary>
public sealed class RestoreTests : IAsyncLifetime
{
    private BackupScene _scene = null!;
    private RedisServerProcess _target = null!;

    public async Task InitializeAsync()
    {
        _scene = await BackupScene.StartAsync();
        _target = await RedisServerProcess.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _target.DisposeAsync();
        await _scene.DisposeAsync();
    }

    [Theory]
    [InlineData("truncated", "ends too early")]
    [InlineData("flipped", "is broken")]
    [InlineData("another format", "is an archive of version 2")]
    [InlineData("another serialisation", "cannot read what redis")]
    [InlineData("no archive", "is broken")]
    [InlineData("good", "")]
    public async Task The_drill_is_refused_refused_and_equal_before_anything_is_written(string archive, string said)
    {
        await _scene.BackUpAsync();
        await SpoilAsync(archive);

        var (code, _, error) = await RestoreAsync("--yes", "--with-system");

        if (said.Length > 0)
        {
            Assert.Equal(2, code);
            Assert.Contains(said, error, StringComparison.Ordinal);
            Assert.Equal("0", await _target.CommandAsync("DBSIZE"));
            Assert.DoesNotContain("cmdstat_del", await _target.CommandAsync("INFO", "commandstats"), StringComparison.Ordinal);
            return;
        }

        Assert.True(code == 0, error);
        await _scene.Source.CommandAsync("DEL", "stranger");
        Assert.Equal(await BackupScene.StateAsync(_scene.Source), await BackupScene.StateAsync(_target));
    }

    [Fact]
    public async Task Another_prefix_gets_the_same_keys_also_behind_the_brace()
    {
        await _scene.BackUpAsync();

        var (code, output, error) = await RestoreAsync("--yes", "--prefix-from", "dev:", "--prefix-to", "staging:eu:");

        Assert.True(code == 0, error);
        Assert.Contains("All are equal", output, StringComparison.Ordinal);
        await _scene.Source.CommandAsync("DEL", "stranger", "dev:onggi:epoch");
        Assert.Equal(await BackupScene.StateAsync(_scene.Source), await BackupScene.StateAsync(_target, "staging:eu:"));
        Assert.Equal("1", await _target.CommandAsync("EXISTS", "{staging:eu:customer:10}:n"));
    }

    [Fact]
    public async Task Keys_of_the_servers_own_life_stay_out_unless_they_are_asked_for()
    {
        await _scene.BackUpAsync();

        Assert.Equal(0, (await RestoreAsync("--yes")).Code);
        Assert.Equal("0", await _target.CommandAsync("EXISTS", "dev:onggi:epoch"));
        Assert.Equal(0, (await RestoreAsync("--yes", "--keep-existing", "--with-system")).Code);
        Assert.Equal("1", await _target.CommandAsync("EXISTS", "dev:onggi:epoch"));
    }

    [Fact]
    public async Task They_stay_out_of_a_restore_of_everything_too()
    {
        await _scene.Source.CommandAsync("SET", "shop:dev:onggi:epoch", "e2");
        await _scene.Source.CommandAsync("SET", "dev:customer:onggi", "a name");
        await _scene.BackUpAsync("--all");

        var (code, _, error) = await RestoreAsync("--yes");

        Assert.True(code == 0, error);
        Assert.Equal("0", await _target.CommandAsync("EXISTS", "dev:onggi:epoch", "shop:dev:onggi:epoch"));
        Assert.Equal("2", await _target.CommandAsync("EXISTS", "stranger", "dev:customer:onggi"));
        Assert.Equal(0, (await RestoreAsync("--yes", "--keep-existing", "--with-system")).Code);
        Assert.Equal("2", await _target.CommandAsync("EXISTS", "dev:onggi:epoch", "shop:dev:onggi:epoch"));
    }

    [Fact]
    public async Task Keys_that_are_there_already_are_refused_kept_or_replaced_as_asked()
    {
        await _scene.BackUpAsync();
        await _target.CommandAsync("SET", "dev:customer:7", "newer");

        var looked = await RestoreAsync("--dry-run");
        var refused = await RestoreAsync("--yes");
        var left = await _target.CommandAsync("DBSIZE");
        var kept = await RestoreAsync("--yes", "--keep-existing");
        var value = await _target.CommandAsync("GET", "dev:customer:7");
        var replaced = await RestoreAsync("--yes", "--replace");

        Assert.Equal(1, looked.Code);
        Assert.Contains("1 of these keys are there already", looked.Output, StringComparison.Ordinal);
        Assert.Equal((2, "1"), (refused.Code, left));
        Assert.Contains("1 of these keys are there already", refused.Error, StringComparison.Ordinal);
        Assert.Equal((0, "newer"), (kept.Code, value));
        Assert.Contains("1 were there already and stayed", kept.Output, StringComparison.Ordinal);
        Assert.Equal((0, "value 7"), (replaced.Code, await _target.CommandAsync("GET", "dev:customer:7")));
    }

    [Fact]
    public async Task What_has_ended_since_is_not_revived_and_still_proven()
    {
        await _scene.BackUpAsync("--no-verify");
        long began;
        using (var archive = ArchiveReader.Open(_scene.Archive))
            began = archive.Header.CreatedAt;
        // Keys that ended a millisecond after the backup was begun.
        BackupTests.Rewrite(
            _scene.Archive,
            records =>
            {
                for (var i = 0; i < 5; i++)
                    records[i * 7] = records[i * 7] with { EndsAt = began + 1 };
            }
        );

        var verified = await ToolRun.OfAsync("backup", "verify", _scene.Archive);
        var (code, output, _) = await RestoreAsync("--yes", "--with-system");

        Assert.Equal((0, 0), (verified.Code, code));
        Assert.Contains("5 had ended since the backup", output, StringComparison.Ordinal);
        Assert.Equal("626", await _target.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task A_dry_run_and_a_no_write_nothing_and_nobody_to_ask_is_said()
    {
        await _scene.BackUpAsync();
        string[] args = ["restore", _scene.Archive, "--redis", _target.ConnectionString];

        var dry = await ToolRun.OfAsync([.. args, "--dry-run"]);
        var no = await ToolRun.OfAsync("no\n", CancellationToken.None, args);
        var nobody = await ToolRun.OfAsync(args);
        var written = await _target.CommandAsync("DBSIZE");
        var yes = await ToolRun.OfAsync("restore\n", CancellationToken.None, args);

        Assert.Equal((0, 2, 2, "0", 0), (dry.Code, no.Code, nobody.Code, written, yes.Code));
        Assert.Contains("nothing was restored", no.Error, StringComparison.Ordinal);
        Assert.Contains("--yes", nobody.Error, StringComparison.Ordinal);
        Assert.Contains("Caches among them", dry.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Families_are_chosen_and_caches_left_out()
    {
        await _scene.BackUpAsync();

        var unknown = await RestoreAsync("--yes", "--family", "sesion");
        Assert.Equal(0, (await RestoreAsync("--yes", "--family", "customer")).Code);
        Assert.Equal("330", await _target.CommandAsync("DBSIZE"));
        await _target.CommandAsync("FLUSHALL");
        Assert.Equal(0, (await RestoreAsync("--yes", "--no-caches")).Code);

        Assert.Equal("300", await _target.CommandAsync("DBSIZE"));
        Assert.Equal(2, unknown.Code);
        Assert.Contains("It has", unknown.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Too_little_room_is_refused_and_one_that_fills_Redis_goes_on_later()
    {
        await _scene.Source.CommandAsync(
            "EVAL",
            "for i = 1, 300 do redis.call('SET', 'dev:customer:big' .. i, string.rep(i, 20000), 'EX', 9000) end",
            "0"
        );
        await _scene.BackUpAsync();
        var used = long.Parse(
            (await _target.CommandAsync("INFO", "memory"))!
                .Split('\n')
                .First(line => line.StartsWith("used_memory:", StringComparison.Ordinal))["used_memory:".Length..]
        );
        await _target.CommandAsync("CONFIG", "SET", "maxmemory", $"{used + (3 << 20)}");

        var refused = await RestoreAsync("--yes");
        var written = await _target.CommandAsync("DBSIZE");
        var full = await RestoreAsync("--yes", "--ignore-memory");
        await _target.CommandAsync("CONFIG", "SET", "maxmemory", "0");
        var rest = await RestoreAsync("--yes", "--keep-existing", "--with-system");

        Assert.Equal((2, "0"), (refused.Code, written));
        Assert.Contains("has room for", refused.Error, StringComparison.Ordinal);
        Assert.Equal(2, full.Code);
        Assert.Contains("--keep-existing", full.Error, StringComparison.Ordinal);
        Assert.True(rest.Code == 0, rest.Error);
        await _scene.Source.CommandAsync("DEL", "stranger");
        Assert.Equal(await BackupScene.StateAsync(_scene.Source), await BackupScene.StateAsync(_target));
    }

    [Theory]
    [InlineData("Refuse", false)]
    [InlineData("Keep", true)]
    public async Task A_key_that_came_after_the_look_stays_and_only_who_expected_it_is_content(string whenThere, bool isWell)
    {
        await _scene.BackUpAsync();
        using var archive = ArchiveReader.Open(_scene.Archive);
        var terms = new RestoreTerms(archive, null, null, [], withCaches: true, withSystem: false);
        await using var client = await RedisClient.ConnectAsync(_target.ConnectionString);
        var run = new RestoreRun(archive, terms, client, Enum.Parse<WhenThere>(whenThere));
        var progress = new ToolProgress(TimeProvider.System);

        await run.LookAsync(progress, CancellationToken.None);
        await _target.CommandAsync("SET", "dev:customer:7", "newer");
        await run.WriteAsync(progress, 1, CancellationToken.None);

        Assert.Equal(("newer", 1), (await _target.CommandAsync("GET", "dev:customer:7"), run.Result.Kept));
        Assert.Equal(isWell, run.IsWell);
    }

    [Fact]
    public async Task Stopped_in_the_middle_it_says_so_and_goes_on_to_the_same_end()
    {
        await using var proxy = FaultProxy.Start(_target.Port);
        await _scene.BackUpAsync();
        proxy.Delay = TimeSpan.FromMilliseconds(40);
        using var stop = new CancellationTokenSource();

        var running = ToolRun.OfAsync(
            null,
            stop.Token,
            "restore",
            _scene.Archive,
            "--redis",
            proxy.ConnectionString,
            "--yes",
            "--with-system"
        );
        using var raw = await RawRedis.ConnectAsync(_target.Port);
        while (await raw.CommandAsync("DBSIZE") == "0" && !running.IsCompleted)
            await Task.Delay(2);
        await stop.CancelAsync();
        var (code, _, error) = await running;
        var rest = await RestoreAsync("--yes", "--keep-existing", "--with-system");

        Assert.True(code == 130, $"{code}: {error}");
        Assert.Contains("--keep-existing", error, StringComparison.Ordinal);
        Assert.True(rest.Code == 0, rest.Error);
        await _scene.Source.CommandAsync("DEL", "stranger");
        Assert.Equal(await BackupScene.StateAsync(_scene.Source), await BackupScene.StateAsync(_target));
    }

    [Fact]
    public async Task When_the_target_dies_it_says_how_to_go_on()
    {
        await using var proxy = FaultProxy.Start(_target.Port);
        await _scene.BackUpAsync();
        proxy.Delay = TimeSpan.FromMilliseconds(40);

        var running = ToolRun.OfAsync("restore", _scene.Archive, "--redis", proxy.ConnectionString, "--yes");
        using (var raw = await RawRedis.ConnectAsync(_target.Port))
            while (await raw.CommandAsync("DBSIZE") == "0" && !running.IsCompleted)
                await Task.Delay(2);
        await _target.KillAsync();
        proxy.CutAll();
        var (code, _, error) = await running.WaitAsync(TimeSpan.FromMinutes(3));

        Assert.True(code == 2, $"{code}: {error}");
        Assert.Contains("were restored for certain", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_RDB_is_restored_with_another_prefix_and_a_truncated_one_refused()
    {
        await _scene.Source.CommandAsync("DEL", "stranger", "dev:onggi:epoch");
        var rdb = Path.Combine(_scene.Folder, "a.rdb");
        Assert.Equal(0, (await ToolRun.OfAsync("backup", "create", "--rdb", "-r", _scene.Source.ConnectionString, "-o", rdb)).Code);
        var half = Path.Combine(_scene.Folder, "half.rdb");
        await File.WriteAllBytesAsync(half, (await File.ReadAllBytesAsync(rdb))[..^200]);
        string[] rest = ["--redis", _target.ConnectionString, "--yes", "--catalog", _scene.Catalog];

        var refused = await ToolRun.OfAsync(["restore", half, .. rest]);
        var written = await _target.CommandAsync("DBSIZE");
        var (code, output, error) = await ToolRun.OfAsync(["restore", rdb, "--prefix-from", "dev:", "--prefix-to", "b:", .. rest]);

        Assert.Equal((2, "0"), (refused.Code, written));
        Assert.Contains("is broken", refused.Error, StringComparison.Ordinal);
        Assert.True(code == 0, error);
        Assert.Contains("customer", output, StringComparison.Ordinal);
        Assert.Equal(await BackupScene.StateAsync(_scene.Source), await BackupScene.StateAsync(_target, "b:"));
    }

    [Fact]
    public async Task A_replica_is_no_target()
    {
        await _scene.BackUpAsync();
        await _target.CommandAsync("REPLICAOF", "127.0.0.1", $"{_scene.Source.Port}");

        var (code, _, error) = await RestoreAsync("--yes", "--replace");

        Assert.Equal(2, code);
        Assert.Contains("name the primary", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("there is no file", "nowhere.onggi")]
    [InlineData("one of them", "ARCHIVE", "--replace", "--keep-existing")]
    [InlineData("127.0.0.1:1", "ARCHIVE", "-r", "127.0.0.1:1")]
    [InlineData("--rdb-database is 0 to 1023", "ARCHIVE", "--rdb-database", "5000")]
    [InlineData("'--replcae'", "ARCHIVE", "--replcae")]
    [InlineData("Required argument", "--yes")]
    public async Task Bad_input_is_refused_in_words(string said, params string[] args)
    {
        await _scene.BackUpAsync();

        var (code, _, error) = await ToolRun.OfAsync(["restore", .. args.Select(word => word == "ARCHIVE" ? _scene.Archive : word)]);

        Assert.Equal(2, code);
        Assert.Contains(said, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_prefix_for_everything_is_refused()
    {
        await _scene.BackUpAsync("--all");

        var (code, _, error) = await RestoreAsync("--yes", "--prefix-to", "x:");

        Assert.Equal(2, code);
        Assert.Contains("--prefix-from", error, StringComparison.Ordinal);
    }

    private Task<(int Code, string Output, string Error)> RestoreAsync(params string[] more) =>
        ToolRun.OfAsync(["restore", _scene.Archive, "--redis", _target.ConnectionString, .. more]);

    private async Task SpoilAsync(string how)
    {
        var bytes = await File.ReadAllBytesAsync(_scene.Archive);
        switch (how)
        {
            case "truncated":
                await File.WriteAllBytesAsync(_scene.Archive, bytes[..^100]);
                break;
            case "flipped":
                bytes[bytes.Length / 2] ^= 1;
                await File.WriteAllBytesAsync(_scene.Archive, bytes);
                break;
            case "another format":
                bytes[ArchiveFormat.Magic.Length] = (byte)'2';
                await File.WriteAllBytesAsync(_scene.Archive, bytes);
                break;
            case "another serialisation":
                // The version stands before the checksum of 8 bytes, and is looked at first.
                BackupTests.Rewrite(
                    _scene.Archive,
                    records =>
                    {
                        for (var i = 0; i < records.Count; i++)
                        {
                            var dump = records[i].Dump.ToArray();
                            (dump[^10], dump[^9]) = (99, 0);
                            records[i] = records[i] with { Dump = dump };
                        }
                    }
                );
                break;
            case "no archive":
                await File.WriteAllTextAsync(_scene.Archive, "REDIS is not what this is", Encoding.UTF8);
                break;
            default:
                break;
        }
    }
}
