using System.Globalization;
using System.Text.Json;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>The commands that look: status, keys, get, ttl, clients, slowlog.</summary>
public sealed class LookServerTests : IAsyncLifetime
{
    private const string Catalog = """
        {
          "system": "shop",
          "services": { "front": {}, "auth": {} },
          "families": {
            "customer": { "key": "customer:{lineNumber}", "value": "string", "owner": "front", "personal": ["lineNumber"] },
            "codes": { "key": "codes:{id}", "value": "string", "ttl": "2h" },
            "session": { "key": "auth:session:{sessionId}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "8h" }
          }
        }
        """;

    private RedisServerProcess _redis = null!;
    private string _catalog = "";

    public async Task InitializeAsync()
    {
        _redis = await RedisServerProcess.StartAsync("--maxmemory", "64mb", "--maxclients", "100", "--slowlog-log-slower-than", "0");
        _catalog = Path.Combine(_redis.Directory, "keyspace.json");
        await File.WriteAllTextAsync(_catalog, Catalog);
    }

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task Status_says_how_it_is()
    {
        await FillAsync("dev:codes:", 40);
        await _redis.CommandAsync("GET", "dev:codes:1");
        await _redis.CommandAsync("GET", "dev:codes:none");

        var (code, output, error) = await RunAsync("status", "-c", _catalog, "--json");

        var said = JsonElement.Parse(output);
        Assert.Equal((0, ""), (code, error));
        Assert.Equal("primary", said.GetProperty("role").GetString());
        Assert.Equal(64 << 20, said.GetProperty("memoryLimitBytes").GetInt64());
        Assert.InRange(said.GetProperty("memoryBytes").GetInt64(), 1, 64 << 20);
        Assert.Equal(100, said.GetProperty("clientLimit").GetInt64());
        Assert.True(said.GetProperty("clients").GetInt64() >= 1);
        Assert.Equal(1, said.GetProperty("hits").GetInt64());
        Assert.Equal(1, said.GetProperty("misses").GetInt64());
        Assert.Equal(0.5, said.GetProperty("hitRate").GetDouble());
        Assert.Equal(40, said.GetProperty("keys").GetInt64());
        Assert.True(said.GetProperty("slowCommands").GetInt64() > 0);
        var family = Assert.Single(said.GetProperty("families").EnumerateArray().ToList());
        Assert.Equal("codes", family.GetProperty("family").GetString());
        Assert.Equal(40, family.GetProperty("keys").GetInt64());
    }

