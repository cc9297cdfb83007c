using System.Diagnostics;
using System.Text;

namespace Onggi.DeployTests.Production;

/// <summary>Whom an entry script takes for the primary, by what a made-up redis-cli answers it. It starts a redis-server that only ends.</summary>
public sealed class EntryScriptTests : IDisposable
{
    private const string Self = "redis-0:6379";

    // More rounds than any patience here: who has not started by then waits.
    private const int Rounds = 30;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-entry-");
    private readonly StringBuilder _answers = new();

    public EntryScriptTests()
    {
        foreach (var name in (string[])["bin", "data", "acl", "tls"])
            _folder.CreateSubdirectory(name);
        File.WriteAllText(PathOf("password"), "secret");
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Another_that_the_Sentinels_name_is_followed()
    {
        Sentinel("s1", "redis-1", epoch: 3);

        Assert.Equal("replicaof redis-1 6379", await RoleAsync());
    }

    [Fact]
    public async Task Of_Sentinels_that_differ_the_one_with_the_highest_epoch_is_right()
    {
        Sentinel("s1", "redis-0", epoch: 3);
        Sentinel("s2", "redis-2", epoch: 4);
        HasData();

        Assert.Equal("replicaof redis-2 6379", await RoleAsync());
    }

    [Fact]
    public async Task The_primary_that_they_name_goes_on_with_its_data()
    {
        Sentinel("s1", "redis-0", epoch: 3);
        HasData();

        Assert.Equal("", await RoleAsync());
    }

    [Fact]
    public async Task The_primary_that_they_name_waits_when_its_disk_is_empty()
    {
        Sentinel("s1", "redis-0", epoch: 3);

        Assert.Null(await RoleAsync());
    }

    [Fact]
    public async Task And_starts_empty_when_it_is_told_to()
    {
        Sentinel("s1", "redis-0", epoch: 3);

        Assert.Equal("", await RoleAsync(("ONGGI_START_EMPTY", "yes")));
    }

    [Fact]
    public async Task Or_when_nobody_has_anything_yet()
    {
        Sentinel("s1", "redis-0", epoch: 0, replicas: 0);

        Assert.Equal("", await RoleAsync());
    }

    [Fact]
    public async Task A_primary_that_is_being_replaced_waits_for_the_end_of_it()
    {
        Sentinel("s1", "redis-0", epoch: 3, flags: "master,s_down,o_down");
        HasData();

        Assert.Null(await RoleAsync(("ONGGI_PATIENCE", "60")));
        Assert.Equal("", await RoleAsync(("ONGGI_PATIENCE", "1")));
    }

    [Fact]
    public async Task Without_Sentinels_the_primary_with_replicas_is_followed_and_not_one_of_yesterday()
    {
        Answer("redis-1:6379", "ROLE", "master\n500\n");
        Answer("redis-2:6379", "ROLE", "master\n100\nredis-3\n6379\n90\n");
        HasData();

        Assert.Equal("replicaof redis-2 6379", await RoleAsync());
    }

    [Fact]
    public async Task Without_Sentinels_whom_the_others_follow_counts_more_than_a_primary_without_replicas()
    {
        Answer("redis-1:6379", "ROLE", "master\n500\n");
        Answer("redis-2:6379", "ROLE", "slave\nredis-9\n6379\nconnect\n0\n");

        Assert.Equal("replicaof redis-9 6379", await RoleAsync());
    }

    [Fact]
    public async Task An_empty_server_whom_the_others_follow_does_not_make_them_empty()
    {
        Answer("redis-1:6379", "ROLE", $"slave\nredis-0\n6379\nconnect\n0\n");

        Assert.Null(await RoleAsync());
    }

    [Fact]
    public async Task Where_nobody_answers_a_server_is_what_it_was()
    {
        HasData();
        File.WriteAllText(PathOf("data/redis.conf"), "port 0\nreplicaof redis-2 6379\n");

        Assert.Equal("replicaof redis-2 6379", await RoleAsync());
    }

    [Fact]
    public async Task Where_nobody_answers_the_first_of_a_new_set_is_the_primary_and_the_others_wait()
    {
        Assert.Equal("", await RoleAsync());
        File.Delete(PathOf("data/redis.conf"));
        Assert.Null(await RoleAsync(("ONGGI_HOST", "redis-1")));
    }

    [Fact]
    public async Task A_Sentinel_keeps_what_it_has_learnt_and_takes_settings_anew()
    {
        File.WriteAllText(
            PathOf("data/sentinel.conf"),
            """
            sentinel monitor phonebill redis-2 6379 2
            sentinel down-after-milliseconds phonebill 99
            sentinel myid 0123456789012345678901234567890123456789
            sentinel config-epoch phonebill 7
            sentinel known-replica phonebill redis-0 6379

            """
        );

        var conf = await RunAsync("sentinel-entry.sh", "sentinel.conf");

        Assert.Contains("sentinel monitor phonebill redis-2 6379 2\n", conf, StringComparison.Ordinal);
        Assert.Contains("sentinel config-epoch phonebill 7\n", conf, StringComparison.Ordinal);
        Assert.Contains("sentinel myid 0123456789012345678901234567890123456789\n", conf, StringComparison.Ordinal);
        Assert.Contains("sentinel down-after-milliseconds phonebill 5000\n", conf, StringComparison.Ordinal);
        Assert.DoesNotContain("phonebill 99\n", conf, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_Sentinel_watches_whom_the_others_watch()
    {
        Sentinel("s2", "redis-1", epoch: 5);
        Answer("redis-0:6379", "ROLE", "master\n500\n");

        Assert.Contains(
            "sentinel monitor phonebill redis-1 6379 2\n",
            await RunAsync("sentinel-entry.sh", "sentinel.conf"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task The_password_stands_in_a_file_that_only_its_owner_reads_and_on_no_command_line()
    {
        Sentinel("s1", "redis-1", epoch: 3);

        await RoleAsync();

        Assert.Contains("masterauth \"secret\"\n", await File.ReadAllTextAsync(PathOf("data/redis.conf")), StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(PathOf("data/redis.conf")));
        Assert.DoesNotContain("secret", await File.ReadAllTextAsync(PathOf("asked")), StringComparison.Ordinal);
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private void HasData() => File.WriteAllText(PathOf("data/dump.rdb"), "REDIS");

    private void Sentinel(string name, string primary, int epoch, int replicas = 2, string flags = "master") =>
        Answer(
            $"{name}:26379",
            "SENTINEL",
            $"name\nphonebill\nip\n{primary}\nport\n6379\nrunid\n\nflags\n{flags}\nnum-slaves\n{replicas}\nconfig-epoch\n{epoch}\n"
        );

    private void Answer(string server, string command, string text) =>
        _answers.Append($"  '{server} {command}') printf '%s' '{text}' ;;\n");

    // The line that makes it a replica; empty for a primary, null when it still waits.
    private async Task<string?> RoleAsync(params (string, string)[] more)
    {
        var conf = await RunAsync("redis-entry.sh", "redis.conf", more);
        return conf is null ? null : conf.Split('\n').LastOrDefault(line => line.StartsWith("replicaof", StringComparison.Ordinal)) ?? "";
    }

    private async Task<string?> RunAsync(string script, string conf, params (string, string)[] more)
    {
        File.Delete(PathOf("started"));
        Executable(
            "redis-cli",
            $"echo \"$*\" >> '{PathOf("asked")}'\nhost= port=\nwhile [ \"${{1#-}}\" != \"$1\" ]; do case $1 in -h) host=$2; shift ;; -p) port=$2; shift ;; --user | --cacert) shift ;; esac; shift; done\ncase \"$host:$port $1\" in\n{_answers}  *) exit 1 ;;\nesac\n"
        );
        Executable("redis-server", $": > '{PathOf("started")}'\n");
        File.Delete(PathOf("rounds"));
        Executable("sleep", $"echo >> '{PathOf("rounds")}'\n[ \"$(wc -l < '{PathOf("rounds")}')\" -lt {Rounds} ]\n");
        var folder = Path.Combine(SetFolder.RepositoryRoot(), "deploy", "kubernetes", "overlays", "production", "config");
        var start = new ProcessStartInfo("sh", [Path.Combine(folder, script)]) { UseShellExecute = false, RedirectStandardError = true };
        foreach (var (name, value) in Environment(folder).Concat(more))
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (File.Exists(PathOf("started")))
            return await File.ReadAllTextAsync(PathOf($"data/{conf}"));
        Assert.True(File.Exists(PathOf("rounds")) && (await File.ReadAllLinesAsync(PathOf("rounds"))).Length == Rounds, said);
        return null;
    }

    private IEnumerable<(string, string)> Environment(string config) =>
        [
            ("PATH", $"{PathOf("bin")}:{System.Environment.GetEnvironmentVariable("PATH")}"),
            ("ONGGI_REDIS_SERVER", "redis-server"),
            ("ONGGI_HOST", "redis-0"),
            ("ONGGI_PEERS", $"{Self} redis-1:6379 redis-2:6379"),
            ("ONGGI_SENTINELS", "s1:26379 s2:26379 s3:26379"),
            ("ONGGI_CONFIG", config),
            ("ONGGI_DATA", PathOf("data")),
            ("ONGGI_ACL", PathOf("acl")),
            ("ONGGI_TLS", PathOf("tls")),
            ("ONGGI_PASSWORD_FILE", PathOf("password")),
            ("ONGGI_PATIENCE", "2"),
        ];

    private void Executable(string name, string text)
    {
        var file = PathOf($"bin/{name}");
        File.WriteAllText(file, $"#!/bin/sh\n{text}");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
