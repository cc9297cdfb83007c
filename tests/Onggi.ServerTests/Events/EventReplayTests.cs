using System.Collections.Concurrent;
using Onggi.Client;
using Onggi.Events;
using Onggi.Events.Replay;
using Onggi.ServerTests.Caching;
using Onggi.Testing;

namespace Onggi.ServerTests.Events;

/// <summary>What subscribers get who were cut off, were too slow, or came back to another Redis than they had left.</summary>
[Collection(CoherenceScriptTests.Name)]
public sealed class EventReplayTests : IAsyncLifetime
{
    private const string Channel = "test:events:global:user.deleted";
    private const string Head = "test:events:head:user.deleted";
    private const string Ring = "{test:events:head:user.deleted}:ring";

    private RedisServerProcess _server = null!;

    private FaultProxy _proxy = null!;

    public async Task InitializeAsync()
    {
        _server = await RedisServerProcess.StartAsync();
        _proxy = FaultProxy.Start(_server.Port);
    }

    public async Task DisposeAsync()
    {
        EventMutants.InterruptionsIgnored = EventMutants.OverflowForgotten = false;
        await _proxy.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_subscriber_that_is_cut_off_and_killed_five_times_hears_5000_events_in_order_and_once()
    {
        const int Count = 5000;
        await using var users = await StartAsync();
        await using var orders = await StartBehindProxyAsync();
        await using var bare = await RedisClient.ConnectAsync(_proxy.ConnectionString);
        var heard = new ConcurrentQueue<long>();
        var gaps = new ConcurrentQueue<EventGap>();
        await using var subscription = await SubscribeAsync(orders, heard, gaps);
        await using var plain = await bare.SubscribeAsync(Channel);
        var bareHeard = 0;
        _ = Task.Run(async () =>
        {
            await foreach (var message in plain.ReadAllAsync())
                if (!message.Interrupted)
                    Interlocked.Increment(ref bareHeard);
        });

        for (var number = 1; number <= Count; number++)
        {
            await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated($"{number}", "x"));
            if (number % 1000 != 500)
                continue;
            if (number % 2000 == 500)
                _proxy.CutAll();
            else
                await _server.CommandAsync("CLIENT", "KILL", "TYPE", "pubsub");
        }

        await Until.TrueAsync(() => heard.Count >= Count);

        Assert.Equal(Enumerable.Range(1, Count).Select(static one => (long)one), heard);
        Assert.Empty(gaps);
        Assert.True(orders.Events.Statistics.Replayed > 0);
        Assert.InRange(bareHeard, 1, Count - 1);
    }

    [Fact]
    public async Task Whoever_does_not_ask_after_a_lost_link_loses_events()
    {
        EventMutants.InterruptionsIgnored = true;
        await using var users = await StartAsync();
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Count == 1);
        await MissAsync(orders, () => PublishAsync(users, 3));
        await orders.ListeningAsync();
        // An event with a number would show the hole; one of a program without Onggi does not.
        await _server.CommandAsync("PUBLISH", Channel, "{}");

        await Until.TrueAsync(() => heard.Contains(0));

