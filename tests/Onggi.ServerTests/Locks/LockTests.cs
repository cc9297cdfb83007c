using System.Globalization;
using Microsoft.Data.Sqlite;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Locks;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Locks;

/// <summary>Locks on one redis-server that is well.</summary>
public sealed class LockTests(RedisServerFixture fixture) : IClassFixture<RedisServerFixture>
{
    private RedisServerProcess Server => fixture.Server;

    [Fact]
    public async Task A_lock_stands_in_Redis_as_owner_and_fence_and_ends_by_itself()
    {
        await using var node = await NodeAsync();

        await using var lease = await node.Locks.AcquireAsync(LockNode.Run("a"));

        var parts = (await Server.CommandAsync("GET", "test:locks:run:a"))!.Split('|');
        Assert.StartsWith("billing@", parts[0], StringComparison.Ordinal);
        Assert.Equal(lease.Fence.ToString(), parts[1]);
        Assert.Equal(lease.Fence.ToString(), await Server.CommandAsync("GET", "{test:locks:run:a}:fence"));
        Assert.InRange(await NumberAsync("PTTL", "test:locks:run:a"), 15_000, 30_000);
        Assert.InRange(await NumberAsync("PTTL", "{test:locks:run:a}:fence"), 86_000_000, 86_400_000);
        Assert.True(lease.IsHeld);
        Assert.InRange(lease.TimeLeft, TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task Only_one_has_it_and_the_next_has_a_greater_fence()
    {
        await using var one = await NodeAsync();
        await using var other = await NodeAsync();
        var first = await one.Locks.AcquireAsync(LockNode.Run("b"));

        Assert.Null(await other.Locks.TryAcquireAsync(LockNode.Run("b")));
        Assert.Null(await one.Locks.TryAcquireAsync(LockNode.Run("b")));
        Assert.True(await first.ReleaseAsync());
        await using var second = await other.Locks.TryAcquireAsync(LockNode.Run("b"));

        Assert.True(second!.Fence > first.Fence);
        Assert.False(first.IsHeld);
        Assert.False(first.Lost.IsCancellationRequested);
        Assert.False(await first.ReleaseAsync());
        Assert.Throws<LeaseLostException>(first.ThrowIfLost);
        Assert.True(second.IsHeld);
    }

    [Fact]
    public async Task Each_operation_is_one_script_in_one_round_trip()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await LockNode.StartAsync(server.ConnectionString);
        await (await node.Locks.AcquireAsync(LockNode.Run("warm"))).DisposeAsync();
        var before = await server.ScriptsRunAsync();

        var lease = await node.Locks.TryAcquireAsync(LockNode.Run("c"), TimeSpan.FromSeconds(10));
        var acquired = await server.ScriptsRunAsync();
        await lease!.DisposeAsync();

        Assert.Equal(before + 1, acquired);
        Assert.Equal(acquired + 1, await server.ScriptsRunAsync());
    }

    [Fact]
    public async Task Who_gives_up_when_it_is_woken_leaves_the_lock_to_the_next_of_its_process()
    {
        var time = new WatchedTime();
        var key = LockNode.Long("woken");
        await using var holder = await NodeAsync();
        await using var node = await LockNode.StartAsync(Server.ConnectionString, time: time);
        var held = await holder.Locks.AcquireAsync(key);
        using var givesUp = new CancellationTokenSource();
        var isFirst = new AsyncLocal<bool>();
        async Task<LockLease?> FirstAsync()
        {
            isFirst.Value = true;
            return await node.Locks.TryAcquireAsync(key, Timeout.InfiniteTimeSpan, givesUp.Token);
        }

        var first = FirstAsync();
        await Until.TrueAsync(() => Task.FromResult(node.Locks.IsAsleep(key)), "the first sleeps");
        var second = node.Locks.TryAcquireAsync(key, Timeout.InfiniteTimeSpan).AsTask();
        await Until.TrueAsync(() => Task.FromResult(node.Locks.Waiting == 2), "the second waits");

        // The first looks at the clock after it was woken and before its question is sent.
        time.Asked = () =>
        {
            if (isFirst.Value)
                givesUp.Cancel();
        };
        await held.ReleaseAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first.Within());
        await using var next = await second.Within();
        Assert.NotNull(next);
    }

    [Fact]
    public async Task A_lease_is_renewed_as_long_as_it_is_held()
    {
        await using var node = await NodeAsync();
        await using var lease = await node.Locks.AcquireAsync(LockNode.Middle("d"));

        // Each after a second: four of them come after its first life.
        await Server.RenewedAsync("test:locks:middle:d", 4);

        Assert.True(lease.IsHeld);
        Assert.False(lease.Lost.IsCancellationRequested);
    }

