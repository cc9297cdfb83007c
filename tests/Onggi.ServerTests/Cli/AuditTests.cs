using System.Text.Json;
using Onggi.Client;

namespace Onggi.ServerTests.Cli;

/// <summary><c>onggi audit</c>: each defect of a keyspace by itself is found under its code, and a good one has none.</summary>
public sealed class AuditTests : IAsyncLifetime
{
    private static readonly string[] Good =
    [
        "SET dev:bill:1 {} EX 14000",
        "SET {dev:bill:1}:l x PX 2000",
        "SET dev:secret:1 [1] EX 1000",
        "HSET dev:auth:session:abc user kim",
        "PEXPIRE dev:auth:session:abc 1800000",
        "ZADD dev:auth:session-user:u1 9999999999999 abc",
        "PEXPIRE dev:auth:session-user:u1 100000000",
        "HSET {dev:auth:session-user:u1}:meta abc 1",
        "PEXPIRE {dev:auth:session-user:u1}:meta 100000000",
        "SET dev:onggi:epoch x",
        "HSET dev:events:head:bill.changed seq 1",
    ];

    private static readonly Dictionary<string, (string Code, string Is, string[] Make)> Defects = new()
    {
        ["a key without the prefix"] = ("ONG080", "finding", ["SET bill:7 {} EX 100"]),
        ["a key under a service's prefix"] = ("ONG080", "finding", ["SET phonebill:dev:bill:7 {} EX 100"]),
        ["a key of no family"] = ("ONG080", "finding", ["SET dev:unknown:7 {} EX 100"]),
        ["a key that never ends"] = ("ONG081", "finding", ["SET dev:bill:7 {}"]),
        ["a lease that never ends"] = ("ONG081", "finding", ["SET {dev:bill:7}:l x"]),
        ["a session that never ends"] = ("ONG081", "finding", ["HSET dev:auth:session:xyz user lee"]),
        ["a user cached for eight hours"] = ("ONG082", "finding", ["SET dev:cache:user:7 {} EX 28800"]),
        ["a bill cached for a day"] = ("ONG082", "warning", ["SET dev:bill:7 {} EX 86400"]),
        ["a hash in a cache"] = ("ONG083", "finding", ["HSET dev:bill:7 a 1", "EXPIRE dev:bill:7 100"]),
        ["a value that is no JSON"] = ("ONG084", "finding", ["SET dev:bill:7 {half EX 100"]),
        ["a phone number nobody has marked"] = ("ONG085", "finding", ["SET dev:bill:010-1234-5678 {} EX 100"]),
        ["a phone number that is marked and left plain"] = ("ONG085", "warning", ["SET dev:customer:010-1234-5678 {} EX 100"]),
        ["an e-mail address"] = ("ONG085", "finding", ["SET dev:bill:kim@example.com {} EX 100"]),
        ["a family beyond its share"] = ("ONG086", "finding", ["FILL"]),
        ["an index that names a session that is not there"] = (
            "ONG087",
            "finding",
            ["ZADD dev:auth:session-user:u2 9999999999999 gone", "PEXPIRE dev:auth:session-user:u2 100000000"]
        ),
        ["what stands beside an index that is not there"] = (
            "ONG087",
            "finding",
            ["HSET {dev:auth:session-user:u3}:meta a 1", "PEXPIRE {dev:auth:session-user:u3}:meta 100000"]
        ),
        ["a session that no index names"] = (
            "ONG087",
            "warning",
            ["HSET dev:auth:session:lost user lee", "PEXPIRE dev:auth:session:lost 100000"]
        ),
        ["a placeholder that nobody filled in"] = ("ONG089", "finding", ["SET dev:bill:{lineNumber} {} EX 100"]),
        ["a refused access"] = ("ONG090", "warning", ["REFUSED"]),
        ["a big key"] = ("ONG091", "warning", ["SETRANGE dev:secret:7 1200000 x", "EXPIRE dev:secret:7 100"]),
        ["another database"] = ("ONG018", "finding", ["DATABASE"]),
    };

    private ToolServer _server = null!;

    public static TheoryData<string> Names => [.. Defects.Keys];

