using System.Text.Json;
using System.Text.RegularExpressions;
using Onggi.Cli;
using Onggi.Cli.Checks;
using Onggi.Cli.Verification;
using Onggi.Tests.Keys;
using Onggi.Tests.Rules;

namespace Onggi.Tests.Cli;

/// <summary>What <c>onggi verify</c> says without a server: of files, of what it is told wrong, and of itself.</summary>
public sealed partial class VerifyFilesTests : IDisposable
{
    private const string SoundUsers = """
        user default reset off resetkeys resetchannels -@all
        user probe reset on #0000 resetkeys resetchannels -@all +ping
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-verify-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Files_that_the_tool_makes_are_well()
    {
        var catalog = Write("keyspace.json", SampleCatalogs.Small);
        await RunAsync("acl", "file", "--catalog", catalog, "--secrets", PathOf("secrets"), "--out", PathOf("users.acl"));
        var (_, conf, _) = await RunAsync("conf", "show", "--catalog", catalog);

        var (code, output, error) = await OfflineAsync("--conf", Write("redis.conf", conf), "--acl", PathOf("users.acl"), "--json");

        Assert.Equal((0, ""), (code, error));
        // Development evicts, knowingly.
        Assert.All(Findings(output), finding => Assert.Equal("ONG041", finding));
    }

    [Theory]
    [InlineData("timeout 30", "ONG037")]
    [InlineData("requirepass Hunter2Hunter2", "ONG033")]
    [InlineData("maxclients 100", "ONG039")]
    public async Task A_bad_redis_conf_is_found_by_its_line(string line, string code)
    {
        var (exit, output, _) = await OfflineAsync("--conf", Write("redis.conf", $"databases 1\n{line}\n"), "--json");

        Assert.Equal(1, exit);
        Assert.Contains(code, Findings(output));
        Assert.Contains("redis.conf:2\"", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Hunter2", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("user old on nopass ~* &* +@all", "ONG060")]
    [InlineData("user billing on >Hunter2Hunter2 ~* &* +@all", "ONG060")]
    [InlineData("user default on #0000 ~* &* +@all", "ONG060")]
    [InlineData("user billing on #0000 ~* &* +@all", "ONG061")]
    [InlineData("user billing on #0000 ~dev:bill:*", "ONG061")]
    [InlineData("user old on #0000 ~* &* +@all", "ONG061")]
    public async Task A_bad_file_of_users_is_found_by_its_line(string line, string code)
    {
        var (exit, output, _) = await OfflineAsync("--acl", Write("users.acl", $"{SoundUsers}\n{line}\n"), "--json");

        Assert.Equal(1, exit);
        Assert.Contains(code, Findings(output));
        Assert.Contains("users.acl:3\"", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Hunter2", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_users_without_the_default_one_leaves_him_on()
    {
        var (exit, output, _) = await OfflineAsync("--acl", Write("users.acl", "user probe on #0000 +ping\n"));

        Assert.Equal(1, exit);
        Assert.Contains("no line for the default user", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Manifests_are_looked_at_as_by_the_lint()
    {
        var file = Write(
            "service.yaml",
            """
            apiVersion: v1
            kind: Service
            metadata: { name: redis, namespace: shop }
            spec: { selector: { app: redis } }

