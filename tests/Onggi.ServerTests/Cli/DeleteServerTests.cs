using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Operations.Deleting;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

public sealed class DeleteServerTests : IAsyncLifetime
{
    private const string Catalog = """
        {
          "system": "shop",
          "services": { "front": {}, "auth": {} },
          "families": {
            "customer": { "key": "customer:{lineNumber}", "value": "string", "owner": "front" },
            "note": { "key": "customer:{lineNumber}:{note}", "value": "string" },
            "job": { "key": "locks:job:{id}", "kind": "lock", "ttl": "30s", "owner": "front" },
            "session": { "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "8h" }
          }
        }
        """;

    private RedisServerProcess _redis = null!;

    private string CatalogFile => FileOf("keyspace.json");

    private string StateFile => FileOf("state.json");

    private string UndoFile => FileOf("undo");

    public async Task InitializeAsync()
    {
        _redis = await RedisServerProcess.StartAsync();
        await File.WriteAllTextAsync(CatalogFile, Catalog);
    }

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task A_look_says_how_many_how_large_whose_and_some_and_removes_nothing()
    {
        await FillAsync("dev:customer:", 1000);
        await _redis.CommandAsync("SET", "dev:customer:1:birthday", "x", "EX", "100");
        await _redis.CommandAsync("SET", "elsewhere", "x");

        var (code, output, error) = await RunAsync("delete", "--pattern", "dev:customer:*", "--dry-run", "--json", "-c", CatalogFile);

        var said = JsonElement.Parse(output);
        Assert.Equal((0, ""), (code, error));
        Assert.False(said.GetProperty("done").GetBoolean());
        Assert.Equal(1001, said.GetProperty("keys").GetInt64());
        Assert.Equal(1002, said.GetProperty("allKeys").GetInt64());
        var families = said.GetProperty("families").EnumerateArray().ToDictionary(family => family.GetProperty("family").GetString()!);
        Assert.Equal(["customer", "note"], families.Keys.Order());
        Assert.Equal("front", families["customer"].GetProperty("owner").GetString());
        Assert.StartsWith("dev:customer:", families["customer"].GetProperty("sample")[0].GetString(), StringComparison.Ordinal);
        var real = 0L;
        for (var i = 0; i < 1000; i++)
            real += long.Parse((await _redis.CommandAsync("MEMORY", "USAGE", $"dev:customer:{i}"))!, CultureInfo.InvariantCulture);
        Assert.InRange(families["customer"].GetProperty("bytes").GetDouble(), real * 0.8, real * 1.2);
        Assert.Equal("1002", await _redis.CommandAsync("DBSIZE"));
        Assert.False(File.Exists(StateFile));
    }

    [Fact]
    public async Task Nobody_at_a_terminal_is_told_so_after_the_look_and_nothing_is_removed()
    {
        await FillAsync("dev:customer:", 3);
        await _redis.CommandAsync("SET", "elsewhere", "x");

        var (code, output, error) = await RunAsync("delete", "--pattern", "dev:customer:*");

        Assert.Equal(2, code);
        Assert.Contains("3 of 4 keys", output, StringComparison.Ordinal);
        Assert.Contains("add --yes", error, StringComparison.Ordinal);
        Assert.Equal("4", await _redis.CommandAsync("DBSIZE"));
    }