    public async Task InitializeAsync() => _server = await ToolServer.StartAsync("--databases", "2");

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Each_defect_by_itself_is_found(string name)
    {
        var (code, severity, make) = Defects[name];
        await MakeAsync(Good);
        await MakeAsync(make);

        var (exit, output, error) = await _server.RunAsync("audit", "--exact", "--json");

        Assert.True(output.Length > 0, error);
        var findings = JsonElement.Parse(output).GetProperty("findings").EnumerateArray().ToList();
        Assert.True(
            findings.Exists(finding =>
                finding.GetProperty("code").GetString() == code && finding.GetProperty("severity").GetString() == severity
            ),
            output
        );
        // A made-up defect can have a second face (what nobody marked never ends, too), but nothing good is called bad.
        Assert.DoesNotContain("dev:bill:1,", output, StringComparison.Ordinal);
        Assert.Equal(severity == "finding" ? 1 : 0, exit);
        Assert.DoesNotContain("010-1234", output, StringComparison.Ordinal);
        Assert.DoesNotContain("kim@example", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_good_keyspace_has_nothing_wrong_looked_into_whole_or_in_part()
    {
        await MakeAsync(Good);

        foreach (var depth in (string[])["--exact", "--sample=100"])
        {
            var (code, output, error) = await _server.RunAsync("audit", depth, "--json");

            Assert.Equal((0, ""), (code, error));
            var audit = JsonElement.Parse(output);
            Assert.Empty(audit.GetProperty("findings").EnumerateArray());
            Assert.Equal(Keys(Good), audit.GetProperty("keys").GetInt32());
        }
    }

    [Fact]
    public async Task A_sample_is_about_right_and_says_by_how_much_it_may_be_off()
    {
        const int Keys = 20_000;
        await using (var op = await _server.ConnectAsync("operator"))
            for (var i = 0; i < Keys; i += 500)
            {
                var batch = op.CreateBatch();
                for (var k = i; k < i + 500; k++)
                    batch.Add(["SET", $"dev:secret:{k}", new string('1', 100 + (k % 900)), "EX", "1000"], ReplyParsers.Ignore);
                await batch.SendAsync();
            }

        var (_, exact, _) = await _server.RunAsync("audit", "--exact", "--json");
        var (_, sample, _) = await _server.RunAsync("audit", "--sample", "1000", "--seed", "7", "--json");

        var (all, some) = (JsonElement.Parse(exact), JsonElement.Parse(sample));
        Assert.Equal(Keys, some.GetProperty("keys").GetInt32());
        Assert.InRange(some.GetProperty("lookedInto").GetInt32(), 700, 1300);
        Assert.False(some.GetProperty("exact").GetBoolean());
        var (whole, part) = (all.GetProperty("families")[0], some.GetProperty("families")[0]);
        var bytes = whole.GetProperty("bytes").GetInt64();
        var error = part.GetProperty("bytesError").GetInt64();
        Assert.Equal(0, whole.GetProperty("bytesError").GetInt64());
        Assert.InRange(error, 1, bytes / 10);
        // Two of its widths: the seed chooses the keys, but not their sizes in this build of Redis.
        Assert.InRange(part.GetProperty("bytes").GetInt64(), bytes - (2 * error), bytes + (2 * error));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_small_family_among_many_keys_is_looked_into_all_the_same(int seed)
    {
        await using (var op = await _server.ConnectAsync("operator"))
        {
            var batch = op.CreateBatch();
            for (var i = 0; i < 4000; i++)
                batch.Add(["SET", $"dev:secret:{i}", "1", "EX", "1000"], ReplyParsers.Ignore);
            for (var i = 0; i < 5; i++)
                batch.Add(["SET", $"dev:bill:{i}", new string('1', 90_000)], ReplyParsers.Ignore);
            await batch.SendAsync();
        }

        var (code, output, _) = await _server.RunAsync("audit", "--sample", "100", "--seed", $"{seed}", "--json");

        var audit = JsonElement.Parse(output);
        var bill = audit.GetProperty("families").EnumerateArray().Single(family => family.GetProperty("name").GetString() == "bill");
        Assert.InRange(bill.GetProperty("bytes").GetInt64(), 450_000, 700_000);
        Assert.Equal(0, bill.GetProperty("bytesError").GetInt64());
        Assert.Contains(
            audit.GetProperty("findings").EnumerateArray(),
            finding =>
                finding.GetProperty("code").GetString() == "ONG081"
                && finding.GetProperty("what").GetString()!.StartsWith("5 keys never end", StringComparison.Ordinal)
        );
        // What chance has chosen says what can have been missed, not what was looked into beside it.
        Assert.InRange(audit.GetProperty("blindBelow").GetDouble(), 0.015, 0.06);
        Assert.Equal(1, code);
    }

    [Fact]
    public async Task All_sessions_of_somebody_with_many_are_in_his_index()
    {
        await using (var op = await _server.ConnectAsync("operator"))
        {
            var batch = op.CreateBatch();
            for (var i = 0; i < 250; i++)
            {
                batch.Add(["HSET", $"dev:auth:session:s{i}", "user", "batch"], ReplyParsers.Ignore);
                batch.Add(["PEXPIRE", $"dev:auth:session:s{i}", 1_800_000], ReplyParsers.Ignore);
                batch.Add(["ZADD", "dev:auth:session-user:u1", 9_999_999_999_999, $"s{i}"], ReplyParsers.Ignore);
            }

            batch.Add(["PEXPIRE", "dev:auth:session-user:u1", 100_000_000], ReplyParsers.Ignore);
            await batch.SendAsync();
        }

        var (code, output, error) = await _server.RunAsync("audit", "--exact", "--json");

        Assert.Equal((0, ""), (code, error));
        Assert.Empty(JsonElement.Parse(output).GetProperty("findings").EnumerateArray());
    }

    [Fact]
    public async Task The_hottest_keys_are_told_where_Redis_counts()
    {
        await using var counting = await ToolServer.StartAsync("--maxmemory-policy", "allkeys-lfu");
        await counting.CommandAsync("SET", "dev:bill:hot", "{}", "EX", "1000");
        await counting.CommandAsync("SET", "dev:bill:cold", "{}", "EX", "1000");
        await using (var op = await counting.ConnectAsync("operator"))
            for (var i = 0; i < 2000; i++)
                await op.GetAsync("dev:bill:hot");

        var (_, output, _) = await counting.RunAsync("audit", "--json", "--exact");

        var hottest = JsonElement.Parse(output).GetProperty("hottest");
        Assert.Equal("dev:bill:hot", hottest[0].GetProperty("key").GetString());
        Assert.True(hottest[0].GetProperty("frequency").GetInt32() > hottest[1].GetProperty("frequency").GetInt32());
    }

    [Fact]
    public async Task The_page_and_the_table_have_the_findings()
    {
        await MakeAsync(["SET bill:7 {} EX 100"]);
        var page = _server.PathOf("audit.html");

        var (code, output, _) = await _server.RunAsync("audit", "--report", page);

        Assert.Equal(1, code);
        Assert.Contains("ONG080", output, StringComparison.Ordinal);
        Assert.Contains("Under the prefix dev: it would be of bill.", output, StringComparison.Ordinal);
        Assert.Contains("bill:7", await File.ReadAllTextAsync(page), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bad_input_is_refused_in_words()
    {
        var nowhere = await _server.RunAsync("audit", "--redis", $"127.0.0.1:{Onggi.Testing.LoopbackPorts.Free()},connectTimeout=500");
        var wrong = await _server.RunAsync("audit", "--redis", $"127.0.0.1:{_server.Redis.Port},user=operator,password=Hunter2Hunter2");
        var may = await _server.RunAsync("audit", "--redis", _server.ConnectionOf("front"));
        await File.WriteAllTextAsync(_server.CatalogFile, ToolServer.Catalog[..200]);
        var half = await _server.RunAsync("audit");

        Assert.Equal((2, 2, 2, 2), (nowhere.Code, wrong.Code, may.Code, half.Code));
        Assert.Contains("'operator'", wrong.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Hunter2", wrong.Error, StringComparison.Ordinal);
        Assert.Contains("NOPERM", may.Error, StringComparison.Ordinal);
        Assert.Contains("ONGGI001", half.Error, StringComparison.Ordinal);
    }

    private static int Keys(string[] commands) => commands.Select(command => command.Split(' ')[1]).Distinct().Count();

    private async Task MakeAsync(string[] commands)
    {
        foreach (var command in commands)
            switch (command)
            {
                case "FILL":
                    await FillAsync();
                    break;
                case "REFUSED":
                    await using (var front = await _server.ConnectAsync("front"))
                        await Assert.ThrowsAsync<RedisServerException>(async () => await front.GetAsync("dev:secret:1"));
                    break;
                case "DATABASE":
                    var options = RedisClientOptions.Parse(_server.ConnectionOf("operator"));
                    options.Database = 1;
                    await using (var other = await RedisClient.ConnectAsync(options))
                        await other.SetAsync("session:1", "x", TimeSpan.FromHours(1));
                    break;
                default:
                    await _server.CommandAsync(command.Split(' '));
                    break;
            }
    }

    // One per cent of 512 MB.
    private async Task FillAsync()
    {
        await using var op = await _server.ConnectAsync("operator");
        for (var i = 0; i < 80; i++)
            await op.SetAsync($"dev:bill:full-{i}", new string('1', 90_000), TimeSpan.FromHours(1));
    }
}
