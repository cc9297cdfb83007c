using System.Collections.Concurrent;
using System.Diagnostics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.Tests.Client;

/// <summary>What is asked again, how long, and what the caller hears when that does not help.</summary>
public sealed class RetryRuleTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("LOADING Redis is loading the dataset in memory")]
    [InlineData("TRYAGAIN Multiple keys request during rehashing of slot")]
    [InlineData("CLUSTERDOWN The cluster is down")]
    [InlineData("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")]
    public async Task What_the_server_cannot_take_now_is_asked_again_until_it_can(string refusal)
    {
        var left = 3;
        await using var server = Serve(_ => Interlocked.Decrement(ref left) >= 0 ? $"-{refusal}\r\n" : ":7\r\n");
        await using var redis = Client(server, timeout: Bound);

        Assert.Equal(7, await Within(redis.SendAsync(["INCR", "n"], ReplyParsers.Int64)));
        Assert.Equal(-1, left);
        Assert.Equal(1, server.Connections);
    }

    [Theory]
    [InlineData("LOADING Redis is loading the dataset in memory")]
    [InlineData("TRYAGAIN Multiple keys request during rehashing of slot")]
    [InlineData("CLUSTERDOWN The cluster is down")]
    [InlineData("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")]
    public async Task When_the_callers_time_is_over_the_servers_own_words_are_the_error(string refusal)
    {
        var asked = 0;
        await using var server = Serve(_ =>
        {
            Interlocked.Increment(ref asked);
            return $"-{refusal}\r\n";
        });
        await using var redis = Client(server, timeout: TimeSpan.FromMilliseconds(400));
        await redis.ConnectAsync();
        var watch = new Stopwatch();

        var error = await RefusedAsync(() =>
        {
            Volatile.Write(ref asked, 0);
            watch.Restart();
            return redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).AsTask();
        });

        Assert.Equal(refusal, error.Message);
        Assert.Equal((Sent.No, true), (error.Sent, error.IsTransient));
        Assert.True(watch.Elapsed >= TimeSpan.FromMilliseconds(350), $"{watch.Elapsed}: it gave up early.");
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}: it went on after the caller's time.");
        Assert.InRange(asked, 3, 100);
    }

    [Theory]
    [InlineData("READONLY You can't write against a read only replica.")]
    [InlineData("MOVED 5 127.0.0.1:1")]
    [InlineData("BUSY Redis is busy running a script.")]
    [InlineData("OOM command not allowed when used memory > 'maxmemory'.")]
    [InlineData("NOREPLICAS Not enough good replicas to write.")]
    [InlineData("ERR value is not an integer or out of range")]
    public async Task What_one_server_says_for_good_is_asked_once(string refusal)
    {
        var asked = 0;
        await using var server = Serve(_ =>
        {
            Interlocked.Increment(ref asked);
            return $"-{refusal}\r\n";
        });
        await using var redis = Client(server, timeout: Bound);

        var error = await FailsAsync<RedisServerException>(redis.SendAsync(["INCR", "n"], ReplyParsers.Int64));

        Assert.Equal(refusal, error.Message);
        Assert.Equal(1, asked);
    }

    [Fact]
    public async Task A_script_that_the_server_does_not_know_is_brought_along_once()
    {
        var script = new RedisScript("answer", "return 42");
        var heads = new ConcurrentQueue<string>();
        await using var server = Serve(command =>
        {
            heads.Enqueue($"{command[0]} {command[1]} {string.Join(' ', command[2..])}");
            return command[0] == "EVALSHA" ? "-NOSCRIPT No matching script.\r\n" : ":42\r\n";
        });
        await using var redis = Client(server, timeout: Bound);

        Assert.Equal(42, await Within(redis.EvalAsync(script, ["k"], ["a", "b"], ReplyParsers.Int64)));
        Assert.Equal([$"EVALSHA {script.Digest} 1 k a b", "EVAL return 42 1 k a b"], heads);
    }

    [Fact]
    public async Task A_server_that_knows_no_script_at_all_is_believed_the_second_time()
    {
        var asked = 0;
        await using var server = Serve(_ =>
        {
            Interlocked.Increment(ref asked);
            return "-NOSCRIPT No matching script.\r\n";
        });
        await using var redis = Client(server, timeout: Bound);

        var error = await FailsAsync<RedisServerException>(redis.EvalAsync(new RedisScript("s", "return 1"), [], [], ReplyParsers.Int64));

        Assert.Equal("NOSCRIPT", error.Code);
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task What_was_under_way_when_the_connection_was_lost_is_not_asked_again()
    {
        var asked = 0;
        await using var server = CutOnce(
            "INCR",
            _ =>
            {
                Interlocked.Increment(ref asked);
                return ":1\r\n";
            }
        );
        await using var redis = Client(server, timeout: Bound);

        var error = await FailsAsync<RedisConnectionException>(redis.SendAsync(["INCR", "n"], ReplyParsers.Int64));

        Assert.Equal((Sent.Maybe, true), (error.Sent, error.IsTransient));
        Assert.Equal(1, await Within(redis.SendAsync(["INCR", "n"], ReplyParsers.Int64)));
        Assert.Equal(1, asked);
    }

    [Fact]
    public async Task What_may_be_done_twice_is_asked_again_when_the_connection_was_lost()
    {
        await using var server = CutOnce("SET", _ => "+OK\r\n");
        await using var redis = Client(server, timeout: Bound);

        Assert.True(await Within(redis.SendAsync(["SET", "k", "v"], ReplyParsers.Boolean, CommandOptions.Idempotent)));
        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task What_was_under_way_once_can_have_been_executed_whatever_happens_to_it_later()
    {
        // The first connection is cut with the command on it; there is no second one before its time is over.
        await using var server = FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ReadCommandAsync();
                connection.Cut();
            },
            connection => connection.UntilClosedAsync()
        );
        await using var redis = Client(server, timeout: TimeSpan.FromMilliseconds(400));
        await redis.ConnectAsync();

        var error = await FailsAsync<RedisTimeoutException>(
            redis.SendAsync(["SET", "k", "v"], ReplyParsers.Boolean, CommandOptions.Idempotent)
        );

        Assert.Equal(Sent.Maybe, error.Sent);
    }

    [Fact]
    public async Task What_was_never_sent_outlives_any_number_of_failed_connections()
    {
        var attempts = 0;
        await using var server = FakeRedis.Start(async connection =>
        {
            if (Interlocked.Increment(ref attempts) <= 5)
            {
                connection.Cut();
                return;
            }

            await connection.HelloAsync();
            await connection.ServeAsync(_ => ":1\r\n");
        });
        await using var redis = Client(server, timeout: Bound);

        Assert.Equal(1, await Within(redis.SendAsync(["INCR", "n"], ReplyParsers.Int64)));
        Assert.True(attempts > 5);
    }

    [Fact]
    public async Task Who_gives_up_while_it_waits_to_be_asked_again_hears_that_it_was_not_executed()
    {
        using var cancelling = new CancellationTokenSource();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var count = 0;
        await using var server = Serve(_ =>
        {
            // By then the pauses are longer than a round trip takes.
            if (Interlocked.Increment(ref count) == 5)
                asked.TrySetResult();
            return "-LOADING wait\r\n";
        });
        await using var redis = Client(server, timeout: Bound);
        var call = redis.SendAsync(["INCR", "n"], ReplyParsers.Int64, cancelling.Token).AsTask();
        await asked.Task.WaitAsync(Bound);

        await cancelling.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(Bound));
        Assert.Equal(cancelling.Token, error.CancellationToken);
    }

    [Fact]
    public async Task A_client_that_ends_ends_what_waits_to_be_asked_again()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = Serve(_ =>
        {
            asked.TrySetResult();
            return "-LOADING wait\r\n";
        });
        var redis = Client(server, timeout: TimeSpan.FromMinutes(5));
        var call = redis.SendAsync(["INCR", "n"], ReplyParsers.Int64).AsTask();
        await asked.Task.WaitAsync(Bound);

        await redis.DisposeAsync();

        await Assert.ThrowsAnyAsync<RedisException>(() => call.WaitAsync(Bound));
    }

    [Fact]
    public async Task A_caller_who_blocks_is_asked_for_again_too()
    {
        var left = 3;
        await using var server = Serve(_ => Interlocked.Decrement(ref left) >= 0 ? "-LOADING wait\r\n" : ":7\r\n");
        await using var redis = Client(server, timeout: Bound);

        Assert.Equal(7, await Task.Run(() => redis.Send(["INCR", "n"], ReplyParsers.Int64)).WaitAsync(Bound));
    }

    [Fact]
    public async Task A_caller_who_blocks_hears_the_servers_own_words_when_its_time_is_over()
    {
        await using var server = Serve(command => command[0] == "PING" ? "+PONG\r\n" : "-LOADING wait\r\n");
        await using var redis = Client(server, timeout: TimeSpan.FromMilliseconds(500));

        // The connection of callers who block is made when one comes; on a busy machine that can take a while.
        await UntilAsync(() => Answers(redis), "the connection stands");

        var error = await RefusedAsync(() => Task.Run(() => redis.Send(["INCR", "n"], ReplyParsers.Int64)));

        Assert.Equal("LOADING wait", error.Message);
    }

    // Time can be over just when the command is on its way once more, on a busy machine more often: then nobody knows, and it is tried anew.
    private static async Task<RedisServerException> RefusedAsync(Func<Task<long>> call)
    {
        for (var attempt = 1; ; attempt++)
        {
            var error = await Assert.ThrowsAnyAsync<RedisException>(() => call().WaitAsync(Bound));
            if (error is not RedisTimeoutException { Sent: Sent.Maybe } || attempt == 10)
                return Assert.IsType<RedisServerException>(error);
        }
    }

    private static bool Answers(RedisClient redis)
    {
        try
        {
            return redis.Send(["PING"], ReplyParsers.Text) == "PONG";
        }
        catch (RedisTimeoutException)
        {
            return false;
        }
    }

    private static Task UntilAsync(Func<bool> condition, string what) =>
        Task.Run(() =>
        {
            var watch = Stopwatch.StartNew();
            while (!condition())
                Assert.True(watch.Elapsed < Bound, $"For {Bound.TotalSeconds} s it was not so that {what}.");
        });

    private static FakeRedis Serve(Func<string[], string?> answer) =>
        FakeRedis.Start(async connection =>
        {
            await connection.HelloAsync();
            await connection.ServeAsync(answer);
        });

    // The first connection is cut when this command has been read from it.
    private static FakeRedis CutOnce(string name, Func<string[], string?> answer) =>
        FakeRedis.Start(
            async connection =>
            {
                await connection.HelloAsync();
                while ((await connection.ReadCommandAsync())[0] != name) { }
                connection.Cut();
            },
            async connection =>
            {
                await connection.HelloAsync();
                await connection.ServeAsync(answer);
            }
        );

    private static RedisClient Client(FakeRedis server, TimeSpan timeout) =>
        new(new RedisClientOptions { Port = server.Port, CommandTimeout = timeout });

    private static Task<T> Within<T>(ValueTask<T> call) => call.AsTask().WaitAsync(Bound);

    private static Task<TError> FailsAsync<TError>(ValueTask<long> call)
        where TError : Exception => Assert.ThrowsAsync<TError>(() => call.AsTask().WaitAsync(Bound));

    private static Task<TError> FailsAsync<TError>(ValueTask<bool> call)
        where TError : Exception => Assert.ThrowsAsync<TError>(() => call.AsTask().WaitAsync(Bound));

    [Fact]
    public async Task A_client_that_ends_while_a_blocking_callers_connection_is_just_made_does_end()
    {
        for (var i = 0; i < 20; i++)
        {
            await using var server = FakeRedis.Start(async connection =>
            {
                await connection.HelloAsync();
                await connection.UntilClosedAsync();
            });
            var redis = Client(server, timeout: TimeSpan.FromMilliseconds(1 + i));
            await Task.Run(() => Assert.ThrowsAny<RedisException>(() => redis.Send(["PING"], ReplyParsers.Text)));

            await redis.DisposeAsync().AsTask().WaitAsync(Bound);
        }
    }
}
