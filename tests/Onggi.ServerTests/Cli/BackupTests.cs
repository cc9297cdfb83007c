using System.Diagnostics;
using System.Text;
using Onggi.Cli;
using Onggi.Cli.Access;
using Onggi.Cli.Backup;
using Onggi.Cli.Commands;
using Onggi.Cli.Server;
using Onggi.Testing;
using Onggi.Tests.Web;

namespace Onggi.ServerTests.Cli;

/// <summary>Backups of a real server, proven by another one.</summary>
public sealed class BackupTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task An_archive_holds_every_kind_of_value_and_is_proven()
    {
        await using var scene = await BackupScene.StartAsync();

        var made = await scene.BackUpAsync();

        var families = made.GetProperty("families").EnumerateArray().ToDictionary(family => family.GetProperty("family").GetString()!);
        Assert.True(made.GetProperty("verified").GetBoolean());
        Assert.Equal(631, made.GetProperty("keys").GetInt64());
        Assert.Equal(330, families["customer"].GetProperty("keys").GetInt64());
        Assert.Equal(300, families["session"].GetProperty("keys").GetInt64());
        Assert.Equal(1, families["onggi"].GetProperty("keys").GetInt64());
        Assert.Equal(0, made.GetProperty("withoutDigest").GetInt64());
        Assert.Equal(150 + 1, made.GetProperty("ends").GetProperty("never").GetInt64());
        Assert.Empty(Directory.GetFiles(scene.Folder, "*" + BackupMaker.PartEnding));
        var list = await BackupScene.JsonAsync("backup", "list", scene.Folder);
        Assert.Equal(0, list.Code);
        Assert.True(list.Said!.Value[0].GetProperty("verifiedAt").GetInt64() > 0);
    }

    [Fact]
    public async Task Without_a_catalog_or_with_all_everything_is_saved()
    {
        await using var scene = await BackupScene.StartAsync();

        var all = await scene.BackUpAsync("--all");
        var (code, said, _) = await BackupScene.JsonAsync(
            "backup",
            "create",
            "--redis",
            scene.Source.ConnectionString,
            "--prefix",
            "strang",
            "--out",
            scene.Archive + "2"
        );

        Assert.Equal(632, all.GetProperty("keys").GetInt64());
        Assert.Equal((0, 1), (code, said!.Value.GetProperty("keys").GetInt64()));
    }

    [Fact]
    public async Task A_password_is_neither_in_the_archive_nor_beside_it_and_only_the_owner_reads_them()
    {
        await using var scene = await BackupScene.StartAsync(50, new RedisServerSettings { Password = "pAssw0rd-7" });

        await scene.BackUpAsync();

        foreach (var file in Directory.GetFiles(scene.Folder, "a.onggi*"))
        {
            Assert.DoesNotContain("pAssw0rd-7", Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file)), StringComparison.Ordinal);
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
    }

    [Fact]
    public async Task Keys_that_are_written_meanwhile_are_proven_too()
    {
        await using var scene = await BackupScene.StartAsync(3000);
        var goesOn = true;
        var writing = WriteAsync(scene.Source, () => Volatile.Read(ref goesOn));

        var made = await scene.BackUpAsync();
        Volatile.Write(ref goesOn, false);

        Assert.True(made.GetProperty("verified").GetBoolean());
        Assert.True(await writing > 0);
    }

    [Fact]
    public async Task The_user_of_backups_is_enough_for_both_kinds_and_writes_nothing()
    {
        await using var scene = await BackupScene.StartAsync();
        var keyspace = Inputs.LoadKeyspace(scene.Catalog, null);
        var rules = AccessPlan.Of(keyspace, replicated: false).Single(user => user.Name == AccessPlan.Backup).Rules;
        await scene.Source.CommandAsync(["ACL", "SETUSER", "backup", "on", ">pw", .. rules]);
        var connection = $"127.0.0.1:{scene.Source.Port},user=backup,password=pw";

        foreach (
            var kind in (string[][])
                [
                    [],
                    ["--rdb"],
                ]
        )
        {
            var (code, _, error) = await BackupScene.JsonAsync(["backup", "create", "-r", connection, "-o", scene.Folder, .. kind]);
            Assert.True(code == 0, error);
        }

        Assert.Equal("", await scene.Source.CommandAsync("ACL", "LOG"));
        Assert.Contains(
            "no permissions",
            await scene.Source.CommandAsync("ACL", "DRYRUN", "backup", "SET", "dev:customer:1", "x"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_large_value_is_counted_and_said_not_skipped()
    {
        await using var scene = await BackupScene.StartAsync(10);
        await scene.Source.CommandAsync("SETRANGE", "dev:customer:big", $"{KeyReader.BigValue}", "x");

        var (code, output, _) = await ToolRun.OfAsync(
            "backup",
            "create",
            "-r",
            scene.Source.ConnectionString,
            "-c",
            scene.Catalog,
            "-o",
            scene.Archive
        );

        Assert.Equal(0, code);
        Assert.Contains("1 keys are too large", output, StringComparison.Ordinal);
        using var archive = ArchiveReader.Open(scene.Archive);
        Assert.Contains(archive.Blocks().SelectMany(block => block), record => Encoding.UTF8.GetString(record.Key) == "dev:customer:big");
    }

    [Theory]
    [InlineData("value", "has another value")]
    [InlineData("end", "ends at another time")]
    [InlineData("kind", "is of another type")]
    public async Task An_archive_that_does_not_hold_what_was_read_is_not_proven(string what, string said)
    {
        await using var scene = await BackupScene.StartAsync(20);
        await scene.BackUpAsync();
        Rewrite(
            scene.Archive,
            records =>
            {
                var at = records.FindIndex(record => record.Kind == ValueKind.Text);
                records[at] = what switch
                {
                    "value" => records[at] with { Dump = records.FindLast(record => record.Kind == ValueKind.Text).Dump },
                    "kind" => records[at] with { Dump = records.Find(record => record.Kind == ValueKind.Hash).Dump },
                    _ => records[at] with { EndsAt = -5 },
                };
            }
        );

        var (code, output, _) = await ToolRun.OfAsync("backup", "verify", scene.Archive);

        Assert.Equal(1, code);
        Assert.Contains(said, output, StringComparison.Ordinal);
        Assert.False(BackupFolder.List(scene.Folder).Single().IsVerified);
    }

    [Theory]
    [InlineData("truncated")]
    [InlineData("flipped")]
    [InlineData("foreign")]
    public async Task A_broken_RDB_is_refused(string how)
    {
        await using var scene = await BackupScene.StartAsync();
        var rdb = Path.Combine(scene.Folder, "a.rdb");
        var made = await ToolRun.OfAsync("backup", "create", "--rdb", "-r", scene.Source.ConnectionString, "-o", rdb);
        Assert.True(made.Code == 0, made.Error);
        Assert.Equal(0, (await ToolRun.OfAsync("backup", "verify", rdb)).Code);
        var bytes = await File.ReadAllBytesAsync(rdb);
        if (how == "truncated")
            bytes = bytes[..(bytes.Length / 2)];
        else if (how == "flipped")
            bytes[bytes.Length / 2] ^= 4;
        else
            "9999"u8.CopyTo(bytes.AsSpan("REDIS".Length));
        await File.WriteAllBytesAsync(rdb, bytes);

        var (code, output, _) = await ToolRun.OfAsync("backup", "verify", rdb);

        Assert.Equal(1, code);
        Assert.Contains("is broken", output, StringComparison.Ordinal);
        Assert.False(BackupFolder.List(scene.Folder).Single().IsVerified);
    }

    [Fact]
    public async Task A_tool_that_is_killed_leaves_no_server_behind()
    {
        await using var scene = await BackupScene.StartAsync();
        // Enough that the proof takes seconds.
        await scene.Source.CommandAsync(
            "EVAL",
            "for i = 1, 60000 do redis.call('HSET', 'dev:auth:session:h' .. i, 'a', i, 'b', i, 'c', i) end",
            "0"
        );
        await scene.BackUpAsync("--no-verify");
        var temporary = Directory.CreateDirectory(Path.Combine(scene.Folder, "tmp")).FullName;
        using var tool = Process.Start(
            new ProcessStartInfo("dotnet", [typeof(OnggiTool).Assembly.Location, "backup", "verify", scene.Archive])
            {
                UseShellExecute = false,
                Environment = { ["TMPDIR"] = temporary },
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        await Until.TrueAsync(() => tool.HasExited || Directory.GetFiles(temporary, "output", SearchOption.AllDirectories).Length > 0);
        Assert.False(tool.HasExited);

        tool.Kill();

        await Until.TrueAsync(() => Directory.GetDirectories(temporary, "onggi-scratch-*").Length == 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task When_Redis_dies_or_is_restarted_in_the_middle_nothing_is_left(bool restarted)
    {
        await using var scene = await BackupScene.StartAsync(10);
        // 8 MB that do not compress. Half of it gets through, and not a byte more before the server is gone: however fast or slow both are, it dies in the middle.
        await scene.Source.CommandAsync(
            "EVAL",
            "math.randomseed(1) local t = {} for j = 1, 20000 do t[j] = string.char(math.random(0, 255)) end t = table.concat(t) for i = 1, 400 do redis.call('SET', 'dev:customer:r' .. i, t .. i, 'EX', 9000) end",
            "0"
        );
        await using var proxy = FaultProxy.Start(scene.Source.Port);
        var half = proxy.HoldAfter(ProxyDirection.ToClient, 4 << 20);
        var making = ToolRun.OfAsync("backup", "create", "-r", proxy.ConnectionString, "-o", scene.Archive);
        await half.WaitAsync(TimeSpan.FromMinutes(1));
        Assert.True(File.Exists(scene.Archive + ".part"));

        await scene.Source.KillAsync();
        proxy.CutAll();
        if (restarted)
            await scene.Source.RestartAsync();
        proxy.Release();
        var (code, _, error) = await making.WaitAsync(TimeSpan.FromMinutes(3));

        Assert.True(code == 2, error);
        Assert.Empty(Directory.GetFiles(scene.Folder, "a.onggi*"));
    }

    [Fact]
    public async Task An_empty_Redis_is_not_saved_unless_that_is_meant()
    {
        await using var scene = await BackupScene.StartAsync(10);
        await scene.Source.CommandAsync("FLUSHALL");
        string[] args = ["backup", "create", "-r", scene.Source.ConnectionString, "-o", scene.Archive];

        var refused = await ToolRun.OfAsync(args);
        var left = File.Exists(scene.Archive);
        var meant = await ToolRun.OfAsync([.. args, "--allow-empty"]);

        Assert.Equal((2, false, 0), (refused.Code, left, meant.Code));
        Assert.Contains("--allow-empty", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_folder_keeps_as_many_as_asked_for()
    {
        await using var scene = await BackupScene.StartAsync(10);
        // Older ones by their names and headers.
        for (var i = 1; i <= 3; i++)
        {
            await scene.BackUpAsync();
            Rewrite(scene.Archive, _ => { }, createdAt: i * 1000);
            Assert.Equal(0, (await ToolRun.OfAsync("backup", "verify", scene.Archive)).Code);
            foreach (var ending in (string[])["", BackupProof.Ending])
                File.Move(scene.Archive + ending, Path.Combine(scene.Folder, $"old{i}.onggi{ending}"));
        }

        var (code, said, error) = await BackupScene.JsonAsync(
            "backup",
            "create",
            "-r",
            scene.Source.ConnectionString,
            "-c",
            scene.Catalog,
            "-o",
            scene.Folder,
            "--keep",
            "2"
        );

        Assert.True(code == 0, error);
        Assert.Equal(2, said!.Value.GetProperty("removed").GetArrayLength());
        var left = BackupFolder.List(scene.Folder).Select(file => Path.GetFileName(file.Path)).ToList();
        Assert.Equal(2, left.Count);
        Assert.Equal("old3.onggi", left[1]);
        Assert.StartsWith("shop-dev-", left[0], StringComparison.Ordinal);
        Assert.Equal(4 + 1, Directory.GetFiles(scene.Folder).Length);
    }

    [Fact]
    public async Task Metrics_are_written_for_a_collector()
    {
        await using var scene = await BackupScene.StartAsync(10);
        await scene.BackUpAsync();
        var file = Path.Combine(scene.Folder, "backup.prom");

        var (code, output, _) = await ToolRun.OfAsync("backup", "metrics", scene.Folder, "--out", file);

        Assert.Equal((0, ""), (code, output));
        var text = await File.ReadAllTextAsync(file);
        Assert.Matches(
            "\nonggi_backup_last_verified_timestamp_seconds\\{system=\"shop\",environment=\"dev\",prefix=\"dev:\",database=\"0\"\\} [1-9]",
            text
        );
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Promtool.LeaveOut)))
            Assert.Equal("", await Promtool.CheckAsync(text));
    }

    [Fact]
    public async Task Without_a_redis_server_to_prove_it_with_nothing_is_begun()
    {
        await using var scene = await BackupScene.StartAsync(10);
        string[] args = ["backup", "create", "-r", scene.Source.ConnectionString, "-o", scene.Archive];

        var without = await ToolRun.OfAsync([.. args, "--redis-server", "/nowhere/redis-server"]);
        var said = await ToolRun.OfAsync([.. args, "--no-verify"]);

        Assert.Equal((2, 0), (without.Code, said.Code));
        Assert.Contains("--no-verify", without.Error, StringComparison.Ordinal);
        Assert.Contains("NOT verified", said.Output, StringComparison.Ordinal);
        Assert.Equal(1, (await ToolRun.OfAsync("backup", "list", scene.Folder)).Code);
        Assert.Equal(2, (await ToolRun.OfAsync("backup", "verify", scene.Archive, "--redis-server", "/nowhere/x")).Code);
    }

    [Theory]
    [InlineData(2, "already", "backup", "create", "-r", "REDIS", "-o", "ARCHIVE")]
    [InlineData(2, "Required", "backup", "create", "-r", "REDIS")]
    [InlineData(2, "--keep-days", "backup", "create", "-r", "REDIS", "-o", "OTHER", "--keep", "2")]
    [InlineData(2, "--keep is 1 or more", "backup", "create", "-r", "REDIS", "-o", "OTHER", "--keep", "0")]
    [InlineData(2, "only a proven backup", "backup", "create", "-r", "REDIS", "-o", "OTHER", "--keep", "2", "--no-verify")]
    [InlineData(2, "one of them", "backup", "create", "-r", "REDIS", "-o", "OTHER", "--all", "--prefix", "x")]
    [InlineData(2, "leave --all", "backup", "create", "-r", "REDIS", "-o", "OTHER", "--all", "--rdb")]
    [InlineData(2, "127.0.0.1:1", "backup", "create", "-r", "127.0.0.1:1", "-o", "OTHER")]
    [InlineData(2, "there is no file", "backup", "create", "-r", "REDIS", "-o", "OTHER", "-c", "nowhere.json")]
    [InlineData(2, "there is no file", "backup", "verify", "nowhere.onggi")]
    [InlineData(2, "there is no folder", "backup", "list", "nowhere")]
    [InlineData(2, "there is no folder", "backup", "metrics", "nowhere")]
    [InlineData(2, "--allow-empty", "backup", "create", "-r", "REDIS", "-o", "OTHER", "--prefix", "nobody-has-this")]
    public async Task Bad_input_is_refused_in_words(int expected, string said, params string[] args)
    {
        await using var scene = await BackupScene.StartAsync(5);
        await scene.BackUpAsync();
        var other = Path.Combine(scene.Folder, "other.onggi");

        var (code, _, error) = await ToolRun.OfAsync([
            .. args.Select(word =>
                word switch
                {
                    "REDIS" => scene.Source.ConnectionString,
                    "ARCHIVE" => scene.Archive,
                    "OTHER" => other,
                    _ => word,
                }
            ),
        ]);

        Assert.Equal(expected, code);
        Assert.Contains(said, error, StringComparison.OrdinalIgnoreCase);
        Assert.False(File.Exists(other));
    }

    /// <summary>The archive with something else in it, and sums that are right for that.</summary>
    internal static void Rewrite(string path, Action<List<KeyRecord>> change, long? createdAt = null)
    {
        ArchiveHeader header;
        ArchiveFooter footer;
        List<KeyRecord> records;
        using (var archive = ArchiveReader.Open(path))
        {
            (header, footer) = (archive.Header, archive.Footer);
            records = [.. archive.Blocks().SelectMany(block => block)];
        }

        change(records);
        using var writer = new ArchiveWriter(path, header with { CreatedAt = createdAt ?? header.CreatedAt });
        foreach (var record in records)
            writer.Add(record);
        writer.Finish([.. footer.Families.Select(family => (family.Name, family.Kind))], footer.EndedAt, footer.Gone);
    }

    // Each write leaves the value and the end as they belong together, and changes both.
    private static async Task<int> WriteAsync(RedisServerProcess server, Func<bool> goesOn)
    {
        using var raw = await RawRedis.ConnectAsync(server.Port);
        for (var i = 0; ; i++)
        {
            if (!goesOn())
                return i;
            await raw.CommandAsync(
                "EVAL",
                """
                for n = 1, 200 do
                  local at = (tonumber(ARGV[1]) * 200 + n) % 3000 + 1
                  local key = 'dev:auth:session:' .. at
                  redis.call('DEL', key)
                  if at % 2 == 0 then for f = 1, 150 do redis.call('HSET', key, 'f' .. f, ARGV[1]) end
                  else for f = 1, 150 do redis.call('SADD', key, f .. ':' .. ARGV[1]) end end
                  redis.call('PEXPIRE', key, 5000000 + tonumber(ARGV[1]))
                end
                """,
                "0",
                $"{i}"
            );
        }
    }
}
