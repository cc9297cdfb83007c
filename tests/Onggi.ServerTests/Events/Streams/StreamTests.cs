using System.Text.Json;
using Onggi.Client;
using Onggi.Events;
using Onggi.Events.Streams;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Events.Streams;

/// <summary>Events that are delivered at least once, on a Redis that is well.</summary>
public sealed class StreamTests
{
    [Fact]
    public async Task The_same_handler_gets_through_a_stream_what_the_catalog_says_so_of()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        // Published before anybody hears it.
        var receipt = await service.Events.PublishAsync(
            Orders.Placed,
            new UserUpdated("1", "Kim"),
            new Dictionary<string, string> { ["k"] = "v" }
        );
        var heard = new TaskCompletionSource<Event<UserUpdated>>();

        await using var subscription = await service.Events.SubscribeAsync(
            Orders.Placed,
            (one, _) =>
            {
                heard.TrySetResult(one);
                return ValueTask.CompletedTask;
            }
        );

        var got = await heard.Task.WaitAsync(ServiceHost.Patience);
        Assert.Equal(
            ("order.placed", "orders", receipt.Id, 1L, "v"),
            (got.Type, got.Source, got.Id, got.Sequence!.Value, got.Metadata["k"])
        );
        Assert.Equal(new UserUpdated("1", "Kim"), got.Data);
        Assert.Null(got.Position);
        Assert.Equal(("orders", 1, false), (got.Delivery!.Group, got.Delivery.Attempt, got.Delivery.IsRedelivery));
        Assert.Equal($"{{{Orders.Stream}}}:done:orders:{receipt.Id}", got.Delivery.MarkKey);
        await server.SettledAsync();
        Assert.NotNull(await server.CommandAsync("GET", got.Delivery.MarkKey));
        // The JSON is the one of all events, under one field.
        var entry = (await server.CommandAsync("XRANGE", Orders.Stream, "-", "+"))!.Split('\n');
        Assert.Equal("event", entry[1]);
        using var json = JsonDocument.Parse(entry[2]);
        Assert.Equal(
            ["epoch", "seq", "v", "id", "type", "source", "time", "metadata", "data"],
            json.RootElement.EnumerateObject().Select(field => field.Name)
        );
    }

    [Fact]
    public async Task Each_service_and_each_name_gets_every_event_and_of_a_service_one_process()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var one = await Orders.StartAsync(server.ConnectionString);
        await using var two = await Orders.StartAsync(server.ConnectionString, instance: "two");
        await using var mail = await Orders.StartAsync(server.ConnectionString, "mail");
        await using var first = await Taken.ByAsync(one);
        await using var second = await Taken.ByAsync(two);
        await using var audit = await Taken.ByAsync(one, name: "audit");
        await using var other = await Taken.ByAsync(mail);

        for (var i = 0; i < 50; i++)
            await one.PlaceAsync($"{i}");
        foreach (var group in (string[])["orders", "orders.audit", "mail"])
            await server.SettledAsync(group);

        var ids = Enumerable.Range(0, 50).Select(i => $"{i}").ToArray();
        Assert.Equal(ids, Ids(audit));
        Assert.Equal(ids, Ids(other));
        Assert.Equal(ids.Order(), Ids(first).Concat(Ids(second)).Order());
        var twice = await Assert.ThrowsAsync<InvalidOperationException>(async () => await Taken.ByAsync(one));
        Assert.Contains("Give the second one a name", twice.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_fails_is_tried_again_after_growing_delays_and_those_behind_it_do_not_wait()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            configure: options => options.RetryDelay = TimeSpan.FromMilliseconds(300)
        );
        var times = new List<TimeSpan>();
        await using var taken = await Taken.ByAsync(
            service,
            (one, _) =>
            {
                if (one.Data!.UserId != "bad")
                    return ValueTask.CompletedTask;
                lock (times)
                    times.Add(TimeSpan.FromMilliseconds(Environment.TickCount64));
                return one.Delivery!.Attempt < 4 ? throw new InvalidOperationException("Not today.") : ValueTask.CompletedTask;
            }
        );

        await service.PlaceAsync("bad");
        await service.PlaceAsync("good");
        await server.SettledAsync();

        Assert.Equal(["bad", "good", "bad", "bad", "bad"], Ids(taken));
        Assert.Equal([1, 1, 2, 3, 4], taken.All.Select(one => one.Delivery!.Attempt));
        var waits = times.Zip(times.Skip(1), (one, next) => (next - one).TotalMilliseconds).ToList();
        Assert.True(waits[0] >= 280 && waits[1] >= 580 && waits[2] >= 1180, string.Join(", ", waits));
        Assert.Equal("0", await server.CommandAsync("ZCARD", $"{{{Orders.Stream}}}:delay:orders"));
    }

    [Fact]
    public async Task What_never_succeeds_goes_into_quarantine_and_can_be_driven_back()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString, configure: options => options.MaxAttempts = 3);
        await using var mail = await Orders.StartAsync(server.ConnectionString, "mail");
        var works = false;
        await using var other = await Taken.ByAsync(mail);
        await using var taken = await Taken.ByAsync(
            service,
            (_, _) => Volatile.Read(ref works) ? ValueTask.CompletedTask : throw new InvalidOperationException("No stock.")
        );

        var receipt = await service.PlaceAsync("1");
        for (var i = 0; i < 3; i++)
            await taken.NextAsync();
        await server.SettledAsync();

        var quarantined = Assert.Single(await service.Events.Streams.QuarantineAsync(Orders.Type));
        Assert.Equal(
            ("failed: InvalidOperationException: No stock.", 3, receipt.Id),
            (quarantined.Reason, quarantined.Attempts, quarantined.EventId)
        );
        Assert.Contains("\"userId\":\"1\"", quarantined.Json, StringComparison.Ordinal);
        Assert.Equal(taken.All.First().Delivery!.MessageId, quarantined.MessageId);

        Volatile.Write(ref works, true);
        Assert.Equal(1, await service.Events.Streams.RedriveAsync(Orders.Type));
        var again = await taken.NextAsync();
        Assert.Equal((receipt.Id, 1), (again.Id, again.Delivery!.Attempt));
        await server.SettledAsync();
        await server.SettledAsync("mail");
        Assert.Empty(await service.Events.Streams.QuarantineAsync(Orders.Type));
        // The other service could do it, and does not get it again.
        Assert.Single(other.All);
    }

    [Fact]
    public async Task Poison_goes_into_quarantine_at_once_with_its_reason()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var taken = await Taken.ByAsync(
            service,
            (one, _) => one.Data!.UserId == "rejected" ? throw new EventRejectedException("it is too old") : ValueTask.CompletedTask
        );

        await server.CommandAsync("XADD", Orders.Stream, "*", "event", "no JSON");
        await server.CommandAsync("XADD", Orders.Stream, "*", "something", "else");
        await server.CommandAsync("XADD", Orders.Stream, "*", "event", """{"type":"user.deleted","data":{}}""");
        await server.CommandAsync("XADD", Orders.Stream, "*", "event", """{"data":[1,2]}""");
        await service.PlaceAsync("rejected");
        await service.PlaceAsync("good");
        await server.SettledAsync();

        Assert.Equal(["rejected", "good"], Ids(taken));
        var reasons = (await service.Events.Streams.QuarantineAsync(Orders.Type)).Select(one => one.Reason.Split(':')[0]);
        Assert.Equal(["unreadable", "unreadable", "unreadable", "payload", "rejected"], reasons);
        Assert.Equal(2, (await service.Events.Streams.QuarantineAsync(Orders.Type, most: 2)).Count);
        var all = await service.Events.Streams.QuarantineAsync(Orders.Type);
        Assert.Equal(3, (await service.Events.Streams.QuarantineAsync(Orders.Type, after: all[1].Id)).Count);
        Assert.Equal(5, await service.Events.Streams.DiscardAsync(Orders.Type, all.Select(one => one.Id)));
    }

    [Fact]
    public async Task A_handler_that_takes_too_long_is_cancelled_and_tried_again()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            configure: options => options.HandlerTimeout = TimeSpan.FromMilliseconds(200)
        );
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                if (one.Delivery!.Attempt == 1)
                    await Task.Delay(Timeout.Infinite, stop);
            }
        );

        await service.PlaceAsync("1");
        await server.SettledAsync();

        Assert.Equal([1, 2], taken.All.Select(one => one.Delivery!.Attempt));
    }

    [Fact]
    public async Task Handlers_run_at_the_same_time_as_many_as_are_allowed()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString, configure: options => options.Concurrency = 4);
        var (running, most) = (0, 0);
        var four = new TaskCompletionSource();
        await using var taken = await Taken.ByAsync(
            service,
            async (_, stop) =>
            {
                var now = Interlocked.Increment(ref running);
                InterlockedMax(ref most, now);
                if (now == 4)
                    four.TrySetResult();
                await four.Task.WaitAsync(ServiceHost.Patience, stop);
                await Task.Delay(5, stop);
                Interlocked.Decrement(ref running);
            }
        );

        for (var i = 0; i < 40; i++)
            await service.PlaceAsync($"{i}");
        await server.SettledAsync();

        Assert.Equal(4, most);
        Assert.Equal(40, taken.All.Count);
    }

    [Fact]
    public async Task A_replay_hands_out_again_what_is_still_there_also_what_is_marked()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var taken = await Taken.ByAsync(service);
        for (var i = 0; i < 5; i++)
            await service.PlaceAsync($"{i}");
        await server.SettledAsync();
        var third = taken.All.ElementAt(2).Delivery!.MessageId;

        await service.Events.Streams.ReplayAsync(Orders.Type, third);
        await server.SettledAsync();
        Assert.Equal(["0", "1", "2", "3", "4", "2", "3", "4"], Ids(taken));

        await service.Events.Streams.ReplayAsync(Orders.Type, DateTimeOffset.UnixEpoch);
        await server.SettledAsync();
        Assert.Equal(["0", "1", "2", "3", "4"], Ids(taken).Skip(8));
    }

    [Fact]
    public async Task At_the_end_handlers_return_and_what_they_cannot_finish_is_given_back_at_once()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var one = await Orders.StartAsync(
            server.ConnectionString,
            configure: options => options.ClaimAfter = TimeSpan.FromMinutes(5),
            more: options => options.Events.DrainTimeout = TimeSpan.FromMilliseconds(300)
        );
        var first = await Taken.ByAsync(one, (_, stop) => new ValueTask(Task.Delay(Timeout.Infinite, stop)));
        await one.PlaceAsync("1");
        await first.NextAsync();

        await first.DisposeAsync();
        await using var two = await Orders.StartAsync(
            server.ConnectionString,
            instance: "two",
            configure: options => options.ClaimAfter = TimeSpan.FromMinutes(5)
        );
        await using var second = await Taken.ByAsync(two);

        // It does not count as an attempt: nobody failed on it.
        Assert.Equal(1, (await second.NextAsync()).Delivery!.Attempt);
        await server.SettledAsync();
    }

    [Fact]
    public async Task A_handler_may_end_its_own_subscription()
    {
        await using var server = await RedisServerProcess.StartAsync();
        // Who waited for itself would wait for as long as this.
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            more: options => options.Events.DrainTimeout = TimeSpan.FromMinutes(2)
        );
        IAsyncDisposable? mine = null;
        var done = new TaskCompletionSource();
        mine = await service.Events.SubscribeAsync(
            Orders.Placed,
            async (_, _) =>
            {
                await mine!.DisposeAsync();
                done.TrySetResult();
            }
        );

        await service.PlaceAsync("1");

        await done.Task.WaitAsync(ServiceHost.Patience);
        await server.SettledAsync();
    }

    [Fact]
    public async Task A_mark_that_a_handler_sets_stops_the_second_time()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                Assert.True(await one.Delivery!.TryMarkAsync(stop));
                Assert.True(await one.Delivery.TryMarkAsync(stop)); // The same delivery asks twice.
                if (one.Data!.UserId == "undone")
                    await one.Delivery.UnmarkAsync(stop);
                if (one.Delivery.Attempt == 1)
                    throw new InvalidOperationException("After the work.");
            }
        );

        await service.PlaceAsync("done");
        await service.PlaceAsync("undone");
        await server.SettledAsync();

        Assert.Equal(["done", "undone", "undone"], Ids(taken));
    }

    [Fact]
    public async Task Foreign_programs_publish_with_XADD_and_what_they_change_is_dropped()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString, "users");
        await service.Cache.SetAsync(ServiceHost.UserKey("7"), new User("7", "old"));
        var heard = new TaskCompletionSource<Event<UserUpdated>>();
        await using var subscription = await service.Events.SubscribeAsync(
            ServiceHost.UserUpdated,
            (one, _) =>
            {
                heard.TrySetResult(one);
                return ValueTask.CompletedTask;
            }
        );

        await server.CommandAsync("XADD", "test:events:stream:user.updated", "*", "event", """{"data":{"userId":"7","name":"new"}}""");

        var got = await heard.Task.WaitAsync(ServiceHost.Patience);
        Assert.Equal(("7", "", ""), (got.Data!.UserId, got.Id, got.Source));
        await Until.TrueAsync(async () => await server.CommandAsync("EXISTS", "test:cache:user:7") == "0", "the entry is gone");
    }

    [Fact]
    public async Task Where_a_group_goes_on_is_for_Redis_to_know()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);

        foreach (
            var options in (SubscribeOptions[])
                [new() { Replay = TimeSpan.FromMinutes(1) }, new() { After = new EventPosition("epoch", 1, "id") }]
        )
        {
            var refused = await Assert.ThrowsAsync<ArgumentException>(async () =>
                await service.Events.SubscribeAsync(Orders.Placed, static (_, _) => ValueTask.CompletedTask, options)
            );
            Assert.Contains("goes on where it was", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_keys_belong_to_the_catalog()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString, configure: options => options.MaxAttempts = 1);
        await using var taken = await Taken.ByAsync(
            service,
            (one, _) => one.Data!.UserId == "bad" ? throw new InvalidOperationException("No.") : ValueTask.CompletedTask
        );
        await service.PlaceAsync("good");
        await service.PlaceAsync("bad");
        await server.SettledAsync();

        var keys = (await server.CommandAsync("KEYS", "*events:stream*"))!.Split('\n');
        Assert.True(keys.Length >= 4, string.Join(", ", keys));
        Assert.All(keys, key => Assert.Equal("onggi", service.Keyspace.Keys.FamilyOf(key)?.Family.Name));
        Assert.Null(service.Keyspace.Keys.FamilyOf("test:events:stream:nobody.knows"));
    }

    private static IEnumerable<string> Ids(Taken taken) => taken.All.Select(one => one.Data!.UserId);

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); value > seen; )
        {
            var before = Interlocked.CompareExchange(ref most, value, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }
}
