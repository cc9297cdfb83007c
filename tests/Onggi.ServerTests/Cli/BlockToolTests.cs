using System.Text.Json;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>The commands that look at the blocks of running services: locks, limits, sessions, events, warm-ups.</summary>
public sealed class BlockToolTests : IAsyncLifetime
{
    private RedisServerProcess _redis = null!;
    private BlockToolNode _node = null!;
    private string _catalog = "";

    public async Task InitializeAsync()
    {
        _redis = await RedisServerProcess.StartAsync();
        _catalog = Path.Combine(_redis.Directory, "keyspace.json");
        await File.WriteAllTextAsync(_catalog, BlockToolNode.CatalogJson);
        _node = await BlockToolNode.StartAsync(_redis.ConnectionString);
    }

    public async Task DisposeAsync()
    {
        await _node.DisposeAsync();
        await _redis.DisposeAsync();
    }

    [Fact]
    public async Task Locks_that_are_held_are_shown_with_owner_fence_and_who_waits()
    {
        var none = await RunAsync("locks", "list");
        await using var held = await _node.Keyspace.Locks.AcquireAsync(BlockToolNode.Run("invoices"));
        using var stop = new CancellationTokenSource();
        var waiting = _node.Keyspace.Locks.TryAcquireAsync(BlockToolNode.Run("invoices"), TimeSpan.FromMinutes(1), stop.Token).AsTask();
        await Until.TrueAsync(async () =>
            (await _redis.CommandAsync("PUBSUB", "SHARDCHANNELS"))?.Contains("wake", StringComparison.Ordinal) == true
        );

        var (code, output, error) = await RunAsync("locks", "list", "--json");
        var table = await RunAsync("locks", "list");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        var one = Assert.Single(JsonElement.Parse(output).EnumerateArray().ToList());
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("No lock is held.", none.Output, StringComparison.Ordinal);
        Assert.Equal("dev:locks:run:invoices", one.GetProperty("lock").GetString());
        Assert.Equal(held.Fence.Value, one.GetProperty("fence").GetInt64());
        Assert.InRange(one.GetProperty("ttlSeconds").GetDouble(), 1, 30);
        Assert.Equal(1, one.GetProperty("waiting").GetInt64());
        Assert.Contains("1 lock is held.", table.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_budget_is_shown_and_given_back()
    {
        var login = BlockToolNode.Login("42");
        await using var place = await _node.Keyspace.Limits.EnterAsync(login, cost: 10);

        var shown = await RunAsync("limits", "show", "dev:rate_limit:login:42");
        var json = await RunAsync("limits", "show", "dev:rate_limit:login:42", "--json");
        var unanswered = await RunAsync("limits", "reset", "dev:rate_limit:login:42");
        var denied = await _node.Keyspace.Limits.PeekAsync(login);
        var reset = await RunAsync("limits", "reset", "dev:rate_limit:login:42", "--yes");
        var again = await RunAsync("limits", "reset", "dev:rate_limit:login:42", "--yes", "--json");
        var after = await RunAsync("limits", "show", "dev:rate_limit:login:42");
        var foreign = await RunAsync("limits", "show", "dev:customer:1");

        Assert.Equal((0, 2, 0, 2), (shown.Code, unanswered.Code, reset.Code, foreign.Code));
        Assert.Contains("full again in", shown.Output, StringComparison.Ordinal);
        Assert.Contains("1 place is taken", shown.Output, StringComparison.Ordinal);
        Assert.True(JsonElement.Parse(json.Output).GetProperty("spent").GetBoolean());
        Assert.False(denied.Allowed);
        Assert.False(JsonElement.Parse(again.Output).GetProperty("reset").GetBoolean());
        Assert.Contains("nothing is spent", after.Output, StringComparison.Ordinal);
        Assert.Contains("dev:rate_limit:login:{user}", foreign.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sessions_are_shown_and_ended_and_the_services_hear_of_it()
    {
        var first = await _node.Keyspace.Sessions.CreateAsync("user-1", new SessionDetails { Device = "phone" });
        var second = await _node.Keyspace.Sessions.CreateAsync("user-1", new SessionDetails { Device = "laptop" });
        var other = await _node.Keyspace.Sessions.CreateAsync("user-2", new SessionDetails { Device = "phone" });
        var heard = Channel();
        await using var listening = await _node.Keyspace.Events.SubscribeAllAsync(
            (one, _) =>
            {
                if (one.Type == "auth.session_revoked")
                    heard.TrySetResult(one.Source);
                return ValueTask.CompletedTask;
            }
        );

        var list = await RunAsync("sessions", "list", "user-1", "--json");
        var unanswered = await RunAsync("sessions", "revoke", "user-1");
        var one = await RunAsync("sessions", "revoke", "user-1", "--session", first.Handle, "--yes");
        var source = await heard.Task.Within();
        var left = await _node.Keyspace.Sessions.ListAsync("user-1");
        var all = await AnswerAsync("revoke\n", "sessions", "revoke", "user-1", "--json");
        var table = await RunAsync("sessions", "list", "user-1");

        var devices = JsonElement.Parse(list.Output).EnumerateArray().Select(session => session.GetProperty("device").GetString());
        Assert.Equal((0, 2, 0, 0), (list.Code, unanswered.Code, one.Code, all.Code));
        Assert.Equal(["laptop", "phone"], devices.Order());
        Assert.Equal(second.Handle, Assert.Single(left).Handle);
        Assert.Equal("onggi-cli", source);
        Assert.Equal(1, JsonElement.Parse(all.Output).GetProperty("revoked").GetInt32());
        Assert.Contains("Not signed in anywhere.", table.Output, StringComparison.Ordinal);
        Assert.NotNull(await _node.Keyspace.Sessions.ValidateAsync(other.Id));
    }

    [Fact]
    public async Task Where_persons_are_hashed_the_secret_is_asked_for_before_nobody_is_found()
    {
        var (code, _, error) = await RunAsync("sessions", "list", "user-1", "-e", "production");

        Assert.Equal(2, code);
        Assert.Contains("ONGGI_PERSONAL_SECRET", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_are_shown_as_they_come_and_those_of_the_last_minutes_too()
    {
        await _node.Keyspace.Events.PublishAsync(BlockToolNode.Event("order.placed"), "first");
        await _node.Keyspace.Events.PublishAsync(BlockToolNode.Event("order.placed"), "second");
        var tailing = RunAsync("events", "tail", "order.placed", "--since", "60", "--count", "3");
        await ListeningAsync("events:global:order.placed");
        await _node.Keyspace.Events.PublishAsync(BlockToolNode.Event("order.placed"), "third");

        var (code, output, error) = await tailing.Within();

        var lines = output.TrimEnd('\n').Split('\n');
        Assert.Equal(0, code);
        Assert.Equal(3, lines.Length);
        Assert.Matches("^2.*Z order.placed #1 auth \"first\"$", lines[0]);
        Assert.EndsWith("order.placed #3 auth \"third\"", lines[2], StringComparison.Ordinal);
        Assert.Contains("listening to order.placed", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Payloads_about_persons_are_shown_only_to_who_asks_for_them()
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal) { ["id"] = "7" };
        await _node.Keyspace.Events.PublishAsync(BlockToolNode.Event("customer.moved"), "to a secret place", metadata);

        var hidden = await RunAsync("events", "tail", "--since", "60", "--count", "1").Within();
        var json = await RunAsync("events", "tail", "customer.moved", "--since", "60", "--count", "1", "--json").Within();
        var shown = await RunAsync("events", "tail", "--since", "60", "--count", "1", "--json", "--show-personal").Within();

        Assert.DoesNotContain("secret place", hidden.Output + json.Output, StringComparison.Ordinal);
        Assert.Contains("customer.moved #1 auth", hidden.Output, StringComparison.Ordinal);
        Assert.True(JsonElement.Parse(json.Output).GetProperty("hidden").GetBoolean());
        var line = JsonElement.Parse(Assert.Single(shown.Output.TrimEnd('\n').Split('\n')));
        Assert.Equal("to a secret place", line.GetProperty("data").GetString());
        Assert.Equal("7", line.GetProperty("metadata").GetProperty("id").GetString());
    }

    [Fact]
    public async Task Listening_ends_with_Ctrl_C()
    {
        using var stop = new CancellationTokenSource();
        var tailing = ToolRun.OfAsync(null, stop.Token, "events", "tail", "-c", _catalog, "--redis", _redis.ConnectionString);
        await ListeningAsync("events:global:customer.moved");
        await stop.CancelAsync();

        Assert.Equal(130, (await tailing.Within()).Code);
    }

    [Fact]
    public async Task A_warm_up_is_done_and_told_and_those_that_fail_are_not_called_done()
    {
        var token = await TokenFileAsync(BlockToolNode.Token);

        var good = await WarmAsync("--name", "customers", "--token-file", token, "--json");
        var both = await WarmAsync("--name", "customers", "--name", "broken", "--token-file", token);
        var unknown = await WarmAsync("--name", "nothing", "--token-file", token);
        var late = await WarmAsync("--name", "endless", "--token-file", token, "--timeout", "1");

        var report = Assert.Single(JsonElement.Parse(good.Output).EnumerateArray().ToList());
        Assert.Equal((0, 1, 1, 1), (good.Code, both.Code, unknown.Code, late.Code));
        Assert.True(report.GetProperty("ok").GetBoolean());
        Assert.Equal(BlockToolNode.Customers, report.GetProperty("stored").GetInt64());
        Assert.Equal("\"somebody\"", await _redis.CommandAsync("GET", "dev:customer:999"));
        Assert.Contains("done", both.Output, StringComparison.Ordinal);
        Assert.Contains("The warm-up failed", both.Output, StringComparison.Ordinal);
        Assert.Contains("Known are: ", unknown.Output, StringComparison.Ordinal);
        Assert.Contains("it was not done after 1s", late.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_names_all_warm_ups_of_a_service_are_asked_for()
    {
        var token = await TokenFileAsync(BlockToolNode.Token);

        var (code, output, _) = await WarmAsync("--token-file", token, "--timeout", "2", "--json");

        var names = JsonElement.Parse(output).EnumerateArray().Select(result => result.GetProperty("name").GetString());
        Assert.Equal(1, code);
        Assert.Equal(["broken", "customers", "endless"], names.Order());
    }

    [Fact]
    public async Task A_token_that_lacks_or_is_wrong_a_redis_that_is_away_and_a_service_that_is_none_are_told_apart()
    {
        var token = await TokenFileAsync(BlockToolNode.Token);
        var wrong = await TokenFileAsync("another");

        var without = await WarmAsync("--name", "customers");
        var refused = await WarmAsync("--token-file", wrong);
        var elsewhere = await WarmAsync("--path", "/elsewhere", "--token-file", token);
        var nobody = await ToolRun.OfAsync("warm", "http://127.0.0.1:1", "--token-file", token);
        var noAddress = await ToolRun.OfAsync("warm", "localhost:80");
        var noFile = await ToolRun.OfAsync("warm", "http://127.0.0.1:1", "--token-file", "nowhere");
        await _redis.StopAsync();
        await Until.TrueAsync(() => Task.FromResult(!_node.Keyspace.Redis.IsConnected));
        var away = await WarmAsync("--name", "customers", "--token-file", token);

        Assert.Equal(
            (1, 1, 1, 2, 2, 2, 1),
            (without.Code, refused.Code, elsewhere.Code, nobody.Code, noAddress.Code, noFile.Code, away.Code)
        );
        Assert.Contains("it wants a token", without.Output, StringComparison.Ordinal);
        Assert.Contains("does not take the token", refused.Output, StringComparison.Ordinal);
        Assert.Contains("is /elsewhere right?", elsewhere.Output, StringComparison.Ordinal);
        Assert.Contains("cannot be reached", nobody.Output, StringComparison.Ordinal);
        Assert.Contains("is no address", noAddress.Error, StringComparison.Ordinal);
        Assert.Contains("there is no file nowhere", noFile.Error, StringComparison.Ordinal);
        Assert.Contains("Redis cannot be used", away.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("locks", "list")]
    [InlineData("limits", "show", "dev:rate_limit:login:1")]
    [InlineData("limits", "reset", "dev:rate_limit:login:1", "--yes")]
    [InlineData("sessions", "list", "user")]
    [InlineData("sessions", "revoke", "user", "--yes")]
    [InlineData("events", "tail")]
    [InlineData("cache", "bound", "show")]
    [InlineData("cache", "bound", "set", "200")]
    [InlineData("cache", "bound", "reset")]
    public async Task What_stands_in_the_way_is_said_in_words(params string[] line)
    {
        var noCatalog = await ToolRun.OfAsync([.. line, "-c", "nowhere.json"]);
        var nobody = await ToolRun.OfAsync([.. line, "-c", _catalog, "--redis", ToolRun.Nobody]);
        var password = await ToolRun.OfAsync([.. line, "-c", _catalog, "--redis", $"127.0.0.1:{_redis.Port},user=someone,password=wrong"]);
        await _redis.CommandAsync("ACL", "SETUSER", "nobody", "on", ">secret", "-@all", "+@connection");
        var refused = await ToolRun.OfAsync([.. line, "-c", _catalog, "--redis", $"127.0.0.1:{_redis.Port},user=nobody,password=secret"]);
        var misspelt = await ToolRun.OfAsync([.. line, "--catalgo"]);

        Assert.Equal((2, 2, 2, 2, 2), (noCatalog.Code, nobody.Code, password.Code, refused.Code, misspelt.Code));
        Assert.Contains("there is no file nowhere.json", noCatalog.Error, StringComparison.Ordinal);
        Assert.StartsWith("onggi: ", nobody.Error, StringComparison.Ordinal);
        Assert.Contains("WRONGPASS", password.Error, StringComparison.Ordinal);
        Assert.Contains("NOPERM", refused.Error, StringComparison.Ordinal);
        Assert.Contains("--catalog", misspelt.Output + misspelt.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_that_is_not_in_the_catalog_suggests_the_nearest_and_a_catalog_without_locks_says_so()
    {
        var small = Path.Combine(_redis.Directory, "small.json");
        await File.WriteAllTextAsync(small, """{ "system": "s", "families": { "a": { "key": "a:{id}", "value": "string" } } }""");

        var type = await RunAsync("events", "tail", "order.place");
        var locks = await ToolRun.OfAsync("locks", "list", "-c", small);
        var sessions = await ToolRun.OfAsync("sessions", "list", "user", "-c", small);

        Assert.Equal((2, 2, 2), (type.Code, locks.Code, sessions.Code));
        Assert.Contains("order.placed", type.Error, StringComparison.Ordinal);
        Assert.Contains("no family of kind \"lock\"", locks.Error, StringComparison.Ordinal);
        Assert.Contains("The catalog has no sessions.", sessions.Error, StringComparison.Ordinal);
    }

    private static TaskCompletionSource<string> Channel() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Task ListeningAsync(string channel) =>
        Until.TrueAsync(async () =>
            (await _redis.CommandAsync("PUBSUB", "CHANNELS", $"*{channel}"))?.Contains(channel, StringComparison.Ordinal) == true
        );

    private async Task<string> TokenFileAsync(string token)
    {
        var file = Path.Combine(_redis.Directory, token);
        await File.WriteAllTextAsync(file, token + "\n");
        return file;
    }

    private Task<(int Code, string Output, string Error)> WarmAsync(params string[] args) =>
        ToolRun.OfAsync(["warm", _node.Address, .. args]);

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] args) => ToolRun.OfAsync(Line(args));

    private Task<(int Code, string Output, string Error)> AnswerAsync(string answer, params string[] args) =>
        ToolRun.OfAsync(answer, CancellationToken.None, Line(args));

    private string[] Line(string[] args) => [.. args, "-c", _catalog, "--redis", _redis.ConnectionString];
}
