using System.Text.Json;
using Onggi.Cli;
using Onggi.Cli.Deployment.Lint;
using Onggi.Cli.Deployment.Lint.Rules;
using Onggi.DeployTests.Kubernetes;

namespace Onggi.DeployTests.Lint;

/// <summary><c>onggi deploy lint</c> as people and programs meet it.</summary>
public sealed class LintCommandTests : IDisposable
{
    private const string Faulty = "drop: [\"ALL\"]";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-lint-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Sound_manifests_end_with_zero()
    {
        var file = Write("shop.yaml", SoundManifests.Text);

        var (code, output, error) = await LintAsync(file, "--catalog", Write("keyspace.json", SoundManifests.Catalog));

        Assert.Equal((0, ""), (code, error));
        Assert.Equal("20 objects of shop: nothing found.\n", output);
    }

    [Fact]
    public async Task A_finding_says_where_what_why_and_what_to_do()
    {
        var file = Write("shop.yaml", SoundManifests.Text.Replace("mode: normal", "password: Hunter2Hunter2", StringComparison.Ordinal));

        var (code, output, _) = await LintAsync(file);

        Assert.Equal(1, code);
        Assert.Contains($"ONG143 {file}:", output, StringComparison.Ordinal);
        Assert.Contains("ConfigMap/billing-config: password holds a secret.", output, StringComparison.Ordinal);
        Assert.Contains("    expected: a reference to a Secret\n    why: ", output, StringComparison.Ordinal);
        Assert.Contains("    do: Put it into a Secret", output, StringComparison.Ordinal);
        Assert.Contains("    see: docs/operations/findings.md#ong143\n", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Hunter2", output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001B', output);
    }

    [Fact]
    public async Task Short_is_a_line_each()
    {
        var (code, output, _) = await LintAsync(Write("shop.yaml", WithFault()), "-o", "short");

        Assert.Equal(1, code);
        var lines = output.TrimEnd().Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.StartsWith("ONG141 ", lines[0], StringComparison.Ordinal);
        Assert.Equal("20 objects of shop: 1 finding, 0 warnings.", lines[1]);
    }

    [Theory]
    [InlineData("--json")]
    [InlineData("-o", "json")]
    public async Task Json_is_for_programs(params string[] how)
    {
        var file = Write("shop.yaml", WithFault());

        var (code, output, _) = await LintAsync([file, .. how]);

        Assert.Equal(1, code);
        var shown = JsonElement.Parse(output);
        var found = Assert.Single(shown.GetProperty("findings").EnumerateArray());
        Assert.Equal(
            ("ONG141", "SEC002", "finding", file, "StatefulSet/redis"),
            (Text("code"), Text("alias"), Text("severity"), Text("file"), Text("object"))
        );
        Assert.InRange(found.GetProperty("line").GetInt32(), 1, 400);
        Assert.All((string[])["expected", "observed", "why", "fix", "link"], field => Assert.NotEmpty(Text(field)));
        string Text(string field) => found.GetProperty(field).GetString()!;
    }

    [Fact]
    public async Task Warnings_alone_end_with_zero()
    {
        var text = SoundManifests.Text.Replace("  timeZone: Asia/Seoul\n", "", StringComparison.Ordinal);

        var (code, output, _) = await LintAsync(Write("shop.yaml", text), "-o", "short");

        Assert.Equal(0, code);
        Assert.StartsWith("ONG128 warning ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_kustomize_writes_is_read_from_standard_input()
    {
        var (code, output, _) = await RunAsync(WithFault(), "-", "-o", "short");

        Assert.Equal(1, code);
        Assert.StartsWith("ONG141 standard input:", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_is_read_whole_and_what_is_no_manifest_is_passed_over()
    {
        Write("a/one.yaml", "kind: Service\napiVersion: v1\nmetadata: { name: a }\nspec: { selector: { app: a } }\n");
        Write("b/two.yml", "apiVersion: v1\nkind: List\nitems:\n  - { apiVersion: v1, kind: Namespace, metadata: { name: x } }\n");
        Write("values.yaml", "groups: []\n");
        Write("notes.txt", "{{ no yaml }}");

        var (code, output, error) = await LintAsync(_folder.FullName, "-o", "short");

        Assert.Equal(1, code);
        Assert.Contains("ONG101", output, StringComparison.Ordinal);
        Assert.EndsWith("2 objects of x: 1 finding, 0 warnings.\n", output, StringComparison.Ordinal);
        Assert.Contains("values.yaml holds no object of Kubernetes: passed over.", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("kind: Service\n metadata: [", "bad.yaml:2:")]
    [InlineData(
        "apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec:\n  type: ClusterIP\n  type: NodePort\n",
        "bad.yaml:6:3: this is no YAML: Duplicate key"
    )]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec:\n\ttype: ClusterIP\n", "bad.yaml:5:")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: { name: *nobody }\n", "bad.yaml:3:")]
    [InlineData("---\nhello: world\n", "bad.yaml:2: this is no object of Kubernetes: it lacks kind and apiVersion.")]
    [InlineData("---\nkind: Service\nmetadata: { name: a }\n", "bad.yaml:2: this is no object of Kubernetes: it lacks apiVersion.")]
    [InlineData("kind: Service\napiVersion: v1\n", "bad.yaml:1: this Service has no metadata.name.")]
    [InlineData("just a word\n", "bad.yaml:1: this is no object of Kubernetes")]
    [InlineData("", "nothing was looked at")]
    [InlineData("# only a comment\n---\n", "nothing was looked at")]
    public async Task What_cannot_be_read_ends_with_two_and_says_file_line_and_cause(string text, string says)
    {
        var (code, output, error) = await LintAsync(Write("bad.yaml", text));

        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith("onggi: ", error, StringComparison.Ordinal);
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_redis_conf_that_cannot_be_read_ends_with_two_and_its_line_in_the_manifest()
    {
        var text = SoundManifests.Text.Replace("    dir /data\n", "    dir \"/data\n", StringComparison.Ordinal);
        var line = text.Split('\n').Index().First(one => one.Item.Contains("dir \"", StringComparison.Ordinal)).Index + 1;

        var (code, _, error) = await LintAsync(Write("shop.yaml", text));

        Assert.Equal(2, code);
        Assert.Contains($"shop.yaml:{line}: quotes that begin here do not end", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("name a folder, files, or -")]
    [InlineData("there is no file nowhere.yaml", "nowhere.yaml")]
    [InlineData("There is no option --matrx. Did you mean \"--matrix\"?", "--matrx")]
    [InlineData("there is no file nowhere.json", "-", "--suppressions", "nowhere.json")]
    [InlineData("there is no file nowhere.acl", "-", "--acl", "nowhere.acl")]
    public async Task What_cannot_be_meant_is_refused_in_words(string says, params string[] args)
    {
        var (code, output, error) = await RunAsync(SoundManifests.Text, args);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_kustomization_is_not_linted_by_its_parts()
    {
        Write("kustomization.yaml", "resources: [shop.yaml]\n");
        Write("shop.yaml", SoundManifests.Text);

        var (code, _, error) = await LintAsync(_folder.FullName);

        Assert.Equal(2, code);
        Assert.Contains($"kubectl kustomize {_folder.FullName} | onggi deploy lint -", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2099-01-01", "StatefulSet/redis", 0, "1 suppressed")]
    [InlineData("2099-01-01", "Deployment/billing", 1, "1 finding, 0 warnings.")]
    [InlineData("2020-01-01", "StatefulSet/redis", 1, "ONG029")]
    public async Task Somebody_can_decide_to_live_with_a_finding_for_a_while(string until, string where, int code, string says)
    {
        var file = Write(
            "lived-with.json",
            $$"""{ "suppressions": [ { "code": "ONG141", "where": "{{where}}", "reason": "an old image", "until": "{{until}}" } ] }"""
        );

        var (exit, output, _) = await LintAsync(Write("shop.yaml", WithFault()), "--suppressions", file);

        Assert.Equal(code, exit);
        Assert.Contains(says, output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("billing-secret")]
    [InlineData("Secret/billing-secret")]
    [InlineData("Secret/billing-*")]
    public async Task What_is_made_elsewhere_is_named_by_an_option_or_an_annotation(string name)
    {
        var text = SoundManifests.Text.Replace("redis-credentials-billing", "billing-secret", StringComparison.Ordinal);
        var annotated = text.Replace(
            "metadata:\n  name: shop\n",
            $"metadata:\n  name: shop\n  annotations: {{ onggi.io/external: \"{name}, other\" }}\n",
            StringComparison.Ordinal
        );

        Assert.Equal(1, (await RunAsync(text, "-")).Code);
        Assert.Equal(0, (await RunAsync(text, "-", "--external", name)).Code);
        Assert.Equal(0, (await RunAsync(annotated, "-")).Code);
    }

    [Fact]
    public async Task A_file_of_users_is_looked_at_too()
    {
        var users = Write("users.acl", "user default off\nuser billing on nopass ~* +@all\n");

        var (code, output, _) = await RunAsync(SoundManifests.Text, "-", "--acl", users, "-o", "short");

        Assert.Equal(1, code);
        Assert.StartsWith($"ONG060 {users}:2 the file of users: billing needs no password.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_list_of_checks_has_each_code_and_each_code_has_its_section()
    {
        var (code, output, _) = await RunAsync("", "--list-checks", "--json");
        var page = File.ReadAllText(Sources.PathOf("docs/operations/findings.md"));

        Assert.Equal(0, code);
        var listed = JsonElement.Parse(output).EnumerateArray().Select(rule => rule.GetProperty("code").GetString()!).ToList();
        Assert.Equal(LintRules.All.Count + SettingsRules.Listed.Count, listed.Count);
        Assert.Equal(listed.Count, listed.Distinct().Count());
        foreach (var rule in LintRules.All)
            Assert.Contains($"### {rule.Code}\n{rule.Alias}: ", page, StringComparison.Ordinal);
        Assert.Equal(LintRules.All.Count, LintRules.All.Select(rule => rule.Alias).Distinct().Count());
    }

    [Fact]
    public async Task The_matrix_shows_who_reaches_whom()
    {
        var (code, output, _) = await RunAsync(SoundManifests.Text, "-", "--matrix");

        Assert.Equal(0, code);
        Assert.Equal(["redis:6379", "sentinel:26379", "billing:8080", "redis-exporter:9121"], Row("from"));
        Assert.Equal(["yes", "yes", "yes", "–"], Row("Deployment/billing"));
        Assert.Equal(["yes", "yes", "–", "–"], Row("CronJob/tidy"));
        Assert.Equal(["–", "–", "–", "–"], Row("any other pod"));
        Assert.Equal(["–", "–", "–", "–"], Row("outside"));

        string[] Row(string begin) =>
            [
                .. output
                    .Split('\n')
                    .Single(line => line.StartsWith($"│ {begin} ", StringComparison.Ordinal))
                    .Split('│', StringSplitOptions.TrimEntries)[2..^1],
            ];
    }

    [Fact]
    public async Task The_matrix_shows_what_is_closed_and_what_is_open_against_what_is_meant()
    {
        var wrong = SoundManifests
            .Text.Replace("- podSelector: { matchLabels: { app: redis-exporter } }", "- namespaceSelector: {}", StringComparison.Ordinal)
            .Replace("        - { port: 26379 }\n", "", StringComparison.Ordinal);

        var (code, output, _) = await RunAsync(wrong, "-", "--matrix", "--json");

        Assert.Equal(1, code);
        var ways = JsonElement.Parse(output).EnumerateArray().Where(way => way.GetProperty("wrong").GetBoolean());
        Assert.Equal(
            [
                "CronJob/tidy StatefulSet/sentinel:26379 closed",
                "Deployment/billing StatefulSet/sentinel:26379 closed",
                "Deployment/redis-exporter StatefulSet/sentinel:26379 closed",
                "StatefulSet/sentinel StatefulSet/sentinel:26379 closed",
                "any other pod StatefulSet/redis:6379 open",
                "other namespaces StatefulSet/redis:6379 open",
            ],
            ways.Select(way =>
                    $"{way.GetProperty("from").GetString()} {way.GetProperty("to").GetString()}:{way.GetProperty("port").GetInt32()} {(way.GetProperty("open").GetBoolean() ? "open" : "closed")}"
                )
                .Order(StringComparer.Ordinal)
        );
    }

    private static string WithFault()
    {
        var at = SoundManifests.Text.IndexOf(Faulty, StringComparison.Ordinal);
        return SoundManifests.Text.Remove(at, Faulty.Length).Insert(at, "drop: [\"NET_RAW\"]");
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    private static Task<(int Code, string Output, string Error)> LintAsync(params string[] args) => RunAsync("", args);

    private static async Task<(int Code, string Output, string Error)> RunAsync(string input, params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var code = await OnggiTool.RunAsync(["deploy", "lint", .. args], output, error, new StringReader(input));
        return (code, output.ToString(), error.ToString());
    }
}
