using System.Diagnostics;
using System.Globalization;
using Onggi.Client;
using Onggi.Locks;
using Onggi.Scripts;
using Onggi.ServerTests.Caching;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Locks;

/// <summary>What locks promise when something fails, each shown to hold, and, with a known mistake switched on, shown not to: so the test can see it.</summary>
[Collection(CoherenceScriptTests.Name)]
public sealed class LockPromiseTests : IDisposable
{
    public void Dispose()
    {
        LockMutants.Acquire = LockMutants.Renew = LockMutants.Release = null;
        LockMutants.EndFromAnswer = LockMutants.LostWaitsForRenewal = LockMutants.NoMargin = LockMutants.AbandonUnknown = false;
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData(null, true)]
    [InlineData(nameof(LockMutants.NoMargin), false)]
    [InlineData(nameof(LockMutants.NoMargin), true)]
    [InlineData(nameof(LockMutants.LostWaitsForRenewal), false)]
    public async Task Lost_fires_its_margin_before_the_end_when_Redis_hangs(string? mutant, bool isStopped)
    {
        LockMutants.NoMargin = mutant == nameof(LockMutants.NoMargin);
        LockMutants.LostWaitsForRenewal = mutant == nameof(LockMutants.LostWaitsForRenewal);
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await LockNode.StartAsync(
            proxy.ConnectionString,
            options => options.CommandTimeout = TimeSpan.FromSeconds(3)
        );
        var leases = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i => await node.Locks.AcquireAsync(LockNode.Middle($"{i}"))));
        var lost = leases.Select(LostAtAsync).ToArray();

        List<DateTimeOffset> ends;
        using (var door = await RawRedis.ConnectAsync(server.Port))
        {
            if (isStopped)
            {
                // All are renewed at about the same time: for most of a second after that their ends stay as they are.
                do
                {
                    ends = await EndsByServerAsync(door, leases.Length);
                    await Task.Delay(50);
                } while (!ends.SequenceEqual(await EndsByServerAsync(door, leases.Length)));
                server.Pause();
            }
            else
            {
                // To the client it is a Redis that hangs; we can still ask it when its leases end.
                proxy.BlackHoleAll();
                await proxy.RefuseAsync();
                ends = await EndsByServerAsync(door, leases.Length);
            }
        }

        var times = await Task.WhenAll(lost).Within();
        server.Resume();

        var early = times.Zip(ends, (time, end) => (end - time).TotalMilliseconds).ToList();
        if (mutant is null)
            Assert.True(
                early.Min() >= 300,
                $"The margin is 300 ms; Lost fired {string.Join(", ", early.Select(ms => $"{ms:0}"))} ms before the end."
            );
        else
            Assert.True(early.Min() < 300, "The mutant was not seen.");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lease_is_counted_from_before_the_question_left(bool fromAnswer)
    {
        LockMutants.EndFromAnswer = fromAnswer;
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await LockNode.StartAsync(proxy.ConnectionString, options => options.Locks.LostMargin = 0.05);
        await (await node.Locks.AcquireAsync(LockNode.Middle("warm"))).DisposeAsync();
        proxy.Delay = TimeSpan.FromMilliseconds(200);

        var lease = await node.Locks.AcquireAsync(LockNode.Middle("0"));
        var bySelf = DateTimeOffset.UtcNow + lease.TimeLeft;
        var end = DateTimeOffset.FromUnixTimeMilliseconds(await NumberAsync(server, "PEXPIRETIME", "test:locks:middle:0"));
        await lease.DisposeAsync();

        Assert.Equal(fromAnswer, bySelf > end + TimeSpan.FromMilliseconds(50));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_gone_is_never_made_again(bool recreates)
    {
        if (recreates)
            LockMutants.Renew = new RedisScript("renew", "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1");
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        await using var lease = await node.Locks.AcquireAsync(LockNode.Middle("a"));

        await server.CommandAsync("FLUSHALL");
        // At the next renewal it is known; what makes it again goes on for ever.
        if (recreates)
            await Until.TrueAsync(async () => await server.CommandAsync("GET", "test:locks:middle:a") is not null, "it is there again");
        else
            await lease.LostAsync();

        Assert.Equal(!recreates, lease.Lost.IsCancellationRequested);
        Assert.Equal(recreates, await server.CommandAsync("GET", "test:locks:middle:a") is not null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Fences_grow_when_all_is_lost(bool counted)
    {
        if (counted)
            LockMutants.Acquire = Counting;
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        var before = await FenceAsync(node, 3);

        await server.CommandAsync("FLUSHALL");
        var after = await FenceAsync(node, 1);

        Assert.Equal(counted, after <= before);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Fences_grow_over_a_failover_that_lost_the_last_of_them(bool counted)
    {
        if (counted)
            LockMutants.Acquire = Counting;
        await using var all = await SentinelProcesses.StartAsync(replicas: 1);
        await using var node = await LockNode.StartAsync(
            string.Join(',', all.Sentinels.Select(sentinel => $"127.0.0.1:{sentinel.Port}")) + $",serviceName={SentinelProcesses.Service}",
            // The Sentinels are asked again every ten seconds, on a machine that is busy perhaps twice.
            options => options.ConnectTimeout = TimeSpan.FromSeconds(45)
        );
        var master = await all.MasterAsync();
        var last = await FenceAsync(node, 1);
        await Until.TrueAsync(
            async () => await all.Servers[1].CommandAsync("GET", "{test:locks:run:f}:fence") == last.ToString(),
            "the replica has the first fence"
        );

        // From here on the replica hears nothing: those who are connected stay, it cannot come back.
        await master.CommandAsync("CONFIG", "SET", "requirepass", "not for replicas");
        using (var door = await RawRedis.ConnectAsync(master.Port, "not for replicas"))
            await door.CommandAsync("CLIENT", "KILL", "TYPE", "replica");
        var fences = new List<Fence> { last };
        for (var i = 0; i < 5; i++)
            fences.Add(await FenceAsync(node, 1));
        var switched = all.NextAsync("+switch-master");
        await master.KillAsync();
        await switched;
        fences.Add(await FenceAsync(node, 1));

        Assert.Equal(counted, fences.Zip(fences.Skip(1), static (one, next) => next <= one).Any(regressed => regressed));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lock_whose_answer_was_lost_is_had_all_the_same(bool forgetsOwner)
    {
        if (forgetsOwner)
            LockMutants.Acquire = Edited("lock_acquire.lua", "owner ~= ARGV[1]", "true");
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await LockNode.StartAsync(proxy.ConnectionString);
        await (await node.Locks.AcquireAsync(LockNode.Run("warm"))).DisposeAsync();

        // The question arrives, and the answer is cut off after its first byte.
        proxy.CutAfter(ProxyDirection.ToClient, 1);
        await using var lease = await node.Locks.TryAcquireAsync(LockNode.Run("a")).Within();

        Assert.Equal(forgetsOwner, lease is null);
        Assert.NotNull(await server.CommandAsync("GET", "test:locks:run:a"));
    }

    [Fact]
    public async Task A_lock_is_given_back_once_when_the_answer_was_lost()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await LockNode.StartAsync(proxy.ConnectionString);
        var lease = await node.Locks.AcquireAsync(LockNode.Run("a"));
        await (await node.Locks.AcquireAsync(LockNode.Run("warm"))).DisposeAsync();

        proxy.CutAfter(ProxyDirection.ToClient, 1);

        Assert.True(await lease.ReleaseAsync().Within());
        Assert.Null(await server.CommandAsync("GET", "test:locks:run:a"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nobody_gives_back_what_another_holds(bool anybody)
    {
        if (anybody)
            LockMutants.Release = Edited("lock_release.lua", "~= ARGV[1] then", "== '' then");
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        var first = await node.Locks.AcquireAsync(LockNode.Run("a"));
        await server.CommandAsync("DEL", "test:locks:run:a");
        await using var second = await node.Locks.AcquireAsync(LockNode.Run("a"));

        Assert.Equal(anybody, await first.ReleaseAsync());
        Assert.Equal(anybody, await server.CommandAsync("GET", "test:locks:run:a") is null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_gives_up_leaves_nothing_behind(bool abandons)
    {
        LockMutants.AbandonUnknown = abandons;
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        await (await node.Locks.AcquireAsync(LockNode.Run("warm"))).DisposeAsync();
        using var stop = new CancellationTokenSource();

        server.Pause();
        var asking = node.Locks.TryAcquireAsync(LockNode.Run("a"), stop.Token).AsTask();
        await stop.CancelAsync();
        await asking.FailsWith<OperationCanceledException>();
        server.Resume();
        await node.Redis.SendAsync(["PING"], ReplyParsers.Ignore).Within();

        Assert.Equal(abandons, await server.CommandAsync("GET", "test:locks:run:a") is not null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_waits_is_woken_when_the_lock_is_given_back(bool silent)
    {
        if (silent)
            LockMutants.Release = Edited("lock_release.lua", "redis.pcall('SPUBLISH'", "local _ = (function() end)('SPUBLISH'");
        await using var server = await RedisServerProcess.StartAsync();
        await using var holder = await LockNode.StartAsync(server.ConnectionString);
        await using var waiter = await LockNode.StartAsync(
            server.ConnectionString,
            static options => options.Locks.PollEvery = TimeSpan.FromMinutes(1)
        );
        var lease = await holder.Locks.AcquireAsync(LockNode.Run("a"));
        var before = await server.ScriptsRunAsync();
        var waiting = waiter.Locks.AcquireAsync(LockNode.Run("a"), TimeSpan.FromSeconds(20)).AsTask();
        // It asks, and once more when it can be woken; then nobody asks before the lease is over.
        await Until.TrueAsync(async () => await server.ScriptsRunAsync() >= before + 2, "the other waits");

        await lease.DisposeAsync();

        // Without being woken it would ask when the lease of 30 s must be over.
        Assert.Equal(!silent, await CompletesAsync(waiting, TimeSpan.FromSeconds(silent ? 1.5 : 15)));
    }

    private static RedisScript Counting =>
        new(
            "acquire",
            """
            if redis.call('EXISTS', KEYS[1]) == 1 then return { 0, redis.call('PTTL', KEYS[1]) } end
            local fence = redis.call('INCR', KEYS[2])
            redis.call('SET', KEYS[1], ARGV[1] .. '|' .. fence, 'PX', ARGV[2])
            return { 1, fence }
            """
        );

    private static RedisScript Edited(string file, string right, string wrong)
    {
        var source = LuaScript.Source(file);
        Assert.Contains(right, source, StringComparison.Ordinal);
        return new RedisScript(file, source.Replace(right, wrong, StringComparison.Ordinal));
    }

    private static async Task<Fence> FenceAsync(LockNode node, int times)
    {
        Fence fence = default;
        for (var i = 0; i < times; i++)
        {
            // Over a failover it is asked until the new master is found.
            await using var lease = await node.Locks.AcquireAsync(LockNode.Run("f"), Waiting.Bound).Within();
            fence = lease.Fence;
        }

        return fence;
    }

    private static async Task<DateTimeOffset> LostAtAsync(LockLease lease)
    {
        await lease.LostAsync();
        return DateTimeOffset.UtcNow;
    }

    private static async Task<List<DateTimeOffset>> EndsByServerAsync(RawRedis door, int leases)
    {
        var ends = new List<DateTimeOffset>();
        for (var i = 0; i < leases; i++)
            ends.Add(await EndByServerAsync(door, $"test:locks:middle:{i}"));
        return ends;
    }

    private static async Task<DateTimeOffset> EndByServerAsync(RawRedis door, string key) =>
        DateTimeOffset.FromUnixTimeMilliseconds(long.Parse((await door.CommandAsync("PEXPIRETIME", key))!, CultureInfo.InvariantCulture));

    private static async Task<bool> CompletesAsync(Task task, TimeSpan within)
    {
        try
        {
            await task.WaitAsync(within);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private static async Task<long> NumberAsync(RedisServerProcess server, params string[] command) =>
        long.Parse((await server.CommandAsync(command))!, CultureInfo.InvariantCulture);
}
