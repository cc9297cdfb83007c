using Onggi.Cli.Deployment.Secrets;
using Onggi.Testing;

namespace Onggi.DeployTests.Production;

/// <summary>
/// A password changes in a cluster: two Secrets, which the kubelet brings to the pods of the services and of Redis at different moments, and a Redis that reads its file when it is told to.
/// After every single one of these events a service that reconnects must get in with what it has.
/// </summary>
public sealed class RotationTests : IAsyncLifetime
{
    private const string User = "auth";

    // Whatever comes first: the services get the Secret, the Redis pod gets the file, somebody says ACL LOAD. What was said too early is said again in the end.
    private static readonly Event[][] Orders =
    [
        [Event.ServicesGetIt, Event.RedisGetsIt, Event.Load],
        [Event.ServicesGetIt, Event.Load, Event.RedisGetsIt],
        [Event.RedisGetsIt, Event.ServicesGetIt, Event.Load],
        [Event.RedisGetsIt, Event.Load, Event.ServicesGetIt],
        [Event.Load, Event.ServicesGetIt, Event.RedisGetsIt],
        [Event.Load, Event.RedisGetsIt, Event.ServicesGetIt],
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-rotation-");
    private readonly List<string> _refused = [];
    private Dictionary<string, KubernetesSecret> _cluster = [];
    private RedisServerProcess _redis = null!;
    private string _early = "";
    private string _late = "";

    private enum Event
    {
        ServicesGetIt,
        RedisGetsIt,
        Load,
    }

    private string AclFile => Path.Combine(_folder.FullName, "users.acl");

    private string Password => _cluster[SecretPlan.NameOf(User)].Text("password")!;

    public async Task InitializeAsync()
    {
        (_cluster, _, _) = await SecretRuns.NewAsync();
        RedisGetsIt();
        _redis = await RedisServerProcess.StartAsync("--aclfile", AclFile);
        (_early, _late) = (Password, Password);
    }

    public async Task DisposeAsync()
    {
        await _redis.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Nobody_is_refused_at_any_moment_of_a_change()
    {
        foreach (var order in Orders)
        {
            var old = Password;

            await StepAsync("--rotate", order);
            Assert.Equal(old, _late);
            await StepAsync("--hand-out", order);
            Assert.NotEqual(old, _early);
            Assert.True(await OpensAsync(old), "who still has the old password gets in until the last step");
            await StepAsync("--finish", order);

            Assert.False(await OpensAsync(old), "the old password opens nothing any more");
            Assert.True(await OpensAsync(Password));
        }

        Assert.Empty(_refused);
    }

    [Fact]
    public async Task A_step_that_is_done_twice_refuses_nobody_either()
    {
        foreach (var step in (string[])["--rotate", "--rotate", "--hand-out", "--hand-out", "--finish", "--finish"])
            await StepAsync(step, Orders[0]);

        Assert.Empty(_refused);
        Assert.True(await OpensAsync(_late));
    }

    [Fact]
    public async Task Without_the_first_step_by_itself_services_are_refused()
    {
        // As it was once: both passwords in the file, and the new one handed out, in one go.
        (_cluster, _) = await SecretRuns.AgainAsync(_cluster.Values, "--rotate", User);

        await StepAsync("--hand-out", Orders[0]);

        Assert.NotEmpty(_refused);
    }

    [Fact]
    public async Task Without_the_second_step_by_itself_services_are_refused()
    {
        await StepAsync("--rotate", Orders[0]);
        (_cluster, _) = await SecretRuns.AgainAsync(_cluster.Values, "--hand-out", User);

        await StepAsync("--finish", Orders[3]);

        Assert.NotEmpty(_refused);
    }

    [Fact]
    public async Task A_password_that_Redis_has_not_loaded_is_not_handed_out_where_it_is_asked()
    {
        (_cluster, _) = await SecretRuns.AgainAsync(_cluster.Values, "--rotate", User);
        var (before, nothing, refusal) = await HandOutAsync();
        RedisGetsIt();
        var (still, _, _) = await HandOutAsync();
        await LoadAsync();
        var (after, manifests, error) = await HandOutAsync();
        var (otherwise, _, only) = await SecretRuns.RunAsync(
            SecretRuns.Json(_cluster.Values),
            ["-e", "production", "--existing", "-", "--rotate", "users", "--redis", Connection]
        );

        Assert.Equal((2, "", 2), (before, nothing, still));
        Assert.Contains($"has not loaded the new password of {User}", refusal, StringComparison.Ordinal);
        Assert.Contains("ACL LOAD", refusal, StringComparison.Ordinal);
        Assert.True(after == 0, error);
        Assert.Contains("kind: Secret", manifests, StringComparison.Ordinal);
        Assert.Equal(2, otherwise);
        Assert.Contains("--hand-out", only, StringComparison.Ordinal);
    }

    private string Connection =>
        $"127.0.0.1:{_redis.Port},user=operator,password={_cluster[SecretPlan.NameOf("operator")].Text("password")}";

    private Task<(int Code, string Output, string Error)> HandOutAsync() =>
        SecretRuns.RunAsync(
            SecretRuns.Json(_cluster.Values),
            ["-e", "production", "--existing", "-", "--hand-out", User, "--redis", Connection]
        );

    // The step is applied; then what follows happens, one after the other, and after each everybody reconnects. The late service gets the Secret at last.
    private async Task StepAsync(string step, Event[] order)
    {
        (_cluster, _) = await SecretRuns.AgainAsync(_cluster.Values, step, User);
        foreach (var one in order)
        {
            switch (one)
            {
                case Event.ServicesGetIt:
                    _early = Password;
                    break;
                case Event.RedisGetsIt:
                    RedisGetsIt();
                    break;
                case Event.Load:
                    await LoadAsync();
                    break;
            }

            await ReconnectAsync($"{step}, {string.Join(", ", order)}: after {one}");
        }

        _late = Password;
        await ReconnectAsync($"{step}, {string.Join(", ", order)}: after the last service got it");
        await LoadAsync();
        await ReconnectAsync($"{step}, {string.Join(", ", order)}: at the end");
    }

    private async Task ReconnectAsync(string moment)
    {
        foreach (var (service, password) in ((string, string)[])[("the early service", _early), ("the late service", _late)])
            if (!await OpensAsync(password))
                _refused.Add($"{service}, {moment}");
    }

    private async Task<bool> OpensAsync(string password)
    {
        try
        {
            using var connection = await RawRedis.ConnectAsync(_redis.Port, User, password);
            return await connection.CommandAsync("PING") == "PONG";
        }
        catch (InvalidOperationException refused) when (refused.Message.StartsWith("WRONGPASS", StringComparison.Ordinal))
        {
            return false;
        }
    }

    private void RedisGetsIt() => File.WriteAllText(AclFile, _cluster[SecretPlan.AclName].Text("users.acl"));

    private async Task LoadAsync()
    {
        using var connection = await RawRedis.ConnectAsync(
            _redis.Port,
            "operator",
            _cluster[SecretPlan.NameOf("operator")].Text("password")!
        );
        Assert.Equal("OK", await connection.CommandAsync("ACL", "LOAD"));
    }
}
