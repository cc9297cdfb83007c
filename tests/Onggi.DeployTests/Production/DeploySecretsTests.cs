using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Onggi.Cli;
using Onggi.Cli.Access;
using Onggi.Cli.Deployment.Secrets;

namespace Onggi.DeployTests.Production;

/// <summary>What <c>onggi deploy secrets</c> prints: what a cluster has stays, what lacks is made, and nothing changes that nobody asked for.</summary>
public sealed class DeploySecretsTests
{
    [Fact]
    public async Task A_new_environment_gets_a_password_for_each_user_and_only_digests_in_the_files_of_users()
    {
        var (secrets, said, text) = await NewAsync();

        var acl = secrets[SecretPlan.AclName];
        foreach (
            var user in (string[])
                [
                    "auth",
                    "users",
                    "bill-inquiry",
                    "product-change",
                    "probe",
                    "exporter",
                    "operator",
                    "backup",
                    "replica",
                    "sentinel",
                    "certificates",
                ]
        )
        {
            var password = secrets[$"redis-credentials-{user}"].Text("password")!;
            Assert.Equal(64, password.Length);
            Assert.Contains($"user {user} reset on #{AccessSecrets.Digest(password)} ", acl.Text("users.acl"), StringComparison.Ordinal);
            Assert.DoesNotContain(password, acl.Text("users.acl"), StringComparison.Ordinal);
            Assert.DoesNotContain(password, said, StringComparison.Ordinal);
        }

        Assert.Contains("user default reset off ", acl.Text("users.acl"), StringComparison.Ordinal);
        Assert.Contains(
            AccessSecrets.Digest(secrets["redis-sentinel"].Text("password")!),
            acl.Text("sentinel.acl"),
            StringComparison.Ordinal
        );
        Assert.Equal(secrets.Count, secrets.Values.Select(secret => secret.Text("password") ?? secret.Name).Distinct().Count());
        Assert.Contains("namespace: phonebill\n", text, StringComparison.Ordinal);
        Assert.Contains("kubectl apply --server-side -f -", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Development_has_neither_TLS_nor_Sentinels()
    {
        var (code, output, error) = await RunAsync(null, "-e", "dev", "--new");

        Assert.True(code == OnggiTool.Ok, error);
        var names = SetFolder.Parse(output).Select(secret => secret.Name).ToList();
        Assert.Contains("redis-acl", names);
        Assert.DoesNotContain("redis-tls", names);
        Assert.DoesNotContain("redis-sentinel", names);
        Assert.DoesNotContain("redis-credentials-replica", names);
        Assert.Contains("namespace: phonebill-dev\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_what_the_cluster_has_nothing_is_printed()
    {
        var (code, output, error) = await RunAsync(null, "-e", "production");

        Assert.Equal(OnggiTool.Failed, code);
        Assert.Empty(output);
        Assert.Contains("--existing -", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("error: You must be logged in to the server")]
    [InlineData("{}")]
    public async Task A_kubectl_that_failed_is_not_taken_for_an_empty_cluster(string piped)
    {
        var (code, output, _) = await RunAsync(piped, "-e", "production", "--existing", "-");

        Assert.Equal(OnggiTool.Failed, code);
        Assert.Empty(output);
    }

    [Fact]
    public async Task Secrets_of_another_namespace_are_refused()
    {
        var (secrets, _, _) = await NewAsync();

        var (code, output, error) = await RunAsync(Json(secrets.Values, "phonebill-dev"), "-e", "production", "--existing", "-");

        Assert.Equal(OnggiTool.Failed, code);
        Assert.Empty(output);
        Assert.Contains("phonebill-dev", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_run_changes_nothing()
    {
        var (_, _, first) = await NewAsync();

        var (code, second, error) = await RunAsync(Json(SetFolder.Parse(first)), "-e", "production", "--existing", "-");

        Assert.Equal(OnggiTool.Ok, code);
        Assert.Equal(first, second);
        Assert.DoesNotContain("is made", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_lacks_is_made_and_what_is_there_stays()
    {
        var (secrets, _, _) = await NewAsync();
        var before = secrets.Values.Where(secret => secret.Name is not ("redis-credentials-auth" or "redis-acl")).ToList();
        before.Add(KubernetesSecret.Of("redis-credentials-gone", KubernetesSecret.Opaque, ("password", "x")));

        var (after, said) = await AgainAsync(before);

        Assert.NotEqual(secrets["redis-credentials-auth"].Text("password"), after["redis-credentials-auth"].Text("password"));
        Assert.Equal(secrets["redis-credentials-users"].Text("password"), after["redis-credentials-users"].Text("password"));
        Assert.Contains(
            AccessSecrets.Digest(after["redis-credentials-auth"].Text("password")!),
            after["redis-acl"].Text("users.acl"),
            StringComparison.Ordinal
        );
        Assert.Contains("redis-credentials-auth is made", said, StringComparison.Ordinal);
        Assert.Contains("redis-credentials-gone is nobody's", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_password_is_rotated_in_two_steps_and_both_open_in_between()
    {
        var (secrets, _, _) = await NewAsync();
        var old = secrets["redis-credentials-auth"].Text("password")!;

        var (begun, _) = await AgainAsync(secrets.Values, "--rotate", "auth");
        var (again, refusal) = await TryAsync(begun.Values, "--rotate", "auth");
        var (done, _) = await AgainAsync(begun.Values, "--finish");

        var next = begun["redis-credentials-auth"].Text("password")!;
        Assert.NotEqual(old, next);
        Assert.Contains(
            $"#{AccessSecrets.Digest(next)} #{AccessSecrets.Digest(old)} ",
            begun["redis-acl"].Text("users.acl"),
            StringComparison.Ordinal
        );
        Assert.Equal(secrets["redis-credentials-users"].Text("password"), begun["redis-credentials-users"].Text("password"));
        Assert.Equal(OnggiTool.Failed, again);
        Assert.Contains("--finish", refusal, StringComparison.Ordinal);
        Assert.Equal(next, done["redis-credentials-auth"].Text("password"));
        Assert.DoesNotContain(AccessSecrets.Digest(old), done["redis-acl"].Text("users.acl"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_passwords_are_rotated_when_nobody_is_named()
    {
        var (secrets, _, _) = await NewAsync();

        var (begun, _) = await AgainAsync(secrets.Values, "--rotate");

        foreach (var (name, secret) in secrets.Where(pair => pair.Value.Text("password") is not null))
            Assert.Equal(secret.Text("password"), begun[name].Text("previous"));
    }

    [Fact]
    public async Task A_certificate_is_for_every_pod_by_its_names_and_renewed_before_its_end()
    {
        var (secrets, _, _) = await NewAsync();

        using var certificate = X509Certificate2.CreateFromPem(secrets["redis-tls"].Text("tls.crt")!);
        foreach (
            var name in (string[])
                [
                    "redis-2.redis-headless",
                    "redis-0.redis-headless.phonebill.svc",
                    "sentinel-1.sentinel.phonebill.svc.cluster.local",
                    "redis-primary",
                    "localhost",
                    "127.0.0.1",
                ]
        )
            Assert.True(certificate.MatchesHostname(name), name);
        Assert.False(certificate.MatchesHostname("redis.example.com"));

        var (kept, _) = await AgainAsync(secrets.Values);
        var (renewed, said) = await AgainAsync(secrets.Values, "--renew-before", "400d");
        var (moved, _) = await AgainAsync(secrets.Values, "--name", "redis.example.com");

        Assert.Equal(secrets["redis-tls"].Text("tls.crt"), kept["redis-tls"].Text("tls.crt"));
        Assert.NotEqual(secrets["redis-tls"].Text("tls.crt"), renewed["redis-tls"].Text("tls.crt"));
        Assert.Equal(secrets["redis-ca"].Text("tls.crt"), renewed["redis-tls"].Text("ca.crt"));
        Assert.Contains("reload-tls.sh", said, StringComparison.Ordinal);
        using var third = X509Certificate2.CreateFromPem(moved["redis-tls"].Text("tls.crt")!);
        Assert.True(third.MatchesHostname("redis.example.com"));
    }

    [Fact]
    public async Task A_certificate_of_the_companys_own_authority_is_left_alone()
    {
        var (secrets, _, _) = await NewAsync();

        var (after, said) = await AgainAsync(secrets.Values.Where(secret => secret.Name != "redis-ca"), "--renew-before", "400d");

        Assert.Equal(secrets["redis-tls"].Text("tls.crt"), after["redis-tls"].Text("tls.crt"));
        Assert.DoesNotContain("redis-ca", after.Keys);
        Assert.Contains("made elsewhere", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Further_secrets_are_made_once()
    {
        string[] more = ["--random", "phonebill-personal/secret", "--signing-key", "phonebill-token-key"];
        var (code, output, error) = await RunAsync(null, ["-e", "production", "--new", .. more]);
        Assert.True(code == OnggiTool.Ok, error);
        var first = SetFolder.Parse(output).ToDictionary(secret => secret.Name);

        var (second, _) = await AgainAsync(first.Values, more);

        Assert.Equal(first["phonebill-personal"].Text("secret"), second["phonebill-personal"].Text("secret"));
        Assert.Equal(first["phonebill-token-key-public"].Text("token.pub.pem"), second["phonebill-token-key-public"].Text("token.pub.pem"));
        Assert.StartsWith("-----BEGIN PRIVATE KEY-----", first["phonebill-token-key"].Text("token.pem"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_secret_is_written_to_a_terminal_that_did_not_ask_for_it()
    {
        // script gives a program a terminal; it is a part of util-linux.
        if (!File.Exists("/usr/bin/script") || OperatingSystem.IsMacOS())
            return;
        var tool = Path.Combine(AppContext.BaseDirectory, "Onggi.Cli.dll");
        var line = $"dotnet {tool} deploy secrets -e production --new --catalog {SetFolder.Catalog}";

        var refused = await TerminalAsync(line);
        var shown = await TerminalAsync($"{line} --show");

        Assert.Contains("--show", refused, StringComparison.Ordinal);
        Assert.DoesNotContain("kind: Secret", refused, StringComparison.Ordinal);
        Assert.Contains("kind: Secret", shown, StringComparison.Ordinal);
    }

    private static async Task<string> TerminalAsync(string line)
    {
        var start = new ProcessStartInfo("/usr/bin/script", ["-qec", line, "/dev/null"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var text = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return text;
    }

    private static async Task<(Dictionary<string, KubernetesSecret> Secrets, string Said, string Text)> NewAsync()
    {
        var (code, output, error) = await RunAsync(null, "-e", "production", "--new");
        Assert.True(code == OnggiTool.Ok, error);
        return (SetFolder.Parse(output).ToDictionary(secret => secret.Name), error, output);
    }

    private static async Task<(Dictionary<string, KubernetesSecret> Secrets, string Said)> AgainAsync(
        IEnumerable<KubernetesSecret> before,
        params string[] more
    )
    {
        var (code, output, error) = await RunAsync(Json(before), ["-e", "production", "--existing", "-", .. more]);
        Assert.True(code == OnggiTool.Ok, error);
        return (SetFolder.Parse(output).ToDictionary(secret => secret.Name), error);
    }

    private static async Task<(int Code, string Said)> TryAsync(IEnumerable<KubernetesSecret> before, params string[] more)
    {
        var (code, _, error) = await RunAsync(Json(before), ["-e", "production", "--existing", "-", .. more]);
        return (code, error);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string? piped, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var input = piped is null ? null : new StringReader(piped);
        var code = await OnggiTool.RunAsync(["deploy", "secrets", "--catalog", SetFolder.Catalog, .. args], output, error, input);
        return (code, output.ToString(), error.ToString());
    }

    // As kubectl writes them.
    private static string Json(IEnumerable<KubernetesSecret> secrets, string kubernetesNamespace = "phonebill")
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("apiVersion", "v1");
            json.WriteString("kind", "List");
            json.WriteStartArray("items");
            foreach (var secret in secrets)
            {
                json.WriteStartObject();
                json.WriteString("kind", "Secret");
                json.WriteString("type", secret.Type);
                json.WriteStartObject("metadata");
                json.WriteString("name", secret.Name);
                json.WriteString("namespace", kubernetesNamespace);
                json.WriteEndObject();
                json.WriteStartObject("data");
                foreach (var (key, value) in secret.Data)
                    json.WriteBase64String(key, value);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
