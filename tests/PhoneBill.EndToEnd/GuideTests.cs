using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using PhoneBill.Contracts;

namespace PhoneBill.EndToEnd;

/// <summary>The guides for those who run it: each command in them does what the page says, on the Redis of the demonstration while its services work.</summary>
/// <remarks>Blocks that need a cluster, or docker, say so in their first line; their commands are looked at, not run.</remarks>
public sealed partial class GuideTests
{
    private const string Cluster = "# in the cluster";
    private const string Docker = "# needs docker";

    private static readonly string Folder = Path.Combine(Root(), "docs", "guide");

    // The manual last: it changes a password of a service that is running.
    private static readonly string[] Pages =
    [
        "README.md",
        "install.md",
        "install-record.md",
        "backup-recovery.md",
        "troubleshooting.md",
        "tuning.md",
        "logs.md",
        "cost.md",
        "production.md",
        "training.md",
        "handover.md",
        "manual.md",
    ];

    [Fact]
    public async Task Every_command_that_needs_no_cluster_does_what_its_page_says()
    {
        await using var demo = DemoProcess.Start("--no-story");
        await demo.Up;
        List<string> failures = [];
        var run = 0;
        foreach (var page in Pages)
        {
            using var desk = new Desk(demo, await SignInAsync(demo));
            foreach (var block in BlocksOf(page).Where(block => !block.IsElsewhere))
            {
                run++;
                var (code, output) = await desk.RunAsync(block.Text);
                if (code != block.ExitCode)
                    failures.Add($"{page}, exit code {code} instead of {block.ExitCode}:\n{block.Text}\n{output}\n");
            }
        }

        Assert.True(failures.Count == 0, string.Join("\n", failures));
        Assert.True(run >= 30, $"Only {run} blocks were found.");
    }

