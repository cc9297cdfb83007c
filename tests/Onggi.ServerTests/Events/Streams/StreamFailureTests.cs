using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Onggi.Cli.Access;
using Onggi.Client;
using Onggi.Events.Streams;
using Onggi.Keys;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Events.Streams;

/// <summary>The page's table of failures, row by row.</summary>
public sealed class StreamFailureTests
{
    [Fact]
    public async Task When_Redis_was_emptied_the_group_is_made_again_and_nothing_that_comes_is_missed()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var taken = await Taken.ByAsync(service);
        await service.PlaceAsync("1");
        await server.SettledAsync();

        await server.CommandAsync("FLUSHALL");
        var receipt = await service.PlaceAsync("2");
        await service.LoggedAsync(7051);
        await server.SettledAsync();

        Assert.Equal(1, receipt.Sequence);
        Assert.Equal(["1", "2"], taken.All.Select(one => one.Data!.UserId));
        Assert.NotEqual(taken.All.First().Epoch, taken.All.Last().Epoch);
    }

    [Fact]
    public async Task When_Redis_was_killed_and_is_back_it_goes_on_by_itself()
    {
        await using var server = await RedisServerProcess.StartAsync("--appendonly", "yes", "--appendfsync", "always");
        await using var service = await Orders.StartAsync(server.ConnectionString);
        var finish = new TaskCompletionSource();
        await using var taken = await Taken.ByAsync(service, (_, stop) => new ValueTask(finish.Task.WaitAsync(stop)));
        await service.PlaceAsync("1");
        await taken.NextAsync();

        await server.KillAsync();
        // It is handled while Redis is away, and said when it is back.
        finish.TrySetResult();
        await server.RestartAsync();
        await server.SettledAsync();
        await service.PlaceAsync("2");
        await taken.NextAsync();
        await server.SettledAsync();
        Assert.Equal(2, taken.All.Count);

        // With nothing in hand it says that it cannot read.
        await server.KillAsync();
        await service.LoggedAsync(7053);
    }

    [Fact]
    public async Task Who_subscribes_while_Redis_is_away_begins_when_it_is_there()
    {
        var port = LoopbackPorts.Free();
        await using var service = await Orders.StartAsync(
            $"127.0.0.1:{port}",
            more: options => options.ConnectTimeout = TimeSpan.FromMilliseconds(300)
        );

        await using var taken = await Taken.ByAsync(service);
        await service.LoggedAsync(7062);
        await using var server = await RedisServerProcess.StartAsync(new RedisServerSettings { Port = port });
        await server.CommandAsync("XADD", Orders.Stream, "*", "event", """{"data":{"userId":"1"}}""");

        await taken.NextAsync();
        await server.SettledAsync();
    }

    [Fact]
    public async Task When_Redis_is_full_publishing_is_refused_and_the_rest_goes_on()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString, configure: options => options.MaxAttempts = 2);
        await using var mail = await Orders.StartAsync(server.ConnectionString, "mail");
        var finish = new TaskCompletionSource();
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                await finish.Task.WaitAsync(stop);
                if (one.Data!.UserId == "bad")
                    throw new InvalidOperationException("No.");
            }
        );
        await service.PlaceAsync("bad");
        await service.PlaceAsync("good");
        await taken.NextAsync();

        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");
        var refused = await Assert.ThrowsAsync<RedisServerException>(async () => await service.PlaceAsync("more"));
        finish.TrySetResult();
        await server.SettledAsync();

        Assert.Equal(("OOM", Sent.No), (refused.Code, refused.Sent));
        Assert.Equal(2, await server.LengthAsync());
        Assert.Equal("0", await server.CommandAsync("EXISTS", "test:events:stream:nothing"));
        Assert.Single(await service.Events.Streams.QuarantineAsync(Orders.Type));
        Assert.Equal(["bad", "bad", "good"], taken.All.Select(one => one.Data!.UserId).Order());
    }

    [Fact]
    public async Task When_Redis_hangs_while_an_event_is_in_hand_it_is_done_once()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            configure: options => options.ClaimAfter = TimeSpan.FromMinutes(1),
            more: options => options.CommandTimeout = TimeSpan.FromMilliseconds(300)
        );
        var finish = new TaskCompletionSource();
        await using var taken = await Taken.ByAsync(service, (_, stop) => new ValueTask(finish.Task.WaitAsync(stop)));
        await service.PlaceAsync("1");
        await taken.NextAsync();

        server.Pause();
        finish.TrySetResult();
        var late = await Assert.ThrowsAnyAsync<RedisException>(async () => await service.PlaceAsync("2"));
        server.Resume();
        await server.SettledAsync();

        Assert.IsType<RedisTimeoutException>(late);
        Assert.Single(taken.All, one => one.Data!.UserId == "1");
    }

    [Fact]
    public async Task A_handler_runs_under_the_trace_of_who_published()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        var seen = new TaskCompletionSource<Activity?>();
        await using var taken = await Taken.ByAsync(
            service,
            (_, _) =>
            {
                seen.TrySetResult(Activity.Current);
                return ValueTask.CompletedTask;
            }
        );
        string? parent;
        using (var publishing = new Activity("publish").SetIdFormat(ActivityIdFormat.W3C).Start())
        {
            parent = publishing.Id;
            await service.PlaceAsync("1");
        }

        var span = await seen.Task.WaitAsync(ServiceHost.Patience);
        Assert.Equal(parent, span!.ParentId);
        Assert.Equal("process order.placed", span.OperationName);
    }

    [Fact]
    public async Task What_throws_when_a_handler_is_told_to_stop_keeps_nobody_else_from_being_told()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString, configure: options => options.Concurrency = 2);
        var second = new TaskCompletionSource();
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                if (one.Delivery!.IsRedelivery)
                    return;
                await using var registration = stop.Register(() =>
                {
                    if (one.Data!.UserId == "1")
                        throw new InvalidOperationException("Broken.");
                    second.TrySetResult();
                });
                await Task.Delay(Timeout.InfiniteTimeSpan, stop);
            }
        );
        await service.PlaceAsync("1");
        await service.PlaceAsync("2");
        var ids = new Dictionary<string, string>();
        while (ids.Count < 2)
        {
            var one = await taken.NextAsync();
            ids[one.Data!.UserId] = one.Delivery!.MessageId;
        }

        await server.CommandAsync("XCLAIM", Orders.Stream, "orders", "another", "0", ids["1"]);
        await service.LoggedAsync(7066);
        await server.CommandAsync("XCLAIM", Orders.Stream, "orders", "another", "0", ids["2"]);

        await second.Task.WaitAsync(ServiceHost.Patience);
    }

    [Fact]
    public async Task A_refusal_is_thrown_to_who_subscribes()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await server.CommandAsync("ACL", "SETUSER", "poor", "on", ">secret", "~other:*", "&*", "+@all");
        await using var service = await Orders.StartAsync($"{server.ConnectionString},user=poor,password=secret");

        var refused = await Assert.ThrowsAsync<RedisServerException>(async () => await Taken.ByAsync(service));

        Assert.Equal("NOPERM", refused.Code);
        await service.LoggedAsync(7052);
    }

    [Fact]
    public async Task The_rights_that_the_tool_gives_a_service_are_enough()
    {
        await using var server = await RedisServerProcess.StartAsync();
        var rights = AccessPlan.Of(Keyspace.Load(Orders.CatalogJson), replicated: false).Single(user => user.Name == "orders").Rules;
        await server.CommandAsync(["ACL", "SETUSER", "poor", "on", ">secret", .. rights]);
        await using var service = await Orders.StartAsync(
            $"{server.ConnectionString},user=poor,password=secret",
            configure: options => options.MaxAttempts = 2
        );
        var failed = false;
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                Assert.True(await one.Delivery!.TryMarkAsync(stop));
                await one.Delivery.UnmarkAsync(stop);
                if (!failed)
                    throw new InvalidOperationException("No.");
            }
        );

        await service.PlaceAsync("1");
        await server.SettledAsync();
        failed = true;
        Assert.Equal(1, await service.Events.Streams.RedriveAsync(Orders.Type));
        await server.SettledAsync();
        await service.Events.Streams.ReplayAsync(Orders.Type, DateTimeOffset.UnixEpoch);
        await server.SettledAsync();
        await service.Events.Streams.TrimAsync(Orders.Type);
        Assert.NotEmpty(await service.Events.Streams.GroupsAsync(Orders.Type));
    }

    [Fact]
    public async Task On_a_cluster_everything_about_a_stream_is_in_its_slot()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 0);
        await using var service = await Orders.StartAsync(
            $"{cluster.Nodes[0]}",
            configure: options => options.MaxAttempts = 2,
            more: options => options.ConnectTimeout = TimeSpan.FromSeconds(30)
        );
        var bad = true;
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                Assert.True(await one.Delivery!.TryMarkAsync(stop));
                if (Volatile.Read(ref bad) && one.Data!.UserId == "bad")
                {
                    await one.Delivery.UnmarkAsync(stop);
                    throw new InvalidOperationException("No.");
                }
            }
        );

        await service.PlaceAsync("bad");
        await service.PlaceAsync("good");
        await Until.TrueAsync(async () => (await service.Events.Streams.QuarantineAsync(Orders.Type)).Count == 1, "one is in quarantine");
        Volatile.Write(ref bad, false);
        Assert.Equal(1, await service.Events.Streams.RedriveAsync(Orders.Type));
        await SettledAsync(service);
        await service.Events.Streams.ReplayAsync(Orders.Type, DateTimeOffset.UnixEpoch);
        await SettledAsync(service);
        await service.Events.Streams.TrimAsync(Orders.Type);

        // Before: bad twice, good, bad again. Then bad and good anew: the entry that was driven back is the same event, and marked by then.
        Assert.Equal(6, taken.All.Count);
        var owners = 0;
        foreach (var node in cluster.Nodes)
            owners += string.IsNullOrEmpty(await node.CommandAsync("KEYS", "*events:stream*")) ? 0 : 1;
        Assert.Equal(1, owners);
    }

    [Fact]
    public async Task A_failover_in_the_middle_loses_nothing_that_was_replicated()
    {
        await using var all = await SentinelProcesses.StartAsync(replicas: 1);
        await using var service = await Orders.StartAsync(
            string.Join(',', all.Sentinels.Select(sentinel => $"127.0.0.1:{sentinel.Port}")) + $",serviceName={SentinelProcesses.Service}",
            configure: options => options.Concurrency = 4,
            // The Sentinels are asked again every ten seconds, on a machine that is busy perhaps twice.
            more: options => options.ConnectTimeout = TimeSpan.FromSeconds(45)
        );
        var seen = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                await Task.Delay(5, stop);
                seen.AddOrUpdate(one.Data!.UserId, 1, static (_, count) => count + 1);
            }
        );
        var master = await all.MasterAsync();
        for (var i = 0; i < 200; i++)
            await service.PlaceAsync($"{i}");
        await Until.TrueAsync(async () => await all.Servers[1].LengthAsync() == 200, "the replica has them all");

        var switched = all.NextAsync("+switch-master");
        await master.KillAsync();
        await switched;
        for (var i = 200; i < 250; i++)
            await PlaceUntilTakenAsync(service, $"{i}");
        await all.Servers[1].SettledAsync();

        Assert.Equal(Enumerable.Range(0, 250).Select(i => $"{i}").Order(), seen.Keys.Order());
    }

    private static async Task SettledAsync(ServiceHost service) =>
        await Until.TrueAsync(
            async () => (await service.Events.Streams.GroupsAsync(Orders.Type)).Single() is { Pending: 0, Waiting: 0 },
            "everything is settled"
        );

    private static async Task PlaceUntilTakenAsync(ServiceHost service, string id)
    {
        for (var watch = Stopwatch.StartNew(); ; )
        {
            try
            {
                await service.PlaceAsync(id);
                return;
            }
            catch (RedisException) when (watch.Elapsed < TimeSpan.FromSeconds(60))
            {
                // The new master is being found.
                await Task.Delay(50);
            }
        }
    }
}

