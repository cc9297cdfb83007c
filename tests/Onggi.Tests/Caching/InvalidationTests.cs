using System.Globalization;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

public sealed class InvalidationTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly CacheHarness _node = new();

    private OnggiCache Cache => _node.Cache;

    private FakeStore Store => _node.Store;

    private FakeEvents Events => _node.Events;

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task An_invalidation_removes_the_entry_everywhere_and_tells_the_others()
    {
        await ReadIntoMemoryAsync("1");

        await Cache.InvalidateAsync(TestKeys.Customer("1"));

        Assert.Null(Store["test:customer:1"]);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
        var notice = Assert.IsType<CacheInvalidated>(Assert.Single(Events.Notified));
        Assert.Equal("customer", notice.Family);
        Assert.Equal(["test:customer:1"], notice.Keys);
    }

    [Fact]
    public async Task What_Redis_answered_before_it_removed_the_entry_is_not_kept()
    {
        Store["test:customer:1"] = """{"lineNumber":"1","name":"old"}""";
        Store.HoldsReplies = true;

        // Both are executed, and neither answer has been read.
        var reading = Cache.GetAsync(TestKeys.Customer("1")).AsTask();
        var invalidating = Cache.InvalidateAsync(TestKeys.Customer("1")).AsTask();
        Store.ReadAll();

        Assert.Equal("old", (await reading.WaitAsync(Patience)).Value?.Name);
        await invalidating.WaitAsync(Patience);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task The_caller_of_an_invalidation_does_not_wait_for_the_notice()
    {
        Events.Holds = new TaskCompletionSource();

        await Cache.InvalidateAsync(TestKeys.Customer("1")).AsTask().WaitAsync(Patience);

        Events.Holds.SetResult();
        await Cache.DisposeAsync();
        Assert.Single(Events.Notified);
        Assert.Equal(1, Store.Count("UNLINK"));
    }

    [Fact]
    public async Task Many_are_removed_in_chunks_and_told_by_family()
    {
        CacheKey<Customer>[] keys = [.. Enumerable.Range(0, 300).Select(i => TestKeys.Customer(i.ToString(CultureInfo.InvariantCulture)))];

        await Cache.InvalidateManyAsync(keys);

        Assert.Equal(2, Store.Count("UNLINK"));
        Assert.Equal([256, 44], Events.Notified.Cast<CacheInvalidated>().Select(notice => notice.Keys.Count));
        Assert.Equal(300, Cache.Statistics("customer").Invalidations);
    }

    [Theory]
    [InlineData("dev:customer:1", "{dev:customer:1}:l")]
    [InlineData("{t1}:user:42", "{t1}:user:42:~l")]
    [InlineData("{}:user", "{{}:user}:l")]
    public void The_right_to_fill_an_entry_lies_beside_it(string name, string lease) => Assert.Equal(lease, LeaseName.Of(name));

    [Fact]
    public async Task What_may_pass_is_tried_again()
    {
        var failures = 3;
        Store.Refuse = _ => failures-- > 0 ? new RedisConnectionException("The connection was lost.", Sent.Maybe) : null;

        var invalidating = Cache.InvalidateAsync(TestKeys.Customer("1")).AsTask();
        await AdvanceUntilAsync(invalidating);

        await invalidating;
        Assert.Equal(4, Store.Count("UNLINK"));
    }

    [Fact]
    public async Task What_Redis_does_not_confirm_in_time_is_said_and_memory_is_dropped_all_the_same()
    {
        await ReadIntoMemoryAsync("1");
        Store.Refuse = static _ => new RedisConnectionException("There is no connection.", Sent.No);
        var started = _node.Time.GetTimestamp();

        var invalidating = Cache.InvalidateAsync(TestKeys.Customer("1")).AsTask();
        await AdvanceUntilAsync(invalidating);

        var unconfirmed = await Assert.ThrowsAsync<InvalidationUnconfirmedException>(() => invalidating);
        Assert.True(unconfirmed.IsTransient);
        Assert.Equal(Sent.No, unconfirmed.Sent);
        Assert.IsType<RedisConnectionException>(unconfirmed.InnerException);
        Assert.InRange(_node.Time.GetElapsedTime(started), TimeSpan.FromSeconds(1.5), TimeSpan.FromSeconds(2.5));
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
        Assert.Empty(Events.Notified);
    }

    [Fact]
    public async Task What_will_not_pass_is_said_at_once()
    {
        Store.Refuse = static _ => new RedisServerException("NOPERM this user has no permissions");

        await Assert.ThrowsAsync<InvalidationUnconfirmedException>(() => Cache.InvalidateAsync(TestKeys.Customer("1")).AsTask());

        Assert.Equal(1, Store.Count("UNLINK"));
    }

    [Fact]
    public async Task A_cancelled_invalidation_has_dropped_memory()
    {
        await ReadIntoMemoryAsync("1");
        Store.HoldsReplies = true;
        using var cancel = new CancellationTokenSource();
        var invalidating = Cache.InvalidateAsync(TestKeys.Customer("1"), cancel.Token).AsTask();

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => invalidating.WaitAsync(Patience));
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task Before_an_event_is_published_the_entries_that_it_changes_are_removed_in_one_command()
    {
        await ReadIntoMemoryAsync("1");

        await Events.PublishAsync("customer.updated", """{"lineNumber":["1","2"]}""");

        Assert.Equal("UNLINK test:customer:1 test:customer:2", Store.Commands[^1]);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
        Assert.Empty(Events.Notified);
    }

    [Fact]
    public async Task An_event_whose_entries_could_not_be_removed_is_not_published()
    {
        Store.Refuse = static _ => new RedisServerException("NOPERM this user has no permissions");

        await Assert.ThrowsAsync<InvalidationUnconfirmedException>(() => Events.PublishAsync("customer.updated", """{"lineNumber":"1"}"""));
    }

    [Fact]
    public async Task An_event_that_changes_no_entry_costs_nothing()
    {
        await Events.PublishAsync("cache.warmed", "{}");
        await Events.PublishAsync("customer.updated", """{"other":"1"}""");

        Assert.Empty(Store.Commands);
        Assert.Contains(_node.Log.All, line => line.Id == 2011);
    }

    [Fact]
    public async Task An_event_from_another_node_changes_nothing_because_Redis_has_told_already()
    {
        await ReadIntoMemoryAsync("1");

        Events.Receive("customer.updated", """{"lineNumber":"1"}""");

        Assert.Equal(1, Cache.Statistics().MemoryEntries);
        Assert.Equal(0, Store.Count("UNLINK"));
        Assert.Equal(1, Cache.Statistics("customer").Invalidations);
    }

    [Fact]
    public async Task An_event_can_name_its_entry_in_the_metadata()
    {
        Store["test:basket:7"] = """{"things":[]}""";
        await Cache.GetAsync(TestKeys.Basket("7"));

        Events.Receive("basket.emptied", "null", isForeign: true, metadata: new() { ["basket"] = "7" });
        await _node.Cache.DisposeAsync();

        Assert.Null(Store["test:basket:7"]);
    }

    [Fact]
    public async Task An_own_event_that_comes_back_disturbs_nothing()
    {
        await ReadIntoMemoryAsync("1");

        Events.Receive("customer.updated", """{"lineNumber":"1"}""", isOwn: true);

        Assert.Equal(1, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task A_foreign_event_also_removes_from_Redis()
    {
        await ReadIntoMemoryAsync("1");

        Events.Receive("customer.updated", """{"lineNumber":"1"}""", isForeign: true);
        await _node.Cache.DisposeAsync();

        Assert.Null(Store["test:customer:1"]);
        Assert.Contains(_node.Log.All, line => line.Id == 2007);
    }

    [Fact]
    public async Task A_foreign_notice_reaches_cache_entries_only()
    {
        Events.Receive(
            "cache.invalidated",
            """{"family":"x","keys":["test:customer:1","test:shop:session:1","prod:customer:1","test:onggi:epoch","nobody"]}""",
            isForeign: true
        );
        await _node.Cache.DisposeAsync();

        Assert.Equal(["UNLINK test:customer:1"], Store.Commands);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{\"keys\":5}")]
    [InlineData("{\"keys\":[{}]}")]
    [InlineData("null")]
    public void A_malformed_notice_throws_nothing(string data)
    {
        Events.Receive("cache.invalidated", data, isForeign: true);

        Assert.Empty(Store.Commands);
    }

    [Fact]
    public async Task A_foreign_removal_that_fails_is_logged()
    {
        Store.Refuse = static _ => new RedisServerException("NOPERM this user has no permissions");

        Events.Receive("customer.updated", """{"lineNumber":"1"}""", isForeign: true);
        await _node.Cache.DisposeAsync();

        Assert.Contains(_node.Log.All, line => line.Id == 2006);
    }

    [Fact]
    public async Task Events_that_may_have_been_missed_leave_memory_as_it_is()
    {
        await ReadIntoMemoryAsync("1");

        Events.Interrupt();

        Assert.Equal(CacheTier.Memory, (await Cache.GetAsync(TestKeys.Customer("1"))).Tier);
    }

    private async Task ReadIntoMemoryAsync(string lineNumber)
    {
        Store["test:customer:" + lineNumber] = $$"""{"lineNumber":"{{lineNumber}}","name":"Kim"}""";
        await Cache.GetAsync(TestKeys.Customer(lineNumber));
        Assert.Equal(1, Cache.Statistics().MemoryEntries);
    }

    // The pauses between attempts are timers of the test's clock.
    private async Task AdvanceUntilAsync(Task task)
    {
        while (!task.IsCompleted)
        {
            await Task.Yield();
            _node.Time.Advance(TimeSpan.FromMilliseconds(10));
        }
    }
}
