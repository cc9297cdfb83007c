using System.Text.Json;
using Microsoft.Extensions.Caching.Distributed;
using Onggi.ServerTests.AspNetCaches;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Events.Streams;
using Onggi.ServerTests.Limits;
using Onggi.ServerTests.Locks;
using Onggi.ServerTests.Sessions;
using Onggi.ServerTests.Tokens;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>What the library itself writes has nothing wrong: whatever it is in the middle of.</summary>
public sealed class AuditLibraryTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-audit-tests");
    private RedisServerProcess _redis = null!;

    public async Task InitializeAsync() => _redis = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync()
    {
        await _redis.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Of_sessions_that_begin_are_replaced_and_end()
    {
        await using var node = await SessionNode.StartAsync(_redis.ConnectionString);
        for (var i = 0; i < 20; i++)
        {
            var session = await node.Sessions.CreateAsync($"user-{i % 5}");
            if (i % 4 == 0)
                await node.Sessions.RotateAsync(session.Id);
            if (i % 4 == 1)
                await node.Sessions.RevokeAsync(session.Id);
        }

        await node.Sessions.RevokeAllAsync("user-3");

        await AssertSoundAsync(SessionNode.CatalogJson, "session");
    }

    [Fact]
    public async Task Of_locks_that_are_held_and_were_held()
    {
        await using var node = await LockNode.StartAsync(_redis.ConnectionString);
        await using var held = await node.Locks.AcquireAsync(LockNode.Long("a"));
        await using (await node.Locks.AcquireAsync(LockNode.Middle("b"))) { }

        await AssertSoundAsync(LockNode.CatalogJson, "long");
    }

    [Fact]
    public async Task Of_limits_and_places()
    {
        await using var node = await LimitNode.StartAsync(_redis.ConnectionString);
        await node.Limits.TakeAsync(LimitNode.Calls("kim"));
        await node.Limits.TakeAsync(LimitNode.Both("kim"));
        await using var place = await node.Limits.EnterAsync(LimitNode.Jobs("kim"));

        await AssertSoundAsync(LimitNode.CatalogJson, "both");
    }

    [Fact]
    public async Task Of_tokens_that_are_issued_rotated_and_revoked()
    {
        await using var node = await TokenNode.StartAsync(_redis.ConnectionString);
        var first = await node.SignInAsync("kim");
        await node.Tokens.RefreshAsync(first.RefreshToken!);
        await node.SignInAsync("lee");
        await node.Tokens.SignOutEverywhereAsync("lee");
        var third = await node.SignInAsync("park");
        await node.Tokens.RevokeRefreshTokenAsync(third.RefreshToken!);

        await AssertSoundAsync(TokenNode.CatalogJson, "refresh");
    }

    [Fact]
    public async Task Of_entries_that_are_stored_loaded_and_not_found()
    {
        await using var node = await CacheNode.StartAsync(_redis.ConnectionString);
        await node.Cache.SetAsync(CacheNode.Customer("1"), new Customer("1", "kim"));
        await node.Cache.SetAsync<string>(CacheNode.Text("none"), null);
        await node.Cache.GetOrLoadAsync(CacheNode.Text("loaded"), _ => ValueTask.FromResult<string?>("x"));
        await node.Cache.InvalidateAsync(CacheNode.Customer("2"));

        await AssertSoundAsync(CacheNode.CatalogJson, "customer");
    }

    [Fact]
    public async Task Of_the_caches_of_ASP_NET()
    {
        await using var node = await WebNode.StartAsync(_redis.ConnectionString);
        await node.Distributed.SetAsync("a", [1, 2, 3], new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(5) });
        await node.Hybrid.SetAsync("b", "text");
        await node.Output.SetAsync("c", [6, 7], ["tag"], TimeSpan.FromMinutes(1), CancellationToken.None);
        await node.Output.EvictByTagAsync("other", CancellationToken.None);

        await AssertSoundAsync(WebNode.CatalogJson, family: null);
    }

    [Fact]
    public async Task Of_streams_whose_events_are_settled_tried_again_and_laid_aside()
    {
        await using var host = await Orders.StartAsync(_redis.ConnectionString, configure: options => options.MaxAttempts = 2);
        await using var taken = await Taken.ByAsync(
            host,
            (one, _) => one.Data!.UserId == "bad" ? throw new InvalidOperationException("not this one") : ValueTask.CompletedTask
        );
        await host.PlaceAsync("good");
        await host.PlaceAsync("bad");
        await _redis.SettledAsync();

        await AssertSoundAsync(Orders.CatalogJson, family: null);
    }

    private async Task AssertSoundAsync(string catalog, string? family)
    {
        var file = Path.Combine(_folder.FullName, "keyspace.json");
        await File.WriteAllTextAsync(file, catalog);

        var (code, output, error) = await ToolRun.OfAsync(
            "audit",
            "--exact",
            "--json",
            "--catalog",
            file,
            "--redis",
            _redis.ConnectionString
        );

        Assert.True(code == 0, output + error);
        var audit = JsonElement.Parse(output);
        Assert.Empty(audit.GetProperty("findings").EnumerateArray());
        Assert.Contains(
            audit.GetProperty("families").EnumerateArray(),
            one => family is null || one.GetProperty("name").GetString() == family
        );
    }
}
