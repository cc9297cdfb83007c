using System.Text;
using Onggi.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>On which threads callers go on, and that one who blocks there keeps nobody else waiting.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class CompletionTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const string Reader = "Onggi reader";

    [Fact]
    public async Task With_inline_completion_callers_go_on_on_the_thread_that_reads()
    {
        await using var redis = await ConnectAsync(inline: true);

        // On a busy machine the pool may come before the reader to some, or for a while to all: not for long.
        await Until.TrueAsync(
            async () =>
            {
                // Held back until all wait, so that none goes on on its own thread.
                fixture.Server.Pause();
                var asking = Enumerable.Range(0, 10).Select(_ => ThreadAfterAsync(redis)).ToArray();
                fixture.Server.Resume();
                return (await Task.WhenAll(asking).Within()).Contains(Reader);
            },
            "one goes on on the thread that reads"
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_caller_who_blocks_keeps_nobody_from_their_replies(bool inline)
    {
        await using var redis = await ConnectAsync(inline);
        using var end = new ManualResetEventSlim();
        var blocked = new List<Task>();
        try
        {
            for (var turn = 0; turn < 3; turn++)
            {
                blocked.Add(BlockAsync(redis, end, inline));

                for (var i = 0; i < 200; i++)
                    Assert.Equal(i, await redis.SendAsync(["ECHO", i], ReplyParsers.Int64).Within());
            }

            Assert.DoesNotContain(blocked, task => task.IsCompleted);
        }
        finally
        {
            end.Set();
        }

        await Task.WhenAll(blocked).Within();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Callers_who_were_answered_together_go_on_although_the_first_blocks(bool inline)
    {
        await using var redis = await ConnectAsync(inline);
        using var end = new ManualResetEventSlim();
        fixture.Server.Pause();
        var first = BlockAsync(redis, end, inline: false);
        var others = Enumerable.Range(0, 300).Select(i => AskAsync(redis, i)).ToArray();
        fixture.Server.Resume();

        try
        {
            Assert.Equal(Enumerable.Range(0, 300), await Task.WhenAll(others).Within());
            Assert.False(first.IsCompleted);
        }
        finally
        {
            end.Set();
        }

        await first.Within();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_caller_asks_before_it_blocks_is_sent(bool inline)
    {
        await using var redis = await ConnectAsync(inline);

        // All answered at once, so that they go on one after the other; each blocks on a further call.
        fixture.Server.Pause();
        var asking = Enumerable
            .Range(0, 4)
            .Select(async i =>
            {
                await redis.PingAsync().ConfigureAwait(false);
#pragma warning disable VSTHRD002, xUnit1031, MA0042, MA0045 // Blocking on a task is what is tested.
                return redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask().WaitAsync(Waiting.Bound).GetAwaiter().GetResult();
#pragma warning restore VSTHRD002, xUnit1031, MA0042, MA0045
            })
            .ToArray();
        fixture.Server.Resume();

        Assert.Equal(new long[] { 0, 1, 2, 3 }, await Task.WhenAll(asking).Within());
    }

    [Fact]
    public async Task A_value_goes_into_memory_of_the_pool_or_into_the_callers_buffer()
    {
        await using var redis = await ConnectAsync(inline: false);
        var large = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 50_000)));
        await redis.SetAsync("into", large);
        await redis.SetAsync("empty", "");

        using (var value = await redis.GetPooledAsync("into"))
            Assert.True(value is { IsNull: false } && value.Span.SequenceEqual(large));
        using (var value = await redis.GetPooledAsync("empty"))
            Assert.Equal((false, 0), (value.IsNull, value.Length));
        using (var value = await redis.GetPooledAsync("none"))
            Assert.Equal((true, 0), (value.IsNull, value.Length));

        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        Assert.Equal(large.Length, await redis.GetIntoAsync("into", buffer));
        Assert.True(buffer.WrittenSpan.SequenceEqual(large));
        Assert.Null(await redis.GetIntoAsync("none", buffer));
        Assert.Equal(large.Length, buffer.WrittenCount);
    }

    private static async Task<string?> ThreadAfterAsync(RedisClient redis)
    {
        await redis.PingAsync().ConfigureAwait(false);
        return Thread.CurrentThread.Name;
    }

    private static async Task<int> AskAsync(RedisClient redis, int i)
    {
        var got = await redis.SendAsync(["ECHO", i], ReplyParsers.Int64).ConfigureAwait(false);
        return (int)got;
    }

    // Goes on on the thread that lets callers go on, and stays there. Begun on the pool: whose answer is there before it waits goes on at once, and would stop the test itself.
    private static Task BlockAsync(RedisClient redis, ManualResetEventSlim end, bool inline) =>
        Task.Run(async () =>
        {
            do await redis.PingAsync().ConfigureAwait(false);
            while (inline && Thread.CurrentThread.Name != Reader);
            end.Wait();
        });

    private async Task<RedisClient> ConnectAsync(bool inline)
    {
        var options = RedisClientOptions.Parse(fixture.Server.ConnectionString);
        options.InlineCompletion = inline;
        options.CommandTimeout = TimeSpan.FromSeconds(15);
        return await RedisClient.ConnectAsync(options);
    }
}