        Assert.Equal([1, 0], heard);
    }

    [Fact]
    public async Task What_was_missed_comes_without_anything_else_being_published()
    {
        await using var users = await StartAsync();
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Count == 1);
        await MissAsync(orders, () => PublishAsync(users, 3));

        await Until.TrueAsync(() => heard.Count == 4);

        Assert.Equal([1, 2, 3, 4], heard);
    }

    [Fact]
    public async Task A_handler_that_is_slower_than_its_queue_gets_everything_from_the_ring()
    {
        await using var users = await StartAsync();
        await using var orders = await StartAsync("orders", static options => options.Events.QueueLength = 4);
        var heard = new ConcurrentQueue<long>();
        var gaps = new ConcurrentQueue<EventGap>();
        var release = new TaskCompletionSource();
        await using var subscription = await SubscribeAsync(orders, heard, gaps, before: () => release.Task);
        await PublishAsync(users, 100);
        await Until.TrueAsync(() => orders.Events.Statistics.Received == 100);

        release.SetResult();
        await Until.TrueAsync(() => heard.Count == 100);

        Assert.Equal(Enumerable.Range(1, 100).Select(static one => (long)one), heard);
        Assert.Empty(gaps);
        Assert.Equal(0, orders.Events.Statistics.Dropped);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_last_event_of_a_type_that_others_pushed_out_of_the_queue_comes_all_the_same(bool forgotten)
    {
        EventMutants.OverflowForgotten = forgotten;
        await using var users = await StartAsync();
        await using var orders = await StartAsync(
            "orders",
            // Nothing but the queue itself is to notice it.
            static options =>
                (options.Events.QueueLength, options.Events.CheckEvery) = (4, TimeSpan.FromHours(1))
        );
        var heard = new ConcurrentQueue<string>();
        var release = new TaskCompletionSource();
        await using var subscription = await orders.Events.SubscribeAllAsync(
            async (one, stop) =>
            {
                heard.Enqueue($"{one.Type} {one.Sequence}");
                await release.Task.WaitAsync(stop);
            }
        );
        await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("0", "x"));
        await Until.TrueAsync(() => heard.Count == 1);
        await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("0", "x"));
        await Until.TrueAsync(() => orders.Events.Statistics.Received == 2);
        for (var number = 1; number <= 10; number++)
            await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated($"{number}", "x"));
        await Until.TrueAsync(() => orders.Events.Statistics.Received == 12);

        release.SetResult();
        await Until.TrueAsync(() => heard.Contains("user.updated 11") && (forgotten || heard.Contains("user.deleted 1")));
        await subscription.DisposeAsync();

        Assert.Equal(!forgotten, heard.Contains("user.deleted 1"));
        Assert.Equal(forgotten ? 11 : 12, heard.Distinct().Count());
        Assert.Equal(heard.Distinct().Count(), heard.Count);
    }

    [Fact]
    public async Task What_the_ring_no_longer_has_is_told_as_a_gap_in_its_place()
    {
        await using var users = await StartAsync(configure: static options => options.Events.RingLength = 5);
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<long>();
        var gaps = new ConcurrentQueue<EventGap>();
        await using var subscription = await SubscribeAsync(orders, heard, gaps);
        await PublishAsync(users, 2);
        await Until.TrueAsync(() => heard.Count == 2);
        await MissAsync(orders, () => PublishAsync(users, 20));

        await Until.TrueAsync(() => heard.Contains(22));

        Assert.Equal([1, 2, -3, 18, 19, 20, 21, 22], heard);
        var gap = Assert.Single(gaps);
        Assert.Equal((3, 17, EventGapReason.NoLongerKept), (gap.From, gap.To, gap.Reason));
        Assert.Equal("5", await _server.CommandAsync("XLEN", Ring));
        Assert.Equal(15, orders.Events.Statistics.Dropped);
        await orders.LoggedAsync(7012);
    }

    [Fact]
    public async Task Without_a_ring_everything_that_was_missed_is_a_gap()
    {
        await using var users = await StartAsync(configure: static options => options.Events.RingLength = 0);
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Count == 1);
        await MissAsync(orders, () => PublishAsync(users, 3));
        await Until.TrueAsync(() => heard.Count == 2);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Count == 3);

        Assert.Equal([1, -2, 5], heard);
        Assert.Equal("0", await _server.CommandAsync("EXISTS", Ring));
    }

    [Fact]
    public async Task A_new_epoch_is_a_gap_and_what_the_new_ring_has_is_heard()
    {
        await using var users = await StartAsync();
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<long>();
        var gaps = new ConcurrentQueue<EventGap>();
        await using var subscription = await SubscribeAsync(orders, heard, gaps);
        await PublishAsync(users, 3);
        await Until.TrueAsync(() => heard.Count == 3);
        await MissAsync(
            orders,
            async () =>
            {
                await _server.CommandAsync("FLUSHALL");
                await PublishAsync(users, 5);
            }
        );

        await Until.TrueAsync(() => heard.Contains(5));

        Assert.Equal([1, 2, 3, -4, 1, 2, 3, 4, 5], heard);
        var gap = Assert.Single(gaps);
        Assert.Equal((4, null, EventGapReason.NewEpoch), (gap.From, gap.To, gap.Reason));
    }

    [Fact]
    public async Task An_empty_restart_is_told_before_anything_new_is_published()
    {
        await using var users = await StartAsync();
        var heard = new ConcurrentQueue<long>();
        var gaps = new ConcurrentQueue<EventGap>();
        await using var subscription = await SubscribeAsync(users, heard, gaps);
        await PublishAsync(users, 2);
        await Until.TrueAsync(() => heard.Count == 2);

        await _server.RestartAsync(kill: true);
        await Until.TrueAsync(() => !gaps.IsEmpty);
        await users.Redis.ConnectAsync();
        await users.ListeningAsync();
        await PublishAsync(users, 2);
        await Until.TrueAsync(() => heard.Count == 5);

        Assert.Equal([1, 2, -3, 1, 2], heard);
        Assert.Equal(EventGapReason.NewEpoch, gaps.Single().Reason);
    }

    [Fact]
    public async Task Numbers_that_a_failover_gives_twice_are_told_and_nothing_after_them_is_lost()
    {
        await using var users = await StartAsync();
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<string>();
        var gaps = new ConcurrentQueue<EventGap>();
        await using var subscription = await orders.Events.SubscribeAsync(
            ServiceHost.UserDeleted,
            (one, _) =>
            {
                heard.Enqueue(one.Data!.Name);
                return ValueTask.CompletedTask;
            },
            new SubscribeOptions
            {
                OnGap = (gap, _) =>
                {
                    gaps.Enqueue(gap);
                    return ValueTask.CompletedTask;
                },
            }
        );
        await PublishAsync(users, 3, "a");
        // What a replica has that did not get the last events.
        var (head, ring) = (await DumpAsync(Head), await DumpAsync(Ring));
        await PublishAsync(users, 3, "lost");
        await Until.TrueAsync(() => heard.Count == 6);
        await MissAsync(
            orders,
            async () =>
            {
                await RestoreAsync(Head, head);
                await RestoreAsync(Ring, ring);
                await PublishAsync(users, 5, "b");
            }
        );

        await Until.TrueAsync(() => heard.Contains("b5"));

        Assert.Equal(["a1", "a2", "a3", "lost1", "lost2", "lost3", "b1", "b2", "b3", "b4", "b5"], heard);
        Assert.Equal((7, null, EventGapReason.WentBack), gaps.Select(static gap => (gap.From, gap.To, gap.Reason)).Single());
    }

    [Fact]
    public async Task A_subscriber_may_begin_with_the_last_minutes()
    {
        await using var users = await StartAsync();
        await PublishAsync(users, 600);
        await using var late = await StartAsync("orders");
        var heard = new ConcurrentQueue<long>();
        var nothing = new ConcurrentQueue<long>();
        await using var now = await SubscribeAsync(late, nothing, []);
        await using var subscription = await SubscribeAsync(late, heard, [], replay: TimeSpan.FromMinutes(1));
        await PublishAsync(users, 1);

        await Until.TrueAsync(() => heard.Count == 601 && nothing.Count == 1);

        Assert.Equal(Enumerable.Range(1, 601).Select(static one => (long)one), heard);
        Assert.Equal([601], nothing);
    }

    [Fact]
    public async Task Full_the_ring_is_let_go_and_whoever_is_cut_off_then_is_told()
    {
        await using var users = await StartAsync();
        await using var orders = await StartBehindProxyAsync();
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 3);
        await _server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var receipt = await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("4", "x"));
        await Until.TrueAsync(() => heard.Count == 4);

        Assert.Equal((4, false), (receipt.Sequence, receipt.IsKept));
        Assert.Equal("0", await _server.CommandAsync("EXISTS", Ring));
        await users.LoggedAsync(7015);

        await MissAsync(orders, () => PublishAsync(users, 1));
        await _server.CommandAsync("CONFIG", "SET", "maxmemory", "0");
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Contains(6));

        Assert.Equal([1, 2, 3, 4, -5, 6], heard);
    }

    [Fact]
    public async Task Publishing_is_one_round_trip_and_a_ring_stays_within_its_bounds()
    {
        await using var users = await StartAsync(configure: static options =>
        {
            options.Events.MaxBytes = 2048;
            options.Events.RingBytes = 16 * 1024;
        });
        await PublishAsync(users, 1);
        await _server.CommandAsync("CONFIG", "RESETSTAT");
        for (var i = 0; i < 100; i++)
            await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", new string('x', 900)));

        var stats = (await _server.CommandAsync("INFO", "commandstats"))!.Split('\n');
        var asked = stats.Where(static line => line.StartsWith("cmdstat_eval", StringComparison.Ordinal)).Single().Trim();
        Assert.StartsWith("cmdstat_evalsha:calls=100,", asked, StringComparison.Ordinal);
        var length = int.Parse((await _server.CommandAsync("XLEN", Ring))!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(length, 10, 15);
        var bytes = int.Parse((await _server.CommandAsync("HGET", Head, "bytes"))!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(bytes, 12 * 1024, 16 * 1024);
        Assert.InRange(
            int.Parse((await _server.CommandAsync("PTTL", Ring))!, System.Globalization.CultureInfo.InvariantCulture),
            50_000,
            62_000
        );
    }

    [Fact]
    public async Task The_ring_keeps_an_event_for_its_time_and_not_much_longer()
    {
        // Much longer than a busy machine, or a pool of threads that is still small, keeps a publisher from publishing: the ring ends with its last event's time.
        const int KeepMs = 2000;
        await using var redis = await RedisClient.ConnectAsync(_server.ConnectionString);
        async Task<long> PublishAsync(string id) =>
            (
                await redis.EvalAsync(
                    EventPublisher.Script,
                    [Head, Ring],
                    [Channel, "PUBLISH", id, "{\"data\":1}", id, 10_000, 1_000_000, KeepMs],
                    EventPublisher.Answer
                )
            ).Sequence;
        await PublishAsync("one");
        var began = await TimeAsync();
        var last = 0L;
        while (await TimeAsync() < began.AddMilliseconds(KeepMs * 2))
        {
            last = await PublishAsync("more");
            await Task.Delay(10);
        }

        var first = long.Parse(
            (await _server.CommandAsync("XRANGE", Ring, "-", "+", "COUNT", "1"))!.Split('-')[0],
            System.Globalization.CultureInfo.InvariantCulture
        );
        Assert.InRange(first, 2, last);
        var oldest = long.Parse((await _server.CommandAsync("HGET", Head, "oldest"))!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange((await TimeAsync()).ToUnixTimeMilliseconds() - oldest, 0, (KeepMs * 2) - 1);
    }

    [Fact]
    public async Task Without_the_right_to_read_the_ring_events_are_heard_and_what_is_missed_is_told()
    {
        await _server.CommandAsync("ACL", "SETUSER", "reader", "on", ">secret-enough", "+@all", "&*", "~test:cache:*", "~test:onggi:*");
        await using var users = await StartAsync();
        await using var orders = await ServiceHost.StartAsync($"{_proxy.ConnectionString},user=reader,password=secret-enough", "orders");
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 2);
        await Until.TrueAsync(() => heard.Count == 2);
        await MissAsync(orders, () => PublishAsync(users, 2));
        await PublishAsync(users, 1);

        await Until.TrueAsync(() => heard.Contains(5));

        Assert.Equal([1, 2, -3, 5], heard);
        await orders.LoggedAsync(7013);
    }

    [Fact]
    public async Task An_event_that_did_not_arrive_is_noticed_though_none_comes_after_it()
    {
        await using var users = await StartAsync();
        await using var orders = await StartAsync("orders", static options => options.Events.CheckEvery = TimeSpan.FromMilliseconds(50));
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Count == 1);

        await PublishElsewhereAsync(users);
        await Until.TrueAsync(() => heard.Count == 2);

        Assert.Equal([1, 2], heard);
    }

    [Fact]
    public async Task Who_was_not_allowed_to_look_at_the_count_looks_again_when_it_is()
    {
        await _server.CommandAsync("ACL", "SETUSER", "reader", "on", ">secret-enough", "+@all", "&*", "~test:cache:*", "~test:onggi:*");
        await using var users = await StartAsync();
        await using var orders = await ServiceHost.StartAsync(
            $"{_proxy.ConnectionString},user=reader,password=secret-enough",
            "orders",
            static options => options.Events.CheckEvery = TimeSpan.FromMilliseconds(50)
        );
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, []);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Count == 1);
        var refused = await RefusalsAsync();
        using var patience = new CancellationTokenSource(ServiceHost.Patience);
        while (await RefusalsAsync() == refused)
            await Task.Delay(10, patience.Token);

        await _server.CommandAsync("ACL", "SETUSER", "reader", "%R~test:events:head:*", "%R~{test:events:head:*");
        await PublishElsewhereAsync(users);
        await Until.TrueAsync(() => heard.Count == 2);

        Assert.Equal([1, 2], heard);
    }

    [Fact]
    public async Task The_ring_can_be_read_by_numbers_and_by_times()
    {
        await using var users = await StartAsync();
        await PublishAsync(users, 300);
        var between = await TimeAsync();
        while (await TimeAsync() < between.AddMilliseconds(5)) { }
        await PublishAsync(users, 300);

        async Task<(long First, long Last, int Count)> ReadAsync(EventRange range)
        {
            var numbers = await users
                .Events.ReadRecentAsync(ServiceHost.UserDeleted, range)
                .Select(static one => one.Sequence!.Value)
                .ToListAsync();
            Assert.Equal(numbers.Order(), numbers);
            return (numbers[0], numbers[^1], numbers.Count);
        }

        Assert.Equal((1, 600, 600), await ReadAsync(default));
        Assert.Equal((5, 7, 3), await ReadAsync(new EventRange { FromSequence = 5, ToSequence = 7 }));
        Assert.Equal((1, 300, 300), await ReadAsync(new EventRange { To = between }));
        Assert.Equal((301, 600, 300), await ReadAsync(new EventRange { From = between.AddMilliseconds(1) }));
        Assert.Equal(
            "x300",
            (await users.Events.ReadRecentAsync("user.deleted", new EventRange { FromSequence = 600 }).SingleAsync())
                .Data.GetProperty("name")
                .GetString()
        );
        Assert.Empty(await users.Events.ReadRecentAsync(ServiceHost.UserUpdated).ToListAsync());
    }

    // Numbered and kept, but published where nobody listens.
    private static async Task PublishElsewhereAsync(ServiceHost service) =>
        await service.Redis.EvalAsync(
            EventPublisher.Script,
            [Head, Ring],
            [
                "elsewhere",
                "PUBLISH",
                "new epoch",
                "{\"id\":\"two\",\"data\":{\"userId\":\"1\",\"name\":\"x\"}}",
                "two",
                100,
                100_000,
                60_000,
            ],
            EventPublisher.Answer
        );

    private async Task<string> RefusalsAsync() =>
        (await _server.CommandAsync("INFO", "errorstats"))!
            .Split('\n')
            .First(static line => line.Contains("NOPERM", StringComparison.Ordinal));

    private async Task<DateTimeOffset> TimeAsync()
    {
        var parts = (await _server.CommandAsync("TIME"))!.Split('\n');
        return DateTimeOffset
            .FromUnixTimeSeconds(long.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture))
            .AddMicroseconds(long.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture));
    }

    // A gap stands among the numbers as its first one, negative.
    private static ValueTask<IAsyncDisposable> SubscribeAsync(
        ServiceHost service,
        ConcurrentQueue<long> heard,
        ConcurrentQueue<EventGap> gaps,
        Func<Task>? before = null,
        TimeSpan replay = default
    ) =>
        service.Events.SubscribeAsync(
            ServiceHost.UserDeleted,
            async (one, _) =>
            {
                if (before is not null)
                    await before();
                heard.Enqueue(one.Sequence ?? 0);
            },
            new SubscribeOptions
            {
                Replay = replay,
                OnGap = (gap, _) =>
                {
                    heard.Enqueue(-gap.From);
                    gaps.Enqueue(gap);
                    return ValueTask.CompletedTask;
                },
            }
        );

    private static async Task PublishAsync(ServiceHost service, int count, string name = "x")
    {
        for (var i = 1; i <= count; i++)
            await service.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", $"{name}{i}"));
    }

    /// <summary>Does something while the subscriber's links are down.</summary>
    private async Task MissAsync(ServiceHost service, Func<Task> meanwhile)
    {
        var before = service.Events.Statistics.Interruptions;
        await _proxy.RefuseAsync();
        _proxy.CutAll();
        await meanwhile();
        _proxy.Accept();
        await Until.TrueAsync(() => service.Events.Statistics.Interruptions > before);
    }

    private async Task<string> DumpAsync(string key)
    {
        // The bytes pass through Lua, because the test's own connection reads text.
        await _server.CommandAsync("EVAL", "redis.call('SET', KEYS[2], redis.call('DUMP', KEYS[1])) return 1", "2", key, key + ":copy");
        return key + ":copy";
    }

    private Task<string?> RestoreAsync(string key, string copy) =>
        _server.CommandAsync(
            "EVAL",
            "redis.call('RESTORE', KEYS[1], 0, redis.call('GET', KEYS[2]), 'REPLACE') redis.call('PERSIST', KEYS[1]) return 1",
            "2",
            key,
            copy
        );

    private Task<ServiceHost> StartBehindProxyAsync() => ServiceHost.StartAsync(_proxy.ConnectionString, "orders");

    private Task<ServiceHost> StartAsync(string service = "users", Action<OnggiOptions>? configure = null) =>
        ServiceHost.StartAsync(_server.ConnectionString, service, configure);
}
