using System.Text.Json;
using Onggi.ServerTests.Caching;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary><c>onggi cache bound</c> beside services that have a cache.</summary>
public sealed class CacheBoundTests : IAsyncLifetime
{
    private const string Epoch = "test:onggi:epoch";

    private RedisServerProcess _redis = null!;
    private string _catalog = "";

    public async Task InitializeAsync()
    {
        _redis = await RedisServerProcess.StartAsync();
        _catalog = Path.Combine(_redis.Directory, "keyspace.json");
        await File.WriteAllTextAsync(_catalog, CacheNode.CatalogJson);
    }

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task The_bound_of_the_fleet_is_shown_set_and_given_back_while_it_runs()
    {
        await using var quick = await NodeAsync(300);
        await using var patient = await NodeAsync(1500);
        await Until.TrueAsync(() => quick.Cache.Link.LargestBoundMs == 1500 && patient.Cache.Link.Epoch is not null);
        var before = await RunAsync("show", "--json");

        var set = await RunAsync("set", "200");
        await Until.TrueAsync(() => quick.Cache.Link.BoundMs == 200 && patient.Cache.Link.BoundMs == 200);
        await Until.TrueAsync(() => quick.Cache.Link.LargestBoundMs == 200 && patient.Cache.Link.LargestBoundMs == 200);
        await using var late = await NodeAsync(5000);
        await Until.TrueAsync(() => late.Cache.Link.BoundMs == 200);
        var after = await RunAsync("show", "--json");
        var words = await RunAsync("show");

        var reset = await RunAsync("reset");
        await Until.TrueAsync(() => late.Cache.Link.BoundMs == 5000 && quick.Cache.Link.LargestBoundMs == 5000);
        var gone = await RunAsync("show");

        Assert.Equal((0, 0, 0, 0, 0, 0), (before.Code, set.Code, after.Code, words.Code, reset.Code, gone.Code));
        var (shown, then) = (JsonElement.Parse(before.Output), JsonElement.Parse(after.Output));
        Assert.Equal((Epoch, 1500), (shown.GetProperty("key").GetString(), shown.GetProperty("boundMs").GetInt64()));
        Assert.False(shown.TryGetProperty("ceilingMs", out _));
        Assert.Contains("waiting for that", set.Error, StringComparison.Ordinal);
        Assert.Contains("Bound: 200 ms", set.Output, StringComparison.Ordinal);
        Assert.Equal((200, 200), (then.GetProperty("boundMs").GetInt64(), then.GetProperty("ceilingMs").GetInt64()));
        Assert.Contains("Ceiling: 200 ms", words.Output, StringComparison.Ordinal);
        Assert.Contains("No ceiling is set", gone.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_bound_comes_down_only_when_the_old_one_is_over_and_nobody_has_taken_the_ceiling_away()
    {
        await _redis.CommandAsync("SET", Epoch, "life 1 2000");

        var setting = RunAsync("set", "300");
        await Until.TrueAsync(async () =>
            (await _redis.CommandAsync("GET", Epoch))!.StartsWith("life 1 2000 300 ", StringComparison.Ordinal)
        );
        await RunAsync("reset");
        var overtaken = await setting;
        var again = await RunAsync("set", "300");

        Assert.Equal((2, 0), (overtaken.Code, again.Code));
        Assert.Contains("the ceiling is gone", overtaken.Error, StringComparison.Ordinal);
        Assert.StartsWith("life 1 300 300 ", await _redis.CommandAsync("GET", Epoch), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_no_service_has_been_nothing_is_written()
    {
        foreach (
            string[] line in (string[][])
                [
                    ["show"],
                    ["set", "200"],
                    ["reset"],
                ]
        )
        {
            var (code, _, error) = await RunAsync(line);

            Assert.Equal(2, code);
            Assert.Contains("no service with a cache", error, StringComparison.Ordinal);
        }

        Assert.Equal("0", await _redis.CommandAsync("EXISTS", Epoch));
    }

    [Theory]
    [InlineData("99", "MS is 100 to 10000, not 99.")]
    [InlineData("10001", "MS is 100 to 10000, not 10001.")]
    [InlineData("soon", "soon")]
    [InlineData("500ms", "500ms")]
    public async Task What_is_no_bound_is_refused_before_Redis_is_asked(string given, string said)
    {
        await _redis.CommandAsync("SET", Epoch, "life 1 2000");

        var (code, output, error) = await RunAsync("set", given);

        Assert.Equal(2, code);
        Assert.Contains(said, output + error, StringComparison.Ordinal);
        Assert.Equal("life 1 2000", await _redis.CommandAsync("GET", Epoch));
    }

    [Fact]
    public async Task A_key_that_holds_something_else_is_said()
    {
        await _redis.CommandAsync("HSET", Epoch, "f", "v");

        var (code, _, error) = await RunAsync("set", "200");

        Assert.Equal(2, code);
        Assert.Contains("WRONGTYPE", error, StringComparison.Ordinal);
    }

    private Task<CacheNode> NodeAsync(int bound) =>
        CacheNode.StartAsync(_redis.ConnectionString, options => options.Cache.MaxStaleness = TimeSpan.FromMilliseconds(bound));

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] args) =>
        ToolRun.OfAsync(["cache", "bound", .. args, "-c", _catalog, "--redis", _redis.ConnectionString]);
}