    [Theory]
    [InlineData("3\n", 0, "1")]
    [InlineData("yes\n", 2, "4")]
    [InlineData("4\n", 2, "4")]
    [InlineData("\n", 2, "4")]
    public async Task Only_who_types_the_number_means_it(string answer, int expected, string left)
    {
        await FillAsync("dev:customer:", 3);
        await _redis.CommandAsync("SET", "elsewhere", "x");

        var (code, _, _) = await AnswerAsync(answer, "delete", "--pattern", "dev:customer:*");

        Assert.Equal(expected, code);
        Assert.Equal(left, await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task A_pattern_removes_what_it_matches_and_nothing_else_names_that_are_no_text_included()
    {
        await FillAsync("dev:customer:", 5000);
        await FillAsync("dev:bill:", 1000);
        await using var redis = await RedisClient.ConnectAsync(_redis.ConnectionString);
        byte[] odd = [.. "dev:customer:"u8, 0xFF, 0x00, (byte)'\n'];
        await redis.SetAsync(odd, "x");

        var (code, output, _) = await RunAsync("delete", "--pattern", "dev:customer:*", "--yes");

        Assert.Equal(0, code);
        Assert.Contains("5001 keys removed", output, StringComparison.Ordinal);
        Assert.Equal("1000", await _redis.CommandAsync("DBSIZE"));
        Assert.False(File.Exists(StateFile));
    }

    [Fact]
    public async Task A_family_goes_with_what_stands_beside_it_and_a_longer_familys_keys_are_spared()
    {
        await FillAsync("dev:customer:", 300);
        for (var i = 0; i < 300; i++)
            await _redis.CommandAsync("SET", $"dev:customer:{i}:birthday", "x", "EX", "100");
        await _redis.CommandAsync("SET", "{dev:customer:1}:l", "x", "PX", "100000");
        await _redis.CommandAsync("SET", "{dev:customer:nobody}:l", "x", "PX", "100000");
        await _redis.CommandAsync("SET", "{dev:customer:1:birthday}:l", "x", "PX", "100000");

        var (code, _, error) = await RunAsync("delete", "--family", "customer", "--yes", "-c", CatalogFile);

        Assert.Equal((0, ""), (code, error));
        Assert.Equal("301", await _redis.CommandAsync("DBSIZE"));
        Assert.Equal("1", await _redis.CommandAsync("EXISTS", "{dev:customer:1:birthday}:l"));
    }

    [Fact]
    public async Task A_cached_entry_goes_with_the_right_to_fill_it()
    {
        // The lease's name does not match the pattern; what it stands for does.
        await _redis.CommandAsync("SET", "dev:customer:1", "{}", "EX", "100");
        await _redis.CommandAsync("SET", "{dev:customer:1}:l", "token", "PX", "100000");
        await _redis.CommandAsync("SET", "elsewhere", "x");

        var (code, _, _) = await RunAsync("delete", "--pattern", "dev:customer:*", "--yes", "-c", CatalogFile);

        Assert.Equal(0, code);
        Assert.Equal("1", await _redis.CommandAsync("DBSIZE"));
    }

    [Theory]
    [InlineData("*", true)]
    [InlineData("dev:*", true)]
    [InlineData("{dev:*", true)]
    [InlineData("d*", true)]
    [InlineData("*", false)]
    [InlineData("dev:*", false)]
    [InlineData("???:*", false)]
    [InlineData("dev*", false)]
    [InlineData("d*", false)]
    [InlineData("[a-z]*", false)]
    [InlineData("{dev*", false)]
    public async Task Everything_needs_a_word_of_its_own(string pattern, bool withCatalog)
    {
        await FillAsync("dev:customer:", 3);
        string[] catalog = withCatalog ? ["-c", CatalogFile] : [];

        var refused = await RunAsync(["delete", "--pattern", pattern, "--yes", .. catalog]);

        Assert.Equal(2, refused.Code);
        Assert.Contains("--yes-all", refused.Error, StringComparison.Ordinal);
        Assert.Equal("3", await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task Everything_goes_when_it_is_said()
    {
        await FillAsync("dev:customer:", 3);

        var asked = await AnswerAsync("3\n", "delete", "--pattern", "*");
        var answered = await AnswerAsync("everything\n", "delete", "--pattern", "dev:*");
        await FillAsync("dev:customer:", 3);
        var inAdvance = await RunAsync("delete", "--pattern", "*", "--yes-all");

        Assert.Equal((2, 0, 0), (asked.Code, answered.Code, inAdvance.Code));
        Assert.Equal("0", await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task Stopped_in_the_middle_it_says_how_far_it_came_and_the_same_command_removes_exactly_the_rest()
    {
        await FillAsync("dev:customer:", 20_000);
        await FillAsync("dev:bill:", 1000);
        var removed = await StopAfterAsync("pattern dev:customer:*", "dev:customer:*", batches: 10);
        var left = long.Parse((await _redis.CommandAsync("DBSIZE"))!, CultureInfo.InvariantCulture);

        var (code, output, error) = await RunAsync("delete", "--pattern", "dev:customer:*", "--yes", "--json");

        Assert.Equal(0, code);
        Assert.InRange(removed, 1, 19_999);
        Assert.Equal(21_000 - removed, left);
        Assert.Contains($"going on with what was begun", error, StringComparison.Ordinal);
        Assert.Contains($"{removed} removed so far.", error, StringComparison.Ordinal);
        Assert.Equal(20_000, JsonElement.Parse(output).GetProperty("removed").GetInt64());
        Assert.Equal(20_000 - removed, JsonElement.Parse(output).GetProperty("removedNow").GetInt64());
        Assert.Equal("1000", await _redis.CommandAsync("DBSIZE"));
        Assert.False(File.Exists(StateFile));
    }

    [Fact]
    public async Task A_server_that_was_started_anew_is_walked_from_the_beginning()
    {
        await FillAsync("dev:customer:", 20_000);
        await StopAfterAsync("pattern dev:customer:*", "dev:customer:*", batches: 10);
        var cursor = JsonElement.Parse(await File.ReadAllTextAsync(StateFile)).GetProperty("cursor").GetString();
        await _redis.RestartAsync();
        // In its new life names stand elsewhere: what the old cursor has passed is not empty.
        await FillAsync("dev:customer:", 20_000);

        var (code, _, error) = await RunAsync("delete", "--pattern", "dev:customer:*", "--yes");

        Assert.Equal(0, code);
        Assert.NotEqual("0", cursor);
        Assert.Contains("started anew", error, StringComparison.Ordinal);
        Assert.Equal("0", await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task A_server_that_is_started_anew_in_the_middle_is_walked_once_more()
    {
        await FillAsync("dev:customer:", 20_000);
        await using var redis = await RedisClient.ConnectAsync(_redis.ConnectionString);
        var batches = 0;
        var deleter = NewDeleter(
            redis,
            "dev:customer:*",
            () =>
            {
                if (++batches != 10)
                    return;
                // In its new life names stand elsewhere: what the cursor has passed is not empty.
                _redis.RestartAsync().GetAwaiter().GetResult();
                FillAsync("dev:customer:", 20_000).GetAwaiter().GetResult();
            }
        );
        var state = await NewStateAsync(redis, "pattern dev:customer:*", undo: null);
        var before = state.RunId;

        await deleter.RunAsync(state, new ToolProgress(TimeProvider.System), CancellationToken.None);

        Assert.NotEqual(before, state.RunId);
        Assert.Equal("0", await _redis.CommandAsync("DBSIZE"));
        Assert.False(File.Exists(StateFile));
    }

    [Fact]
    public async Task On_a_cluster_all_nodes_are_walked_and_what_is_removed_can_be_put_back()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync();
        await using var redis = await RedisClient.ConnectAsync(cluster.ConnectionString);
        for (var i = 0; i < 300; i++)
        {
            await redis.SetAsync($"dev:customer:{i}", "{}", TimeSpan.FromHours(1));
            await redis.SetAsync($"{{dev:customer:{i}}}:l", "x", TimeSpan.FromHours(1));
            await redis.SetAsync($"dev:locks:job:{i}", "me|1", TimeSpan.FromHours(1));
        }

        string[] where = ["--redis", cluster.ConnectionString, "-c", CatalogFile];
        var look = await ToolRun.OfAsync(["delete", "--family", "customer", "--dry-run", "--json", .. where]);
        var deleted = await ToolRun.OfAsync([
            "delete",
            "--pattern",
            "dev:*",
            "--yes-all",
            "--undo",
            UndoFile,
            "--state",
            StateFile,
            .. where,
        ]);
        var left = 0;
        await foreach (var _ in redis.ScanAsync("*"))
            left++;
        var restored = await ToolRun.OfAsync(["undelete", UndoFile, "--json", .. where]);

        Assert.True(look.Code == 0 && deleted.Code == 0 && restored.Code == 0, look.Error + deleted.Error + restored.Error);
        Assert.Equal(600, JsonElement.Parse(look.Output).GetProperty("keys").GetInt64());
        Assert.Equal(0, left);
        Assert.Equal(300, JsonElement.Parse(restored.Output).GetProperty("restored").GetInt64());
        Assert.Equal(300, JsonElement.Parse(restored.Output).GetProperty("cachedLeftOut").GetInt64());
    }

    [Fact]
    public async Task What_is_left_of_another_delete_is_not_run_over()
    {
        await FillAsync("dev:customer:", 20_000);
        await StopAfterAsync("pattern dev:customer:*", "dev:customer:*", batches: 3);

        var other = await RunAsync("delete", "--pattern", "dev:bill:*", "--yes");
        var anew = await RunAsync("delete", "--pattern", "dev:bill:*", "--yes", "--anew");

        Assert.Equal((2, 0), (other.Code, anew.Code));
        Assert.Contains("another delete that is not finished", other.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_left_of_one_in_another_database_is_another_delete()
    {
        await FillAsync("dev:customer:", 20_000);
        await StopAfterAsync("pattern dev:customer:*", "dev:customer:*", batches: 3);

        var other = await ToolRun.OfAsync(
            "delete",
            "--pattern",
            "dev:customer:*",
            "--yes",
            "--state",
            StateFile,
            "--redis",
            _redis.ConnectionString + ",defaultDatabase=1"
        );

        Assert.Equal(2, other.Code);
        Assert.Contains("another delete that is not finished", other.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_which_nothing_is_left_is_ended_and_its_bundle_is_whole()
    {
        await FillAsync("dev:customer:", 5000);
        await StopAfterAsync("pattern dev:customer:*", "dev:customer:*", batches: 3, UndoFile);
        await _redis.CommandAsync("FLUSHALL");

        var (code, _, error) = await RunAsync("delete", "--pattern", "dev:customer:*", "--undo", UndoFile);
        var restored = await RunAsync("undelete", UndoFile, "--json");

        Assert.True(code == 0, error);
        Assert.False(File.Exists(StateFile));
        Assert.True(JsonElement.Parse(restored.Output).GetProperty("whole").GetBoolean());
    }

    [Fact]
    public async Task Ctrl_C_stops_it_with_its_own_exit_code()
    {
        await FillAsync("dev:customer:", 3);
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();

        var (code, _, error) = await ToolRun.OfAsync(answers: null, stop.Token, Line("delete", "--pattern", "dev:customer:*", "--yes"));

        Assert.Equal(130, code);
        Assert.EndsWith("onggi: stopped.\n", error, StringComparison.Ordinal);
        Assert.Equal("3", await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task What_is_removed_can_be_put_back_as_it_was()
    {
        await using var redis = await RedisClient.ConnectAsync(_redis.ConnectionString);
        byte[] binary = [0, 255, 13, 10];
        await redis.SetAsync("dev:a:text", binary);
        await _redis.CommandAsync("PEXPIREAT", "dev:a:text", "4102444800123");
        await _redis.CommandAsync("HSET", "dev:a:hash", "f", "1", "g", "2");
        await _redis.CommandAsync("RPUSH", "dev:a:list", "1", "2", "3");
        await _redis.CommandAsync("ZADD", "dev:a:set", "1.5", "one");
        await _redis.CommandAsync("XADD", "dev:a:stream", "1-1", "f", "v");
        await FillAsync("dev:a:many:", 3000);
        await _redis.CommandAsync("SET", "elsewhere", "x");
        var before = await DigestAsync(redis, "dev:a:*");

        var deleted = await RunAsync("delete", "--pattern", "dev:a:*", "--yes", "--undo", UndoFile);
        var between = await _redis.CommandAsync("DBSIZE");
        var restored = await RunAsync("undelete", UndoFile, "--json");

        Assert.Equal((0, "1", 0), (deleted.Code, between, restored.Code));
        Assert.Equal(3005, JsonElement.Parse(restored.Output).GetProperty("restored").GetInt64());
        Assert.Equal(before, await DigestAsync(redis, "dev:a:*"));
        Assert.Equal("4102444800123", await _redis.CommandAsync("PEXPIRETIME", "dev:a:text"));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(UndoFile));
    }

    [Fact]
    public async Task Undelete_leaves_what_was_written_meanwhile_unless_told()
    {
        await _redis.CommandAsync("SET", "dev:a:1", "old");
        await _redis.CommandAsync("SET", "dev:a:2", "old");
        await _redis.CommandAsync("SET", "dev:a:3", "old", "PX", "30");
        await RunAsync("delete", "--pattern", "dev:a:*", "--yes", "--undo", UndoFile);
        await _redis.CommandAsync("SET", "dev:a:1", "new");

        var kept = await RunAsync("undelete", UndoFile);
        var first = await _redis.CommandAsync("GET", "dev:a:1");
        var second = await _redis.CommandAsync("GET", "dev:a:2");
        var unanswered = await RunAsync("undelete", UndoFile, "--replace");
        var replaced = await AnswerAsync("replace\n", "undelete", UndoFile, "--replace");

        Assert.Equal((1, 2, 0), (kept.Code, unanswered.Code, replaced.Code));
        Assert.Contains("1 exist and stay as they are: dev:a:1.", kept.Output, StringComparison.Ordinal);
        Assert.Equal(("new", "old"), (first, second));
        Assert.Equal("old", await _redis.CommandAsync("GET", "dev:a:1"));
    }

    [Fact]
    public async Task Cached_values_stay_with_their_source()
    {
        await _redis.CommandAsync("SET", "dev:customer:1", "{}", "EX", "100");
        await _redis.CommandAsync("SET", "dev:locks:job:1", "me|1", "EX", "100");
        await RunAsync("delete", "--pattern", "dev:*", "--yes-all", "--undo", UndoFile, "-c", CatalogFile);

        var (code, output, _) = await RunAsync("undelete", UndoFile, "-c", CatalogFile);

        Assert.Equal(0, code);
        Assert.Contains("1 cached values were left out", output, StringComparison.Ordinal);
        Assert.Equal("1", await _redis.CommandAsync("DBSIZE"));
        Assert.Equal(0, (await RunAsync("undelete", UndoFile, "-c", CatalogFile, "--caches", "--replace", "--yes")).Code);
        Assert.Equal("2", await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task A_bundle_that_breaks_off_gives_back_what_stands_in_it()
    {
        await FillAsync("dev:a:", 100);
        await RunAsync("delete", "--pattern", "dev:a:*", "--yes", "--undo", UndoFile);
        using (var file = File.OpenWrite(UndoFile))
            file.SetLength(file.Length - 30);

        var (code, output, _) = await RunAsync("undelete", UndoFile);

        Assert.Equal(1, code);
        Assert.Contains("99 keys put back.", output, StringComparison.Ordinal);
        Assert.Contains("breaks off", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_delete_with_undo_that_is_stopped_goes_on_with_the_same_bundle()
    {
        await FillAsync("dev:customer:", 20_000);
        await using var redis = await RedisClient.ConnectAsync(_redis.ConnectionString);
        var before = await DigestAsync(redis, "dev:customer:*");
        await StopAfterAsync("pattern dev:customer:*", "dev:customer:*", batches: 10, UndoFile);
        // Killed while it was writing: the last key is not whole.
        await File.AppendAllTextAsync(UndoFile, "\u0005\0\0\0dev");

        var (code, _, error) = await RunAsync("delete", "--pattern", "dev:customer:*", "--yes");
        var restored = await RunAsync("undelete", UndoFile);

        Assert.True(code == 0, error);
        Assert.True(restored.Code == 0, restored.Output + restored.Error);
        Assert.Equal(before, await DigestAsync(redis, "dev:customer:*"));
    }

    [Fact]
    public async Task A_bundle_is_not_written_over()
    {
        await File.WriteAllTextAsync(UndoFile, "precious");
        await FillAsync("dev:a:", 3);

        var (code, _, error) = await RunAsync("delete", "--pattern", "dev:a:*", "--yes", "--undo", UndoFile);

        Assert.Equal(2, code);
        Assert.Contains("is there already", error, StringComparison.Ordinal);
        Assert.Equal("3", await _redis.CommandAsync("DBSIZE"));
    }

    [Fact]
    public async Task A_key_that_cannot_be_saved_is_not_removed()
    {
        await FillAsync("dev:a:", 300);
        await _redis.CommandAsync("ACL", "SETUSER", "default", "-dump");

        var (code, _, error) = await RunAsync("delete", "--pattern", "dev:a:*", "--yes", "--undo", UndoFile);

        Assert.Equal(2, code);
        Assert.Contains("NOPERM", error, StringComparison.Ordinal);
        Assert.Contains("Log in as the operator", error, StringComparison.Ordinal);
        Assert.Equal("300", await _redis.CommandAsync("DBSIZE"));
    }

    [Theory]
    [InlineData("Say what to delete", "delete")]
    [InlineData("Say what to delete", "delete", "--pattern", "a:*", "--family", "customer")]
    [InlineData("The pattern is empty", "delete", "--pattern", "")]
    [InlineData("--family needs a catalog", "delete", "--family", "customer")]
    [InlineData("--latency is 1 to 1000, not 0", "delete", "--pattern", "a:*", "--latency", "0")]
    [InlineData("--dry-run", "delete", "--pattern", "a:*", "--dry-rum")]
    [InlineData("there is no file nowhere", "undelete", "nowhere")]
    public async Task What_is_not_understood_is_said_so_and_nothing_is_asked_of_Redis(string said, params string[] line)
    {
        var (code, output, error) = await ToolRun.OfAsync([.. line, "--redis", ToolRun.Nobody]);

        Assert.Equal(2, code);
        Assert.Contains(said, output + error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_family_suggests_the_nearest_and_a_file_that_is_no_bundle_is_refused()
    {
        var family = await RunAsync("delete", "--family", "custmer", "-c", CatalogFile, "--yes");
        var bundle = await RunAsync("undelete", CatalogFile);
        var nobody = await ToolRun.OfAsync("delete", "--pattern", "a:*", "--yes", "--state", StateFile, "--redis", ToolRun.Nobody);

        Assert.Equal((2, 2, 2), (family.Code, bundle.Code, nobody.Code));
        Assert.Contains("customer", family.Error, StringComparison.Ordinal);
        Assert.Contains("is not an undo bundle", bundle.Error, StringComparison.Ordinal);
        Assert.StartsWith("onggi: ", nobody.Error, StringComparison.Ordinal);
    }

    /// <summary>Removes so many batches, and stops as Ctrl-C does.</summary>
    /// <returns>How many keys were removed.</returns>
    private async Task<long> StopAfterAsync(string subject, string pattern, int batches, string? undo = null)
    {
        using var stop = new CancellationTokenSource();
        await using var redis = await RedisClient.ConnectAsync(RedisClientOptions.Parse(_redis.ConnectionString));
        var state = await NewStateAsync(redis, subject, undo);
        await using var writer = undo is null ? null : UndoWriter.Create(undo, new UndoHeader(subject, state.Redis, state.Began));
        var deleter = NewDeleter(
            redis,
            pattern,
            () =>
            {
                if (--batches == 0)
                    stop.Cancel();
            },
            writer
        );
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            deleter.RunAsync(state, new ToolProgress(TimeProvider.System), stop.Token)
        );
        return state.Removed;
    }

    private KeyDeleter NewDeleter(RedisClient redis, string pattern, Action afterBatch, UndoWriter? undo = null) =>
        new(redis, DeleteSubject.Of(pattern, keyspace: null), new DeleteStateFile(StateFile, TimeProvider.System), TimeProvider.System)
        {
            Pace = new Pace(TimeSpan.FromMilliseconds(10)),
            Undo = undo,
            AfterBatch = afterBatch,
        };

    private static async Task<DeleteState> NewStateAsync(RedisClient redis, string subject, string? undo) =>
        new()
        {
            Subject = subject,
            Redis = redis.Options.ToString()!,
            RunId = await KeyDeleter.RunIdAsync(redis, CancellationToken.None),
            Began = TimeProvider.System.GetUtcNow(),
            Undo = undo,
        };

    /// <summary>Names, values and ends of keys.</summary>
    private static async Task<SortedDictionary<string, string>> DigestAsync(RedisClient redis, string pattern)
    {
        var digest = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await foreach (var name in redis.ScanAsync(pattern, 2000))
        {
            var payload = await redis.SendAsync(["DUMP", name], ReplyParsers.Bytes);
            digest[name] = $"{Convert.ToHexString(payload!)} {await redis.SendAsync(["PEXPIRETIME", name], ReplyParsers.Int64)}";
        }

        return digest;
    }

    private async Task FillAsync(string head, int count) =>
        await _redis.CommandAsync(
            "EVAL",
            "for i = 0, ARGV[2] - 1 do redis.call('SET', ARGV[1] .. i, '{\"line\":' .. i .. '}', 'EX', 10000) end",
            "0",
            head,
            count.ToString(CultureInfo.InvariantCulture)
        );

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] args) => ToolRun.OfAsync(Line(args));

    private Task<(int Code, string Output, string Error)> AnswerAsync(string answer, params string[] args) =>
        ToolRun.OfAsync(answer, CancellationToken.None, Line(args));

    private string[] Line(params string[] args) =>
        [.. args, "--redis", _redis.ConnectionString, .. args[0] == "delete" ? ["--state", StateFile] : Array.Empty<string>()];

    private string FileOf(string name) => Path.Combine(_redis.Directory, name);
}
