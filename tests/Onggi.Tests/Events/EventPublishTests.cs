using Onggi.Client;
using Onggi.Events;

namespace Onggi.Tests.Events;

public sealed class EventPublishTests
{
    [Fact]
    public async Task Nothing_is_published_when_what_must_come_before_fails()
    {
        await using var bus = new TestBus();
        var later = 0;
        using var first = bus.Events.OnPublishing(static (_, _) => throw new InvalidOperationException("could not invalidate"));
        using var second = bus.Events.OnPublishing(
            (_, _) =>
            {
                later++;
                return ValueTask.CompletedTask;
            }
        );

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
            await bus.Events.PublishAsync(TestBus.UserUpdated, new UserUpdated("1", "a"))
        );

        Assert.Equal("could not invalidate", failure.Message);
        Assert.Equal(0, later);
        Assert.Equal(0, bus.Events.Statistics.Published);
    }

    [Fact]
    public async Task What_runs_before_a_publish_sees_the_whole_event()
    {
        await using var bus = new TestBus();
        EventNotice? seen = null;
        using var registration = bus.Events.OnPublishing(
            (notice, _) =>
            {
                seen = notice;
                throw new OperationCanceledException();
            }
        );

        await Assert.ThrowsAsync<OperationCanceledException>(async () =>
            await bus.Events.PublishAsync(
                TestBus.UserUpdated,
                new UserUpdated("42", "a"),
                new Dictionary<string, string> { ["user_id"] = "42" }
            )
        );

        Assert.NotNull(seen);
        Assert.Equal("user.updated", seen.Type);
        Assert.Equal("users", seen.Source);
        Assert.Equal("42", seen.Metadata["user_id"]);
        Assert.Equal("42", seen.Data.GetProperty("userId").GetString());
        Assert.True(seen.IsOwn);
        Assert.False(seen.IsForeign);
    }

    [Fact]
    public async Task Without_Redis_publishing_fails_as_not_sent_and_a_notice_is_only_logged()
    {
        await using var bus = new TestBus();

        var failure = await Assert.ThrowsAnyAsync<RedisException>(async () =>
            await bus.Events.PublishAsync(TestBus.UserUpdated, new UserUpdated("1", "a"))
        );
        await bus.Events.NotifyAsync(OnggiEventTypes.CacheInvalidated, new CacheInvalidated("user", ["test:cache:user:1"]));

        Assert.Equal(Sent.No, failure.Sent);
        Assert.True(failure.IsTransient);
        var line = Assert.Single(bus.Log.All, line => line.Id == 7010);
        Assert.Contains("cache.invalidated", line.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_notice_after_the_client_was_closed_is_only_logged()
    {
        await using var bus = new TestBus();
        await bus.CloseClientAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
            await bus.Events.PublishAsync(TestBus.UserUpdated, new UserUpdated("1", "a"))
        );
        await bus.Events.NotifyAsync(OnggiEventTypes.CacheInvalidated, new CacheInvalidated("user", ["test:cache:user:1"]));

        Assert.Single(bus.Log.All, line => line.Id == 7010);
    }

    [Fact]
    public async Task An_event_that_is_too_large_is_refused_with_the_numbers()
    {
        await using var bus = new TestBus(new EventOptions { MaxBytes = 1024 });

        var mistake = await Assert.ThrowsAsync<ArgumentException>(async () =>
            await bus.Events.PublishAsync(TestBus.UserUpdated, new UserUpdated("1", new string('x', 2000)))
        );

        Assert.Contains("1024", mistake.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("xxx", mistake.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Own_events_are_known_once_and_only_the_youngest_are_remembered()
    {
        var own = new OwnEvents();
        own.Add("a");

        Assert.True(own.Take("a"));
        Assert.False(own.Take("a"));

        own.Add("old");
        for (var i = 0; i < OwnEvents.Capacity; i++)
            own.Add($"e{i}");
        Assert.False(own.Take("old"));
        Assert.True(own.Take("e0"));
    }

    [Fact]
    public async Task The_built_in_events_are_in_every_catalog()
    {
        await using var bus = new TestBus();
        var keyspace = Onggi.Keys.Keyspace.Load(TestBus.CatalogJson);

        Assert.True(keyspace.KnowsEvent(OnggiEventTypes.CacheInvalidated.Name));
        Assert.True(keyspace.KnowsEvent(OnggiEventTypes.CacheWarmed.Name));
    }
}
