using System.Collections.Concurrent;
using Onggi.Client;
using Onggi.Client.Routing.Cluster;
using Onggi.Events;
using Onggi.Testing;

namespace Onggi.ServerTests.Events;

/// <summary>Events on a cluster: on channels of slots by themselves, on channels of all by option; and on one server on channels of slots, by option.</summary>
public sealed class EventClusterTests
{
    private const string Head = "test:events:head:user.deleted";
    private const string SlotChannel = "{test:events:head:user.deleted}:ch";

    [Theory]
    [InlineData(null)]
    [InlineData(false)]
    public async Task While_the_slot_of_a_type_moves_from_node_to_node_nothing_is_lost(bool? sharded)
    {
        await using var cluster = await RedisClusterProcesses.StartAsync(primaries: 3, replicas: 0);
        await using var users = await StartAsync(cluster.ConnectionString, "users", sharded);
        await using var orders = await StartAsync(cluster.ConnectionString, "orders", sharded);
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard);
        var slot = HashSlot.Of((RedisArg)Head);
        using var stop = new CancellationTokenSource();
        var published = 0L;
        var publishing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                published = (await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", "x"))).Sequence;
        });

        for (var round = 0; round < 3; round++)
        {
            await Until.TrueAsync(() => Interlocked.Read(ref published) >= (round + 1) * 50);
            var from = (await cluster.OwnerAsync(slot))!;
            await cluster.Move(slot, from, cluster.Nodes[(cluster.Nodes.ToList().IndexOf(from) + 1) % 3]).RunAsync();
        }

        await stop.CancelAsync();
        await publishing;
        await Until.TrueAsync(() => heard.Contains(published));

        Assert.Equal(Enumerable.Range(1, (int)published).Select(static one => (long)one), heard);
        var owner = (await cluster.OwnerAsync(slot))!;
        var channels = (await owner.CommandAsync("PUBSUB", "SHARDCHANNELS"))!.Split('\n');
        Assert.Equal(sharded is null, channels.Contains(SlotChannel));
    }

    [Fact]
    public async Task One_server_has_channels_of_slots_where_the_options_say_so()
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var users = await StartAsync(server.ConnectionString, "users", sharded: true);
        await using var orders = await StartAsync(server.ConnectionString, "orders", sharded: true);
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard);
        await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", "x"));
        await Until.TrueAsync(() => heard.Count == 1);

        await server.CommandAsync("CLIENT", "KILL", "TYPE", "pubsub");
        await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", "x"));
        await Until.TrueAsync(() => heard.Count == 2);

        Assert.Equal([1, 2], heard);
        Assert.Contains(SlotChannel, await server.CommandAsync("PUBSUB", "SHARDCHANNELS"), StringComparison.Ordinal);
    }

    private static ValueTask<IAsyncDisposable> SubscribeAsync(ServiceHost service, ConcurrentQueue<long> heard) =>
        service.Events.SubscribeAsync(
            ServiceHost.UserDeleted,
            (one, _) =>
            {
                heard.Enqueue(one.Sequence!.Value);
                return ValueTask.CompletedTask;
            },
            new SubscribeOptions
            {
                OnGap = (gap, _) =>
                {
                    heard.Enqueue(-gap.From);
                    return ValueTask.CompletedTask;
                },
            }
        );

    private static Task<ServiceHost> StartAsync(string connectionString, string service, bool? sharded) =>
        ServiceHost.StartAsync(
            connectionString,
            service,
            options =>
            {
                options.Events.Sharded = sharded;
                options.CommandTimeout = TimeSpan.FromSeconds(15);
            }
        );
}
