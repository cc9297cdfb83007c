using System.Runtime.Versioning;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>The scripts that jobs run, with the tools they call replaced by ones that note how they were called.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ScriptTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-scripts-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_login_leaves_the_token_in_a_file_and_the_password_on_no_command_line()
    {
        var login = await WriteAsync("login.json", """{"userId":"choi.operator","password":"secret-word"}""");
        await FakeAsync(
            "curl",
            $$"""cat > {{PathOf("sent")}}; echo '{"token":"abc.def-_1","expiresInSeconds":900,"refreshToken":"other","session":"s"}'"""
        );

        var run = await RunAsync("components/warm-up/log-in.sh", ("ONGGI_LOGIN_FILE", login), ("ONGGI_TOKEN_FILE", PathOf("token")));

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal("abc.def-_1", await File.ReadAllTextAsync(PathOf("token")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(PathOf("token")));
        Assert.Equal(await File.ReadAllTextAsync(login), await File.ReadAllTextAsync(PathOf("sent")));
        Assert.DoesNotContain("secret-word", await CallsAsync(), StringComparison.Ordinal);
        Assert.DoesNotContain("abc.def-_1", run.Output, StringComparison.Ordinal);
        foreach (var option in (string[])["--fail", "--max-time 10", "http://auth:8080/api/login"])
            Assert.Contains(option, await CallsAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exit 22", "no login at")]
    [InlineData("echo '{}'", "not with a token")]
    public async Task A_login_that_fails_fails_the_job_and_says_why(string curl, string why)
    {
        var login = await WriteAsync("login.json", "{}");
        await FakeAsync("curl", curl);

        var run = await RunAsync("components/warm-up/log-in.sh", ("ONGGI_LOGIN_FILE", login), ("ONGGI_TOKEN_FILE", PathOf("token")));

        Assert.Equal(1, run.Code);
        Assert.Contains(why, run.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(PathOf("token")));
    }

    [Theory]
    // Whatever came of the backup, Prometheus is told of those that are there.
    [InlineData("exit 0", 0)]
    [InlineData("[ \"$2\" != create ] || exit 1", 1)]
    [InlineData("[ \"$2\" != create ] || exit 2", 2)]
    [InlineData("[ \"$2\" != metrics ] || exit 2", 2)]
    public async Task A_backup_is_made_and_told_of(string onggi, int code)
    {
        await FakeAsync("onggi", onggi);

        var run = await RunAsync("overlays/production/jobs/backup.sh", ("ONGGI_BACKUPS", "/b"), ("ONGGI_METRICS", "/m"));

        Assert.Equal(code, run.Code);
        Assert.Equal(
            "onggi backup create --environment production --out /b --keep 14\nonggi backup metrics /b --out /m/onggi_backup.prom\n",
            await CallsAsync()
        );
    }

    [Fact]
    public async Task All_backups_are_proven_again_and_one_that_is_broken_fails_the_job()
    {
        var backups = Directory.CreateDirectory(PathOf("backups")).FullName;
        foreach (var name in (string[])["a.onggi", "b with blank.onggi", "c.rdb", "c.rdb.proof", "d.onggi.unproven"])
            await File.WriteAllTextAsync(Path.Combine(backups, name), "");
        await FakeAsync("onggi", "case $* in *a.onggi*) exit 1 ;; esac");

        var run = await RunAsync("overlays/production/jobs/verify.sh", ("ONGGI_BACKUPS", backups), ("ONGGI_METRICS", "/m"));

        Assert.Equal(1, run.Code);
        Assert.Equal(
            $"onggi backup verify {backups}/a.onggi\nonggi backup verify {backups}/b with blank.onggi\nonggi backup verify {backups}/c.rdb\nonggi backup metrics {backups} --out /m/onggi_backup.prom\n",
            await CallsAsync()
        );
    }

    [Fact]
    public async Task Nothing_to_prove_is_a_failure()
    {
        await FakeAsync("onggi", "exit 0");

        var run = await RunAsync(
            "overlays/production/jobs/verify.sh",
            ("ONGGI_BACKUPS", Directory.CreateDirectory(PathOf("none")).FullName),
            ("ONGGI_METRICS", "/m")
        );

        Assert.Equal(1, run.Code);
        Assert.Contains("there is no backup", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0)]
    // Findings are told to Prometheus; that nothing could be found out is a failure.
    [InlineData(1, 0)]
    [InlineData(2, 2)]
    public async Task An_audit_with_findings_is_an_audit(int onggi, int code)
    {
        await FakeAsync("onggi", $"exit {onggi}");

        var run = await RunAsync("overlays/production/jobs/audit.sh", ("ONGGI_METRICS", "/m"));

        Assert.Equal(code, run.Code);
        Assert.Equal("onggi audit --environment production --metrics /m/onggi_audit.prom\n", await CallsAsync());
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private async Task<string> WriteAsync(string name, string text)
    {
        await File.WriteAllTextAsync(PathOf(name), text);
        return PathOf(name);
    }

    private Task<string> CallsAsync() => File.ReadAllTextAsync(PathOf("calls"));

    // A program of this name that notes how it was called, then does what is said.
    private async Task FakeAsync(string name, string does)
    {
        Directory.CreateDirectory(PathOf("bin"));
        var file = await WriteAsync($"bin/{name}", $"#!/bin/sh\necho {name} \"$@\" >> {PathOf("calls")}\n{does}\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    private Task<ToolRun> RunAsync(string script, params (string Name, string Value)[] variables) =>
        Tools.RunAsync(
            "sh",
            [$"deploy/kubernetes/{script}"],
            [
                .. variables.Select(pair => KeyValuePair.Create(pair.Name, pair.Value)),
                KeyValuePair.Create("PATH", $"{PathOf("bin")}:{Environment.GetEnvironmentVariable("PATH")}"),
            ]
        );
}
