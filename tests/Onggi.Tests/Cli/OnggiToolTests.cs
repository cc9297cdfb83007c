using System.Text.Json;
using Onggi.Cli;
using Onggi.Keys;
using Onggi.Tests.Keys;

namespace Onggi.Tests.Cli;

public sealed class OnggiToolTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-cli-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_right_catalog_is_said_to_be_right()
    {
        var file = Write(SampleCatalogs.Small);

        var (code, output, error) = await RunAsync("catalog", "check", file);

        Assert.Equal((0, ""), (code, error));
        Assert.Equal($"{file} is right: 4 families, 2 events, 2 services; environments dev, production.\n", output);
    }

    [Fact]
    public async Task Every_mistake_is_shown_with_its_line_and_a_mark()
    {
        var file = Write(
            "{\n  \"system\": \"s\",\n\t\"memory\": { \"limit\": \"512MB\" },\n  // 설명\n  \"families\": { \"가족\": { \"key\": \"a:{id}\", \"value\": \"string\", \"ttl\": \"8d\" } }\n}\n"
        );

        var (code, output, _) = await RunAsync("catalog", "check", file);

        Assert.Equal(1, code);
        Assert.Equal(
            $"""
            {file}:3:23: error ONGGI008: "memory": "limit": "512MB" is no size.
                3 | {"\t"}"memory": {"{"} "limit": "512MB" {"}"},
                  | {"\t"}                     ^^^^^^^
                  = A size is a whole number and kb, mb or gb (1024 of the one before, as in redis.conf).
                  = Write "512mb".

            {file}:5:17: error ONGGI006: family "가족": "가족" cannot be a name here.
                5 |   "families": {"{"} "가족": {"{"} "key": "a:{"{"}id{"}"}", "value": "string", "ttl": "8d" {"}"} {"}"}
                  |                 ^^^^^^
                  = Names are small letters and digits, begin with a letter, have "_" or "-" between words and at most 64 characters.
                  = Write "my_name".

            {file}:5:68: error ONGGI011: family "가족": "ttl" is 8d, outside 1s to 7d for cached data.
                5 |   "families": {"{"} "가족": {"{"} "key": "a:{"{"}id{"}"}", "value": "string", "ttl": "8d" {"}"} {"}"}
                  |                                                                      ^^^^
                  = What is older than a week is no cache but a second database.
                  = Write "7d".

            3 mistakes.

            """.ReplaceLineEndings("\n"),
            output
        );
    }

    [Fact]
    public async Task A_mistake_at_the_end_of_the_file_has_a_line_too()
    {
        var (code, output, _) = await RunAsync("catalog", "check", Write(""));

        Assert.Equal(1, code);
        Assert.Contains(":1:1: error ONGGI001: The file is empty.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_said_so()
    {
        var (code, output, error) = await RunAsync("catalog", "check", "nowhere.json");

        Assert.Equal((2, ""), (code, output));
        Assert.Equal("onggi: there is no file nowhere.json. Name the catalog, usually keyspace.json.\n", error);
    }

    [Fact]
    public async Task Show_lists_the_families_of_an_environment()
    {
        var (code, output, _) = await RunAsync("catalog", "show", Write(SampleCatalogs.Small), "--environment", "production");

        Assert.Equal(0, code);
        Assert.Contains(
            "shop in production: prefix \"shop:production:\", memory 4gb, personal identifiers hashed",
            output,
            StringComparison.Ordinal
        );
        Assert.Contains("shop:production:bill:{lineNumber}:{month}", output, StringComparison.Ordinal);
        Assert.Contains("30m unused, 24h in all", output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001B', output);
    }

    [Fact]
    public async Task Show_as_JSON_is_for_programs()
    {
        var (code, output, _) = await RunAsync("catalog", "show", Write(SampleCatalogs.Small), "--json");

        var shown = JsonElement.Parse(output);
        Assert.Equal(0, code);
        Assert.Equal("dev:", shown.GetProperty("prefix").GetString());
        Assert.Equal(
            ["customer", "bill", "codes", "session"],
            shown.GetProperty("families").EnumerateArray().Select(f => f.GetProperty("name").GetString())
        );
        Assert.Equal(4 * 3600, shown.GetProperty("families")[0].GetProperty("ttlSeconds").GetInt32());
        Assert.Equal("dev:events:billing:codes", shown.GetProperty("events")[1].GetProperty("channel").GetString());
    }

    [Fact]
    public async Task An_unknown_environment_suggests_the_nearest()
    {
        var (code, _, error) = await RunAsync("catalog", "show", Write(SampleCatalogs.Small), "-e", "prod");

        Assert.Equal(2, code);
        Assert.Contains("The catalog has no environment \"prod\"", error, StringComparison.Ordinal);
        Assert.Contains("Choose one of: dev, production.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_catalog_with_mistakes_cannot_be_shown()
    {
        var (code, output, error) = await RunAsync("catalog", "show", Write("""{ "system": "s" }"""));

        Assert.Equal((2, ""), (code, output));
        Assert.Contains("ONGGI003: the catalog lacks the field \"families\".", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_schema_is_the_one_in_the_library()
    {
        var (code, output, _) = await RunAsync("catalog", "schema");

        Assert.Equal((0, KeyspaceSchema.Json), (code, output));
    }

    [Fact]
    public async Task The_page_names_every_key_and_event()
    {
        var (code, output, _) = await RunAsync("catalog", "docs", Write(SampleCatalogs.Small));

        Assert.Equal(0, code);
        Assert.Contains("# Keyspace shop, environment dev", output, StringComparison.Ordinal);
        Assert.Contains(
            "| [bill](#bill) | `dev:bill:{lineNumber}:{month}` | cache | 8h | – | billing | – |",
            output,
            StringComparison.Ordinal
        );
        Assert.Contains("- lives 4h, 10m of grace, up to 10% less by jitter", output, StringComparison.Ordinal);
        Assert.Contains(
            "| `customer.updated` | at most once | `dev:events:global:customer.updated` | `Shop.CustomerUpdated` | every service | customer, bill |",
            output,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task How_an_event_is_delivered_is_shown_wherever_events_are()
    {
        var catalog = Write(
            """{ "system": "shop", "families": {}, "events": { "a.b": { "payload": "string", "ttl": "2m" }, "order.placed": { "payload": "string", "delivery": "atLeastOnce" } } }"""
        );

        var (_, table, _) = await RunAsync("catalog", "show", catalog);
        var (_, page, _) = await RunAsync("catalog", "docs", catalog);
        var (_, json, _) = await RunAsync("catalog", "show", catalog, "--json");

        Assert.Contains("at least once", table, StringComparison.Ordinal);
        Assert.Contains("| `order.placed` | at least once | `dev:events:stream:order.placed` | `string` |", page, StringComparison.Ordinal);
        Assert.Contains("| `a.b` | at most once | `dev:events:global:a.b` | `string` |", page, StringComparison.Ordinal);
        var events = JsonElement.Parse(json).GetProperty("events");
        Assert.Equal("atMostOnce dev:events:global:a.b 120", Told(events[0], "channel", "ttlSeconds"));
        Assert.Equal("atLeastOnce dev:events:stream:order.placed", Told(events[1], "stream"));
        Assert.False(events[1].TryGetProperty("channel", out _) || events[1].TryGetProperty("ttlSeconds", out _));

        static string Told(JsonElement known, params string[] fields) =>
            string.Join(' ', fields.Prepend("delivery").Select(field => known.GetProperty(field).ToString()));
    }

    [Theory]
    [InlineData("onggi keys --help", "keys", "--limit", "many")]
    [InlineData("onggi keys --help", "keys", "--limit", "-1")]
    [InlineData("onggi ping --help", "ping", "--count", "0")]
    [InlineData("onggi catalog --help", "catalog", "chekc")]
    [InlineData("onggi --help", "catalogue")]
    [InlineData("onggi ping --help", "ping", "--wrong")]
    public async Task A_wrong_command_line_points_to_help(string help, params string[] args)
    {
        var (code, _, error) = await RunAsync(args);

        Assert.Equal(2, code);
        Assert.EndsWith($"Try: {help}\n", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Looks after a team's shared Redis")]
    [InlineData("Looks after a team's shared Redis", "--help")]
    [InlineData("onggi keys [options]", "keys", "--help")]
    [InlineData("onggi catalog check [<FILE>] [options]", "catalog", "check", "--help")]
    public async Task Help_says_what_can_be_done(string says, params string[] args)
    {
        var (code, output, error) = await RunAsync(args);

        Assert.Equal((0, ""), (code, error));
        Assert.Contains(says, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_string_that_is_none_is_refused()
    {
        var (code, _, error) = await RunAsync("ping", "--redis", "localhost:notaport");

        Assert.Equal(2, code);
        Assert.StartsWith("onggi: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_family_needs_a_catalog_that_knows_it()
    {
        var (code, _, error) = await RunAsync(
            "keys",
            "--catalog",
            Write(SampleCatalogs.Small),
            "--family",
            "custmer",
            "--redis",
            "127.0.0.1:1"
        );

        Assert.Equal(2, code);
        Assert.Equal("onggi: the catalog has no family \"custmer\". Did you mean \"customer\"?\n", error);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var code = await OnggiTool.RunAsync(args, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private string Write(string catalog)
    {
        var file = Path.Combine(_folder.FullName, "keyspace.json");
        File.WriteAllText(file, catalog);
        return file;
    }
}
