using Onggi.Client;
using Onggi.Keys;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Locks;

/// <summary>The table of docs/features/locks.md: Redis slow, gone, full, restarted empty; and a cluster.</summary>
public sealed class LockFailureTests
{
    [Fact]
    public async Task When_Redis_is_gone_who_asks_is_told_and_who_waits_gets_the_lock_when_it_is_back()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(
            server.ConnectionString,
            options => options.CommandTimeout = TimeSpan.FromMilliseconds(500)
        );
        await server.KillAsync();

        await node.Locks.TryAcquireAsync(LockNode.Run("a")).FailsWith<Onggi.Locks.LockLease?, RedisException>();
        await node
            .Locks.TryAcquireAsync(LockNode.Run("a"), TimeSpan.FromMilliseconds(700))
            .FailsWith<Onggi.Locks.LockLease?, RedisException>();
        var waiting = node.Locks.AcquireAsync(LockNode.Run("a")).AsTask();
        await server.RestartAsync();

        await using var lease = await waiting.Within();
        Assert.True(lease.IsHeld);
    }

    [Fact]
    public async Task A_lease_outlives_a_lost_connection()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var proxy = FaultProxy.Start(server.Port);
        await using var node = await LockNode.StartAsync(proxy.ConnectionString);
        await using var lease = await node.Locks.AcquireAsync(LockNode.Run("a"));

        for (var cut = 0; cut < 5; cut++)
        {
            var back = node.Redis.Change(connected: true);
            proxy.CutAll();
            await back;
        }

        await node.Redis.SendAsync(["PING"], ReplyParsers.Ignore).Within();
        Assert.True(lease.IsHeld);
        Assert.False(lease.Lost.IsCancellationRequested);
    }

    [Fact]
    public async Task A_lease_that_a_restart_has_taken_is_known_as_soon_as_Redis_is_back()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        await using var lease = await node.Locks.AcquireAsync(LockNode.Long("a"));

        await server.RestartAsync(kill: true);
        await lease.LostAsync();

        // Of the ten minutes nearly all would have been left, and the next renewal would have come after three: far later than this test waits.
        Assert.False(lease.IsHeld);
        await using var next = await node.Locks.AcquireAsync(LockNode.Long("a"));
        Assert.True(next.Fence > lease.Fence);
    }

    [Fact]
    public async Task When_Redis_is_full_nobody_takes_a_lock_but_leases_are_renewed_and_given_back()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        await using var lease = await node.Locks.AcquireAsync(LockNode.Middle("a"));
        await server.CommandAsync("CONFIG", "SET", "maxmemory", "1");

        var full = await node.Locks.TryAcquireAsync(LockNode.Run("b")).FailsWith<Onggi.Locks.LockLease?, RedisServerException>();
        Assert.Equal("OOM", full.Code);
        await server.RenewedAsync("test:locks:middle:a", 1);
        Assert.True(lease.IsHeld);
        Assert.True(await lease.ReleaseAsync());
    }

    [Fact]
    public async Task Who_may_not_listen_asks_by_the_clock()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        await using var waiter = await LockNode.StartAsync(server.ConnectionString);
        await server.CommandAsync("ACL", "SETUSER", "default", "resetchannels");
        var lease = await node.Locks.AcquireAsync(LockNode.Run("a"));
        var waiting = waiter.Locks.AcquireAsync(LockNode.Run("a")).AsTask();
        Assert.Null(await waiter.Locks.TryAcquireAsync(LockNode.Run("a"), TimeSpan.FromMilliseconds(300)));

        Assert.True(await lease.ReleaseAsync());

        await using var second = await waiting.Within();
        Assert.True(second.Fence > lease.Fence);
    }

    [Fact]
    public async Task A_cluster_keeps_a_lock_its_fence_and_its_channel_in_one_slot()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync(replicas: 0);
        await using var one = await LockNode.StartAsync(cluster.ConnectionString);
        await using var other = await LockNode.StartAsync(cluster.ConnectionString);

        for (var i = 0; i < 20; i++)
        {
            var lease = await one.Locks.AcquireAsync(LockNode.Run($"{i}"));
            var waiting = other.Locks.AcquireAsync(LockNode.Run($"{i}")).AsTask();
            // Not the lines: those of before go when nobody has waited for a while.
            await Until.TrueAsync(() => Task.FromResult(other.Locks.Waiting == 1), "it waits");
            Assert.True(await lease.ReleaseAsync());
            // Far less than the lease of 30 s: it was woken.
            await using var second = await waiting.Within();
            Assert.True(second.Fence > lease.Fence);
            Assert.True(await one.Locks.Guard.SetAsync(LockNode.State($"{i}"), "1"u8.ToArray(), second.Fence));
        }
    }
}
