using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Onggi.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Client;

/// <summary>What an operator sees of the client: spans and counters.</summary>
public sealed class ObservabilityTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private const string Secret = "a-key-that-nobody-should-see";

    [Fact]
    public async Task A_command_is_a_span_under_its_caller_and_tells_nothing_of_keys_and_values()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen(spans);
        using var source = new ActivitySource("test");
        await using var redis = await RedisClient.ConnectAsync(fixture.Server.ConnectionString);

        using var caller = source.StartActivity("caller")!;
        await redis.SetAsync(Secret, Secret);
        Assert.Same(caller, Activity.Current);
        await redis.SendAsync(["HGET", Secret, "f"], ReplyParsers.Text).FailsWith<string?, RedisServerException>();
        await redis.EvalAsync(new RedisScript("my-script", "return 1"), [], [], ReplyParsers.Int64);
        redis.Send(["PING"], ReplyParsers.Ignore);
        Assert.Same(caller, Activity.Current);

        var mine = spans.Where(span => span.TraceId == caller.TraceId && span.Source.Name == "Onggi.Client").ToArray();
        Assert.Equal(["SET", "HGET", "EVALSHA", "PING"], mine.Select(span => span.OperationName));
        Assert.All(mine, span => Assert.Equal((caller.SpanId, ActivityKind.Client), (span.ParentSpanId, span.Kind)));
        Assert.All(mine, span => Assert.Equal("redis", span.GetTagItem("db.system.name")));
        Assert.All(mine, span => Assert.Equal(fixture.Server.Port, span.GetTagItem("server.port")));
        Assert.Equal((ActivityStatusCode.Error, "WRONGTYPE"), (mine[1].Status, mine[1].GetTagItem("db.response.status_code")));
        Assert.Equal("my-script", mine[2].GetTagItem("db.stored_procedure.name"));
        Assert.DoesNotContain(mine.SelectMany(span => span.TagObjects), tag => $"{tag.Value}".Contains(Secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Counters_tell_how_commands_and_replies_went_together()
    {
        using var meters = new MeterFactory();
        await using var redis = new RedisClient(RedisClientOptions.Parse(fixture.Server.ConnectionString), meters: meters);
        await redis.ConnectAsync();

        await Task.WhenAll(Enumerable.Range(0, 500).Select(i => redis.SendAsync(["ECHO", i], ReplyParsers.Int64).AsTask())).Within();
        await redis.SendAsync(["PING"], ReplyParsers.Ignore, CommandOptions.Bulk);

        var seen = meters.Read();
        Assert.True(seen["onggi.client.replies"] >= 501, $"{seen["onggi.client.replies"]} replies.");
        Assert.InRange(seen["onggi.client.reads"], 2, seen["onggi.client.replies"]);
        Assert.InRange(seen["onggi.client.sends"], 2, 502);
        Assert.True(seen["onggi.client.flushes"] >= 2);
        Assert.True(seen["onggi.client.bytes.sent"] > 500 * 20);
        Assert.True(seen["onggi.client.bytes.received"] > 500 * 7);
        Assert.Equal(2, seen["onggi.client.connections"]);
        Assert.Equal(0, seen["onggi.client.in_flight"]);
        Assert.Equal(1, seen["onggi.client.connected"]);
    }

    [Fact]
    public async Task The_oldest_command_that_waits_shows_a_hang()
    {
        await using var server = await RedisServerProcess.StartAsync();
        using var meters = new MeterFactory();
        await using var redis = new RedisClient(RedisClientOptions.Parse(server.ConnectionString), meters: meters);
        await redis.ConnectAsync();
        server.Pause();
        var hanging = redis.PingAsync();

        var watch = Stopwatch.StartNew();
        while (meters.Read()["onggi.client.oldest_pending"] < 0.2)
        {
            Assert.True(watch.Elapsed < Waiting.Bound);
            await Task.Yield();
        }

        server.Resume();
        Assert.Equal("PONG", await hanging.Within());
    }

    private static ActivityListener Listen(ConcurrentQueue<Activity> spans)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "Onggi.Client" or "test",
            Sample = static (ref _) => ActivitySamplingResult.AllData,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    // A meter of this test's own, so that no other test's commands are in it.
    private sealed class MeterFactory : IMeterFactory
    {
        private readonly List<Meter> _meters = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter(options.Name, options.Version, options.Tags, scope: this);
            _meters.Add(meter);
            return meter;
        }

        public Dictionary<string, double> Read()
        {
            var sums = new Dictionary<string, double>(StringComparer.Ordinal);
            using var listener = new MeterListener();
            listener.InstrumentPublished = (instrument, listening) =>
            {
                if (_meters.Contains(instrument.Meter))
                    listening.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => Add(instrument, value));
            listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
            listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Add(instrument, value));
            listener.Start();
            listener.RecordObservableInstruments();
            return sums;

            void Add(Instrument instrument, double value) => sums[instrument.Name] = sums.GetValueOrDefault(instrument.Name) + value;
        }

        public void Dispose()
        {
            foreach (var meter in _meters)
                meter.Dispose();
        }
    }
}
