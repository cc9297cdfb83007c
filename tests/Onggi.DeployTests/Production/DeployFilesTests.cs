using Onggi.Cli;

namespace Onggi.DeployTests.Production;

/// <summary>What <c>onggi deploy files</c> writes: the committed files are that, and our own lint finds nothing in them.</summary>
public sealed class DeployFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-files-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(
        "production",
        "redis.conf",
        "sentinel.conf",
        "common.sh",
        "redis-entry.sh",
        "sentinel-entry.sh",
        "pre-stop.sh",
        "reload-tls.sh"
    )]
    [InlineData("dev", "redis.conf")]
    public async Task The_committed_files_are_what_the_catalog_says(string environment, params string[] names)
    {
        var committed = Path.Combine(SetFolder.RepositoryRoot(), "deploy", "kubernetes", "overlays", environment, "config");

        var (code, text) = await RunAsync("deploy", "files", "--environment", environment, "--out", committed, "--check");

        Assert.True(
            code == OnggiTool.Ok,
            $"{text}To write them anew: onggi deploy files -e {environment} --catalog samples/PhoneBill/keyspace.json --out {Path.GetRelativePath(SetFolder.RepositoryRoot(), committed)}"
        );
        Assert.Equal(
            names.Order(StringComparer.Ordinal),
            Directory.EnumerateFiles(committed).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task A_file_that_was_changed_by_hand_is_told()
    {
        await RunAsync("deploy", "files", "-e", "production", "--out", _folder.FullName);
        await File.AppendAllTextAsync(Path.Combine(_folder.FullName, "redis.conf"), "timeout 30\n");
        File.Delete(Path.Combine(_folder.FullName, "pre-stop.sh"));

        var (code, text) = await RunAsync("deploy", "files", "-e", "production", "--out", _folder.FullName, "--check");

        Assert.Equal(OnggiTool.Wrong, code);
        Assert.Contains("redis.conf differs", text, StringComparison.Ordinal);
        Assert.Contains("pre-stop.sh is missing", text, StringComparison.Ordinal);
        Assert.DoesNotContain("sentinel.conf", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_lint_finds_nothing_in_them()
    {
        foreach (var (environment, more) in ((string, string[])[])[("production", ["--production"]), ("dev", [])])
        {
            var folder = Path.Combine(_folder.FullName, environment);
            await RunAsync("deploy", "files", "-e", environment, "--out", folder);

            var (code, text) = await RunAsync(["conf", "lint", Path.Combine(folder, "redis.conf"), "-e", environment, "--json", .. more]);

            Assert.Equal(OnggiTool.Ok, code);
            // Development evicts, knowingly: a warning.
            Assert.Equal(environment == "dev" ? 1 : 0, text.Split("\"code\"").Length - 1);
        }
    }

    [Fact]
    public async Task There_is_nothing_secret_in_them()
    {
        await RunAsync("deploy", "files", "-e", "production", "--out", _folder.FullName);

        foreach (var file in Directory.EnumerateFiles(_folder.FullName, "*.conf"))
        foreach (var line in await File.ReadAllLinesAsync(file))
            Assert.DoesNotMatch("^(masterauth|requirepass|user |sentinel (auth-pass|sentinel-pass))", line);
    }

    private static async Task<(int Code, string Text)> RunAsync(params string[] args)
    {
        using var text = new StringWriter();
        var code = await OnggiTool.RunAsync([.. args, "--catalog", SetFolder.Catalog], text, text);
        return (code, text.ToString());
    }
}
