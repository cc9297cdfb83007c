using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Cluster;
using Onggi.ServerTests.Tokens;
using Onggi.Sessions;
using Onggi.Testing;
using Onggi.Tokens;

namespace Onggi.ServerTests.Sessions;

/// <summary>What waits for replicas goes over a connection of its own, and finds a slot wherever it is.</summary>
[Collection(TokenTests.Name)]
public sealed class ReplicatedScriptTests(RedisClusterFixture fixture) : IClassFixture<RedisClusterFixture>
{
    private static readonly RevocationOptions OneReplica = new() { Replicas = 1, ReplicaTimeout = Waiting.Bound / 2 };

    private RedisClusterProcesses Cluster => fixture.Cluster;

    [Fact]
    public async Task A_session_is_confirmed_by_the_replica_of_the_node_that_its_slot_has_moved_to()
    {
        await using var node = await SessionNode.QuietAsync(
            Cluster.ConnectionString,
            options =>
            {
                options.Replicas = 1;
                options.ReplicaTimeout = Waiting.Bound / 2;
            }
        );
        var made = await node.Sessions.CreateAsync("mover");
        Assert.Equal(1, made.Replicas);

        await (await MoveAsync(node.Sessions.Family.Keys.ShardOf(node.Keyspace.Keys.PseudonymOf("mover")).Slot)).RunAsync();
        var revoked = await node.Sessions.RevokeAsync(made.Id);

        Assert.Equal((1, 1), (revoked.Count, revoked.Replicas));
        Assert.Null(await node.Sessions.ValidateAsync(made.Id));
    }

    [Fact]
    public async Task A_revocation_follows_its_slot_and_waits_while_that_is_on_its_way()
    {
        await using var auth = await TokenNode.StartAsync(Cluster.ConnectionString);
        var (one, two) = (await auth.SignInAsync("ada"), await auth.SignInAsync("ada"));
        var move = await MoveAsync(HashSlot.Of((RedisArg)auth.Tokens.Setup.Names.Of("ada").Families));

        await move.BeginAsync();
        await move.MoveKeysAsync();
        var waiting = auth.Tokens.RevokeRefreshTokenAsync(one.RefreshToken, OneReplica).AsTask();
        // The keys are at the new node, which takes none of several before it has the slot.
        await Until.TrueAsync(async () => await RefusedAsync(move.From), "the old node has sent somebody on");
        Assert.False(waiting.IsCompleted);
        await move.FinishAsync();
        var (first, second) = (await waiting.Within(), await auth.Tokens.RevokeRefreshTokenAsync(two.RefreshToken, OneReplica).Within());

        Assert.Equal((1, 1, 1, 1), (first!.Ended, first.Replicas, second!.Ended, second.Replicas));
        Assert.Equal(TokenRefusal.Revoked, await auth.RefusalAsync(one.AccessToken));
    }

    [Fact]
    public async Task While_a_slot_stays_on_its_way_what_can_be_done_is_done_and_nobody_counts_as_having_confirmed_it()
    {
        await using var auth = await TokenNode.StartAsync(
            Cluster.ConnectionString,
            client: options => options.CommandTimeout = TimeSpan.FromSeconds(4)
        );
        var tokens = await auth.SignInAsync("bob");
        var token = await auth.ReadAsync(tokens.AccessToken);
        var move = await MoveAsync(HashSlot.Of((RedisArg)auth.Tokens.Setup.Names.Of("bob").Families));

        await move.BeginAsync();
        await move.MoveKeysAsync();
        var revoked = await auth.Tokens.RevokeAsync(token, OneReplica).Within();
        await move.FinishAsync();

        Assert.Equal((1, 0), (revoked.Ended, revoked.Replicas));
        Assert.Equal(TokenRefusal.Revoked, await auth.RefusalAsync(tokens.AccessToken));
    }

    private async Task<SlotMove> MoveAsync(int slot)
    {
        var from = (await Cluster.OwnerAsync(slot))!;
        return Cluster.Move(slot, from, Cluster.Primaries.First(node => node != from));
    }

    private static async Task<bool> RefusedAsync(RedisClusterNode node) =>
        (await node.CommandAsync("INFO", "errorstats"))!.Contains("errorstat_ASK", StringComparison.Ordinal);
}
