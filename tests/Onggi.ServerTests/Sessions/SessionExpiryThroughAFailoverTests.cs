using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>The worst day: who sweeps is killed, and the master with it, and somebody else had died before with events in hand.</summary>
public sealed class SessionExpiryThroughAFailoverTests
{
    private const int Count = 200;

    // What the dying process began ends, and is told by others, when the master is another one.
    private static readonly TimeSpan Afterwards = TimeSpan.FromSeconds(8);

    [Fact]
    public async Task Whatever_dies_in_the_middle_all_that_ended_is_told()
    {
        // The test calls for the failover itself.
        await using var servers = await SentinelRun.StartAsync(middle: int.MaxValue);
        var address = servers.ConnectionString;
        await using var listener = await SessionNode.StartAsync(address, options => Safe(options, SessionExpiryContract.Quick));
        await listener.ListenAsync();
        await using var dying = await SessionNode.StartAsync(
            address,
            options =>
            {
                Safe(options, SessionExpiryContract.Dying);
                options.IdleForTests = options.RepublishForTests = Afterwards;
            }
        );
        dying.Sessions.Family.Outbox.IsDeadForTests = true;
        using var sweeping = await SessionExpiryContract.SweepingProcessAsync(address);

        var made = await Task.WhenAll(
            Enumerable.Range(0, Count).Select(i => (i % 2 == 0 ? listener : dying).Sessions.CreateAsync($"user-{i}").AsTask())
        );
        var banned = await dying.Sessions.CreateAsync("u1");
        var ban = await dying.Sessions.RevokeAsync(banned.Id, "banned");
        // Whoever is elected has them all.
        Assert.All([.. made, banned], one => Assert.Equal(2, one.Replicas));
        Assert.Equal((1, 2), (ban.Count, ban.Replicas));
        await Until.TrueAsync(() => listener.HeardOf("expired").Any(), "the first expiry was told");
        sweeping.Kill(); // SIGKILL
        await sweeping.WaitForExitAsync().Within();
        var before = HandlesOf(listener, "expired").Count;
        await servers.FailOverAsync();
        await using var successor = await SessionNode.StartAsync(address, SessionExpiryContract.Quick);

        // What was published and then lost with the master is published again: so an end can be told twice here, and not be marked.
        string[] expected = [.. made.Select(one => one.Handle)];
        await Until.TrueAsync(
            () => HandlesOf(listener, "expired").IsSupersetOf(expected),
            $"all expiries were told ({before} before the kill)"
        );
        await Until.TrueAsync(() => HandlesOf(listener, "revoked").Contains(banned.Handle), "the revocation was told");
        await Until.TrueAsync(() => HandlesOf(listener, "created").IsSupersetOf([.. expected, banned.Handle]), "all that began was told");
        Assert.Equal(expected.Length, HandlesOf(listener, "expired").Count);
        Assert.Equal([banned.Handle], HandlesOf(listener, "revoked"));
    }

    private static HashSet<string> HandlesOf(SessionNode node, string kind) => [.. node.HeardOf(kind).Select(one => one.Data.Session)];

    // Confirmed by all that there are, however long that takes.
    private static void Safe(SessionOptions options, Action<SessionOptions> like)
    {
        like(options);
        options.Sweep = false;
        options.Replicas = 2;
        options.ReplicaTimeout = Waiting.Bound;
    }
}
