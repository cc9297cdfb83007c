using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Too much at once: refused, or waited for. Large values: not in the way of small ones.</summary>
public sealed class RoomAndLaneTests : IAsyncLifetime
{
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task With_no_room_the_next_command_is_refused_and_was_not_sent()
    {
        await using var redis = await ConnectAsync(WhenFull.Reject);
        Server.Pause();
        var under = Enumerable.Range(0, 8).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask()).ToArray();

        var error = await redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).FailsWith<long, RedisBusyException>();

        Assert.Equal((Sent.No, true), (error.Sent, error.IsTransient));
        Server.Resume();
        Assert.Equal(Enumerable.Range(0, 8).Select(i => (long)i), await Task.WhenAll(under).Within());
    }

    [Fact]
    public async Task Who_would_rather_wait_gets_room_in_the_order_of_asking()
    {
        await using var redis = await ConnectAsync(WhenFull.Wait);
        Server.Pause();
        var asked = Enumerable.Range(0, 500).Select(_ => redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).AsTask()).ToArray();
        Server.Resume();

        Assert.Equal(Enumerable.Range(1, 500).Select(i => (long)i), await Task.WhenAll(asked).Within());
    }

    [Fact]
    public async Task Who_waits_for_room_in_vain_was_not_sent()
    {
        await using var redis = await ConnectAsync(WhenFull.Wait, timeout: 300);
        Server.Pause();
        var asked = Enumerable.Range(0, 20).Select(_ => redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).AsTask()).ToArray();
        var errors = new List<RedisTimeoutException>();
        foreach (var one in asked)
            errors.Add(await one.FailsWith<RedisTimeoutException>());

        Assert.Equal(8, errors.Count(error => error.Sent == Sent.Maybe));
        Assert.Equal(12, errors.Count(error => error.Sent == Sent.No));

        // What was said not to be sent was not: the eight were executed, and this one.
        Server.Resume();
        Assert.Equal(9, await redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).Within());
    }

    [Fact]
    public async Task Large_values_go_over_a_connection_of_their_own()
    {
        await using var redis = await ConnectAsync(WhenFull.Reject);
        var commands = await redis.SendAsync(["CLIENT", "ID"], ReplyParsers.Int64);

        var bulk = await redis.SendAsync(["CLIENT", "ID"], ReplyParsers.Int64, CommandOptions.Bulk);

        Assert.NotEqual(commands, bulk);
        Assert.Equal(bulk, await redis.SendAsync(["CLIENT", "ID"], ReplyParsers.Int64, CommandOptions.Bulk));
        Assert.Equal(commands, await redis.SendAsync(["CLIENT", "ID"], ReplyParsers.Int64));

        // By its size alone, too: the connection for commands has seen nothing of it.
        await redis.SetAsync("large", new byte[4 << 20]);
        var line = (await Server.CommandAsync("CLIENT", "LIST", "ID", $"{bulk}"))!;
        Assert.Contains("cmd=set", line, StringComparison.Ordinal);
    }

    private async Task<RedisClient> ConnectAsync(WhenFull whenFull, int timeout = 15_000)
    {
        var options = RedisClientOptions.Parse(Server.ConnectionString);
        options.MaxInFlight = 8;
        options.MaxBacklog = 8;
        options.WhenFull = whenFull;
        options.CommandTimeout = TimeSpan.FromMilliseconds(timeout);
        return await RedisClient.ConnectAsync(options);
    }
}
