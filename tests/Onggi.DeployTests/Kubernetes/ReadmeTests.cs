using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using Onggi.Cli;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>The pages: what needs no cluster does what it says, and links lead somewhere.</summary>
[UnsupportedOSPlatform("windows")]
public sealed partial class ReadmeTests : IDisposable
{
    private static readonly string[] Pages = ["deploy/README.md", "docs/operations/deploy-kubernetes.md"];
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-readme-");

    public void Dispose() => _folder.Delete(recursive: true);

    [ToolFact("kubectl")]
    public async Task Every_command_that_needs_no_cluster_does_what_the_page_says()
    {
        // The tool as it was built for these tests, under its own name.
        var tool = Path.Combine(_folder.FullName, "onggi");
        await File.WriteAllTextAsync(tool, $"#!/bin/sh\nexec dotnet {typeof(OnggiTool).Assembly.Location} \"$@\"\n");
        File.SetUnixFileMode(tool, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var ran = 0;
        foreach (var block in Blocks("deploy/README.md").Where(block => !IsElsewhere(block)))
        {
            ran++;
            var run = await Tools.RunAsync(
                "bash",
                ["-euo", "pipefail", "-c", block],
                new Dictionary<string, string>
                {
                    ["PATH"] = $"{_folder.FullName}:{Environment.GetEnvironmentVariable("PATH")}",
                    ["ONGGI"] = tool,
                    ["ONGGI_SECRETS"] = Path.Combine(_folder.FullName, "secrets"),
                }
            );
            Assert.True(run.Code == 0, $"{block}\n{run.Output}{run.Error}");
        }

        Assert.Equal(2, ran);
    }

    [Fact]
    public void Whoever_needs_a_cluster_or_docker_says_so()
    {
        foreach (var block in Pages.SelectMany(Blocks).Where(block => !IsElsewhere(block)))
            Assert.DoesNotMatch(@"\bdocker\b|kubectl (?!kustomize)", block);
    }

    [Fact]
    public void Files_that_commands_name_are_there()
    {
        foreach (Match path in Named().Matches(string.Join('\n', Pages.SelectMany(Blocks))))
            Assert.True(Path.Exists(Sources.PathOf(path.Value)), $"{path.Value} is not there.");
    }

    [Fact]
    public void Links_lead_somewhere()
    {
        foreach (var page in Pages)
        foreach (Match link in Link().Matches(Sources.Text(page)))
        {
            var target = Path.Combine(Path.GetDirectoryName(Sources.PathOf(page))!, link.Groups["to"].Value.Split('#')[0]);
            Assert.True(link.Groups["to"].Value.Contains("://", StringComparison.Ordinal) || Path.Exists(target), $"{page}: {link.Value}");
        }
    }

    private static bool IsElsewhere(string block) =>
        block.StartsWith("# in the cluster", StringComparison.Ordinal) || block.StartsWith("# needs docker", StringComparison.Ordinal);

    // A block in a list is moved to the right.
    private static IEnumerable<string> Blocks(string page) =>
        Fence()
            .Matches(Sources.Text(page))
            .Select(match =>
                string.Join(
                        '\n',
                        match.Groups["text"].Value.Split('\n').Select(line => line[Math.Min(line.Length, match.Groups["margin"].Length)..])
                    )
                    .Trim()
            );

    [GeneratedRegex(
        @"^(?<margin> *)```(sh|bash)\n(?<text>.*?)^ *```$",
        RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Fence();

    [GeneratedRegex(@"\]\((?<to>[^)]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Link();

    [GeneratedRegex(@"\b(deploy|samples)/[\w./-]*\w", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Named();
}
