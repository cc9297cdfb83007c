using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client.Sentinel;

/// <summary>Servers that copy each other, without anybody who watches them.</summary>
public sealed class ReplicatedServersTests : IAsyncLifetime
{
    private SentinelProcesses? _all;

    private IReadOnlyList<RedisServerProcess> Servers => _all!.Servers;

    public async Task InitializeAsync() => _all = await SentinelProcesses.StartAsync(sentinels: 0);

    public async Task DisposeAsync() => await _all!.DisposeAsync();

    [Fact]
    public async Task The_primary_is_found_wherever_it_stands_in_the_list()
    {
        await using var redis = await ConnectAsync();

        Assert.True(await redis.SetAsync("k", "v").Within());
        Assert.Equal("v", await Servers[0].CommandAsync("GET", "k"));
    }

    [Fact]
    public async Task When_roles_change_by_hand_the_client_follows_and_nobody_sees_an_error()
    {
        await using var redis = await ConnectAsync();
        await using var ledger = new Ledger(redis, 16);
        await ledger.NextAsync(entry => entry.Reply == 1);

        // First the old one stops taking writes, so that none is lost; its clients stay connected and hear READONLY.
        var (old, other) = (Servers[0], Servers[1]);
        await old.CommandAsync("REPLICAOF", "127.0.0.1", $"{other.Port}");
        await other.CommandAsync("REPLICAOF", "NO", "ONE");
        await redis.SetAsync("after", "1").Within();
        var entries = await ledger.EndAsync();

        Assert.All(entries, entry => Assert.True(entry.Error is null or RedisConnectionException { Sent: Sent.Maybe }, $"{entry.Error}"));
        Assert.All(entries, entry => Assert.True(entry.Reply is null or 1, $"{entry}"));
        Assert.Equal("1", await other.CommandAsync("GET", "after"));
    }

    [Fact]
    public async Task A_dead_primary_is_left_when_somebody_promotes_another()
    {
        await using var redis = await ConnectAsync();
        await redis.SetAsync("k", "v").Within();
        var lost = redis.Change(connected: false);
        await Servers[0].KillAsync();
        await lost;
        var waiting = redis.SetAsync("k", "again").AsTask();

        await Servers[2].CommandAsync("REPLICAOF", "NO", "ONE");

        Assert.True(await waiting.Within());
        Assert.Equal("again", await Servers[2].CommandAsync("GET", "k"));
    }

    [Fact]
    public async Task A_primary_that_hangs_is_left_when_somebody_promotes_another()
    {
        await using var redis = await ConnectAsync(options => options.DeadAfter = TimeSpan.FromMinutes(1));
        await redis.SetAsync("k", "v").Within();
        Servers[0].Pause();
        await Servers[1].CommandAsync("REPLICAOF", "NO", "ONE");

        Assert.True(await redis.SendAsync(["SET", "k", "again"], ReplyParsers.Boolean, CommandOptions.Idempotent).Within());
        Assert.Equal("again", await Servers[1].CommandAsync("GET", "k"));
    }

    [Fact]
    public async Task Where_none_is_a_primary_the_message_says_what_each_is()
    {
        await Servers[0].CommandAsync("REPLICAOF", "127.0.0.1", "1");
        var options = Options();
        options.ConnectTimeout = TimeSpan.FromSeconds(1);

        var error = await RedisClient.ConnectAsync(options).FailsWith<RedisClient, RedisConnectionException>();

        Assert.True(error.IsTransient);
        Assert.Contains($"127.0.0.1:{Servers[0].Port}: a replica of 127.0.0.1:1", error.Message, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{Servers[1].Port}: a replica of 127.0.0.1:{Servers[0].Port}", error.Message, StringComparison.Ordinal);
    }

    // The primary stands last.
    private RedisClientOptions Options() =>
        new()
        {
            Servers = [.. Servers.Reverse().Select(server => new RedisAddress("127.0.0.1", server.Port))],
            CommandTimeout = Waiting.Bound,
        };

    private async Task<RedisClient> ConnectAsync(Action<RedisClientOptions>? change = null)
    {
        var options = Options();
        change?.Invoke(options);
        return await RedisClient.ConnectAsync(options);
    }
}
