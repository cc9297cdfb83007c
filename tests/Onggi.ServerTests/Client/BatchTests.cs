using System.Globalization;
using Onggi.Client;
using Onggi.Client.Transport;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>Many commands at once: each has a result of its own, and any number fits.</summary>
public sealed class BatchTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private static readonly RedisScript Twice = new("twice", "return ARGV[1] + ARGV[1]");

    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task Each_command_has_its_own_value_and_one_that_fails_fails_alone()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        var batch = redis.CreateBatch();
        var set = batch.Add(["SET", "batch:a", "1"], ReplyParsers.Boolean);
        var wrong = batch.Add(["LPUSH", "batch:a", "x"], ReplyParsers.Int64);
        var unread = batch.Add(["GET", "batch:a"], static (ref reader) => reader.Count == 0 ? throw reader.Unexpected("more") : 0L);
        var get = batch.Add(["GET", "batch:a"], ReplyParsers.Text);
        Assert.Equal(BatchOutcome.NotSent, get.Outcome);
        Assert.Throws<InvalidOperationException>(() => get.Value);

        await batch.SendAsync().Within();

        Assert.True(set.Value);
        Assert.Equal("1", get.Value);
        Assert.Equal(("WRONGTYPE", BatchOutcome.Failed), (((RedisServerException)wrong.Error!).Code, wrong.Outcome));
        Assert.Throws<RedisServerException>(() => wrong.Value);
        Assert.IsType<RedisReplyException>(unread.Error);
    }

    [Fact]
    public async Task A_batch_goes_out_in_one_write()
    {
        var options = RedisClientOptions.Parse(Server.ConnectionString);
        var network = new CountingTransports(options.Transports);
        options.Transports = network;
        await using var redis = await RedisClient.ConnectAsync(options);
        var batch = redis.CreateBatch();
        var items = Enumerable.Range(0, 300).Select(i => batch.Add(["ECHO", i], ReplyParsers.Int64)).ToArray();
        var before = network.Sends;

        await batch.SendAsync().Within();

        Assert.Equal(1, network.Sends - before);
        Assert.Equal(Enumerable.Range(0, 300).Select(i => (long)i), items.Select(item => item.Value));
    }

    [Fact]
    public async Task Far_more_commands_than_may_be_in_flight_flow_through()
    {
        const int Commands = 100_000;
        await using var redis = await ConnectAsync(options =>
            (options.MaxInFlight, options.MaxBacklog, options.MaxBufferedBytes) = (256, 128, 1 << 16)
        );
        var batch = redis.CreateBatch();
        var items = Enumerable.Range(0, Commands).Select(i => batch.Add(["ECHO", i], ReplyParsers.Int64)).ToArray();
        var reported = new Reported();

        var sending = batch.SendAsync(reported);
        while (!sending.IsCompleted)
        {
            // There is room for others all the while.
            Assert.Equal("PONG", await redis.PingAsync().Within());
        }

        await sending.Within();
        Assert.All(items, (item, i) => Assert.Equal(i, item.Value));
        Assert.Equal(Commands, reported.Values[^1]);
        Assert.True(reported.Values.Count > Commands / 256);
        Assert.Equal(reported.Values.Order(), reported.Values);
    }

    [Fact]
    public async Task Large_values_flow_through_a_small_buffer()
    {
        await using var redis = await ConnectAsync(options => options.MaxBufferedBytes = 1 << 20);
        var value = new byte[200_000];
        var batch = redis.CreateBatch();
        var items = Enumerable.Range(0, 50).Select(i => batch.Add(["SET", $"batch:large:{i}", value], ReplyParsers.Boolean)).ToArray();

        await batch.SendAsync().Within();

        Assert.All(items, item => Assert.True(item.Value));
        Assert.Throws<RedisBusyException>(() => redis.CreateBatch().Add(["SET", "k", new byte[2 << 20]], ReplyParsers.Boolean));
    }

    [Fact]
    public async Task A_script_that_the_server_does_not_know_is_brought_along()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        await Server.CommandAsync("SCRIPT", "FLUSH");
        var batch = redis.CreateBatch();
        var items = Enumerable.Range(0, 10).Select(i => batch.Add(Twice, [], [i], ReplyParsers.Int64)).ToArray();

        await batch.SendAsync().Within();

        Assert.All(items, (item, i) => Assert.Equal(2 * i, item.Value));
    }

    [Fact]
    public async Task Cancelled_it_says_what_was_done()
    {
        await using var redis = await ConnectAsync(options => options.MaxInFlight = options.MaxBacklog = 64);
        using var cancel = new CancellationTokenSource();
        var batch = redis.CreateBatch();
        for (var i = 0; i < 20_000; i++)
            batch.Add(["INCR", "batch:cancelled"], ReplyParsers.Int64);

        var error = await batch
            .SendAsync(new Reported { Then = done => Cancel(done, cancel) }, cancel.Token)
            .FailsWith<OperationCanceledException>();

        var count = int.Parse((await Server.CommandAsync("GET", "batch:cancelled"))!, CultureInfo.InvariantCulture);
        var answered = batch.Items.Count(item => item.Outcome == BatchOutcome.Answered);
        var unknown = batch.Items.Count(item => item.Outcome == BatchOutcome.Unknown);
        Assert.Equal(cancel.Token, error.CancellationToken);
        Assert.Equal(Sent.Maybe, error.Data[nameof(Sent)]);
        Assert.Contains($"{answered} of its 20000 commands", error.Message, StringComparison.Ordinal);
        Assert.InRange(answered, 1000, 20_000 - 1);
        Assert.InRange(count, answered, answered + unknown);
        Assert.Equal(20_000, answered + unknown + batch.Items.Count(item => item.Outcome == BatchOutcome.NotSent));

        static void Cancel(int done, CancellationTokenSource cancel)
        {
            if (done >= 1000)
                cancel.Cancel();
        }
    }

    [Fact]
    public async Task Cancelled_before_it_began_nothing_is_sent()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        var batch = redis.CreateBatch();
        batch.Add(["SET", "batch:never", "1"], ReplyParsers.Boolean);

        var error = await batch.SendAsync(cancellationToken: new CancellationToken(true)).FailsWith<OperationCanceledException>();

        Assert.Equal(Sent.No, error.Data[nameof(Sent)]);
        Assert.Null(await Server.CommandAsync("GET", "batch:never"));
        await batch.SendAsync().FailsWith<InvalidOperationException>();
    }

    [Theory]
    [InlineData(true, Sent.Maybe)]
    [InlineData(false, Sent.No)]
    public async Task Redis_hangs_the_commands_behind_the_first_are_told_that_they_were_not_sent(bool connected, Sent first)
    {
        await using var server = await RedisServerProcess.StartAsync();
        var options = RedisClientOptions.Parse(server.ConnectionString);
        options.CommandTimeout = TimeSpan.FromMilliseconds(300);
        await using var redis = await RedisClient.ConnectAsync(options);
        if (connected)
            await redis.SendAsync(["PING"], ReplyParsers.Ignore, CommandOptions.Bulk).Within();
        server.Pause();
        var batch = redis.CreateBatch();
        for (var i = 0; i < 20_000; i++)
            batch.Add(["PING"], ReplyParsers.Ignore);

        // Not 300 ms for each of the portions.
        await batch.SendAsync().WaitAsync(TimeSpan.FromSeconds(5));
        server.Resume();

        Assert.All(batch.Items, item => Assert.IsType<RedisTimeoutException>(item.Error));
        Assert.Equal((first, Sent.No), (batch.Items[0].Error!.Sent, batch.Items[^1].Error!.Sent));
    }

    [Fact]
    public async Task A_cut_fails_what_was_under_way_and_the_rest_goes_over_the_next_connection()
    {
        await using var proxy = FaultProxy.Start(Server.Port);
        await using var redis = await RedisClient.ConnectAsync(proxy.ConnectionString);
        var batch = redis.CreateBatch();
        for (var i = 0; i < 50_000; i++)
            batch.Add(["INCR", "n"], ReplyParsers.Int64);
        await redis.SendAsync(["PING"], ReplyParsers.Ignore, CommandOptions.Bulk).Within();

        // While many are under way. What only reads would be asked again.
        proxy.CutAfter(ProxyDirection.ToClient, 100_001);
        await batch.SendAsync().Within();

        var failed = batch.Items.Where(item => item.Outcome == BatchOutcome.Failed).ToArray();
        Assert.InRange(failed.Length, 1, 4 * 512);
        Assert.All(failed, item => Assert.IsType<RedisConnectionException>(item.Error));
        Assert.Equal(BatchOutcome.Answered, batch.Items[^1].Outcome);
    }

    [Fact]
    public async Task What_would_hold_up_the_connection_is_not_taken()
    {
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);

        Assert.Throws<ArgumentException>(() => redis.CreateBatch().Add(["BLPOP", "q", 0], ReplyParsers.Ignore));
        Assert.Throws<ArgumentException>(() => redis.CreateTransaction().Add(["MULTI"], ReplyParsers.Ignore));
        Assert.Throws<ArgumentException>(() => redis.CreateBatch().Add([], ReplyParsers.Ignore));
    }

    private async Task<RedisClient> ConnectAsync(Action<RedisClientOptions> configure)
    {
        var options = RedisClientOptions.Parse(Server.ConnectionString);
        configure(options);
        return await RedisClient.ConnectAsync(options);
    }

    private sealed class Reported : IProgress<int>
    {
        public List<int> Values { get; } = [];

        public Action<int>? Then { get; init; }

        public void Report(int value)
        {
            Values.Add(value);
            Then?.Invoke(value);
        }
    }
}
