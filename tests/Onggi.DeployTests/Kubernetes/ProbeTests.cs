using System.Globalization;
using Onggi.Testing;

namespace Onggi.DeployTests.Kubernetes;

/// <summary>What the probes say of a real Redis in each of its states. The page of the manifests has the same table.</summary>
public sealed class ProbeTests : IAsyncLifetime
{
    private const string Password = "the-password-of-the-probe";
    private readonly string _folder = Directory.CreateTempSubdirectory("onggi-probe-").FullName;

    private string PasswordFile => Path.Combine(_folder, "password");

    public async Task InitializeAsync() => await File.WriteAllTextAsync(PasswordFile, Password + "\n");

    public Task DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Ready()
    {
        await using var redis = await StartAsync();

        await ExpectAsync(redis.Port, "ready", live: "alive", ready: "ready");
    }

    [Fact]
    public async Task Loading_is_alive_and_not_ready()
    {
        await using var redis = await StartAsync("--enable-debug-command", "yes");
        await redis.CommandAsync("DEBUG", "POPULATE", "200000");
        // A millisecond for each key: it loads for minutes, and answers in between.
        await redis.CommandAsync("CONFIG", "SET", "key-load-delay", "1000", "loading-process-events-interval-bytes", "1024");
        using var connection = await RawRedis.ConnectAsync(redis.Port);
        var reload = connection.CommandAsync("DEBUG", "RELOAD");
        await Until.TrueAsync(() => AnswersAsync(redis, "LOADING"), "it says LOADING");

        await ExpectAsync(redis.Port, "loading", live: "alive: loading", ready: "not ready: LOADING");
        await redis.KillAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => reload);
    }

    [Fact]
    public async Task A_long_script_is_alive_and_not_ready_and_one_that_hides_it_is_dead()
    {
        await using var redis = await StartAsync("--busy-reply-threshold", "100");
        using var connection = await RawRedis.ConnectAsync(redis.Port);
        var script = connection.CommandAsync("EVAL", "while true do end", "0");
        await Until.TrueAsync(() => AnswersAsync(redis, "BUSY"), "it says BUSY");

        await ExpectAsync(redis.Port, "in a long script", live: "alive: in a long script", ready: "not ready: BUSY");
        await redis.CommandAsync("SCRIPT", "KILL");
        await Assert.ThrowsAsync<InvalidOperationException>(() => script);
        await ExpectAsync(redis.Port, "ready", live: "alive", ready: "ready");
    }

    [Fact]
    public async Task Hung_is_dead()
    {
        await using var redis = await StartAsync();
        redis.Pause();

        await ExpectAsync(redis.Port, "hung", live: "dead: no answer within 1 s", ready: "not ready: no answer within 1 s");
        redis.Resume();
    }

    [Fact]
    public async Task Down_is_dead() =>
        await ExpectAsync(LoopbackPorts.Free(), "down", live: "dead: Could not connect", ready: "not ready: Could not connect");

    [Fact]
    public async Task A_wrong_password_is_no_reason_to_restart()
    {
        await using var redis = await StartAsync();
        await File.WriteAllTextAsync(PasswordFile, "another");
        await ExpectAsync(
            redis.Port,
            "wrong password",
            live: "alive: refuses the user of the probe",
            ready: "not ready: AUTH failed: WRONGPASS"
        );

        File.Delete(PasswordFile);
        await ExpectAsync(redis.Port, "no password", live: "alive: refuses the user of the probe", ready: "not ready: AUTH failed");
    }

    [Fact]
    public async Task Full_of_connections_is_no_reason_to_restart()
    {
        await using var redis = await StartAsync("--maxclients", "4");
        var connections = new List<RawRedis>();
        try
        {
            // The fifth is refused.
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                while (connections.Count < 10)
                {
                    connections.Add(await RawRedis.ConnectAsync(redis.Port));
                    await connections[^1].CommandAsync("PING");
                }
            });

            await ExpectAsync(redis.Port, "full of connections", live: "alive: no room", ready: "not ready: ");
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }
    }

    [Fact]
    public async Task A_replica_is_ready_until_it_must_not_answer()
    {
        await using var primary = await StartAsync();
        var port = primary.Port.ToString(CultureInfo.InvariantCulture);
        await using var replica = await StartAsync("--replicaof", $"127.0.0.1 {port}", "--repl-diskless-sync-delay", "0");
        await Until.TrueAsync(
            async () => (await replica.CommandAsync("INFO", "replication"))!.Contains("master_link_status:up", StringComparison.Ordinal),
            "the replica is in step"
        );

        await ExpectAsync(replica.Port, "replica", live: "alive", ready: "ready");
        await replica.CommandAsync("CONFIG", "SET", "replica-serve-stale-data", "no");
        await primary.KillAsync();
        await Until.TrueAsync(() => AnswersAsync(replica, "MASTERDOWN"), "it says MASTERDOWN");
        await ExpectAsync(replica.Port, "replica without its primary", live: "alive: without its primary", ready: "not ready: MASTERDOWN");
    }

    [Fact]
    public async Task Over_TLS_an_ended_certificate_takes_it_out_of_service_and_restarts_nothing()
    {
        using var authority = new TestAuthority();
        var (good, goodKey) = authority.Sign("good");
        await using var redis = await RedisServerProcess.StartAsync(
            new RedisServerSettings { Tls = new RedisServerTls(good, goodKey, authority.CertificateFile), Flags = Users }
        );
        await ExpectAsync(redis.TlsPort, "ready", live: "alive", ready: "ready", authority.CertificateFile);

        var (old, oldKey) = authority.Sign("old", validFrom: TimeSpan.FromDays(-9), validFor: TimeSpan.FromDays(1));
        await redis.CommandAsync("CONFIG", "SET", "tls-cert-file", old, "tls-key-file", oldKey);
        await ExpectAsync(
            redis.TlsPort,
            "ended certificate",
            live: "alive",
            ready: "not ready: Could not connect",
            authority.CertificateFile
        );
    }

    [Fact]
    public async Task No_command_line_shows_the_password()
    {
        await using var redis = await StartAsync();
        redis.Pause();
        var probe = ProbeAsync("probe-live.sh", redis.Port, seconds: 3);
        List<string> seen = [];
        await Until.TrueAsync(
            () =>
            {
                seen.AddRange(CommandLines().Where(line => line.Contains($" -p {redis.Port} ", StringComparison.Ordinal)));
                return probe.IsCompleted || seen.Count > 0;
            },
            "redis-cli is seen at work"
        );
        await probe;
        redis.Resume();

        Assert.Contains(seen, line => line.Contains("redis-cli", StringComparison.Ordinal));
        Assert.DoesNotContain(seen, line => line.Contains(Password, StringComparison.Ordinal));
    }

    // default stays on for the test's own use; in a cluster it is off.
    private static string[] Users =>
        [
            "--user",
            "probe",
            "on",
            $">{Password}",
            "resetkeys",
            "resetchannels",
            "-@all",
            "+ping",
            "--user",
            "default",
            "on",
            "nopass",
            "~*",
            "&*",
            "+@all",
        ];

    private static Task<RedisServerProcess> StartAsync(params string[] flags) => RedisServerProcess.StartAsync([.. Users, .. flags]);

    private static async Task<bool> AnswersAsync(RedisServerProcess redis, string code)
    {
        try
        {
            await redis.CommandAsync("PING");
            return false;
        }
        catch (InvalidOperationException refusal)
        {
            return refusal.Message.StartsWith(code, StringComparison.Ordinal);
        }
    }

    private async Task ExpectAsync(int port, string state, string live, string ready, string authority = "")
    {
        var (alive, isReady) = (
            await ProbeAsync("probe-live.sh", port, 1, authority),
            await ProbeAsync("probe-ready.sh", port, 1, authority)
        );

        Assert.StartsWith(live, alive.Output.Trim(), StringComparison.Ordinal);
        Assert.StartsWith(ready, isReady.Output.Trim(), StringComparison.Ordinal);
        Assert.Equal((state, live.StartsWith("alive", StringComparison.Ordinal) ? 0 : 1), (state, alive.Code));
        Assert.Equal((state, ready == "ready" ? 0 : 1), (state, isReady.Code));
        Assert.DoesNotContain(Password, alive.Output + alive.Error + isReady.Output + isReady.Error, StringComparison.Ordinal);
        var row = $"| {state} | {(alive.Code == 0 ? "alive" : "dead")} | {(isReady.Code == 0 ? "ready" : "not ready")} |";
        Assert.Contains(row, Sources.Text("docs/operations/deploy-kubernetes.md"), StringComparison.Ordinal);
    }

    private Task<ToolRun> ProbeAsync(string script, int port, int seconds, string authority = "") =>
        Tools.RunAsync(
            "sh",
            [$"deploy/kubernetes/base/redis/{script}"],
            new Dictionary<string, string>
            {
                ["ONGGI_PROBE_PORT"] = port.ToString(CultureInfo.InvariantCulture),
                ["ONGGI_PROBE_PASSWORD_FILE"] = PasswordFile,
                ["ONGGI_PROBE_SECONDS"] = seconds.ToString(CultureInfo.InvariantCulture),
                ["ONGGI_PROBE_CA"] = authority,
            }
        );

    private static IEnumerable<string> CommandLines()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out _))
                continue;
            string line;
            try
            {
                line = File.ReadAllText($"{folder}/cmdline").Replace('\0', ' ');
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                // Ended between the listing and the look, or somebody else's.
                continue;
            }

            yield return line;
        }
    }
}
