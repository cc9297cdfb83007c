using System.Collections.Concurrent;
using Onggi.Events;
using Onggi.Events.Replay;
using Onggi.ServerTests.Caching;
using Onggi.Testing;

namespace Onggi.ServerTests.Events;

/// <summary>Where a process goes on that was stopped or killed and kept the position of what it had handled. <c>EventBenchTests</c> kills real ones.</summary>
[Collection(CoherenceScriptTests.Name)]
public sealed class EventPositionTests : IAsyncLifetime
{
    private RedisServerProcess _server = null!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync()
    {
        EventMutants.PositionIgnored = false;
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData(false, new long[] { 4, 5, 6 })]
    [InlineData(true, new long[] { 6 })]
    public async Task Who_kept_its_position_gets_what_was_published_while_it_was_not_there(bool ignored, long[] expected)
    {
        EventMutants.PositionIgnored = ignored;
        await using var users = await StartAsync();
        var kept = await HearAndStopAsync(users, 3);
        await PublishAsync(users, 2);

        await using var orders = await StartAsync("orders");
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, kept);
        await PublishAsync(users, 1);
        await Until.TrueAsync(() => heard.Contains(6));

        Assert.Equal(expected, heard);
        Assert.Equal(ignored ? 0 : 2, orders.Events.Statistics.Replayed);
    }

    [Fact]
    public async Task What_the_ring_no_longer_has_of_it_is_told()
    {
        await using var users = await StartAsync(configure: static options => options.Events.RingLength = 5);
        var kept = await HearAndStopAsync(users, 3);
        await PublishAsync(users, 20);

        await using var orders = await StartAsync("orders");
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, kept);
        await Until.TrueAsync(() => heard.Contains(23));

        Assert.Equal([-4, 19, 20, 21, 22, 23], heard);
    }

    [Fact]
    public async Task A_position_in_a_count_that_is_lost_is_told_and_all_of_the_new_count_heard()
    {
        await using var users = await StartAsync();
        var kept = await HearAndStopAsync(users, 3);
        await _server.CommandAsync("FLUSHALL");
        await PublishAsync(users, 4);

        await using var orders = await StartAsync("orders");
        var heard = new ConcurrentQueue<long>();
        await using var subscription = await SubscribeAsync(orders, heard, kept);
        await Until.TrueAsync(() => heard.Contains(4));

        Assert.Equal([-4, 1, 2, 3, 4], heard);
    }

    [Fact]
    public async Task A_first_start_may_begin_with_the_last_minutes_and_a_later_one_at_its_position()
    {
        await using var users = await StartAsync();
        await PublishAsync(users, 3);
        var heard = new ConcurrentQueue<long>();
        EventPosition? kept = null;
        for (var start = 0; start < 2; start++)
        {
            await using var orders = await StartAsync("orders");
            await using var subscription = await orders.Events.SubscribeAsync(
                ServiceHost.UserDeleted,
                (one, _) =>
                {
                    kept = one.Position;
                    heard.Enqueue(one.Sequence!.Value);
                    return ValueTask.CompletedTask;
                },
                new SubscribeOptions { Replay = TimeSpan.FromMinutes(1), After = kept }
            );
            await PublishAsync(users, 1);
            await Until.TrueAsync(() => heard.Contains(4 + start));
        }

        Assert.Equal([1, 2, 3, 4, 5], heard);
    }

    // As text, because so it is kept.
    private async Task<string> HearAndStopAsync(ServiceHost users, int count)
    {
        await using var orders = await StartAsync("orders");
        var heard = new ConcurrentQueue<EventPosition>();
        await using var subscription = await orders.Events.SubscribeAsync(
            ServiceHost.UserDeleted,
            (one, _) =>
            {
                heard.Enqueue(one.Position!.Value);
                return ValueTask.CompletedTask;
            }
        );
        await PublishAsync(users, count);
        await Until.TrueAsync(() => heard.Count == count);
        return heard.Last().ToString();
    }

    // A gap stands among the numbers as its first one, negative.
    private static ValueTask<IAsyncDisposable> SubscribeAsync(ServiceHost service, ConcurrentQueue<long> heard, string kept)
    {
        Assert.True(EventPosition.TryParse(kept, out var position));
        return service.Events.SubscribeAsync(
            ServiceHost.UserDeleted,
            (one, _) =>
            {
                heard.Enqueue(one.Sequence!.Value);
                return ValueTask.CompletedTask;
            },
            new SubscribeOptions
            {
                After = position,
                OnGap = (gap, _) =>
                {
                    heard.Enqueue(-gap.From);
                    return ValueTask.CompletedTask;
                },
            }
        );
    }

    private static async Task PublishAsync(ServiceHost service, int count)
    {
        for (var i = 0; i < count; i++)
            await service.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", "x"));
    }

    private Task<ServiceHost> StartAsync(string service = "users", Action<OnggiOptions>? configure = null) =>
        ServiceHost.StartAsync(_server.ConnectionString, service, configure);
}
