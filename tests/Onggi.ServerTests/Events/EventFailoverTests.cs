using System.Collections.Concurrent;
using Onggi.Client;
using Onggi.Events;
using Onggi.ServerTests.Client;
using Onggi.ServerTests.Client.Sentinel;
using Onggi.Testing;

namespace Onggi.ServerTests.Events;

/// <summary>A failover that lost the last events: their numbers are given again.</summary>
public sealed class EventFailoverTests
{
    [Fact]
    public async Task After_a_failover_that_lost_events_what_the_new_primary_has_is_heard_and_the_loss_is_told()
    {
        await using var all = await SentinelProcesses.StartAsync(replicas: 1, sentinels: 1);
        var (old, replica) = (all.Servers[0], all.Servers[1]);
        await using var users = await StartAsync(all, "users");
        await using var orders = await StartAsync(all, "orders");
        var heard = new ConcurrentQueue<string>();
        var gaps = new ConcurrentQueue<EventGap>();
        await using var subscription = await orders.Events.SubscribeAsync(
            ServiceHost.UserDeleted,
            (one, _) =>
            {
                heard.Enqueue(one.Data!.Name);
                return ValueTask.CompletedTask;
            },
            new SubscribeOptions
            {
                OnGap = (gap, _) =>
                {
                    heard.Enqueue("gap");
                    gaps.Enqueue(gap);
                    return ValueTask.CompletedTask;
                },
            }
        );
        await PublishAsync(users, "a1", "a2", "a3");
        await Until.TrueAsync(
            async () => await replica.CommandAsync("HGET", "test:events:head:user.deleted", "seq") == "3",
            "the replica has what was published"
        );

        // From here on the replica lags for ever, and the Sentinel does not interfere.
        await all.Sentinels[0].CommandAsync("SENTINEL", "REMOVE", SentinelProcesses.Service);
        await replica.CommandAsync("REPLICAOF", "NO", "ONE");
        await PublishAsync(users, "lost1", "lost2");
        await Until.TrueAsync(() => Task.FromResult(heard.Count == 5), "all was heard");
        await all.Sentinels[0].CommandAsync("SENTINEL", "MONITOR", SentinelProcesses.Service, "127.0.0.1", $"{replica.Port}", "1");
        await old.KillAsync();
        await PublishAsync(users, "b1", "b2", "b3");

        await Until.TrueAsync(() => Task.FromResult(heard.Contains("b3")), "what was published after the failover is heard");
        Assert.Equal(["a1", "a2", "a3", "lost1", "lost2", "gap", "b1", "b2", "b3"], heard);
        Assert.Equal((6, null, EventGapReason.WentBack), gaps.Select(static gap => (gap.From, gap.To, gap.Reason)).Single());
    }

    private static async Task PublishAsync(ServiceHost service, params string[] names)
    {
        foreach (var name in names)
        {
            try
            {
                await service.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", name));
            }
            catch (RedisConnectionException)
            {
                // It went to the server that was killed.
                await service.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", name));
            }
        }
    }

    private static Task<ServiceHost> StartAsync(SentinelProcesses all, string service) =>
        ServiceHost.StartAsync(
            $"redis+sentinel://127.0.0.1:{all.Sentinels[0].Port}/{SentinelProcesses.Service}",
            service,
            static options => options.CommandTimeout = Waiting.Bound
        );
}