/// <summary>What publishing and settling cost in round trips. Alone: it looks at the time.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class StreamTripTests
{
    private static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(100);

    [Fact]
    public async Task Publishing_and_settling_are_one_round_trip_each()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var service = await Orders.StartAsync(proxy.ConnectionString);
        var returned = 0L;
        await using var taken = await Taken.ByAsync(
            service,
            (_, _) =>
            {
                Interlocked.Exchange(ref returned, Stopwatch.GetTimestamp());
                return ValueTask.CompletedTask;
            }
        );
        // The scripts are known to the server from here on.
        await service.PlaceAsync("warm");
        await server.SettledAsync();
        proxy.Delay = OneWay;

        List<double> publishing = [];
        List<double> settling = [];
        for (var i = 0; i < 5; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await service.PlaceAsync($"{i}");
            publishing.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            await taken.NextAsync();
            await server.SettledAsync();
            // Half a round trip after the handler has returned, Redis knows.
            settling.Add(Stopwatch.GetElapsedTime(Interlocked.Read(ref returned)).TotalMilliseconds);
        }

        var trip = 2 * OneWay.TotalMilliseconds;
        Assert.True(publishing.Min() < 1.5 * trip, string.Create(CultureInfo.InvariantCulture, $"{publishing.Min():0} ms"));
        Assert.True(settling.Min() < trip, string.Create(CultureInfo.InvariantCulture, $"{settling.Min():0} ms"));
    }
}
