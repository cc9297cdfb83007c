using System.Collections.Concurrent;
using System.Diagnostics;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Sessions;
using Onggi.Testing;

namespace Onggi.ServerTests.Sessions;

/// <summary>A replica takes over that has not heard everything.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class SessionFailoverTests
{
    [Fact]
    public async Task No_session_that_the_replicas_confirmed_is_lost_when_the_master_is_killed()
    {
        await using var all = await SentinelProcesses.StartAsync();
        await using var node = await SessionNode.StartAsync(
            "127.0.0.1:1",
            options =>
            {
                options.Replicas = 2;
                options.ReplicaTimeout = TimeSpan.FromMilliseconds(500);
            },
            host => host.ConfigureClient = client => BySentinel(client, all)
        );
        var made = new ConcurrentBag<SessionCreation>();
        var ended = new ConcurrentBag<SessionCreation>();
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 8).Select(i => SignInAndOutAsync(node, i, made, ended, stop.Token)).ToArray();
        await Until.TrueAsync(() => made.Count > 50, "sessions are begun");
        var switched = all.NextAsync("+switch-master");

        await (await all.MasterAsync()).KillAsync();
        await switched;
        var before = made.Count;
        await Until.TrueAsync(() => made.Count > before + 20, "sessions are begun at the new master");
        await stop.CancelAsync();
        await Task.WhenAll(writers).Within();

        var confirmed = made.Where(one => one.Replicas >= 2).ToList();
        Assert.True(confirmed.Count > 20, $"{confirmed.Count} of {made.Count} were confirmed.");
        var out_ = ended.Select(one => one.Handle).ToHashSet(StringComparer.Ordinal);
        foreach (var one in confirmed.Where(one => !out_.Contains(one.Handle)))
            Assert.True(await node.Sessions.ValidateAsync(one.Id) is not null, $"{one.Handle} was confirmed and is lost.");
        Assert.NotEmpty(ended);
        foreach (var one in ended)
            Assert.True(await node.Sessions.ValidateAsync(one.Id) is null, $"{one.Handle} was ended and is back.");
    }

    [Fact]
    public async Task What_could_not_be_said_again_is_tried_again_over_the_connection_that_stands()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await SessionNode.QuietAsync(server.ConnectionString);
        var session = await node.Sessions.CreateAsync("kim");
        await node.Sessions.RevokeAsync(session.Id!);
        var old = await node.Sessions.CreateAsync("kim");
        var rotated = await node.Sessions.RotateAsync(old.Id, TimeSpan.FromMinutes(1));

        // The server that is connected to again refuses at first.
        await server.CommandAsync("ACL", "SETUSER", "default", "-evalsha", "-eval");
        await server.CommandAsync("CLIENT", "KILL", "TYPE", "normal");
        await Until.TrueAsync(() => node.Log.Any(static line => line.Id == 6004), "the repeat is refused");
        await server.CommandAsync("CONFIG", "RESETSTAT");
        await server.CommandAsync("ACL", "SETUSER", "default", "+evalsha", "+eval");

        await Until.TrueAsync(
            async () => (await server.CommandAsync("INFO", "commandstats"))!.Contains("cmdstat_evalsha", StringComparison.Ordinal),
            "it is said again"
        );

        // Where nothing was lost, neither the session nor the overlap of its old id is ended.
        Assert.True((await node.Sessions.ValidateAsync(old.Id))!.IsSuperseded);
        Assert.False((await node.Sessions.ValidateAsync(rotated.Id))!.IsSuperseded);
    }

    [Fact]
    public Task What_a_failover_forgot_of_the_revocations_is_said_again() => RevocationsHoldAsync();

    [Fact]
    public Task What_was_lost_without_anybody_noticing_is_made_up_for_after_as_long_as_it_had_been_there() => LossesAreMadeUpForAsync();

    [Fact]
    public Task Replicas_that_do_not_confirm_are_not_counted() => ConfirmationsAreTrueAsync();

    /// <summary>A sign-out that the replica never heard of; then the replica takes over.</summary>
    internal static async Task RevocationsHoldAsync(TimeSpan? bound = null)
    {
        await using var pair = await PairAsync();
        await using var node = await pair.NodeAsync(_ => { });
        var made = await node.Sessions.CreateAsync("u1");
        var all = await node.Sessions.CreateAsync("u2");
        var stays = await node.Sessions.CreateAsync("u3");
        var replaced = await node.Sessions.CreateAsync("u4");
        await pair.ReplicatedAsync();

        await pair.Replica.CommandAsync("REPLICAOF", "NO", "ONE");
        Assert.Equal(1, (await node.Sessions.RevokeAsync(made.Id)).Count);
        Assert.Equal(1, (await node.Sessions.RevokeAllAsync("u2")).Count);
        var rotated = await node.Sessions.RotateAsync(replaced.Id);
        Assert.Equal([rotated.Handle], (await node.Sessions.RevokeAsync(rotated.Id)).Handles);
        var back = node.Redis.Change(connected: true);
        await pair.Primary.KillAsync();
        await back;

        await Until.TrueAsync(
            async () =>
                await node.Sessions.ValidateAsync(made.Id) is null
                && await node.Sessions.ValidateAsync(all.Id) is null
                && await node.Sessions.ValidateAsync(replaced.Id) is null,
            "what was ended is dead on the new primary too",
            bound
        );
        Assert.NotNull(await node.Sessions.ValidateAsync(stays.Id));
        await Until.TrueAsync(() => node.Log.Any(line => line.Id == 6003), "it is logged");
    }

    /// <summary>All that a revocation did is undone, and no connection has changed: as where a slot of a cluster gets another owner.</summary>
    internal static async Task LossesAreMadeUpForAsync(TimeSpan? bound = null)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var node = await SessionNode.QuietAsync(server.ConnectionString);
        var made = await node.Sessions.CreateAsync("u1");
        var stays = await node.Sessions.CreateAsync("u1");
        var before = new List<(string Key, byte[] Value)>();
        foreach (var key in (await node.KeysAsync()).Where(key => key.Contains("session", StringComparison.Ordinal)))
            before.Add((key, await node.Redis.SendAsync(["DUMP", key], ReplyParsers.Bytes) ?? []));
        await node.Sessions.RevokeAsync(made.Id);

        foreach (var (key, value) in before)
            await node.Redis.SendAsync(["RESTORE", key, 60_000, value, "REPLACE"], ReplyParsers.Ignore);
        Assert.NotNull(await node.Sessions.ValidateAsync(made.Id));

        await Until.TrueAsync(async () => await node.Sessions.ValidateAsync(made.Id) is null, "it is ended again", bound);
        Assert.NotNull(await node.Sessions.ValidateAsync(stays.Id));
        await Until.TrueAsync(() => node.Log.Any(line => line.Id == 6003), "it is logged");
    }

    /// <summary>Nobody replicates any more, and the caller is told.</summary>
    internal static async Task ConfirmationsAreTrueAsync()
    {
        await using var pair = await PairAsync();
        await using var node = await pair.NodeAsync(options =>
        {
            options.Replicas = 1;
            options.ReplicaTimeout = TimeSpan.FromMilliseconds(300);
        });
        // WAIT also waits for a replica that is a moment behind.
        var confirmed = await node.Sessions.CreateAsync("u1");
        await Until.TrueAsync(async () => (confirmed = await node.Sessions.CreateAsync("u1")).Replicas == 1, "the replica confirms");
        Assert.True(await pair.Replica.CommandAsync("EXISTS", node.SessionKey(confirmed.Handle)) == "1");

        await pair.Replica.CommandAsync("REPLICAOF", "NO", "ONE");
        await Until.TrueAsync(
            async () => (await pair.Primary.CommandAsync("INFO", "replication"))!.Contains("connected_slaves:0", StringComparison.Ordinal),
            "the primary has noticed"
        );
        var alone = await node.Sessions.CreateAsync("u1");
        var rotated = await node.Sessions.RotateAsync(alone.Id);
        var revoked = await node.Sessions.RevokeAsync(rotated.Id);

        Assert.Equal((0, 0, 0), (alone.Replicas, rotated.Replicas, revoked.Replicas));
        Assert.Equal(1, revoked.Count);
        Assert.Contains(node.Log, line => line.Id == 6007);
    }

    private static async Task<Pair> PairAsync()
    {
        var primary = await RedisServerProcess.StartAsync("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1");
        var replica = await RedisServerProcess.StartAsync("--replicaof", "127.0.0.1", $"{primary.Port}");
        var pair = new Pair(primary, replica);
        await pair.ReplicatedAsync();
        return pair;
    }

    private static void BySentinel(RedisClientOptions client, SentinelProcesses all)
    {
        client.SentinelService = SentinelProcesses.Service;
        client.Servers = [.. all.Sentinels.Select(sentinel => new RedisAddress("127.0.0.1", sentinel.Port))];
    }

    private static async Task SignInAndOutAsync(
        SessionNode node,
        int writer,
        ConcurrentBag<SessionCreation> made,
        ConcurrentBag<SessionCreation> ended,
        CancellationToken stop
    )
    {
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            try
            {
                var creation = await node.Sessions.CreateAsync(
                    $"user-{writer}",
                    new SessionDetails { Limit = new SessionLimit(0) },
                    CancellationToken.None
                );
                // One that is to end can have ended without its caller being told: it counts as lost by nobody.
                if (i % 3 > 0)
                    made.Add(creation);
                else if ((await node.Sessions.RevokeAsync(creation.Id, cancellationToken: CancellationToken.None)).Replicas >= 2)
                    ended.Add(creation);
            }
            catch (RedisException)
            {
                // The caller was not told that it is done.
            }

            await Task.Delay(5, CancellationToken.None);
        }
    }

    private sealed record Pair(RedisServerProcess Primary, RedisServerProcess Replica) : IAsyncDisposable
    {
        public Task<SessionNode> NodeAsync(Action<SessionOptions> configure) =>
            SessionNode.StartAsync($"127.0.0.1:{Primary.Port},127.0.0.1:{Replica.Port}", configure);

        public Task ReplicatedAsync() =>
            Until.TrueAsync(
                async () =>
                {
                    var offset = await OffsetAsync(Primary, "master_repl_offset:");
                    return offset > 0 && await OffsetAsync(Replica, "slave_repl_offset:") >= offset;
                },
                "the replica has everything"
            );

        public async ValueTask DisposeAsync()
        {
            await Replica.DisposeAsync();
            await Primary.DisposeAsync();
        }

        private static async Task<long> OffsetAsync(RedisServerProcess server, string name)
        {
            var info = (await server.CommandAsync("INFO", "replication"))!;
            var at = info.IndexOf(name, StringComparison.Ordinal);
            return at < 0 ? -1 : long.Parse(info[(at + name.Length)..].Split('\r')[0], System.Globalization.CultureInfo.InvariantCulture);
        }
    }
}
