using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Onggi.Cli;
using Onggi.Cli.Access;
using Onggi.Cli.Deployment.Secrets;
using static Onggi.DeployTests.Production.SecretRuns;

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
    public async Task A_password_is_changed_in_three_steps_and_each_says_the_next()
    {
        var (secrets, _, _) = await NewAsync();
        var old = secrets["redis-credentials-auth"].Text("password")!;

        var (added, first) = await AgainAsync(secrets.Values, "--rotate", "auth");
        var (handedOut, second) = await AgainAsync(added.Values, "--hand-out", "auth");
        var (done, third) = await AgainAsync(handedOut.Values, "--finish", "auth");

        var next = added["redis-credentials-auth"].Text("next")!;
        var both = $"#{AccessSecrets.Digest(old)} #{AccessSecrets.Digest(next)} ";
        Assert.NotEqual(old, next);
        Assert.Equal(old, added["redis-credentials-auth"].Text("password"));
        Assert.Contains(both, added["redis-acl"].Text("users.acl"), StringComparison.Ordinal);
        Assert.Equal(secrets["redis-credentials-users"].Text("password"), added["redis-credentials-users"].Text("password"));
        Assert.Null(added["redis-credentials-users"].Text("next"));
        Assert.Contains("ACL LOAD", first, StringComparison.Ordinal);
        Assert.Contains("--hand-out auth", first, StringComparison.Ordinal);
        // Redis has nothing to read anew for the second one.
        Assert.Equal(next, handedOut["redis-credentials-auth"].Text("password"));
        Assert.Equal(added["redis-acl"].Text("users.acl"), handedOut["redis-acl"].Text("users.acl"));
        Assert.Contains("--finish auth", second, StringComparison.Ordinal);
        Assert.Equal(["password"], done["redis-credentials-auth"].Data.Keys);
        Assert.Equal(next, done["redis-credentials-auth"].Text("password"));
        Assert.DoesNotContain(AccessSecrets.Digest(old), done["redis-acl"].Text("users.acl"), StringComparison.Ordinal);
        Assert.Contains(AccessSecrets.Digest(next), done["redis-acl"].Text("users.acl"), StringComparison.Ordinal);
        Assert.Contains("ACL LOAD", third, StringComparison.Ordinal);
        foreach (var said in (string[])[first, second, third])
            Assert.False(said.Contains(old, StringComparison.Ordinal) || said.Contains(next, StringComparison.Ordinal), said);
    }

    [Theory]
    [InlineData(0, "--rotate", "--hand-out auth")]
    [InlineData(1, "--hand-out", "--finish auth")]
    [InlineData(2, "--finish", "nothing changes")]
    public async Task A_step_that_was_done_changes_nothing_and_says_the_next_again(int done, string step, string said)
    {
        var before = await AfterAsync(done + 1);

        var (again, words) = await AgainAsync(before.Values, step, "auth");
        var (plain, _) = await AgainAsync(before.Values);

        Assert.Equal(Json(before.Values), Json(again.Values));
        Assert.Equal(Json(before.Values), Json(plain.Values));
        Assert.Contains(said, words, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "--hand-out auth", "--rotate auth")]
    [InlineData(0, "--hand-out", "--rotate USER")]
    [InlineData(1, "--finish auth", "--hand-out auth")]
    [InlineData(1, "--finish", "--hand-out auth")]
    [InlineData(1, "--hand-out users", "--rotate users")]
    [InlineData(2, "--rotate auth", "--finish auth")]
    [InlineData(2, "--rotate", "--finish auth")]
    [InlineData(3, "--hand-out auth", "--rotate auth")]
    [InlineData(0, "--rotate auth --hand-out auth", "steps of one change")]
    [InlineData(1, "--hand-out auth --finish", "steps of one change")]
    [InlineData(0, "--rotate auht", "auth")]
    public async Task A_step_out_of_order_is_refused_and_what_comes_first_is_said(int done, string step, string said)
    {
        var before = await AfterAsync(done);

        var (code, output, error) = await RunAsync(Json(before.Values), ["-e", "production", "--existing", "-", .. step.Split(' ')]);

        Assert.Equal((OnggiTool.Failed, ""), (code, output));
        Assert.Contains(said, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_passwords_are_changed_when_nobody_is_named()
    {
        var (secrets, _, _) = await NewAsync();

        var (added, _) = await AgainAsync(secrets.Values, "--rotate");
        var (handedOut, _) = await AgainAsync(added.Values, "--hand-out");
        var (done, _) = await AgainAsync(handedOut.Values, "--finish");

        foreach (var (name, secret) in secrets.Where(pair => pair.Value.Text("password") is not null))
        {
            Assert.Equal(secret.Text("password"), added[name].Text("password"));
            Assert.Equal(secret.Text("password"), handedOut[name].Text("previous"));
            Assert.Equal(added[name].Text("next"), done[name].Text("password"));
            Assert.Equal(["password"], done[name].Data.Keys);
        }
    }

    [Fact]
    public async Task A_user_who_is_new_gets_one_password_whatever_is_changed()
    {
        var (secrets, _, _) = await NewAsync();

        var (after, said) = await AgainAsync(secrets.Values.Where(secret => secret.Name != "redis-credentials-auth"), "--rotate");

        Assert.Equal(["password"], after["redis-credentials-auth"].Data.Keys);
        Assert.Contains("redis-credentials-auth is made", said, StringComparison.Ordinal);
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

    // The Secrets after so many steps of a change of auth's password.
    private static async Task<Dictionary<string, KubernetesSecret>> AfterAsync(int steps)
    {
        var (secrets, _, _) = await NewAsync();
        foreach (var step in ((string[])["--rotate", "--hand-out", "--finish"])[..steps])
            (secrets, _) = await AgainAsync(secrets.Values, step, "auth");
        return secrets;
    }
}