    [Fact]
    public void Each_page_of_the_folder_is_read_here()
    {
        var there = Directory
            .GetFiles(Folder, "*.md")
            .Select(Path.GetFileName)
            .Where(name => !name!.EndsWith(".ko.md", StringComparison.Ordinal));

        Assert.Equal(Pages.Order(StringComparer.Ordinal), there.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_Korean_pages_have_the_same_commands()
    {
        foreach (var page in Pages)
        {
            var korean = page.Replace(".md", ".ko.md", StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Combine(Folder, korean)), $"{korean} is not there.");
            // What stands behind a # is for people, and in their language.
            Assert.Equal(BlocksOf(page).Select(Commands), BlocksOf(korean).Select(Commands));
        }
    }

    [Fact]
    public void Whoever_needs_a_cluster_says_so()
    {
        foreach (var page in Pages)
        {
            foreach (var block in BlocksOf(page).Where(block => !block.IsElsewhere))
                Assert.DoesNotMatch(Elsewhere(), block.Text);
        }
    }

    [Fact]
    public void Links_lead_somewhere()
    {
        List<string> dead = [];
        foreach (var file in Directory.GetFiles(Folder, "*.md"))
        {
            foreach (Match link in Link().Matches(File.ReadAllText(file)))
            {
                var parts = link.Groups["to"].Value.Split('#');
                if (parts[0].Contains("://", StringComparison.Ordinal))
                    continue;
                var target = parts[0].Length == 0 ? file : Path.GetFullPath(Path.Combine(Folder, parts[0]));
                if (!File.Exists(target) && !Directory.Exists(target))
                    dead.Add($"{Path.GetFileName(file)}: {link.Groups["to"].Value}");
                else if (parts.Length > 1 && !AnchorsOf(target).Contains(parts[1]))
                    dead.Add($"{Path.GetFileName(file)}: {link.Groups["to"].Value} has no such heading");
            }
        }

        Assert.True(dead.Count == 0, string.Join("\n", dead));
    }

    // Also so that there is an event to be seen.
    private static async Task<string> SignInAsync(DemoProcess demo)
    {
        using var http = new HttpClient();
        var login = await http.PostAsJsonAsync(
            $"http://127.0.0.1:{demo.PortBase + 1}/api/login",
            new { userId = "lee.manager", password = Seed.Password }
        );
        var body = await login.Content.ReadFromJsonAsync<JsonElement>();
        return body.GetProperty("token").GetString()!;
    }

    private static IEnumerable<string> AnchorsOf(string file) =>
        File.ReadLines(file)
            .Where(line => line.StartsWith('#'))
            .Select(line =>
                string.Concat(
                        line.TrimStart('#')
                            .Trim()
                            .ToLower(CultureInfo.InvariantCulture)
                            .Where(c => char.IsLetterOrDigit(c) || c is '-' or '_' or ' ')
                    )
                    .Replace(' ', '-')
            );

    private static string Commands(Block block) =>
        string.Join('\n', block.Text.Split('\n').Select(line => Comment().Replace(line, "").TrimEnd()).Where(line => line.Length > 0));

    private static IReadOnlyList<Block> BlocksOf(string page) =>
        [
            .. Fence()
                .Matches(File.ReadAllText(Path.Combine(Folder, page)))
                .Select(match => new Block(
                    Unindent(match).TrimEnd('\n'),
                    match.Groups["code"] is { Success: true } code ? int.Parse(code.Value, CultureInfo.InvariantCulture) : 0
                )),
        ];

    private static string Unindent(Match fence) =>
        string.Join('\n', fence.Groups["text"].Value.Split('\n').Select(line => line[Math.Min(fence.Groups["in"].Length, line.Length)..]));

    private static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Onggi.slnx")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }

    [GeneratedRegex(
        @"(?m)^(?<in> *)```bash( exits with (?<code>\d+))?\n(?<text>(.*\n)*?) *```$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000
    )]
    private static partial Regex Fence();

    [GeneratedRegex(@"(?m)(^|\| *|\$\()(kubectl|docker|helm)\b", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Elsewhere();

    [GeneratedRegex(@"(^|\s)# .*$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Comment();

    [GeneratedRegex(@"(?<!!)\[[^\]]*\]\((?<to>[^)\s]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Link();

    /// <summary>Some lines of a page that belong together.</summary>
    private sealed record Block(string Text, int ExitCode)
    {
        public bool IsElsewhere => Text.StartsWith(Cluster, StringComparison.Ordinal) || Text.StartsWith(Docker, StringComparison.Ordinal);
    }

    /// <summary>A folder in which somebody works who looks after the demonstration's Redis.</summary>
    private sealed class Desk : IDisposable
    {
        private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

        private readonly DemoProcess _demo;
        private readonly string _token;
        private readonly string _folder = Directory.CreateTempSubdirectory("onggi-guide-").FullName;

        public Desk(DemoProcess demo, string token)
        {
            _demo = demo;
            _token = token;
            foreach (var name in (string[])["keyspace.json", "redis.conf", "users.acl"])
                File.Copy(Path.Combine(demo.RunDirectory, name), Path.Combine(_folder, name));
            Directory.CreateDirectory(Path.Combine(_folder, "secrets"));
            foreach (var secret in Directory.GetFiles(Path.Combine(demo.RunDirectory, "secrets")))
                File.Copy(secret, Path.Combine(_folder, "secrets", Path.GetFileName(secret)));
            var slash = Path.DirectorySeparatorChar;
            var tool = AppContext.BaseDirectory.Replace(
                $"{slash}tests{slash}PhoneBill.EndToEnd{slash}bin{slash}",
                $"{slash}src{slash}Onggi.Cli{slash}bin{slash}"
            );
            var onggi = Path.Combine(_folder, "bin", "onggi");
            Directory.CreateDirectory(Path.GetDirectoryName(onggi)!);
            File.WriteAllText(onggi, $"#!/bin/sh\nexec dotnet '{Path.Combine(tool, "Onggi.Cli.dll")}' \"$@\"\n");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(onggi, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        public async Task<(int Code, string Output)> RunAsync(string script)
        {
            var start = new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", script])
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = _folder,
            };
            var password = await File.ReadAllTextAsync(Path.Combine(_folder, "secrets", "operator"));
            start.Environment["PATH"] = $"{Path.Combine(_folder, "bin")}:{Environment.GetEnvironmentVariable("PATH")}";
            start.Environment["ONGGI_REDIS"] = $"127.0.0.1:{_demo.RedisPort},user=operator,password={password}";
            start.Environment["REDIS_HOST"] = "127.0.0.1";
            start.Environment["REDIS_PORT"] = $"{_demo.RedisPort}";
            start.Environment["REDISCLI_AUTH"] = password;
            start.Environment["ONGGI_TOKEN"] = _token;
            start.Environment["SERVICES"] = $"http://127.0.0.1:{_demo.PortBase + 3} http://127.0.0.1:{_demo.PortBase + 4}";
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var said = new StringBuilder();
            process.OutputDataReceived += (_, line) => Keep(line.Data);
            process.ErrorDataReceived += (_, line) => Keep(line.Data);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            using var patience = new CancellationTokenSource(Patience);
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                Keep($"It did not end within {Patience}.");
                return (-1, said.ToString());
            }

            lock (said)
                return (process.ExitCode, said.ToString());

            void Keep(string? line)
            {
                lock (said)
                    said.AppendLine(line);
            }
        }

        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }
}