    [Fact]
    public async Task A_lease_is_renewed_no_longer_than_it_may_be_held()
    {
        await using var node = await LockNode.StartAsync(
            Server.ConnectionString,
            options => options.Locks.MaxHold = TimeSpan.FromSeconds(1.5)
        );
        await using var lease = await node.Locks.AcquireAsync(LockNode.Brief("hung"));

        await lease.LostAsync();

        Assert.False(lease.IsHeld);
        await using var other = await node.Locks.AcquireAsync(LockNode.Brief("hung"), TimeSpan.FromSeconds(10));
        Assert.True(other.Fence > lease.Fence);
    }

    [Fact]
    public async Task Who_waits_gives_up_when_its_time_is_over_or_its_token_says_so()
    {
        await using var node = await NodeAsync();
        await using var lease = await node.Locks.AcquireAsync(LockNode.Run("e"));
        using var stop = new CancellationTokenSource();

        Assert.Null(await node.Locks.TryAcquireAsync(LockNode.Run("e"), TimeSpan.FromMilliseconds(100)).Within());
        await Assert.ThrowsAsync<LockTimeoutException>(async () =>
            await node.Locks.AcquireAsync(LockNode.Run("e"), TimeSpan.FromMilliseconds(100)).Within()
        );
        var waiting = node.Locks.AcquireAsync(LockNode.Run("e"), cancellationToken: stop.Token).AsTask();
        await stop.CancelAsync();
        var cancelled = await waiting.FailsWith<OperationCanceledException>();
        Assert.Equal(stop.Token, cancelled.CancellationToken);
    }