    [Fact]
    public async Task Status_for_people_is_shown_once_without_a_terminal()
    {
        await FillAsync("dev:codes:", 3);

        var (code, output, _) = await RunAsync("status", "--watch", "-c", _catalog);

        Assert.Equal(0, code);
        foreach (var word in (string[])["memory", "of 64.0 MB", "clients", "hits", "on disk", "replicas", "slow log", "codes"])
            Assert.Contains(word, output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001B', output);
    }

    [Fact]
    public async Task Who_may_not_ask_for_the_slow_log_still_gets_the_rest()
    {
        await _redis.CommandAsync("ACL", "SETUSER", "viewer", "on", ">secret", "~*", "+@all", "-slowlog");

        var (code, output, _) = await ToolRun.OfAsync("status", "--redis", $"127.0.0.1:{_redis.Port},user=viewer,password=secret");

        Assert.Equal(0, code);
        Assert.Contains("this user may not ask", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_by_family_count_measure_and_show_how_long_they_live()
    {
        await FillAsync("dev:codes:", 30, "3600");
        await FillAsync("dev:codes:short", 10, "20");
        await _redis.CommandAsync("SET", "dev:customer:010", "{}");
        await _redis.CommandAsync("SET", "who:knows:1", "x");
        await _redis.CommandAsync("SET", "who:knows:2", "x");
        await _redis.CommandAsync("HSET", "dev:onggi:epoch", "f", "v");

        var (code, output, _) = await RunAsync("keys", "-c", _catalog, "--json");
        var table = await RunAsync("keys", "-c", _catalog);

        var said = JsonElement.Parse(output);
        var groups = said.GetProperty("families")
            .EnumerateArray()
            .ToDictionary(group =>
                group.TryGetProperty("family", out var name) ? name.GetString()! : group.GetProperty("names").GetString()!
            );
        Assert.Equal(1, code);
        Assert.True(said.GetProperty("exact").GetBoolean());
        Assert.Equal(["codes", "customer", "onggi", "who:knows:*"], groups.Keys.Order());
        Assert.Equal(40, groups["codes"].GetProperty("keys").GetInt64());
        Assert.Equal(10, groups["codes"].GetProperty("timeLeft").GetProperty("1m").GetInt64());
        Assert.Equal(30, groups["codes"].GetProperty("timeLeft").GetProperty("1h").GetInt64());
        Assert.True(groups["codes"].GetProperty("bytes").GetInt64() > 0);
        Assert.False(groups["codes"].TryGetProperty("mark", out _));
        Assert.Equal("1 has no time to live", groups["customer"].GetProperty("mark").GetString());
        Assert.Equal("nobody's", groups["who:knows:*"].GetProperty("mark").GetString());
        Assert.Equal(1, groups["onggi"].GetProperty("types").GetProperty("hash").GetInt64());
        Assert.False(groups["onggi"].TryGetProperty("mark", out _));
        Assert.Equal(1, table.Code);
        Assert.Contains("44 keys, ", table.Output, StringComparison.Ordinal);
        Assert.Contains("who:knows:*", table.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_sample_says_that_it_is_one_and_how_far_it_can_be_off()
    {
        await FillAsync("dev:codes:", 20_000);
        await FillAsync("dev:customer:", 20_000);

        var (code, output, _) = await RunAsync("keys", "-c", _catalog, "--sample", "4000", "--json");
        var table = await RunAsync("keys", "-c", _catalog, "--sample", "4000");

        var said = JsonElement.Parse(output);
        var codes = said.GetProperty("families").EnumerateArray().Single(group => group.GetProperty("family").GetString() == "codes");
        Assert.Equal(0, code);
        Assert.False(said.GetProperty("exact").GetBoolean());
        Assert.InRange(said.GetProperty("looked").GetInt64(), 4000, 4400);
        var error = codes.GetProperty("keysError").GetDouble();
        Assert.InRange(error, 400, 800);
        // Twice the stated error, which is twice the standard error: once in many thousand runs.
        Assert.InRange(codes.GetProperty("keys").GetDouble(), 20_000 - (2 * error), 20_000 + (2 * error));
        Assert.Contains("About 40000 keys, told from 4", table.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_of_one_family_are_all_looked_at()
    {
        await FillAsync("dev:codes:", 300);
        await FillAsync("dev:customer:", 300);

        var (code, output, _) = await RunAsync("keys", "-c", _catalog, "-f", "codes", "--sample", "10", "--json");

        var said = JsonElement.Parse(output);
        Assert.Equal(0, code);
        Assert.True(said.GetProperty("exact").GetBoolean());
        Assert.Equal(300, Assert.Single(said.GetProperty("families").EnumerateArray().ToList()).GetProperty("keys").GetInt64());
    }

    [Fact]
    public async Task Get_shows_each_type_so_that_it_can_be_read()
    {
        await _redis.CommandAsync("SET", "dev:codes:json", """{"name":"김","n":[1,2]}""", "EX", "100");
        await _redis.CommandAsync("SET", "text", "one\ntwo");
        await _redis.CommandAsync("HSET", "hash", "f", "v");
        await _redis.CommandAsync("RPUSH", "list", "a", "b", "c");
        await _redis.CommandAsync("SADD", "set", "m");
        await _redis.CommandAsync("ZADD", "zset", "1.5", "m");
        await _redis.CommandAsync("XADD", "stream", "1-1", "field", "value");

        var json = await RunAsync("get", "dev:codes:json", "-c", _catalog);
        var list = await RunAsync("get", "list", "--limit", "2");

        Assert.StartsWith("dev:codes:json: string, family codes, ends in 1m ", json.Output, StringComparison.Ordinal);
        Assert.Contains("\n  \"name\": \"김\",\n", json.Output, StringComparison.Ordinal);
        Assert.Contains("one\ntwo\n", (await RunAsync("get", "text")).Output, StringComparison.Ordinal);
        Assert.Matches(@"│ f\s+│ v\s+│", (await RunAsync("get", "hash")).Output);
        Assert.Contains("The first 2 of 3 elements", list.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("│ c", list.Output, StringComparison.Ordinal);
        Assert.Matches(@"│ m\s+│", (await RunAsync("get", "set")).Output);
        Assert.Matches(@"│ m\s+│ 1\.5\s+│", (await RunAsync("get", "zset")).Output);
        Assert.Matches(@"│ 1-1\s+│ field=value\s+│", (await RunAsync("get", "stream")).Output);
    }

    [Fact]
    public async Task Nothing_in_a_value_or_a_name_reaches_the_terminal_as_a_command()
    {
        await using var redis = await RedisClient.ConnectAsync(_redis.ConnectionString);
        await redis.SetAsync("bytes", (byte[])[0, 27, 91, 50, 74, 255]);
        await redis.SetAsync("escape", "\u001B[2Jgone");
        await redis.SetAsync("json", "{\"a\":\"\u009B2J\"}");
        await redis.SendAsync(["HSET", "hash", "\u001B[31m", (byte[])[255, 254]], ReplyParsers.Ignore);

        foreach (var key in (string[])["bytes", "escape", "json", "hash"])
        {
            var (code, output, _) = await RunAsync("get", key);
            Assert.Equal(0, code);
            Assert.DoesNotContain(output, c => char.IsControl(c) && c != '\n');
        }

        Assert.Contains("00 1b 5b 32 4a ff", (await RunAsync("get", "bytes")).Output, StringComparison.Ordinal);
        var json = await RunAsync("get", "bytes", "--json");
        Assert.Equal("ABtbMkr/", JsonElement.Parse(json.Output).GetProperty("value").GetProperty("base64").GetString());
    }

    [Fact]
    public async Task What_is_about_a_person_is_shown_only_to_who_asks_for_it()
    {
        await _redis.CommandAsync("SET", "dev:customer:010", """{"name":"secretive"}""", "EX", "100");
        await _redis.CommandAsync("HSET", "dev:auth:session:abc", "roles", "secretive");

        foreach (var key in (string[])["dev:customer:010", "dev:auth:session:abc"])
        {
            var hidden = await RunAsync("get", key, "-c", _catalog);
            var json = await RunAsync("get", key, "-c", _catalog, "--json");
            var shown = await RunAsync("get", key, "-c", _catalog, "--show-personal");

            Assert.DoesNotContain("secretive", hidden.Output + json.Output, StringComparison.Ordinal);
            Assert.True(JsonElement.Parse(json.Output).GetProperty("hidden").GetBoolean());
            Assert.Contains("secretive", shown.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Ttl_says_how_long_and_what_the_catalog_gives()
    {
        await _redis.CommandAsync("SET", "dev:codes:1", "x", "EX", "5400");
        await _redis.CommandAsync("SET", "for:ever", "x");

        var (code, output, _) = await RunAsync("ttl", "dev:codes:1", "-c", _catalog);
        var json = await RunAsync("ttl", "dev:codes:1", "--json");
        var ever = await RunAsync("ttl", "for:ever");

        Assert.Equal(0, code);
        Assert.Matches(@"^ends in (90m|1h 29m) \(.*Z\); family codes gives 2h\n$", output);
        Assert.InRange(JsonElement.Parse(json.Output).GetProperty("ttlSeconds").GetDouble(), 5300, 5400);
        Assert.Equal("never ends\n", ever.Output);
    }

    [Fact]
    public async Task Clients_are_shown_by_the_name_of_their_service()
    {
        await using var first = await ConnectAsync("bill-inquiry");
        await using var second = await ConnectAsync("bill-inquiry");
        await first.SetAsync("a", "1");
        await second.SetAsync("a", "1");

        var (code, output, _) = await RunAsync("clients");
        var json = await RunAsync("clients", "--json");

        var lines = JsonElement.Parse(json.Output).EnumerateArray().Where(line => line.GetProperty("name").GetString() == "bill-inquiry");
        Assert.Equal(0, code);
        Assert.Matches(@"│ bill-inquiry\s+│ default\s+│\s+2 │", output);
        Assert.Contains("│ onggi-cli ", output, StringComparison.Ordinal);
        Assert.All(lines, line => Assert.Equal("set", line.GetProperty("command").GetString()));
        Assert.Equal(2, lines.Count());
    }

    [Fact]
    public async Task The_slow_log_shows_commands_and_families_never_values_or_persons()
    {
        await _redis.CommandAsync("SET", "dev:customer:01012345678", "a secret value", "EX", "100");
        await _redis.CommandAsync("MGET", "dev:codes:1", "dev:codes:2");

        var (code, output, _) = await RunAsync("slowlog", "-c", _catalog, "--count", "100");
        var json = await RunAsync("slowlog", "-c", _catalog, "--count", "100", "--json");
        var all = await RunAsync("slowlog", "-c", _catalog, "--count", "100", "--arguments");

        Assert.Equal(0, code);
        Assert.Contains("SET dev:customer:{lineNumber} (14 B)", output, StringComparison.Ordinal);
        Assert.Contains("MGET dev:codes:1 dev:codes:2", output, StringComparison.Ordinal);
        Assert.DoesNotContain("01012345678", output + json.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("a secret value", output + json.Output, StringComparison.Ordinal);
        Assert.Contains("SET dev:customer:01012345678 a secret value", all.Output, StringComparison.Ordinal);
        Assert.Contains(
            JsonElement.Parse(json.Output).EnumerateArray(),
            entry => entry.GetProperty("families").EnumerateArray().Any(family => family.GetString() == "customer")
        );
    }

    [Theory]
    [InlineData("get")]
    [InlineData("ttl")]
    public async Task A_key_that_is_not_there_is_said_so(string command)
    {
        var (code, output, error) = await RunAsync(command, "dev:codes:none");

        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith("onggi: there is no key dev:codes:none at 127.0.0.1:", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("keys")]
    [InlineData("get", "a")]
    [InlineData("ttl", "a")]
    [InlineData("clients")]
    [InlineData("slowlog")]
    public async Task What_stands_in_the_way_is_said_in_words(params string[] line)
    {
        await _redis.CommandAsync("ACL", "SETUSER", "nobody", "on", ">secret", "-@all", "+@connection", "-client|list");
        await _redis.CommandAsync("SET", "a", "1");

        var nobodyThere = await ToolRun.OfAsync([.. line, "--redis", ToolRun.Nobody]);
        var wrongPassword = await ToolRun.OfAsync([.. line, "--redis", $"127.0.0.1:{_redis.Port},user=nobody,password=wrong"]);
        var notAllowed = await ToolRun.OfAsync([.. line, "--redis", $"127.0.0.1:{_redis.Port},user=nobody,password=secret"]);
        var noCatalog =
            line[0] == "clients" ? nobodyThere : await ToolRun.OfAsync([.. line, "--redis", _redis.ConnectionString, "-c", "nowhere.json"]);
        var misspelt = await ToolRun.OfAsync([.. line, "--jsom"]);

        Assert.Equal((2, 2, 2, 2, 2), (nobodyThere.Code, wrongPassword.Code, notAllowed.Code, noCatalog.Code, misspelt.Code));
        Assert.StartsWith("onggi: ", nobodyThere.Error, StringComparison.Ordinal);
        Assert.Contains("WRONGPASS", wrongPassword.Error, StringComparison.Ordinal);
        Assert.Contains("NOPERM", notAllowed.Error, StringComparison.Ordinal);
        Assert.Contains(line[0] == "clients" ? "onggi: " : "there is no file nowhere.json", noCatalog.Error, StringComparison.Ordinal);
        Assert.Contains("--json", misspelt.Output + misspelt.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", nobodyThere.Error + wrongPassword.Error + notAllowed.Error, StringComparison.Ordinal);
    }

    private async Task FillAsync(string head, int count, string seconds = "10000") =>
        await _redis.CommandAsync(
            "EVAL",
            "for i = 0, ARGV[2] - 1 do redis.call('SET', ARGV[1] .. i, '{\"line\":' .. i .. '}', 'EX', ARGV[3]) end",
            "0",
            head,
            count.ToString(CultureInfo.InvariantCulture),
            seconds
        );

    private ValueTask<RedisClient> ConnectAsync(string name) =>
        RedisClient.ConnectAsync(
            new RedisClientOptions
            {
                Host = "127.0.0.1",
                Port = _redis.Port,
                ClientName = name,
            }
        );

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] args) =>
        ToolRun.OfAsync([.. args, "--redis", _redis.ConnectionString]);
}
