using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Onggi.Client;
using Onggi.Events;
using Onggi.Testing;

namespace Onggi.ServerTests.Events;

public sealed class EventBusTests : IAsyncLifetime
{
    private const string Channel = "test:events:global:user.updated";

    private static readonly Dictionary<string, string> Metadata = new() { ["user_id"] = "42", ["사유"] = "이름 변경" };

    private RedisServerProcess _server = null!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task An_event_of_one_service_reaches_another_whole()
    {
        await using var users = await StartAsync("users");
        await using var orders = await StartAsync("orders");
        await using var heard = await Heard<UserUpdated>.ByAsync(orders, ServiceHost.UserUpdated);
        var before = DateTimeOffset.UtcNow;

        var receipt = await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("42", "Kim"), Metadata);
        var user = await heard.NextAsync();

        Assert.Equal(new UserUpdated("42", "Kim"), user.Data);
        Assert.Equal("user.updated", user.Type);
        Assert.Equal("users", user.Source);
        Assert.Equal(receipt.Id, user.Id);
        Assert.Equal(receipt.Sequence, user.Sequence);
        Assert.Equal(receipt.Id, user.Epoch);
        Assert.Equal(Metadata, user.Metadata);
        Assert.InRange(user.Time, before.AddMilliseconds(-1), DateTimeOffset.UtcNow);
        // Both services listen, because the event invalidates entries of a family.
        Assert.Equal(new EventReceipt(receipt.Id, 1, 2, IsKept: true), receipt);
        Assert.Equal(1, users.Events.Statistics.Published);
    }

    [Fact]
    public async Task What_other_programs_see_is_one_plain_JSON_object()
    {
        await using var users = await StartAsync("users", static options => options.Events.Source = "user-service");
        using var cli = Process.Start(
            new ProcessStartInfo("redis-cli", ["-p", _server.Port.ToString(), "SUBSCRIBE", Channel])
            {
                RedirectStandardOutput = true,
                UseShellExecute = false,
            }
        )!;
        try
        {
            foreach (var line in new[] { "subscribe", Channel, "1" })
                Assert.Equal(line, await LineAsync(cli));

            var first = await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("42", "Kim"), Metadata);
            var second = await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("43", "Lee"));

            Assert.Equal("message", await LineAsync(cli));
            Assert.Equal(Channel, await LineAsync(cli));
            Assert.Equal(
                $$$"""{"epoch":"{{{first.Id}}}","seq":1,"v":1,"id":"{{{first.Id}}}","type":"user.updated","source":"user-service","time":"T","metadata":{"user_id":"42","사유":"이름 변경"},"data":{"userId":"42","name":"Kim"}}""",
                WithoutTime(await LineAsync(cli))
            );
            Assert.Equal("message", await LineAsync(cli));
            Assert.Equal(Channel, await LineAsync(cli));
            Assert.Equal(
                $$$"""{"epoch":"{{{first.Id}}}","seq":2,"v":1,"id":"{{{second.Id}}}","type":"user.updated","source":"user-service","time":"T","metadata":{},"data":{"userId":"43","name":"Lee"}}""",
                WithoutTime(await LineAsync(cli))
            );
        }
        finally
        {
            cli.Kill();
            await cli.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task Numbers_grow_by_one_and_everybody_hears_them_in_that_order()
    {
        const int Each = 250;
        await using var users = await StartAsync("users");
        await using var orders = await StartAsync("orders");
        await using var there = await Heard<UserUpdated>.ByAsync(orders, ServiceHost.UserDeleted);
        await using var here = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserDeleted);

        await Task.WhenAll(
            new[] { users, orders, users, orders }.Select(async service =>
            {
                for (var i = 0; i < Each; i++)
                    await service.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated($"{i}", "x"));
            })
        );

        for (var number = 1; number <= 4 * Each; number++)
        {
            Assert.Equal(number, (await there.NextAsync()).Sequence);
            Assert.Equal(number, (await here.NextAsync()).Sequence);
        }
    }

    [Fact]
    public async Task After_a_lost_link_readers_are_told_and_hear_again()
    {
        await using var users = await StartAsync("users");
        await using var orders = await StartAsync("orders");
        await using var heard = await Heard<UserUpdated>.ByAsync(orders, ServiceHost.UserUpdated);
        var interrupted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = orders.Events.OnInterrupted(() => interrupted.TrySetResult());

        await _server.CommandAsync("CLIENT", "KILL", "TYPE", "pubsub");
        await interrupted.Task.WaitAsync(ServiceHost.Patience);
        await orders.LoggedAsync(7003);
        await orders.ListeningAsync();
        await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("42", "Kim"));

        Assert.Equal("42", (await heard.NextAsync()).Data!.UserId);
        Assert.True(orders.Events.Statistics.Interruptions >= 1);
    }

    [Fact]
    public async Task A_Redis_that_lost_its_data_begins_a_new_epoch()
    {
        await using var users = await StartAsync("users");
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserUpdated);
        var before = await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("1", "a"));
        Assert.Equal(before.Id, (await heard.NextAsync()).Epoch);
        var interrupted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = users.Events.OnInterrupted(() => interrupted.TrySetResult());

        await _server.RestartAsync(kill: true);
        await interrupted.Task.WaitAsync(ServiceHost.Patience);
        await users.Redis.ConnectAsync();
        await users.ListeningAsync();
        var after = await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("2", "b"));
        var user = await heard.NextAsync();

        Assert.Equal(1, before.Sequence);
        Assert.Equal(1, after.Sequence);
        Assert.Equal(after.Id, user.Epoch);
    }

    [Fact]
    public async Task Events_of_programs_without_Onggi_are_heard_and_marked()
    {
        await using var orders = await StartAsync("orders");
        await using var heard = await Heard<UserUpdated>.ByAsync(orders, ServiceHost.UserUpdated);
        var notices = System.Threading.Channels.Channel.CreateUnbounded<EventNotice>();
        using var registration = orders.Events.OnReceived(notice => notices.Writer.TryWrite(notice));

        await _server.CommandAsync("PUBLISH", Channel, "not JSON at all");
        await _server.CommandAsync(
            "PUBLISH",
            Channel,
            """{"type":"user.updated","source":"go-users","timestamp":1732181400,"metadata":{"user_id":42},"data":{"userId":"42","name":"Kim","extra":[1]}}"""
        );
        var user = await heard.NextAsync();
        var notice = await notices.Reader.ReadAsync().AsTask().WaitAsync(ServiceHost.Patience);

        Assert.Equal(new UserUpdated("42", "Kim"), user.Data);
        Assert.Equal("go-users", user.Source);
        Assert.Equal("42", user.Metadata["user_id"]);
        Assert.Null(user.Sequence);
        Assert.Equal("", user.Id);
        Assert.True(notice.IsForeign);
        Assert.False(notice.IsOwn);
        Assert.Equal(1, orders.Events.Statistics.Dropped);
    }

    [Fact]
    public async Task A_process_knows_its_own_events_from_those_of_its_replica()
    {
        await using var one = await StartAsync("users");
        await using var two = await StartAsync("users");
        var (hereOne, hereTwo) = (Notices(one), Notices(two));

        await one.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("42", "Kim"));

        Assert.True((await hereOne.ReadAsync().AsTask().WaitAsync(ServiceHost.Patience)).IsOwn);
        var other = await hereTwo.ReadAsync().AsTask().WaitAsync(ServiceHost.Patience);
        Assert.False(other.IsOwn);
        Assert.False(other.IsForeign);
    }

    [Fact]
    public async Task What_must_come_before_a_publish_and_fails_prevents_it()
    {
        await using var users = await StartAsync("users");
        await using var orders = await StartAsync("orders");
        await using var heard = await Heard<UserUpdated>.ByAsync(orders, ServiceHost.UserUpdated);
        using (users.Events.OnPublishing(static (_, _) => throw new TimeoutException("not confirmed")))
        {
            await Assert.ThrowsAsync<TimeoutException>(async () =>
                await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("1", "a"))
            );
        }

        await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("2", "b"));

        var user = await heard.NextAsync();
        Assert.Equal("2", user.Data!.UserId);
        Assert.Equal(1, user.Sequence);
    }

    [Fact]
    public async Task An_event_removes_the_entries_that_the_catalog_says_before_anybody_hears_it()
    {
        await using var users = await StartAsync("users");
        await using var orders = await StartAsync("orders");
        await users.Cache.SetAsync(ServiceHost.UserKey("42"), new User("42", "Kim"));
        Assert.Equal("Kim", (await orders.Cache.GetAsync(ServiceHost.UserKey("42"))).Value!.Name);
        var found = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var subscription = await orders.Events.SubscribeAsync(
            ServiceHost.UserUpdated,
            async (user, stop) => found.TrySetResult((await orders.Cache.GetAsync(ServiceHost.UserKey(user.Data!.UserId), stop)).Found)
        );

        await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("42", "Lee"));

        Assert.Equal("0", await _server.CommandAsync("EXISTS", "test:cache:user:42"));
        Assert.False(await found.Task.WaitAsync(ServiceHost.Patience));
    }

    [Fact]
    public async Task A_failing_handler_leaves_the_others_and_the_next_event_alone()
    {
        await using var users = await StartAsync("users");
        await using var failing = await users.Events.SubscribeAsync(
            ServiceHost.UserUpdated,
            static (_, _) => throw new InvalidOperationException("broken")
        );
        await using var heard = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserUpdated);

        await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("1", "secret"));
        await users.Events.PublishAsync(ServiceHost.UserUpdated, new UserUpdated("2", "secret"));

        Assert.Equal("1", (await heard.NextAsync()).Data!.UserId);
        Assert.Equal("2", (await heard.NextAsync()).Data!.UserId);
        await users.LoggedAsync(7006);
        Assert.DoesNotContain(users.Log, static line => line.Text.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_subscriber_of_everything_hears_the_cache_and_the_services()
    {
        await using var users = await StartAsync("users");
        await using var orders = await StartAsync("orders");
        var heard = System.Threading.Channels.Channel.CreateUnbounded<Event<JsonElement>>();
        await using var subscription = await orders.Events.SubscribeAllAsync((one, stop) => heard.Writer.WriteAsync(one, stop));

        await users.Events.PublishAsync(ServiceHost.UserDeleted, new UserUpdated("1", "a"));
        await users.Events.NotifyAsync(OnggiEventTypes.CacheWarmed, new CacheWarmed("products", ["user", "order"], 3, 0.5));

        var seen = new[] { await NextAsync(heard), await NextAsync(heard) }.OrderBy(one => one.Type, StringComparer.Ordinal).ToArray();
        Assert.Equal("""{"name":"products","families":["user","order"],"count":3,"seconds":0.5}""", seen[0].Data.GetRawText());
        Assert.Equal("1", seen[1].Data.GetProperty("userId").GetString());
    }

    [Fact]
    public async Task Channels_are_left_when_their_last_handler_leaves()
    {
        await using var users = await StartAsync("users");
        const string Deleted = "test:events:global:user.deleted";
        var first = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserDeleted);
        var second = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserDeleted);
        var standing = await Heard<UserUpdated>.ByAsync(users, ServiceHost.UserUpdated);

        await first.DisposeAsync();
        Assert.Equal($"{Deleted}\n1", await _server.CommandAsync("PUBSUB", "NUMSUB", Deleted));
        await second.DisposeAsync();
        await standing.DisposeAsync();

        Assert.Equal($"{Deleted}\n0", await _server.CommandAsync("PUBSUB", "NUMSUB", Deleted));
        Assert.Equal($"{Channel}\n1", await _server.CommandAsync("PUBSUB", "NUMSUB", Channel));
    }

    private static ChannelReader<EventNotice> Notices(ServiceHost service)
    {
        var notices = System.Threading.Channels.Channel.CreateUnbounded<EventNotice>();
        service.Events.OnReceived(notice => notices.Writer.TryWrite(notice));
        return notices.Reader;
    }

    private static Task<Event<JsonElement>> NextAsync(Channel<Event<JsonElement>> heard) =>
        heard.Reader.ReadAsync().AsTask().WaitAsync(ServiceHost.Patience);

    private static Task<string?> LineAsync(Process cli) => cli.StandardOutput.ReadLineAsync().WaitAsync(ServiceHost.Patience);

    private static string WithoutTime(string? json) =>
        Regex.Replace(json!, "\"time\":\"20[0-9]{2}-[0-9T:.-]+Z\"", "\"time\":\"T\"", RegexOptions.None, TimeSpan.FromSeconds(1));

    private Task<ServiceHost> StartAsync(string service, Action<OnggiOptions>? configure = null) =>
        ServiceHost.StartAsync(_server.ConnectionString, service, configure);
}