    [Fact]
    public async Task A_hundred_contenders_in_four_nodes_never_overlap_and_fences_grow()
    {
        var nodes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => NodeAsync()));
        var ledger = new FenceLedger();

        await Task.WhenAll(
                Enumerable
                    .Range(0, 100)
                    .Select(async i =>
                    {
                        await using var lease = await nodes[i % 4].Locks.AcquireAsync(LockNode.Run("f"));
                        ledger.Enter(lease.Fence);
                        await Task.Yield();
                        ledger.Leave();
                    })
            )
            .WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal((100, 0, 0), (ledger.Entered, ledger.Overlaps, ledger.Regressions));
        foreach (var node in nodes)
            await node.DisposeAsync();
    }

    [Fact]
    public async Task Who_waits_asks_nothing_until_it_is_woken()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var holder = await LockNode.StartAsync(server.ConnectionString);
        await using var waiters = await LockNode.StartAsync(server.ConnectionString);
        var lease = await holder.Locks.AcquireAsync(LockNode.Run("g"));
        var before = await server.ScriptsRunAsync();
        var waiting = Enumerable.Range(0, 100).Select(_ => WaitAndReleaseAsync(waiters, "g")).ToArray();
        // All have asked once, and the first of them again when it could be woken.
        await UntilAsync(async () => await server.ScriptsRunAsync() >= before + 101);
        before = await server.ScriptsRunAsync();

        // Time in which nothing is to happen.
        await Task.Delay(TimeSpan.FromSeconds(1));
        var quiet = await server.ScriptsRunAsync();
        await lease.DisposeAsync();
        await Task.WhenAll(waiting).Within();
        var all = await server.ScriptsRunAsync();

        Assert.InRange(quiet - before, 0, 2);
        // Each hand-over is one release and one question; a wake-up that comes while its lock is taken already costs one more.
        Assert.InRange(all - quiet, 200, 320);
    }

    [Fact]
    public async Task A_line_ends_when_nobody_waits_any_more()
    {
        await using var node = await NodeAsync();
        await using (await node.Locks.AcquireAsync(LockNode.Run("h")))
            Assert.Null(await node.Locks.TryAcquireAsync(LockNode.Run("h"), TimeSpan.FromMilliseconds(50)));

        Assert.Equal(1, node.Locks.Lines);
        await UntilAsync(() => Task.FromResult(node.Locks.Lines == 0));
        await UntilAsync(async () => (await Server.CommandAsync("PUBSUB", "SHARDCHANNELS", "*run:h*"))!.Length == 0);
    }

    [Fact]
    public async Task A_lock_that_was_taken_by_hand_is_respected_and_outwaited()
    {
        await using var node = await NodeAsync();
        await Server.CommandAsync("SET", "test:locks:run:i", "somebody", "PX", "700");

        Assert.Null(await node.Locks.TryAcquireAsync(LockNode.Run("i")));
        await using var lease = await node.Locks.AcquireAsync(LockNode.Run("i"), TimeSpan.FromSeconds(10));

        Assert.True(lease.IsHeld);
    }

    [Fact]
    public async Task Only_a_family_of_locks_can_be_held()
    {
        await using var node = await NodeAsync();

        var refused = await Assert.ThrowsAsync<ArgumentException>(async () =>
            await node.Locks.TryAcquireAsync(new LockKey(LockNode.State("x")))
        );
        Assert.Contains("\"kind\": \"lock\"", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_end_of_the_process_gives_back_what_it_holds_and_says_so()
    {
        var node = await NodeAsync();
        var lease = await node.Locks.AcquireAsync(LockNode.Run("j"));

        await node.DisposeAsync();

        Assert.True(lease.Lost.IsCancellationRequested);
        Assert.Null(await Server.CommandAsync("GET", "test:locks:run:j"));
    }

    [Fact]
    public async Task The_guard_in_Redis_refuses_an_earlier_holder()
    {
        await using var node = await NodeAsync();
        var early = await node.Locks.AcquireAsync(LockNode.Run("k"));
        await early.DisposeAsync();
        await using var late = await node.Locks.AcquireAsync(LockNode.Run("k"));
        var guard = node.Locks.Guard;

        Assert.True(await guard.SetAsync(LockNode.State("k"), "1"u8.ToArray(), early.Fence));
        Assert.True(await guard.SetAsync(LockNode.State("k"), "2"u8.ToArray(), late.Fence));
        Assert.False(await guard.SetAsync(LockNode.State("k"), "3"u8.ToArray(), early.Fence));
        Assert.False(await guard.RemoveAsync(LockNode.State("k"), early.Fence));
        Assert.False(await guard.CheckAsync(LockNode.State("k"), early.Fence));

        Assert.Equal("2", await Server.CommandAsync("GET", "test:cache:state:k"));
        Assert.InRange(await NumberAsync("PTTL", "test:cache:state:k"), 500_000, 600_000);
        Assert.True(await guard.CheckAsync(LockNode.State("k"), late.Fence));
        Assert.True(await guard.RemoveAsync(LockNode.State("k"), late.Fence));
        Assert.Null(await Server.CommandAsync("GET", "test:cache:state:k"));
    }

    [Fact]
    public async Task The_guard_in_SQL_refuses_an_earlier_holder_and_a_statement_that_forgets_the_fence()
    {
        await using var database = new SqliteConnection("Data Source=:memory:");
        await database.OpenAsync();
        await using var setup = database.CreateCommand();
        setup.CommandText = "CREATE TABLE job (id INTEGER, state TEXT, fence INTEGER); INSERT INTO job VALUES (1, 'new', 0)";
        await setup.ExecuteNonQueryAsync();

        Assert.True(await WriteAsync("half", new Fence(7)));
        Assert.True(await WriteAsync("done", new Fence(9)));
        Assert.False(await WriteAsync("half again", new Fence(7)));
        await using var read = database.CreateCommand();
        read.CommandText = "SELECT state FROM job";
        Assert.Equal("done", await read.ExecuteScalarAsync());
        await Assert.ThrowsAsync<ArgumentException>(async () => await read.ExecuteFencedAsync(new Fence(9)));

        async Task<bool> WriteAsync(string state, Fence fence)
        {
            await using var command = database.CreateCommand();
            command.CommandText = "UPDATE job SET state = @state, fence = @fence WHERE id = 1 AND fence <= @fence";
            command.Parameters.AddWithValue("@state", state);
            return await command.ExecuteFencedAsync(fence);
        }
    }

    private Task<LockNode> NodeAsync() => LockNode.StartAsync(Server.ConnectionString);

    private async Task<long> NumberAsync(params string[] command) =>
        long.Parse((await Server.CommandAsync(command))!, CultureInfo.InvariantCulture);

    private static async Task WaitAndReleaseAsync(LockNode node, string id)
    {
        await using var lease = await node.Locks.AcquireAsync(LockNode.Run(id));
        Assert.True(lease.IsHeld);
    }

    private static Task UntilAsync(Func<Task<bool>> condition) => Until.TrueAsync(condition, "it came about");
}

/// <summary>The resource that a lock protects: it knows who is inside, and which fence was the last.</summary>
internal sealed class FenceLedger
{
    private int _inside;
    private int _entered;
    private int _overlaps;
    private int _regressions;
    private long _last;

    public int Entered => _entered;

    public int Overlaps => _overlaps;

    public int Regressions => _regressions;

    public void Enter(Fence fence)
    {
        if (Interlocked.Increment(ref _inside) != 1)
            Interlocked.Increment(ref _overlaps);
        if (Interlocked.Exchange(ref _last, fence.Value) >= fence.Value)
            Interlocked.Increment(ref _regressions);
        Interlocked.Increment(ref _entered);
    }

    public void Leave() => Interlocked.Decrement(ref _inside);
}
