using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What holds for every file of the folder: YAML, scripts, and that none has a secret in it.</summary>
public partial class FileTests
{
    private static readonly string[] Yamllint = ["--strict", "--config-file", "deploy/.yamllint.yaml"];

    [ToolFact("yamllint")]
    public async Task Every_YAML_file_is_flawless()
    {
        var files = Sources.Files("deploy", ".yaml", ".yml").ToList();
        Assert.True(files.Count > 30, $"{files.Count} files.");

        var run = await Tools.RunAsync("yamllint", [.. Yamllint, "--format", "parsable", .. files]);

        Assert.True(run.Code == 0, run.Output + run.Error);
    }

    [ToolTheory("yamllint")]
    [InlineData("a: 1\na: 2\n", "duplication of key")]
    [InlineData("a:\n   b: 1\n  c: 2\n", "syntax error")]
    [InlineData("a: 1 \n", "trailing spaces")]
    [InlineData("a: yes\n", "truthy value")]
    [InlineData("a: 1", "no new line character")]
    public async Task Yamllint_finds_what_is_wrong(string text, string finding)
    {
        var run = await Tools.RunAsync("yamllint", [.. Yamllint, "-"], input: text);

        Assert.NotEqual(0, run.Code);
        Assert.Contains(finding, run.Output, StringComparison.Ordinal);
    }

    [ToolFact("shellcheck")]
    public async Task Every_script_is_flawless()
    {
        // Those without a first line of their own are read by others, and checked with them.
        var scripts = Sources.Files("deploy", ".sh").Where(file => Sources.Text(file).StartsWith("#!", StringComparison.Ordinal)).ToList();
        Assert.True(scripts.Count >= 8, $"{scripts.Count} scripts.");
        // The shell of the images is dash, not bash.
        Assert.All(scripts, script => Assert.StartsWith("#!/bin/sh\n", Sources.Text(script), StringComparison.Ordinal));

        var run = await Tools.RunAsync("shellcheck", ["--external-sources", "--enable=quote-safe-variables", .. scripts]);

        Assert.True(run.Code == 0, run.Output + run.Error);
    }

    [ToolFact("shellcheck")]
    public async Task Shellcheck_finds_what_the_plans_own_script_had()
    {
        var run = await Tools.RunAsync("shellcheck", ["-"], input: "#!/bin/sh\nREDIS_HOST=redis\ncurl $1\n");

        Assert.Contains("SC2034", run.Output, StringComparison.Ordinal);
        Assert.Contains("SC2086", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void No_file_has_a_secret_in_it()
    {
        var found = Sources.Files("deploy").SelectMany(file => Secrets(file, Sources.Text(file))).ToList();

        Assert.True(found.Count == 0, string.Join('\n', found));
    }

    [Theory]
    [InlineData("a.yaml", "kind: Secret\nstringData:\n  password: x\n")]
    [InlineData("a.yaml", "env:\n  - name: REDIS_PASSWORD\n    value: phonebill1\n")]
    [InlineData("a.yaml", "env:\n  - name: Onggi__ConnectionString\n    value: redis:6379,password=phonebill1\n")]
    [InlineData("a.yaml", "environment:\n  GF_SECURITY_ADMIN_PASSWORD: admin\n")]
    [InlineData("a.yaml", "command: [\"redis-cli\", \"-a\", \"phonebill1\", \"ping\"]\n")]
    [InlineData("a.sh", "redis-cli -a \"$REDIS_PASSWORD\" ping\n")]
    [InlineData("a.sh", "redis-cli --pass \"$REDIS_PASSWORD\" ping\n")]
    [InlineData("redis.conf", "requirepass phonebill1\n")]
    [InlineData("redis.conf", "masterauth phonebill1\n")]
    [InlineData("users.acl", "user auth on >phonebill1 ~* +@all\n")]
    [InlineData("a.pem", "-----BEGIN PRIVATE KEY-----\n")]
    [InlineData("a.md", "redis://auth:phonebill1@redis:6379\n")]
    [InlineData("a.yaml", "token: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0\n")]
    public void A_secret_in_a_file_is_found(string name, string text) => Assert.NotEmpty(Secrets(name, text));

    /// <summary>What looks like a secret, or shows one on a command line.</summary>
    private static IEnumerable<string> Secrets(string file, string text)
    {
        var number = 0;
        foreach (var line in text.Split('\n'))
        {
            number++;
            if (Clear().IsMatch(line))
                yield return $"{file}:{number}: {line.Trim()}";
        }

        if (!file.EndsWith(".yaml", StringComparison.Ordinal))
            yield break;
        foreach (var mapping in Yaml.Documents(text).SelectMany(document => document.Mappings()))
        {
            if (mapping.Text("kind") == "Secret")
                yield return $"{file}: a Secret";
            // The pair of a list of variables, and the pairs of a mapping of them.
            if (IsClear(mapping.Text("name"), mapping["value"]))
                yield return $"{file}: {mapping.Text("name")}";
            foreach (var (name, value) in mapping)
                if (IsClear(name, value))
                    yield return $"{file}: {name}";
        }
    }

    // A file's name, a variable that stands for something, and yes and no are no secrets.
    private static bool IsClear(string name, JsonNode? value) =>
        SecretName().IsMatch(name)
        && value is JsonValue
        && value.ToString() is { Length: > 0 } text
        && !text.StartsWith('/')
        && !text.StartsWith("./", StringComparison.Ordinal)
        && !text.StartsWith("$(", StringComparison.Ordinal)
        && text is not ("true" or "false");

    [GeneratedRegex(
        @"redis-cli.*(?<!\S)(-a|--pass)(?!\S)|""-a"", ""|^\s*(echo "")?(requirepass|masterauth|sentinel-pass|auth-pass \S+) (?!\\?""?\$)\S|user \S+ .*>\S|BEGIN [A-Z ]*PRIVATE KEY|password=(?!\$|…|'|"")[^\s,""']+|://[^\s:/@]*:[^\s@$…]+@|\b[0-9a-f]{40,}\b",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Clear();

    [GeneratedRegex(
        @"(PASSWORD|SECRET|TOKEN|APIKEY)(__FILE)?$",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex SecretName();
}
