using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Onggi.Testing;
using PhoneBill.Contracts;
using Seed = PhoneBill.Contracts.Seed;

namespace PhoneBill.EndToEnd;

/// <summary>A demonstration whose Redis can be frozen, and that tells what was published.</summary>
public sealed class FrozenRedis : IAsyncLifetime
{
    private const string Operator = "operator";

    private readonly DemoProcess _demo = DemoProcess.Start("--no-story");
    private string _password = "";
    private string _server = "";

    public Uri At(int offset, string path) => new($"http://127.0.0.1:{_demo.PortBase + offset}{path}");

    public async Task InitializeAsync()
    {
        await _demo.Up;
        _password = await File.ReadAllTextAsync(Path.Combine(_demo.RunDirectory, "secrets", Operator));
        using var redis = await RawRedis.ConnectAsync(_demo.RedisPort, Operator, _password);
        var info = (await redis.CommandAsync("INFO", "server"))!.Split("\r\n");
        _server = info.Single(line => line.StartsWith("process_id:", StringComparison.Ordinal)).Split(':')[1];
    }

    public async Task DisposeAsync()
    {
        Resume();
        await _demo.DisposeAsync();
    }

    public void Freeze() => Signal("-STOP");

    public void Resume() => Signal("-CONT");

    /// <summary>Cuts a service's connections, and then answers nobody for a while, at one stroke: what the service says meanwhile has not left it.</summary>
    public async Task SilenceAsync(string service, TimeSpan time)
    {
        using var redis = await RawRedis.ConnectAsync(_demo.RedisPort, Operator, _password);
        await redis.CommandAsync("MULTI");
        await redis.CommandAsync("CLIENT", "KILL", "USER", service);
        await redis.CommandAsync("CLIENT", "PAUSE", $"{time.TotalMilliseconds}", "ALL");
        await redis.CommandAsync("EXEC");
    }

    /// <summary>How many events of a type Redis has numbered.</summary>
    public async Task<long> PublishedAsync(string type)
    {
        using var redis = await RawRedis.ConnectAsync(_demo.RedisPort, Operator, _password);
        var number = await redis.CommandAsync("HGET", $"dev:events:head:{type}", "seq");
        return number is null ? 0 : long.Parse(number, CultureInfo.InvariantCulture);
    }