            """
        );

        var (exit, output, _) = await OfflineAsync("--manifests", file, "--json");
        var (broken, _, error) = await OfflineAsync("--manifests", Write("broken.yaml", "kind: [\n"));

        Assert.Equal((1, 2), (exit, broken));
        Assert.Equal(["ONG101"], Findings(output));
        Assert.Contains("service.yaml:4 Service/redis\"", output, StringComparison.Ordinal);
        Assert.Contains("broken.yaml:2:", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_papers_of_this_repository_are_found_by_their_names()
    {
        var (_, output, _) = await RunAsync(
            "verify",
            "--category",
            "readiness",
            "--readiness",
            Repository.Root,
            "--json",
            "--catalog",
            Write("keyspace.json", SampleCatalogs.Small)
        );

        var seen = JsonElement
            .Parse(output)
            .GetProperty("checks")
            .EnumerateArray()
            .ToDictionary(check => check.GetProperty("code").GetString()!, check => check.GetProperty("observed").GetString()!);
        Assert.Equal("docs/guide/manual.md", seen["ONG070"]);
        Assert.StartsWith("deploy/monitoring/grafana/", seen["ONG071"], StringComparison.Ordinal);
        Assert.EndsWith("rules.yaml", seen["ONG072"], StringComparison.Ordinal);
        Assert.Equal("docs/guide/backup-recovery.md", seen["ONG073"]);
        Assert.Equal("docs/guide/tuning.md", seen["ONG074"]);
        Assert.Equal("docs/guide/troubleshooting.md", seen["ONG075"]);
    }

    [Fact]
    public async Task A_catalog_that_says_half_is_warned_of_and_half_a_catalog_is_refused()
    {
        Write("keyspace.json", """{ "system": "shop", "families": { "item": { "key": "item:{id}", "value": "string" } } }""");
        var (half, output, _) = await RunAsync("verify", "--offline", "--json", "--catalog", PathOf("keyspace.json"));
        Write("keyspace.json", SampleCatalogs.Small[..300]);
        var (broken, _, error) = await RunAsync("verify", "--offline", "--catalog", PathOf("keyspace.json"));
        var (none, _, lacking) = await RunAsync("verify", "--offline", "--catalog", PathOf("other.json"));

        Assert.Equal((0, 2, 2), (half, broken, none));
        Assert.Equal(["ONG062", "ONG062"], Findings(output));
        Assert.Contains("keyspace.json", error, StringComparison.Ordinal);
        Assert.Contains("there is no file", lacking, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("there is no category \"acces\". Did you mean \"access\"?", "--category", "acces")]
    [InlineData("choose one", "--offline", "--live")]
    [InlineData("--drill and --probe-writes need a server", "--offline", "--drill")]
    [InlineData("add --drill", "--restart", "true")]
    [InlineData("--wait \"soon\" is no duration", "--wait", "soon")]
    [InlineData("--container \"big\" is no size", "--container", "big")]
    [InlineData("--metrics \"exporter\" is no address", "--metrics", "exporter")]
    [InlineData("there is no folder nowhere", "--readiness", "nowhere")]
    [InlineData("there is no file nowhere.json", "--suppressions", "nowhere.json")]
    [InlineData("there is no file nowhere.conf", "--offline", "--conf", "nowhere.conf")]
    public async Task What_cannot_be_meant_is_refused_in_words(string says, params string[] args)
    {
        var (code, output, error) = await RunAsync(["verify", "--catalog", Write("keyspace.json", SampleCatalogs.Small), .. args]);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("verify --catlog x", "Unrecognized command or argument '--catlog'. Did you mean \"--catalog\"?")]
    [InlineData("verfy", "Unrecognized command or argument 'verfy'. Did you mean \"verify\"?")]
    [InlineData("catalog chekc", "Unrecognized command or argument 'chekc'. Did you mean \"check\"?")]
    [InlineData("audit --exakt", "Unrecognized command or argument '--exakt'. Did you mean \"--exact\"?")]
    [InlineData("ping --zzzzzzzz", "Unrecognized command or argument '--zzzzzzzz'.")]
    public async Task What_is_misspelt_is_answered_with_the_nearest_on_standard_error_alone(string line, string says)
    {
        var (code, output, error) = await RunAsync(line.Split(' '));

        Assert.Equal((2, ""), (code, output));
        Assert.Contains($"onggi: {says}\n", error, StringComparison.Ordinal);
        Assert.EndsWith("--help\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_chosen_brings_what_it_needs()
    {
        var (_, output, _) = await RunAsync("verify", "--list-checks", "--json", "--category", "performance", "--pre");

        var codes = JsonElement.Parse(output).EnumerateArray().Select(check => check.GetProperty("code").GetString()).ToList();
        Assert.Equal(["ONG001", "ONG022", "ONG023", "ONG025", "ONG026"], codes);
    }

    [Fact]
    public async Task The_plans_ten_items_and_eight_of_readiness_have_checks()
    {
        var (_, output, _) = await RunAsync("verify", "--list-checks", "--json");

        var items = JsonElement
            .Parse(output)
            .EnumerateArray()
            .Where(check => check.TryGetProperty("item", out _))
            .SelectMany(check => check.GetProperty("item").GetString()!.Split(", "))
            .ToHashSet();
        for (var number = 1; number <= 10; number++)
            Assert.Contains(items, item => item.StartsWith($"{number} ", StringComparison.Ordinal));
        Assert.Equal(8, items.Count(item => item.StartsWith("readiness", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Readiness_is_files_that_are_there_and_names_under_what_only_people_know()
    {
        Write("docs/operations/runbook.md", "x");
        Write("docs/backup.md", "x");
        Write("deploy/grafana/dashboard.json", """{ "panels": [] }""");
        Write("deploy/rules/alerts.yml", "- alert: Down");
        Write("docs/tuning.md", "x");
        var lived = Write("onggi.verify.json", """{ "signed": { "training": { "by": "kim", "on": "2026-03-01" } } }""");

        var (code, output, _) = await RunAsync(
            "verify",
            "--category",
            "readiness",
            "--readiness",
            _folder.FullName,
            "--suppressions",
            lived,
            "--json",
            "--catalog",
            Write("keyspace.json", SampleCatalogs.Small)
        );

        Assert.Equal(1, code);
        Assert.Equal(["ONG075", "ONG077"], Findings(output));
        Assert.Contains("signed: kim, 2026-03-01", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "suppressions": [ { "code": "ONG1", "reason": "x", "until": "2030-01-01" } ] }""", "is no code")]
    [InlineData("""{ "suppressions": [ { "code": "ONG001", "reason": " ", "until": "2030-01-01" } ] }""", "lacks \"reason\"")]
    [InlineData("""{ "suppressions": [ { "code": "ONG001", "reason": "x" } ] }""", "lacks \"until\"")]
    [InlineData("""{ "suppressions": [ { "code": "ONG001", "reason": "x", "until": "soon" } ] }""", "is no day")]
    [InlineData("""{ "supressions": [] }""", "Did you mean \"suppressions\"?")]
    [InlineData("[]", "an object is needed")]
    [InlineData("{", "is no JSON")]
    public void A_suppression_needs_a_code_a_reason_and_an_end(string text, string says)
    {
        var problem = Assert.Throws<ToolException>(() => Suppressions.Parse("lived.json", text));

        Assert.StartsWith("lived.json", problem.Message, StringComparison.Ordinal);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_suppression_holds_on_its_last_day_and_no_longer()
    {
        var lived = Suppressions.Parse(
            "lived.json",
            """{ "suppressions": [ { "code": "ONG007", "where": "user front", "reason": "x", "until": "2026-03-31" } ] }"""
        );
        var finding = new Finding("ONG007", "user front", "", "", "");

        Assert.True(lived.Covers(finding, new DateOnly(2026, 3, 31)));
        Assert.False(lived.Covers(finding, new DateOnly(2026, 4, 1)));
        Assert.False(lived.Covers(finding with { Where = "user auth" }, new DateOnly(2026, 3, 1)));
        Assert.False(lived.Covers(finding with { Code = "ONG008" }, new DateOnly(2026, 3, 1)));
        Assert.Empty(lived.Expired(new DateOnly(2026, 3, 31)));
        Assert.Equal("ONG029", Assert.Single(lived.Expired(new DateOnly(2026, 4, 1))).Code);
    }

    [Theory]
    [InlineData("user a on nopass ~* &* +@all", true, true, true)]
    [InlineData("user a reset on #ab ~x:* resetchannels -@all +get", true, false, false)]
    [InlineData("user a off >pw allkeys allcommands", false, false, true)]
    [InlineData("user a on nopass resetpass >pw ~* +@all -flushall", true, false, false)]
    [InlineData("user a on #ab ~x:* +get (~* +@all)", true, false, false)]
    public void Rules_of_users_are_read_as_redis_reads_them(string line, bool isOn, bool noPassword, bool everything)
    {
        var user = AclUser.Parse(line, 1)!;

        Assert.Equal(("a", isOn, noPassword, everything), (user.Name, user.IsOn, user.NeedsNoPassword, user.MayEverything));
    }

    [Fact]
    public void Every_code_has_its_section_and_every_section_its_code()
    {
        var sections = Heading()
            .Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs/operations/findings.md")))
            .Select(match => match.Groups["code"].Value)
            .ToList();
        // Onggi.Cli's other folders have codes of their own kind; a range names its ends only.
        var codes = Repository
            .Files("src/Onggi.Cli", "*.cs")
            .SelectMany(file => Code().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["code"].Value)
            .Distinct()
            .ToList();

        Assert.Equal(sections.Order(StringComparer.Ordinal), sections);
        Assert.Equal(sections.Distinct(), sections);
        Assert.Empty(codes.Except(sections));
        Assert.Empty(sections.Except(codes));
    }

    private Task<(int Code, string Output, string Error)> OfflineAsync(params string[] args) =>
        RunAsync(["verify", "--offline", "--catalog", Write("keyspace.json", SampleCatalogs.Small), .. args]);

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var code = await OnggiTool.RunAsync(args, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private static List<string> Findings(string output) =>
        [
            .. JsonElement
                .Parse(output)
                .GetProperty("checks")
                .EnumerateArray()
                .SelectMany(check => check.GetProperty("findings").EnumerateArray())
                .Select(finding => finding.GetProperty("code").GetString()!),
        ];

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private string Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(name))!);
        File.WriteAllText(PathOf(name), text);
        return PathOf(name);
    }

    [GeneratedRegex(@"^### (?<code>ONG\d{3})$", RegexOptions.ExplicitCapture | RegexOptions.Multiline, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Heading();

    [GeneratedRegex(@"""(?<code>ONG\d{3})[""–]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Code();
}
