using System.Diagnostics;
using Onggi.Testing;

namespace Onggi.ServerTests.Support;

/// <summary>The clusters and Sentinels of the tests themselves: what they promise happens, and in time.</summary>
public sealed class ProcessTests
{
    // What takes three seconds on an idle machine.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_killed_primary_is_followed_by_its_replica_and_comes_back_as_one()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync().WaitAsync(Bound);
        var (primary, replica) = (cluster.Nodes[0], cluster.Nodes[3]);

        await primary.Server.KillAsync();
        Assert.Same(replica, await cluster.WhenOwnerIsNotAsync(0, primary).WaitAsync(Bound));
        await cluster.WhenOkAsync().WaitAsync(Bound);

        await primary.Server.RestartAsync();
        await cluster.WhenOkAsync().WaitAsync(Bound);
        Assert.Same(replica, await cluster.OwnerAsync(0, seenBy: primary));
        Assert.Contains("role:slave", await primary.CommandAsync("INFO", "replication"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slot_moves_in_steps_with_its_keys()
    {
        await using var cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 0).WaitAsync(Bound);
        var from = (await cluster.OwnerAsync(12182))!;
        var to = cluster.Nodes.First(node => node != from);
        for (var i = 0; i < 5; i++)
            await from.CommandAsync("SET", $"{{foo}}{i}", $"{i}");
        var move = cluster.Move(12182, from, to);

        await move.BeginAsync();
        Assert.Equal(2, await move.MoveKeysAsync(most: 2));
        var left = Enumerable.Range(0, 5).Select(i => AnswerAsync(from, $"{{foo}}{i}"));
        Assert.Equal(2, (await Task.WhenAll(left)).Count(answer => answer == $"ASK 12182 {to}"));
        Assert.Equal($"MOVED 12182 {from}", await AnswerAsync(to, "{foo}0"));
        Assert.Equal(3, await move.MoveKeysAsync());
        await move.FinishAsync();

        await cluster.WhenOkAsync().WaitAsync(Bound);
        Assert.Same(to, await cluster.OwnerAsync(12182, seenBy: from));
        Assert.Equal("4", await to.CommandAsync("GET", "{foo}4"));
    }

    [Fact]
    public async Task Sentinels_make_a_replica_the_master_when_the_master_is_killed()
    {
        await using var all = await SentinelProcesses.StartAsync().WaitAsync(Bound);
        var old = await all.MasterAsync();
        var promoted = all.NextAsync("+promoted-slave");
        var switched = all.NextAsync("+switch-master");
        var killed = Stopwatch.GetTimestamp();

        await old.KillAsync();

        var elected = await promoted.WaitAsync(Bound);
        Assert.InRange(Stopwatch.GetElapsedTime(killed, elected.Timestamp), TimeSpan.FromMilliseconds(400), Bound);
        var told = await switched.WaitAsync(Bound);
        var words = told.Text.Split(' ');
        Assert.Equal($"{SentinelProcesses.Service} 127.0.0.1 {old.Port}", string.Join(' ', words[..3]));
        var teller = all.Sentinels.Single(sentinel => sentinel.Port == told.Sentinel);
        var master = await all.MasterAsync(teller);
        Assert.Equal(words[4], $"{master.Port}");
        Assert.Contains("role:master", await master.CommandAsync("INFO", "replication"), StringComparison.Ordinal);
    }

    private static async Task<string?> AnswerAsync(RedisClusterNode node, string key)
    {
        try
        {
            return await node.CommandAsync("GET", key);
        }
        catch (InvalidOperationException error)
        {
            return error.Message;
        }
    }
}
