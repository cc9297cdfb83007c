using System.Globalization;
using Onggi.Client;
using Onggi.Events.Streams;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Events.Streams;

/// <summary>What streams promise when something fails, each shown to hold, and, with a known mistake switched on, shown not to: so the test can see it.</summary>
[Collection(CoherenceScriptTests.Name)]
public sealed class StreamPromiseTests : IDisposable
{
    /// <summary>Sets the mark and does the work in one step; says whether it was done now.</summary>
    private static readonly RedisScript Work = new(
        "work",
        "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('INCR', KEYS[2]) end return 0"
    );

    public void Dispose()
    {
        StreamMutants.Script = null;
        StreamMutants.AcknowledgeFirst = StreamMutants.NoRenewal = StreamMutants.NoLook = false;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_process_had_in_hand_when_it_was_cut_off_is_taken_over(bool acknowledgesFirst)
    {
        StreamMutants.AcknowledgeFirst = acknowledgesFirst;
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var one = await CutOffAsync(proxy);
        await using var first = await Taken.ByAsync(one, (_, stop) => new ValueTask(Task.Delay(Timeout.Infinite, stop)));
        await one.PlaceAsync("1");
        await first.NextAsync();
        await proxy.RefuseAsync();
        proxy.CutAll();

        await using var two = await Orders.StartAsync(server.ConnectionString, instance: "two");
        await using var second = await Taken.ByAsync(two);
        await server.SettledAsync();

        Assert.Equal(acknowledgesFirst ? [] : [2], second.All.Select(taken => taken.Delivery!.Attempt));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_still_worked_on_is_not_taken_over_however_long_it_takes(bool givesNoSign)
    {
        StreamMutants.NoRenewal = givesNoSign;
        await using var server = await RedisServerProcess.StartAsync();
        // A sign each second, on a machine that may stand still for one or two.
        static void Patient(StreamOptions options) => options.ClaimAfter = TimeSpan.FromSeconds(3);
        await using var one = await Orders.StartAsync(server.ConnectionString, configure: Patient);
        await using var two = await Orders.StartAsync(server.ConnectionString, instance: "two", configure: Patient);
        var finish = new TaskCompletionSource();
        await using var first = await Taken.ByAsync(one, (_, stop) => new ValueTask(finish.Task.WaitAsync(stop)));
        await one.PlaceAsync("1");
        await first.NextAsync();
        await using var second = await Taken.ByAsync(two);

        // The other looks four times in that time. More than twice the silence that would be enough is long enough to see that it does not take it.
        await Until.TrueAsync(async () => second.All.Count == 1 || Age(first) > TimeSpan.FromSeconds(7), "it is taken over, or never");
        finish.TrySetResult();
        await server.SettledAsync();

        Assert.Equal(givesNoSign ? 1 : 0, second.All.Count);
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("stream_settle.lua", "if state[2] ~= ARGV[3] then", "if false then")]
    [InlineData("stream_renew.lua", "state[2] == ARGV[2]", "true")]
    public async Task Who_was_silent_for_too_long_is_told_and_cannot_put_away_what_is_anothers(
        string? script,
        string? line,
        string? instead
    )
    {
        if (script is not null)
            StreamMutants.Script = (script, line!, instead!);
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var one = await CutOffAsync(proxy, options => options.MaxAttempts = 1);
        var fail = new TaskCompletionSource();
        var finish = new TaskCompletionSource();
        await using var first = await Taken.ByAsync(
            one,
            async (_, _) =>
            {
                await fail.Task.WaitAsync(ServiceHost.Patience, CancellationToken.None);
                throw new InvalidOperationException("Too late.");
            }
        );
        await one.PlaceAsync("1");
        await first.NextAsync();
        await proxy.RefuseAsync();
        proxy.CutAll();
        await using var two = await Orders.StartAsync(
            server.ConnectionString,
            instance: "two",
            configure: options => options.MaxAttempts = 1
        );
        await using var second = await Taken.ByAsync(two, (_, stop) => new ValueTask(finish.Task.WaitAsync(stop)));
        Assert.Equal(2, (await second.NextAsync()).Delivery!.Attempt);

        proxy.Accept();
        if (script is null)
            await one.LoggedAsync(7057);
        else if (script == "stream_renew.lua")
            await Until.TrueAsync(
                async () =>
                    (await server.CommandAsync("XPENDING", Orders.Stream, "orders"))!.Contains("orders@one", StringComparison.Ordinal),
                "it was taken back"
            );
        fail.TrySetResult();
        // At the end of the subscription it has said that it failed; the other goes on.
        await first.DisposeAsync();
        finish.TrySetResult();
        await server.SettledAsync();

        var quarantined = await two.Events.Streams.QuarantineAsync(Orders.Type);
        Assert.Equal(script is null ? 0 : 1, quarantined.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Work_with_its_mark_in_one_step_is_done_once_and_its_handler_not_called_again(bool neverLooks)
    {
        StreamMutants.NoLook = neverLooks;
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                var delivery = one.Delivery!;
                await service.Redis.EvalAsync(
                    Work,
                    [delivery.MarkKey, "work"],
                    [delivery.MarkValue, (long)delivery.MarkLife.TotalMilliseconds],
                    ReplyParsers.Int64,
                    stop
                );
                if (delivery.Attempt == 1)
                    throw new InvalidOperationException("After the work.");
            }
        );

        await service.PlaceAsync("1");
        await server.SettledAsync();

        Assert.Equal("1", await server.CommandAsync("GET", "work"));
        Assert.Equal(neverLooks ? 2 : 1, taken.All.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_publishers_double_is_handled_once(bool withoutMark)
    {
        if (withoutMark)
            StreamMutants.Script = ("stream_settle.lua", "ARGV[5] ~= '0'", "false");
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var taken = await Taken.ByAsync(service);

        foreach (var _ in (int[])[1, 2])
            await server.CommandAsync("XADD", Orders.Stream, "*", "event", """{"id":"the same {one}","data":{"userId":"1"}}""");
        await server.SettledAsync();

        Assert.Equal(withoutMark ? 2 : 1, taken.All.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_waits_for_its_retry_is_not_taken_for_abandoned(bool takesAll)
    {
        if (takesAll)
            StreamMutants.Script = ("stream_claim.lua", "if not redis.call('ZSCORE', KEYS[2], state[1]) and", "if");
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(
            server.ConnectionString,
            configure: options =>
            {
                options.RetryDelay = TimeSpan.FromMinutes(2);
                options.ClaimAfter = TimeSpan.FromSeconds(1);
            }
        );
        await using var taken = await Taken.ByAsync(service, (_, _) => throw new InvalidOperationException("Later."));
        await service.PlaceAsync("1");
        await taken.NextAsync();

        await Until.TrueAsync(
            async () => taken.All.Count > 1 || await IdleAsync(server) > TimeSpan.FromSeconds(4),
            "it is taken, or silent for four times as long as would be enough"
        );

        Assert.Equal(takesAll, taken.All.Count > 1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_driven_back_is_for_its_group_only(bool forAll)
    {
        if (forAll)
            StreamMutants.Script = ("stream_redrive.lua", "{ 'for', ARGV[1] }", "{ 'x', '1' }");
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        await using var mail = await Orders.StartAsync(server.ConnectionString, "mail");
        await using var taken = await Taken.ByAsync(
            service,
            (one, _) => one.Delivery!.MessageId == "1-1" ? throw new EventRejectedException("not now") : ValueTask.CompletedTask
        );
        await server.CommandAsync("XADD", Orders.Stream, "1-1", "event", """{"data":{"userId":"1"}}""");
        await server.SettledAsync();
        await using var other = await Taken.ByAsync(mail);
        await server.SettledAsync("mail");

        Assert.Equal(1, await service.Events.Streams.RedriveAsync(Orders.Type));
        await server.SettledAsync();
        await server.SettledAsync("mail");

        Assert.Equal(2, taken.All.Count);
        Assert.Equal(forAll ? 2 : 1, other.All.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Marks_from_before_a_replay_count_for_nothing_and_those_from_after_it_do(bool countAll)
    {
        if (countAll)
            StreamMutants.Script = ("stream_look.lua", "<= again", "< 0");
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        var failsOnce = false;
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                Assert.True(await one.Delivery!.TryMarkAsync(stop));
                if (Volatile.Read(ref failsOnce))
                    throw new InvalidOperationException("After the work.");
            }
        );
        await service.PlaceAsync("1");
        await server.SettledAsync();

        Volatile.Write(ref failsOnce, true);
        await service.Events.Streams.ReplayAsync(Orders.Type, DateTimeOffset.UnixEpoch);
        await server.SettledAsync();

        // Once before, once in the replay; the retry in the replay finds the replay's own mark.
        Assert.Equal(countAll ? 1 : 2, taken.All.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_was_silent_for_too_long_cannot_mark(bool anybody)
    {
        if (anybody)
            StreamMutants.Script = ("stream_mark.lua", "if not state or state[2] ~= ARGV[3] then", "if false then");
        await using var server = await RedisServerProcess.StartAsync();
        await using var service = await Orders.StartAsync(server.ConnectionString);
        var result = new TaskCompletionSource<string>();
        await using var taken = await Taken.ByAsync(
            service,
            async (one, stop) =>
            {
                if (one.Delivery!.Attempt > 1)
                    return;
                await server.CommandAsync("XCLAIM", Orders.Stream, "orders", "orders@two", "0", one.Delivery.MessageId, "JUSTID");
                try
                {
                    result.TrySetResult($"{await one.Delivery.TryMarkAsync(stop)}");
                }
                catch (OperationCanceledException)
                {
                    result.TrySetResult("another's");
                    throw;
                }
            }
        );

        await service.PlaceAsync("1");

        Assert.Equal(anybody ? "True" : "another's", await result.Task.WaitAsync(ServiceHost.Patience));
        // It is taken over in its turn, and done.
        await server.SettledAsync();
        Assert.Equal(anybody ? 1 : 2, taken.All.Count);
    }

    private static Task<ServiceHost> CutOffAsync(FaultProxy proxy, Action<StreamOptions>? configure = null) =>
        Orders.StartAsync(
            proxy.ConnectionString,
            configure: configure,
            more: options =>
            {
                options.Events.DrainTimeout = TimeSpan.FromSeconds(5);
                options.CommandTimeout = TimeSpan.FromSeconds(1);
                options.ConnectTimeout = TimeSpan.FromSeconds(1);
            }
        );

    private static TimeSpan Age(Taken taken)
    {
        var ms = long.Parse(taken.All.First().Delivery!.MessageId.Split('-')[0], CultureInfo.InvariantCulture);
        return DateTimeOffset.UtcNow - DateTimeOffset.FromUnixTimeMilliseconds(ms);
    }

    private static async Task<TimeSpan> IdleAsync(RedisServerProcess server)
    {
        var pending = (await server.CommandAsync("XPENDING", Orders.Stream, "orders", "-", "+", "1"))!.Split('\n');
        return TimeSpan.FromMilliseconds(long.Parse(pending[2], CultureInfo.InvariantCulture));
    }
}
