using System.Text.Json;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

public sealed class OnggiToolServerTests : IAsyncLifetime
{
    private const string Catalog = """
        {
          "system": "shop",
          "families": {
            "customer": { "key": "customer:{lineNumber}", "value": "string" },
            "bill": { "key": "bill:{lineNumber}:{month}", "value": "string" }
          }
        }
        """;

    private RedisServerProcess _redis = null!;
    private string _catalog = "";

    public async Task InitializeAsync()
    {
        _redis = await RedisServerProcess.StartAsync();
        _catalog = Path.Combine(_redis.Directory, "keyspace.json");
        await File.WriteAllTextAsync(_catalog, Catalog);
    }

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task Keys_lists_family_time_and_size_and_marks_what_is_nobodys_or_never_ends()
    {
        await _redis.CommandAsync("SET", "dev:customer:010", "{}", "EX", "14400");
        await _redis.CommandAsync("SET", "{dev:customer:010}:l", "x", "PX", "200000");
        await _redis.CommandAsync("SET", "dev:bill:010:2026-11", "{}");
        await _redis.CommandAsync("SET", "customer:010", "{}", "EX", "100");
        await _redis.CommandAsync("SET", "dev:onggi:epoch", "1");

        var (code, output, _) = await RunAsync("keys", "--list", "--catalog", _catalog, "--json");

        var keys = JsonElement.Parse(output).EnumerateArray().ToDictionary(key => key.GetProperty("key").GetString()!);
        Assert.Equal(1, code);
        Assert.Equal(5, keys.Count);
        Assert.Equal("customer", keys["dev:customer:010"].GetProperty("family").GetString());
        Assert.InRange(keys["dev:customer:010"].GetProperty("ttlSeconds").GetDouble(), 14000, 14400);
        Assert.True(keys["dev:customer:010"].GetProperty("bytes").GetInt64() > 0);
        Assert.Equal("customer", keys["{dev:customer:010}:l"].GetProperty("family").GetString());
        Assert.Equal("has no time to live", keys["dev:bill:010:2026-11"].GetProperty("mark").GetString());
        Assert.Equal("nobody's", keys["customer:010"].GetProperty("mark").GetString());
        Assert.False(keys["dev:onggi:epoch"].TryGetProperty("mark", out _));
    }

    [Fact]
    public async Task Keys_of_one_family_are_its_own_and_its_auxiliary_ones()
    {
        await _redis.CommandAsync("SET", "dev:customer:010", "{}", "EX", "100");
        await _redis.CommandAsync("SET", "{dev:customer:010}:l", "x", "PX", "200000");
        await _redis.CommandAsync("SET", "dev:customer:010:notes", "{}");

        var (code, output, _) = await RunAsync("keys", "--list", "-c", _catalog, "-f", "customer");

        Assert.Equal(0, code);
        Assert.Contains("dev:customer:010 ", output, StringComparison.Ordinal);
        Assert.DoesNotContain("notes", output, StringComparison.Ordinal);
        Assert.Contains("2 keys, ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_stops_at_the_limit_and_says_so()
    {
        await _redis.CommandAsync("EVAL", "for i = 1, 2500 do redis.call('SET', 'dev:customer:' .. i, 'x', 'EX', 100) end", "0");

        var (code, output, _) = await RunAsync("keys", "--list", "-c", _catalog, "-n", "1234");
        var (_, all, _) = await RunAsync("keys", "--list", "-c", _catalog, "-n", "0");

        Assert.Equal(0, code);
        Assert.Contains("1234 keys, ", output, StringComparison.Ordinal);
        Assert.Contains("Stopped at --limit 1234; there may be more.", output, StringComparison.Ordinal);
        Assert.Contains("2500 keys, ", all, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ping_measures_round_trips()
    {
        var (code, output, _) = await RunAsync("ping", "-n", "50", "--json");

        var measured = JsonElement.Parse(output);
        Assert.Equal(0, code);
        Assert.Equal(50, measured.GetProperty("count").GetInt32());
        Assert.True(measured.GetProperty("minMicroseconds").GetDouble() > 0);
        Assert.True(measured.GetProperty("minMicroseconds").GetDouble() <= measured.GetProperty("medianMicroseconds").GetDouble());
        Assert.True(measured.GetProperty("medianMicroseconds").GetDouble() <= measured.GetProperty("p99Microseconds").GetDouble());
    }

    [Fact]
    public async Task Ctrl_C_stops_it()
    {
        using var stop = new CancellationTokenSource();
        var running = RunAsync(stop.Token, "ping", "-n", "10000000");

        await stop.CancelAsync();
        var (code, output, error) = await running;

        Assert.Equal((130, "", "onggi: stopped.\n"), (code, output, error));
    }

    [Fact]
    public async Task A_wrong_password_is_said_so()
    {
        await using var guarded = await RedisServerProcess.StartAsync(new RedisServerSettings { Password = "right" });

        var (code, _, error) = await RunAsync("ping", "--redis", $"127.0.0.1:{guarded.Port},password=wrong");

        Assert.Equal(2, code);
        Assert.StartsWith("onggi: ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong,", error, StringComparison.Ordinal);
    }

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] args) => RunAsync(CancellationToken.None, args);

    private Task<(int Code, string Output, string Error)> RunAsync(CancellationToken cancellationToken, params string[] args)
    {
        string[] redis = args.Contains("--redis") ? [] : ["--redis", _redis.ConnectionString];
        return ToolRun.OfAsync(answers: null, cancellationToken, [.. args, .. redis]);
    }
}
