using System.Diagnostics;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Servers that mean harm, or are broken: each costs its callers a bounded time and a typed error, and nobody else anything.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class HostileServerTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const int OnlyHeader = 512 << 20;

    [Fact]
    public async Task It_accepts_and_says_nothing()
    {
        await using var fake = FakeRedis.Start(connection => connection.UntilClosedAsync());

        var error = await FailsAsync<RedisConnectionException>(fake, connects: true);

        Assert.Equal((Sent.No, true), (error.Sent, error.IsTransient));
        Assert.Contains("within 700 ms", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_closes_in_the_greeting()
    {
        await using var fake = FakeRedis.Start(connection => connection.ReadCommandAsync());

        var error = await FailsAsync<RedisConnectionException>(fake, connects: true);

        Assert.Equal((Sent.No, true), (error.Sent, error.IsTransient));
        Assert.True(fake.Connections < 100, $"It was hammered: {fake.Connections} connections.");
    }

    [Fact]
    public async Task It_greets_with_a_line_that_never_ends()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.ReadCommandAsync();
            await ForeverAsync(connection, "+" + new string('a', 8192));
        });

        var error = await FailsAsync<RedisConnectionException>(fake, connects: true);

        Assert.Contains("is not Redis", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_greets_with_pushes_that_never_end()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.ReadCommandAsync();
            await ForeverAsync(connection, string.Concat(Enumerable.Repeat(">2\r\n+noise\r\n+more\r\n", 100)));
        });

        var error = await FailsAsync<RedisConnectionException>(fake, connects: true);

        Assert.Contains("within 700 ms", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_stops_reading()
    {
        var end = new TaskCompletionSource();
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await end.Task;
        });
        var value = new byte[1 << 20];

        await AttackAsync(
            fake,
            async redis =>
            {
                // The system's buffers fill, then ours, then callers are refused; those who wait are told that nobody knows.
                List<Task> sets = [];
                RedisBusyException? busy = null;
                for (var i = 0; i < 100 && busy is null; i++)
                    try
                    {
                        var set = redis.SetAsync("k", value).AsTask();
                        if (set.IsFaulted)
                            await set;
                        sets.Add(set);
                    }
                    catch (RedisBusyException error)
                    {
                        busy = error;
                    }

                Assert.NotNull(busy);
                Assert.Equal(Sent.Maybe, (await sets[0].FailsWith<RedisTimeoutException>()).Sent);
                await Task.WhenAll(sets.Select(set => set.ContinueWith(static _ => { }, TaskScheduler.Default))).Within();
            }
        );
        end.SetResult();
    }

    [Fact]
    public async Task It_closes_its_half()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ReadCommandAsync();
            connection.HalfClose();
            await connection.UntilClosedAsync();
        });

        var error = await FailsAsync<RedisConnectionException>(fake);

        Assert.Equal((Sent.Maybe, true), (error.Sent, error.IsTransient));
    }

    [Theory]
    [InlineData("\u0001\u0002\u0003 what is this\r\n")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    [InlineData("$-7\r\n")]
    [InlineData("$536870913\r\n")]
    [InlineData("*99999999999\r\n")]
    public async Task It_sends_garbage(string garbage)
    {
        await using var fake = FakeRedis.Start(connection => AnswerAsync(connection, garbage));

        var error = await FailsAsync<RedisConnectionException>(fake);

        Assert.Equal(Sent.Maybe, error.Sent);
        Assert.IsType<RespProtocolException>(error.InnerException);
    }

    [Fact]
    public async Task It_sends_a_reply_that_nobody_asked_for()
    {
        using var log = new LogLines();
        await using var fake = FakeRedis.Start(connection => AnswerAsync(connection, "$1\r\nv\r\n$5\r\nalien\r\n"), HonestAsync);

        await AttackAsync(
            fake,
            async redis =>
            {
                var lost = redis.Change(connected: false);
                Assert.Equal("v", await redis.GetStringAsync("k").Within());
                await lost;
                Assert.Equal("w", await redis.GetStringAsync("k").Within());
            },
            log
        );

        Assert.Contains(log.All, line => line.Id == 1001 && line.Text.Contains("nobody asked for", StringComparison.Ordinal));
    }

    [Fact]
    public async Task It_sends_half_a_reply_and_stops()
    {
        await using var fake = FakeRedis.Start(connection => AnswerAsync(connection, "$10\r\nabc"), HonestAsync);

        await AttackAsync(
            fake,
            async redis =>
            {
                Assert.Equal(Sent.Maybe, (await redis.GetStringAsync("k").FailsWith<string?, RedisTimeoutException>()).Sent);

                // After DeadAfter the connection is given up, and the next one is honest.
                await redis.Change(connected: true);
                Assert.Equal("w", await redis.GetStringAsync("k").Within());
            }
        );
    }

    [Fact]
    public async Task It_announces_half_a_gigabyte_and_sends_nothing()
    {
        await using var fake = FakeRedis.Start(connection => AnswerAsync(connection, $"${OnlyHeader}\r\n"));
        var before = GC.GetTotalMemory(forceFullCollection: true);

        await FailsAsync<RedisTimeoutException>(fake);

        var more = GC.GetTotalMemory(forceFullCollection: false) - before;
        Assert.True(more < OnlyHeader / 2, $"{more} bytes were set aside for what never came.");
    }

    [Fact]
    public async Task It_nests_arrays_without_end()
    {
        await using var fake = FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ReadCommandAsync();
            await ForeverAsync(connection, string.Concat(Enumerable.Repeat("*1\r\n", 50)));
        });

        var error = await FailsAsync<RedisConnectionException>(fake);

        Assert.IsType<RespProtocolException>(error.InnerException);
        Assert.Contains("128", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_is_hostile_again_and_again_and_nothing_is_left_of_it()
    {
        await using var fake = FakeRedis.Start(connection =>
            AnswerAsync(connection, "$1000000\r\n" + new string('x', 500_000) + "\u0001", cut: true)
        );
        var before = GC.GetTotalMemory(forceFullCollection: true);

        await AttackAsync(
            fake,
            async redis =>
            {
                for (var i = 0; i < 50; i++)
                    await redis.SendAsync(["GET", "k"], ReplyParsers.Text, CommandOptions.NoRetry).FailsWith<string?, RedisException>();
            },
            pause: TimeSpan.FromMilliseconds(5)
        );

        // Other tests run beside this one: 50 replies of half a megabyte would still be seen.
        var left = long.MaxValue;
        var watch = Stopwatch.StartNew();
        while (left > 20 << 20 && watch.Elapsed < Waiting.Bound)
        {
            left = GC.GetTotalMemory(forceFullCollection: true) - before;
            await Task.Yield();
        }

        Assert.True(left <= 20 << 20, $"{left} bytes are left.");
    }

    // Greets, reads one command, answers with these bytes, and then nothing until the client goes.
    private static async Task AnswerAsync(FakeConnection connection, string bytes, bool cut = false)
    {
        await connection.HelloAsync();
        await connection.ReadCommandAsync();
        await connection.SendAsync(bytes);
        if (!cut)
            await connection.UntilClosedAsync();
    }

    // Ends with the connection: sending fails then.
    private static async Task ForeverAsync(FakeConnection connection, string bytes)
    {
        while (true)
            await connection.SendAsync(bytes);
    }

    // One call on a client of the hostile server, which must fail so.
    private async Task<TError> FailsAsync<TError>(FakeRedis fake, bool connects = false)
        where TError : RedisException
    {
        TError? error = null;
        await AttackAsync(
            fake,
            async redis =>
                error = connects ? await redis.ConnectAsync().FailsWith<TError>() : await redis.SetAsync("k", "v").FailsWith<bool, TError>()
        );
        return error!;
    }

    // What is done meets a bounded time, and a client of a good server in the same process notices nothing.
    private async Task AttackAsync(FakeRedis fake, Func<RedisClient, Task> attack, LogLines? log = null, TimeSpan? pause = null)
    {
        await using var good = await RedisClient.ConnectAsync(fixture.Server.ConnectionString).Within();
        using var over = new CancellationTokenSource();
        var neighbour = PingAsync(good, over.Token);
        var hostile = new RedisClient(
            new RedisClientOptions
            {
                Port = fake.Port,
                ConnectTimeout = TimeSpan.FromMilliseconds(700),
                CommandTimeout = TimeSpan.FromMilliseconds(700),
                DeadAfter = TimeSpan.FromMilliseconds(1500),
                MaxBufferedBytes = 16 << 20,
                MaxReconnectPause = pause ?? TimeSpan.FromSeconds(2),
            },
            log
        );

        await attack(hostile).Within();
        await hostile.DisposeAsync().Within();
        await over.CancelAsync();

        Assert.True(await neighbour.Within() > 0);
        Assert.True(good.IsConnected);
    }

    private static async Task<int> PingAsync(RedisClient redis, CancellationToken over)
    {
        var count = 0;
        do
        {
            Assert.Equal("PONG", await redis.PingAsync(CancellationToken.None));
            count++;
        } while (!over.IsCancellationRequested);

        return count;
    }

    // Whoever comes after the hostile one.
    private static async Task HonestAsync(FakeConnection connection)
    {
        await connection.HelloAsync();
        await connection.ServeAsync(static _ => "$1\r\nw\r\n");
    }
}
