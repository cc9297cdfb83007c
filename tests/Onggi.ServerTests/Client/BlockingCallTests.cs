using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Calls that block: they read their replies themselves, on threads that nobody else provides.</summary>
public sealed class BlockingCallTests : IAsyncLifetime
{
    private static readonly RedisScript Script = new("echo", $"return ARGV[1] -- {Guid.NewGuid():N}");
    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Fact]
    public async Task Many_blocking_callers_each_get_their_own_reply()
    {
        await using var redis = await ConnectAsync(2000);

        var wrong = await OnThreadsAsync(
            16,
            caller =>
            {
                var wrong = 0;
                for (var i = 0; i < 1000; i++)
                {
                    var mark = (caller * 10_000L) + i;
                    var got =
                        i % 3 == 0 ? redis.Eval(Script, [], [mark], ReplyParsers.Int64) : redis.Send(["ECHO", mark], ReplyParsers.Int64);
                    wrong += got == mark ? 0 : 1;
                }

                return wrong;
            }
        );

        Assert.Equal(new int[16], wrong);
    }

    [Fact]
    public async Task A_hanging_server_is_a_time_out_and_the_late_reply_goes_to_nobody()
    {
        await using var redis = await ConnectAsync(300);
        redis.Send(["PING"], ReplyParsers.Ignore);
        Server.Pause();
        var watch = Stopwatch.StartNew();

        var error = Assert.Throws<RedisTimeoutException>(() => redis.Send(["ECHO", "late"], ReplyParsers.Text));

        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.InRange(watch.ElapsedMilliseconds, 250, 5000);
        Server.Resume();
        for (var i = 0; i < 50; i++)
            Assert.Equal(i, redis.Send(["ECHO", i], ReplyParsers.Int64));
    }

    [Fact]
    public async Task A_killed_server_is_an_error_at_once_and_the_next_one_is_found()
    {
        await using var redis = await ConnectAsync(10_000);
        redis.Send(["PING"], ReplyParsers.Ignore);
        Server.Pause();
        var asking = OnThreadsAsync(
            4,
            _ =>
            {
                try
                {
                    // What only reads would be asked again.
                    redis.Send(["SET", "k", "v"], ReplyParsers.Ignore);
                    return null;
                }
                catch (RedisException error)
                {
                    return error;
                }
            }
        );
        await WaitUntilAsync(() => redis.InFlight == 4);
        await Server.KillAsync();

        foreach (var error in await asking)
            Assert.Equal(Sent.Maybe, Assert.IsType<RedisConnectionException>(error).Sent);

        await Server.RestartAsync();
        Assert.Equal("again", redis.Send(["ECHO", "again"], ReplyParsers.Text));
    }

    [Fact]
    public async Task An_error_reply_is_thrown()
    {
        await using var redis = await ConnectAsync(2000);

        var error = Assert.Throws<RedisServerException>(() => redis.Send(["HGET", "too", "few", "many"], ReplyParsers.Text));

        Assert.Equal("ERR", error.Code);
    }

    private static async Task<T[]> OnThreadsAsync<T>(int threads, Func<int, T> work) =>
        await Task.WhenAll(
                Enumerable
                    .Range(0, threads)
                    .Select(i =>
                        Task.Factory.StartNew(() => work(i), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
                    )
            )
            .Within();

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Waiting.Bound, "It did not come to it.");
            await Task.Yield();
        }
    }

    private async Task<RedisClient> ConnectAsync(int timeout)
    {
        var options = RedisClientOptions.Parse(Server.ConnectionString);
        options.CommandTimeout = TimeSpan.FromMilliseconds(timeout);
        return await RedisClient.ConnectAsync(options);
    }
}