    /// <summary>How often Redis was asked for this since it runs.</summary>
    public async Task<long> CallsAsync(string command)
    {
        using var redis = await RawRedis.ConnectAsync(_demo.RedisPort, Operator, _password);
        var line = (await redis.CommandAsync("INFO", "commandstats"))!
            .Split("\r\n")
            .FirstOrDefault(line => line.StartsWith($"cmdstat_{command}:calls=", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.Split('=', ',')[1], CultureInfo.InvariantCulture);
    }

    public PhoneBillDb Database()
    {
        var file = Path.Combine(_demo.RunDirectory, "phonebill.db");
        return new(new DbContextOptionsBuilder<PhoneBillDb>().UseSqlite($"Data Source={file};Pooling=False").Options);
    }

    public async Task<HttpClient> SignInAsync(string user, string password = Seed.Password)
    {
        var http = new HttpClient();
        var login = await http.PostAsJsonAsync(At(1, "/api/login"), new { userId = user, password });
        var body = await login.Content.ReadFromJsonAsync<JsonElement>();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", body.GetProperty("token").GetString());
        return http;
    }

    private void Signal(string signal)
    {
        using var kill = Process.Start("kill", [signal, _server]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }
}

/// <summary>Whoever changes something tells the caches, also when Redis hangs just then, or the caller hangs up.</summary>
public sealed class TellingTests(FrozenRedis stage) : IClassFixture<FrozenRedis>
{
    private const int Auth = 1;
    private const int Users = 2;

    private const string Password = "a long password";

    /// <summary>Half of a command's time-out: what waits for so long is done all the same.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task A_removal_that_could_not_be_told_is_told_when_it_is_repeated()
    {
        using var manager = await stage.SignInAsync("lee.manager");
        Assert.Equal(HttpStatusCode.Created, (await AddAsync(manager, "han.leaver")).StatusCode);
        using var leaver = await stage.SignInAsync("han.leaver", Password);
        Assert.Equal(HttpStatusCode.OK, (await leaver.GetAsync(stage.At(Auth, "/api/me"))).StatusCode);
        var before = await stage.PublishedAsync("user.deleted");

        stage.Freeze();
        var untold = await manager.DeleteAsync(stage.At(Users, "/api/users/han.leaver"));
        stage.Resume();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, untold.StatusCode);
        Assert.Contains("Repeat the same request", await untold.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(before, await stage.PublishedAsync("user.deleted"));

        Assert.True(await RepeatedAsync(() => manager.DeleteAsync(stage.At(Users, "/api/users/han.leaver")), HttpStatusCode.NotFound));

        Assert.True(await stage.PublishedAsync("user.deleted") > before);
        Assert.True(
            await Eventually.IsTrueAsync(async () =>
                (await leaver.GetAsync(stage.At(Auth, "/api/me"))).StatusCode == HttpStatusCode.Unauthorized
            ),
            "the user that is gone is still signed in"
        );
        // The copies are dropped before the event is heard.
        Assert.Equal(HttpStatusCode.NotFound, (await manager.GetAsync(stage.At(Users, "/api/users/han.leaver"))).StatusCode);
    }

    [Fact]
    public async Task An_addition_that_could_not_be_told_is_told_when_it_is_repeated()
    {
        using var manager = await stage.SignInAsync("lee.manager");
        // The list without the newcomer is cached from here on.
        Assert.Equal(HttpStatusCode.OK, (await manager.GetAsync(stage.At(Users, "/api/users"))).StatusCode);
        var before = await stage.PublishedAsync("user.created");

        stage.Freeze();
        var untold = await AddAsync(manager, "seo.newcomer");
        stage.Resume();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, untold.StatusCode);
        Assert.True(await RepeatedAsync(() => AddAsync(manager, "seo.newcomer"), HttpStatusCode.Conflict));
        Assert.True(await stage.PublishedAsync("user.created") > before);
        var list = await manager.GetStringAsync(stage.At(Users, "/api/users"));
        Assert.Contains("seo.newcomer", list, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_who_hangs_up_after_the_change_does_not_keep_the_caches_from_hearing_of_it()
    {
        using var operators = await stage.SignInAsync("choi.operator");

        // A round in which we were too slow says nothing.
        const int Most = 20;
        var round = 1;
        while (!await HungUpInTimeAsync(operators))
            Assert.True(round++ < Most, $"The machine was too slow {Most} times.");
    }

    /// <summary>Takes a permission away, silences Redis before the database has it, and hangs up when it has. When Redis answers again, the event must come.</summary>
    /// <returns><c>false</c> when Redis answered again before we hung up.</returns>
    private async Task<bool> HungUpInTimeAsync(HttpClient operators)
    {
        var path = stage.At(Auth, "/api/permissions/park.viewer/bill.read");
        Assert.True(await RepeatedAsync(() => operators.PutAsync(path, null), HttpStatusCode.NoContent));
        var (before, asked) = (await stage.PublishedAsync("permission.changed"), await stage.CallsAsync("mget"));
        using var hangUp = new CancellationTokenSource();

        // Nobody else writes: so the service asks Redis who is calling, and then waits for us.
        await using var db = stage.Database();
        await using var locked = await db.Database.BeginTransactionAsync();
        var call = operators.DeleteAsync(path, hangUp.Token);
        await Until.TrueAsync(async () => call.IsCompleted || await stage.CallsAsync("mget") > asked, "Redis is asked who is calling");
        Assert.Equal(HttpStatusCode.OK, (await operators.GetAsync(stage.At(Auth, "/healthz"))).StatusCode);
        var silent = Stopwatch.GetTimestamp();
        await stage.SilenceAsync("auth", Silence);
        await locked.RollbackAsync();
        await Until.TrueAsync(async () => call.IsCompleted || await IsRevokedAsync(), "the permission is revoked in the database");
        await hangUp.CancelAsync();
        var took = Stopwatch.GetElapsedTime(silent);

        var isAnswered = await Record.ExceptionAsync(() => call) is not OperationCanceledException;
        if (isAnswered || took > Silence)
            return false;
        await Until.TrueAsync(async () => await stage.PublishedAsync("permission.changed") > before, "the event is published");
        return true;
    }

    private async Task<bool> IsRevokedAsync()
    {
        await using var db = stage.Database();
        return !await db.Permissions.AnyAsync(row => row.UserId == "park.viewer" && row.Name == "bill.read");
    }

    private Task<HttpResponseMessage> AddAsync(HttpClient http, string id) =>
        http.PostAsJsonAsync(
            stage.At(Users, "/api/users"),
            new
            {
                id,
                name = "새 사람",
                email = $"{id}@phonebill.example",
                role = "viewer",
                password = Password,
            }
        );

    /// <summary>Repeats as the 503 says: until another answer comes.</summary>
    private static async Task<bool> RepeatedAsync(Func<Task<HttpResponseMessage>> send, HttpStatusCode expected)
    {
        var last = HttpStatusCode.ServiceUnavailable;
        await Eventually.IsTrueAsync(async () =>
        {
            last = (await send()).StatusCode;
            return last != HttpStatusCode.ServiceUnavailable;
        });
        return last == expected;
    }
}
