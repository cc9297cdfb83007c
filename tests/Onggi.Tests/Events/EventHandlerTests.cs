using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using Onggi.Events;
using Onggi.Testing;

namespace Onggi.Tests.Events;

public sealed class EventHandlerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_handler_gets_the_events_of_its_type_one_after_the_other_and_in_order()
    {
        await using var bus = new TestBus();
        var seen = Channel.CreateUnbounded<Event<UserUpdated>>();
        var running = 0;
        await using var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            async (user, _) =>
            {
                Assert.Equal(1, Interlocked.Increment(ref running));
                await Task.Yield();
                Interlocked.Decrement(ref running);
                seen.Writer.TryWrite(user);
            }
        );

        for (var number = 1; number <= 100; number++)
        {
            bus.Receive("user.deleted", number);
            bus.Receive("user.updated", number);
        }

        for (var number = 1; number <= 100; number++)
        {
            var user = await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience);
            Assert.Equal(number, user.Sequence);
            Assert.Equal("user.updated", user.Type);
            Assert.Equal($"id-{number}", user.Id);
            Assert.Equal("users", user.Source);
            Assert.Equal(number.ToString(), user.Data!.UserId);
        }

        Assert.Equal(0, bus.Events.Statistics.HandlerFailures);
    }

    [Fact]
    public async Task A_failing_handler_is_logged_by_type_and_id_and_stops_nobody()
    {
        await using var bus = new TestBus();
        var seen = Channel.CreateUnbounded<long?>();
        var calls = 0;
        await using var failing = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (_, _) =>
            {
                Interlocked.Increment(ref calls);
                throw new InvalidOperationException("broken");
            }
        );
        await using var healthy = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (user, _) =>
            {
                seen.Writer.TryWrite(user.Sequence);
                return ValueTask.CompletedTask;
            }
        );

        bus.Receive("user.updated", 1);
        bus.Receive("user.updated", 2);
        Assert.Equal(1, await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience));
        Assert.Equal(2, await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience));
        await failing.DisposeAsync();

        Assert.Equal(2, calls);
        Assert.Equal(2, bus.Events.Statistics.HandlerFailures);
        var line = bus.Log.All.First(line => line.Id == 7006);
        Assert.Contains("user.updated", line.Text, StringComparison.Ordinal);
        Assert.Contains("id-1", line.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(bus.Log.All, entry => entry.Text.Contains("secret name", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_slow_handler_delays_nobody_and_is_told_what_it_lost_when_Redis_cannot_be_asked()
    {
        await using var bus = new TestBus(new EventOptions { QueueLength = 4, ReplayTimeout = TimeSpan.Zero });
        var entered = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        List<long?> slow = [];
        List<EventGap> gaps = [];
        var fast = Channel.CreateUnbounded<long?>();
        var slowSubscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            async (user, _) =>
            {
                slow.Add(user.Sequence);
                entered.TrySetResult();
                await release.Task;
            },
            new SubscribeOptions
            {
                OnGap = (gap, _) =>
                {
                    gaps.Add(gap);
                    return ValueTask.CompletedTask;
                },
            }
        );
        await using var fastSubscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (user, _) =>
            {
                fast.Writer.TryWrite(user.Sequence);
                return ValueTask.CompletedTask;
            }
        );

        var interruptions = 0;
        using var registration = bus.Events.OnInterrupted(() => interruptions++);
        bus.Receive("user.updated", 1);
        await entered.Task.WaitAsync(Patience);
        for (var number = 2; number <= 10; number++)
        {
            bus.Receive("user.updated", number);
            if (number == 2)
                Assert.Equal(1, await fast.Reader.ReadAsync().AsTask().WaitAsync(Patience));
            Assert.Equal(number, await fast.Reader.ReadAsync().AsTask().WaitAsync(Patience));
        }

        release.SetResult();
        await slowSubscription.DisposeAsync();

        Assert.Equal([1, 7, 8, 9, 10], slow);
        Assert.Equal([new EventGap("user.updated", "e", 2, 6, EventGapReason.NotAsked)], gaps);
        Assert.Equal(5, bus.Events.Statistics.Dropped);
        Assert.Equal(0, interruptions);
        Assert.Contains(bus.Log.All, line => line.Id == 7007 && line.Text.Contains("queue of 4", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_mistake_of_our_own_is_logged_and_does_not_end_the_subscription()
    {
        var time = new BrokenTime();
        await using var bus = new TestBus(time: time);
        var seen = Channel.CreateUnbounded<long?>();
        await using var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (user, stop) => seen.Writer.WriteAsync(user.Sequence, stop)
        );
        bus.Receive("user.updated", 1);
        Assert.Equal(1, await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience));

        time.Break();
        bus.Receive("user.updated", 2);
        bus.Receive("user.updated", 3);

        // The second is lost, unless the first was not quite over.
        long? last;
        do
        {
            last = await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        } while (last != 3);
        Assert.Contains(bus.Log.All, line => line.Id == 7016 && line.Text.Contains("user.updated", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_payload_of_another_shape_is_logged_and_the_next_event_is_handled()
    {
        await using var bus = new TestBus();
        var seen = Channel.CreateUnbounded<Event<UserUpdated>>();
        await using var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (user, stop) => seen.Writer.WriteAsync(user, stop)
        );

        bus.Receive("user.updated", """{"id":"odd","source":"go","data":{"userId":{"secret":1}}}""");
        bus.Receive("user.updated", """{"id":"none","data":null}""");

        var user = await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        Assert.Equal("none", user.Id);
        Assert.Null(user.Data);
        var line = Assert.Single(bus.Log.All, line => line.Id == 7005);
        Assert.Contains("odd", line.Text, StringComparison.Ordinal);
        Assert.Contains("UserUpdated", line.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", line.Text, StringComparison.Ordinal);
        Assert.Equal(1, bus.Events.Statistics.Dropped);
        Assert.Equal(0, bus.Events.Statistics.HandlerFailures);
    }

    [Theory]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true)]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false)]
    public async Task A_handler_runs_under_the_trace_of_who_published_whether_anybody_listens_or_not(string parent, bool listens)
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => listens && source.Name == "Onggi.Events",
            Sample = static (ref _) => ActivitySamplingResult.AllData,
        };
        ActivitySource.AddActivityListener(listener);
        await using var bus = new TestBus();
        var seen = Channel.CreateUnbounded<Activity?>();
        await using var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (_, stop) => seen.Writer.WriteAsync(Activity.Current, stop)
        );

        bus.Receive("user.updated", $$"""{"id":"one","traceparent":"{{parent}}"}""");
        bus.Receive("user.updated", """{"traceparent":"no trace"}""");
        bus.Receive("user.updated", """{"traceparent":{"a":1}}""");

        var span = await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        Assert.Equal(parent, span!.ParentId);
        Assert.NotEqual(parent, span.Id);
        Assert.Equal("process user.updated", span.OperationName);
        if (listens)
        {
            Assert.Equal(ActivityKind.Consumer, span.Kind);
            Assert.Equal("one", span.GetTagItem("messaging.message.id"));
        }

        for (var odd = 0; odd < 2; odd++)
            Assert.NotEqual(span.TraceId, (await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience))?.TraceId);
    }

    [Fact]
    public async Task An_event_without_a_time_has_the_time_of_its_arrival()
    {
        var time = new ManualTimeProvider();
        await using var bus = new TestBus(time: time);
        var seen = Channel.CreateUnbounded<Event<UserUpdated>>();
        await using var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (user, stop) => seen.Writer.WriteAsync(user, stop)
        );

        bus.Receive("user.updated", "{}");

        Assert.Equal(time.GetUtcNow(), (await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Time);
    }

    [Fact]
    public async Task A_handler_of_everything_gets_every_type_with_its_payload_as_JSON()
    {
        await using var bus = new TestBus();
        var seen = Channel.CreateUnbounded<Event<JsonElement>>();
        await using var subscription = await bus.Events.SubscribeAllAsync((user, stop) => seen.Writer.WriteAsync(user, stop));

        bus.Receive("user.updated", 1);
        bus.Receive("user.deleted", 2);
        bus.Receive("cache.warmed", """{"seq":1,"data":{"name":"products"}}""");

        Assert.Equal("1", (await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Data.GetProperty("userId").GetString());
        Assert.Equal("user.deleted", (await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Type);
        Assert.Equal("products", (await seen.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Data.GetProperty("name").GetString());
    }

    [Fact]
    public async Task What_cannot_be_read_or_is_on_the_wrong_channel_is_counted_and_passed_over()
    {
        await using var bus = new TestBus();
        var heard = 0;
        using var registration = bus.Events.OnReceived(_ => heard++);

        bus.Receive("user.updated", "not JSON, but a secret");
        bus.Receive("user.updated", """{"type":"user.deleted","data":{}}""");

        Assert.Equal(0, heard);
        Assert.Equal(2, bus.Events.Statistics.Dropped);
        Assert.Equal(0, bus.Events.Statistics.Received);
        Assert.Equal(2, bus.Log.All.Count(line => line.Id == 7004));
        Assert.DoesNotContain(bus.Log.All, line => line.Text.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Features_hear_before_handlers_and_know_who_published()
    {
        await using var bus = new TestBus();
        List<EventNotice> heard = [];
        using var broken = bus.Events.OnReceived(_ => throw new InvalidOperationException("broken feature"));
        using var registration = bus.Events.OnReceived(heard.Add);
        var heardAtHandler = new TaskCompletionSource<int>();
        await using var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (_, _) =>
            {
                heardAtHandler.TrySetResult(heard.Count);
                return ValueTask.CompletedTask;
            }
        );

        bus.Receive("user.updated", 7);
        Assert.Equal(1, await heardAtHandler.Task.WaitAsync(Patience));
        bus.Receive("user.updated", """{"source":"go-users","metadata":{"user_id":42},"data":{"userId":"42"}}""");
        bus.Receive("user.updated", """{"metadata":{}}""");

        Assert.False(heard[0].IsForeign);
        Assert.False(heard[0].IsOwn);
        Assert.Equal("7", heard[0].Data.GetProperty("userId").GetString());
        Assert.True(heard[1].IsForeign);
        Assert.Equal("go-users", heard[1].Source);
        Assert.Equal("42", heard[1].Metadata["user_id"]);
        Assert.Equal(JsonValueKind.Undefined, heard[2].Data.ValueKind);
        Assert.Contains(bus.Log.All, line => line.Id == 7009);
    }

    [Fact]
    public async Task Every_type_that_was_interrupted_is_told_and_one_line_says_so()
    {
        await using var bus = new TestBus();
        var told = 0;
        using var broken = bus.Events.OnInterrupted(static () => throw new InvalidOperationException("broken feature"));
        var registration = bus.Events.OnInterrupted(() => told++);

        bus.Interrupt("user.updated");
        bus.Interrupt("user.deleted");
        registration.Dispose();
        registration.Dispose();
        bus.Interrupt("user.updated");

        Assert.Equal(2, told);
        Assert.Equal(3, bus.Events.Statistics.Interruptions);
        Assert.Single(bus.Log.All, line => line.Id == 7003);
        Assert.NotNull(bus.Events.SinceInterruption);
    }

    [Fact]
    public async Task Ending_a_subscription_waits_for_what_already_arrived()
    {
        await using var bus = new TestBus();
        var entered = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        List<long?> seen = [];
        var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            async (user, _) =>
            {
                entered.TrySetResult();
                await release.Task;
                seen.Add(user.Sequence);
            }
        );
        bus.Receive("user.updated", 1);
        bus.Receive("user.updated", 2);
        await entered.Task.WaitAsync(Patience);

        var ending = subscription.DisposeAsync().AsTask();
        bus.Receive("user.updated", 3);
        Assert.False(ending.IsCompleted);
        release.SetResult();
        await ending.WaitAsync(Patience);

        Assert.Equal([1, 2], seen);
    }

    [Fact]
    public async Task A_handler_that_goes_on_is_cancelled_when_the_time_to_drain_is_over()
    {
        var time = new ManualTimeProvider();
        await using var bus = new TestBus(new EventOptions { DrainTimeout = TimeSpan.FromSeconds(5) }, time);
        var entered = new TaskCompletionSource();
        List<long?> seen = [];
        var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            async (user, stop) =>
            {
                seen.Add(user.Sequence);
                entered.TrySetResult();
                await Task.Delay(Timeout.Infinite, stop);
            }
        );
        bus.Receive("user.updated", 1);
        bus.Receive("user.updated", 2);
        await entered.Task.WaitAsync(Patience);

        var ending = subscription.DisposeAsync().AsTask();
        await AdvanceUntilAsync(ending, time, TimeSpan.FromSeconds(5));

        Assert.Equal([1], seen);
        Assert.Equal(0, bus.Events.Statistics.HandlerFailures);
    }

    [Fact]
    public async Task A_handler_that_ignores_its_cancellation_is_left_behind_in_bounded_time()
    {
        var time = new ManualTimeProvider();
        await using var bus = new TestBus(new EventOptions { DrainTimeout = TimeSpan.FromSeconds(5) }, time);
        var entered = new TaskCompletionSource();
        var never = new TaskCompletionSource();
        var subscription = await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            async (_, _) =>
            {
                entered.TrySetResult();
                await never.Task;
            }
        );
        bus.Receive("user.updated", 1);
        await entered.Task.WaitAsync(Patience);

        await AdvanceUntilAsync(subscription.DisposeAsync().AsTask(), time, TimeSpan.FromSeconds(5));

        Assert.Contains(bus.Log.All, line => line.Id == 7008);
        never.SetResult();
    }

    [Fact]
    public async Task A_handler_may_end_its_own_subscription()
    {
        await using var bus = new TestBus();
        var subscribed = new TaskCompletionSource<IAsyncDisposable>();
        var ended = new TaskCompletionSource<long?>();
        subscribed.SetResult(
            await bus.Events.SubscribeAsync(
                TestBus.UserUpdated,
                async (user, _) =>
                {
                    await (await subscribed.Task).DisposeAsync();
                    ended.TrySetResult(user.Sequence);
                }
            )
        );

        bus.Receive("user.updated", 1);

        Assert.Equal(1, await ended.Task.WaitAsync(Patience));
    }

    [Fact]
    public async Task Disposing_the_bus_ends_all_handlers_and_refuses_new_ones()
    {
        await using var bus = new TestBus();
        var seen = new TaskCompletionSource();
        await bus.Events.SubscribeAsync(
            TestBus.UserUpdated,
            (_, _) =>
            {
                seen.TrySetResult();
                return ValueTask.CompletedTask;
            }
        );
        bus.Receive("user.updated", 1);

        await bus.Events.DisposeAsync();

        Assert.True(seen.Task.IsCompleted);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
            await bus.Events.SubscribeAsync(TestBus.UserUpdated, static (_, _) => ValueTask.CompletedTask)
        );
    }

    [Fact]
    public async Task An_event_that_the_catalog_lacks_is_refused_with_what_to_write()
    {
        await using var bus = new TestBus();
        var unknown = new EventType<UserUpdated>("user.udpated");

        var subscribing = await Assert.ThrowsAsync<ArgumentException>(async () =>
            await bus.Events.SubscribeAsync(unknown, static (_, _) => ValueTask.CompletedTask)
        );
        var publishing = await Assert.ThrowsAsync<ArgumentException>(async () =>
            await bus.Events.PublishAsync(unknown, new UserUpdated("1", "a"))
        );

        Assert.Contains("user.udpated", subscribing.Message, StringComparison.Ordinal);
        Assert.Contains("keyspace.json", publishing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_payload_that_the_context_lacks_is_refused_with_the_line_to_add()
    {
        await using var bus = new TestBus();

        var mistake = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
            await bus.Events.PublishAsync(new EventType<NobodyKnowsMe>("user.updated"), new NobodyKnowsMe(1))
        );

        Assert.Contains("[JsonSerializable(typeof(NobodyKnowsMe))]", mistake.Message, StringComparison.Ordinal);
    }

    private static async Task AdvanceUntilAsync(Task ending, ManualTimeProvider time, TimeSpan step)
    {
        // Each turn lets the code reach its next timer; the clock moves only when it has one.
        while (!ending.IsCompleted)
        {
            if (time.WaitingTimers > 0)
                time.Advance(step);
            await Task.Yield();
        }

        await ending;
    }

    /// <summary>The clock of the machine, which can fail once.</summary>
    private sealed class BrokenTime : TimeProvider
    {
        private int _breaks;

        public void Break() => Volatile.Write(ref _breaks, 1);

        public override long GetTimestamp() =>
            Interlocked.Exchange(ref _breaks, 0) == 0 ? base.GetTimestamp() : throw new InvalidOperationException("broken clock");
    }
}
