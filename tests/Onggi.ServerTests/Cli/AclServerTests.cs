using System.Text.Json;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>The users that the catalog asks for, on a real server.</summary>
public sealed class AclServerTests : IAsyncLifetime
{
    private const string Catalog = """
        {
          "system": "shop",
          "services": { "auth": {}, "billing": {}, "front": {} },
          "events": {
            "bill.changed": { "publishers": ["front"], "keys": { "bill": { "id": "data.id" }, "page": { "id": "data.id" } } }
          },
          "families": {
            "session": { "key": "auth:session:{id}", "kind": "session", "owner": "auth", "readers": ["front"], "idle": "30m", "absolute": "24h" },
            "bill": { "key": "bill:{id}", "value": "string", "owner": "billing", "readers": ["front"], "invalidatedBy": ["bill.changed"] },
            "page": { "key": "page:{id}", "value": "string", "owner": "front", "invalidatedBy": ["bill.changed"] },
            "secret": { "key": "secret:{id}", "value": "string", "owner": "billing" },
            "codes": { "key": "codes:{id}", "value": "string" }
          }
        }
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-acl-tests");
    private RedisServerProcess _redis = null!;

    private string CatalogFile => Path.Combine(_folder.FullName, "keyspace.json");

    private string SecretsFolder => Path.Combine(_folder.FullName, "secrets");

    private string AclFile => Path.Combine(_folder.FullName, "users.acl");

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(CatalogFile, Catalog);
        await File.WriteAllTextAsync(AclFile, "");
        _redis = await RedisServerProcess.StartAsync("--aclfile", AclFile);
    }

    public async Task DisposeAsync()
    {
        await _redis.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_server_that_was_given_the_users_does_as_the_catalog_says_in_every_question()
    {
        await ApplyAsync();

        var (code, output, error) = await RunAsOperatorAsync("acl", "check", "--catalog", CatalogFile, "--all", "--json");

        Assert.Equal((0, ""), (code, error));
        var cells = JsonElement.Parse(output).EnumerateArray().ToList();
        Assert.True(cells.Count > 100);
        AssertCell(cells, "front", "GET dev:bill:1", allowed: true);
        AssertCell(cells, "front", "SET dev:bill:1 1", allowed: false);
        AssertCell(cells, "front", "UNLINK dev:bill:1 {dev:bill:1}:l", allowed: true);
        AssertCell(cells, "front", "GET dev:secret:1", allowed: false);
        AssertCell(cells, "front", "SET dev:auth:session:1 1", allowed: true);
        AssertCell(cells, "billing", "GET dev:auth:session:1", allowed: false);
        AssertCell(cells, "billing", "SET dev:codes:1 1", allowed: true);
        AssertCell(cells, "billing", "UNLINK dev:page:1 {dev:page:1}:l", allowed: false);
        AssertCell(cells, "billing", "ROLE", allowed: true);
        AssertCell(cells, "billing", "FLUSHDB", allowed: false);
        AssertCell(cells, "default", "PING", allowed: false);
    }

    [Fact]
    public async Task A_right_too_many_and_a_right_too_few_are_found()
    {
        await ApplyAsync();
        await using (var op = await ConnectAsync("operator"))
        {
            await op.SendAsync(["ACL", "SETUSER", "front", "~dev:secret:*"], ReplyParsers.Ignore);
            await op.SendAsync(["ACL", "SETUSER", "billing", "-get"], ReplyParsers.Ignore);
            await op.SendAsync(["ACL", "SETUSER", "auth", "+flushall"], ReplyParsers.Ignore);
        }

        var (code, output, _) = await RunAsOperatorAsync("acl", "check", "--catalog", CatalogFile, "--json");

        Assert.Equal(1, code);
        var wrong = JsonElement
            .Parse(output)
            .EnumerateArray()
            .Select(cell => $"{cell.GetProperty("user").GetString()} {cell.GetProperty("command").GetString()}")
            .ToHashSet();
        Assert.Contains("front GET dev:secret:1", wrong);
        Assert.Contains("billing GET dev:bill:1", wrong);
        Assert.Contains("auth FLUSHALL", wrong);
        Assert.All(wrong, cell => Assert.Matches("^(front .*dev:secret|billing GET|auth FLUSHALL)", cell));
    }

    [Theory]
    [InlineData("operator", "+config|set", "CONFIG SET", true)]
    [InlineData("operator", "+debug", "DEBUG", true)]
    [InlineData("operator", "-acl|setuser", "ACL SETUSER", false)]
    [InlineData("backup", "+set", "SET", true)]
    [InlineData("probe", "+@read", "GET", true)]
    [InlineData("exporter", "-info", "INFO", false)]
    [InlineData("front", "+object|freq +cluster|meet", "CLUSTER MEET", true)]
    public async Task A_command_that_any_user_was_given_or_lost_since_is_found(string user, string rules, string command, bool may)
    {
        await ApplyAsync();
        Assert.Equal(0, (await RunAsOperatorAsync("acl", "check", "--catalog", CatalogFile)).Code);
        await using (var op = await ConnectAsync("operator"))
            await op.SendAsync(["ACL", "SETUSER", user, .. rules.Split(' ').Select(rule => (RedisArg)rule)], ReplyParsers.Ignore);

        var (code, output, error) = await RunAsOperatorAsync("acl", "check", "--catalog", CatalogFile, "--json");

        Assert.Equal((1, ""), (code, error));
        var wrong = JsonElement.Parse(output).EnumerateArray().ToList();
        Assert.All(wrong, cell => Assert.Equal(user, cell.GetProperty("user").GetString()));
        AssertCell(wrong, user, command, may);
    }

    [Fact]
    public async Task What_the_operator_gave_itself_and_took_away_again_is_no_finding()
    {
        await ApplyAsync();
        await using (var op = await ConnectAsync("operator"))
        {
            await op.SendAsync(["ACL", "SETUSER", "operator", "+config|set"], ReplyParsers.Ignore);
            await op.SendAsync(["ACL", "SETUSER", "operator", "-config|set"], ReplyParsers.Ignore);
        }

        var (code, output, _) = await RunAsOperatorAsync("acl", "check", "--catalog", CatalogFile);

        Assert.Equal(0, code);
        Assert.Contains("all as the catalog says", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_without_the_users_is_found_and_nothing_is_asked_twice()
    {
        var (code, output, _) = await ToolRun.OfAsync("acl", "check", "--catalog", CatalogFile, "--redis", _redis.ConnectionString);

        Assert.Equal(1, code);
        Assert.Contains("no such user", output, StringComparison.Ordinal);
        Assert.Contains("onggi acl apply", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Users_survive_a_restart_and_nobody_else_gets_in()
    {
        await ApplyAsync();
        await _redis.RestartAsync();

        await using var front = await ConnectAsync("front");
        await front.SetAsync("dev:page:1", "x", TimeSpan.FromMinutes(1));
        await Assert.ThrowsAnyAsync<RedisException>(async () => await front.SetAsync("dev:bill:1", "x", TimeSpan.FromMinutes(1)));
        await Assert.ThrowsAnyAsync<RedisException>(async () => await RedisClient.ConnectAsync(_redis.ConnectionString));
        await Assert.ThrowsAnyAsync<RedisException>(async () =>
            await RedisClient.ConnectAsync($"127.0.0.1:{_redis.Port},user=front,password=wrong")
        );
    }

    [Fact]
    public async Task A_service_finds_the_primary_among_several_servers()
    {
        await ApplyAsync();

        // Nobody listens on the other: what counts is that this one is asked what it is.
        await using var front = await RedisClient.ConnectAsync(
            new RedisClientOptions
            {
                Servers = [new RedisAddress("127.0.0.1", 1), new RedisAddress("127.0.0.1", _redis.Port)],
                User = "front",
                Password = await File.ReadAllTextAsync(Path.Combine(SecretsFolder, "front")),
                ConnectTimeout = TimeSpan.FromSeconds(15),
            }
        );

        await front.SetAsync("dev:page:1", "x", TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task The_written_file_is_what_apply_sets_and_holds_no_password()
    {
        var (code, output, error) = await ToolRun.OfAsync(
            "acl",
            "file",
            "--catalog",
            CatalogFile,
            "--secrets",
            SecretsFolder,
            "--out",
            AclFile
        );
        await _redis.RestartAsync();

        Assert.Equal((0, ""), (code, error));
        Assert.Contains("7 passwords made", output, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsOperatorAsync("acl", "check", "--catalog", CatalogFile)).Code);
        var text = await File.ReadAllTextAsync(AclFile);
        foreach (var file in Directory.GetFiles(SecretsFolder))
        {
            Assert.DoesNotContain(await File.ReadAllTextAsync(file), text, StringComparison.Ordinal);
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
    }

    [Fact]
    public async Task A_password_changes_while_a_client_with_the_old_one_works_on()
    {
        await ApplyAsync();
        await using var old = await ConnectAsync("front");
        var before = await PasswordOfAsync("front");

        var begun = await RunAsOperatorAsync("acl", "rotate", "front", "--secrets", SecretsFolder);
        var next = await PasswordOfAsync("front.next");
        await using (await ConnectAsync("front", before)) { }
        await using (await ConnectAsync("front", next)) { }
        var again = await RunAsOperatorAsync("acl", "rotate", "front", "--secrets", SecretsFolder);
        var finished = await RunAsOperatorAsync("acl", "rotate", "front", "--finish", "--secrets", SecretsFolder);

        Assert.Equal((0, 2, 0), (begun.Code, again.Code, finished.Code));
        Assert.Contains("--finish", again.Error, StringComparison.Ordinal);
        Assert.NotEqual(before, next);
        Assert.Equal(next, await PasswordOfAsync("front"));
        await old.SetAsync("dev:page:1", "x", TimeSpan.FromMinutes(1));
        await using (await ConnectAsync("front", next)) { }
        await Assert.ThrowsAnyAsync<RedisException>(() => ConnectAsync("front", before));
    }

    [Fact]
    public async Task Programs_are_told_what_was_made_and_set()
    {
        await using var server = await ToolServer.StartAsync();
        string[] secrets = ["--secrets", server.SecretsFolder];

        var file = await ToolRun.OfAsync(["acl", "file", "-c", server.CatalogFile, "-o", server.PathOf("again.acl"), "--json", .. secrets]);
        var apply = await server.RunAsync(["acl", "apply", "--yes", "--json", .. secrets]);
        var rotate = await ToolRun.OfAsync(["acl", "rotate", "front", "--json", "--redis", server.ConnectionOf("operator"), .. secrets]);

        Assert.True((file.Code, apply.Code, rotate.Code) == (0, 0, 0), file.Error + apply.Error + rotate.Error);
        Assert.Empty(JsonElement.Parse(file.Output).GetProperty("passwordsMade").EnumerateArray());
        Assert.Contains(JsonElement.Parse(apply.Output).GetProperty("users").EnumerateArray(), user => user.GetString() == "front");
        Assert.True(JsonElement.Parse(apply.Output).GetProperty("saved").GetBoolean());
        Assert.False(JsonElement.Parse(rotate.Output).GetProperty("finished").GetBoolean());
        Assert.DoesNotContain(server.PasswordOf("front.next"), rotate.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_that_is_not_there_may_nobody_execute()
    {
        await using var server = await ToolServer.StartAsync("--rename-command", "FLUSHALL", "");

        var (code, output, _) = await server.RunAsync("acl", "check");

        Assert.Equal(0, code);
        Assert.Contains("all as the catalog says", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_password_that_Redis_did_not_take_is_given_to_nobody()
    {
        await ApplyAsync();
        await using (var op = await ConnectAsync("operator"))
            await op.SendAsync(["ACL", "SETUSER", "operator", "-acl|setuser"], ReplyParsers.Ignore);

        var (code, _, error) = await RunAsOperatorAsync("acl", "rotate", "front", "--secrets", SecretsFolder);

        Assert.Equal(2, code);
        Assert.Contains("NOPERM", error, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(SecretsFolder, "front.next")));
    }

    [Theory]
    [InlineData(null, "add --yes")]
    [InlineData("no\n", "nothing was changed")]
    public async Task Without_a_yes_nothing_is_changed(string? answer, string said)
    {
        var run = await ToolRun.OfAsync(
            answer,
            CancellationToken.None,
            "acl",
            "apply",
            "--catalog",
            CatalogFile,
            "--redis",
            _redis.ConnectionString,
            "--secrets",
            SecretsFolder
        );

        Assert.Equal(2, run.Code);
        Assert.Contains(said, run.Error, StringComparison.Ordinal);
        Assert.Equal("PONG", await _redis.CommandAsync("PING"));
    }

    private async Task ApplyAsync()
    {
        var (code, output, error) = await ToolRun.OfAsync(
            "yes\n",
            CancellationToken.None,
            "acl",
            "apply",
            "--catalog",
            CatalogFile,
            "--redis",
            _redis.ConnectionString,
            "--secrets",
            SecretsFolder
        );
        Assert.True(code == 0, error);
        Assert.Contains("8 users are as the catalog says.", output, StringComparison.Ordinal);
    }

    private static void AssertCell(List<JsonElement> cells, string user, string command, bool allowed)
    {
        var cell = Assert.Single(
            cells,
            cell => cell.GetProperty("user").GetString() == user && cell.GetProperty("command").GetString() == command
        );
        Assert.Equal(allowed, cell.GetProperty("actual").GetBoolean());
    }

    private async Task<(int Code, string Output, string Error)> RunAsOperatorAsync(params string[] args) =>
        await ToolRun.OfAsync([.. args, "--redis", ConnectionOf("operator", await PasswordOfAsync("operator"))]);

    private async Task<RedisClient> ConnectAsync(string user, string? password = null) =>
        await RedisClient.ConnectAsync(ConnectionOf(user, password ?? await PasswordOfAsync(user)));

    private string ConnectionOf(string user, string password) => $"127.0.0.1:{_redis.Port},user={user},password={password}";

    private Task<string> PasswordOfAsync(string user) => File.ReadAllTextAsync(Path.Combine(SecretsFolder, user));
}
