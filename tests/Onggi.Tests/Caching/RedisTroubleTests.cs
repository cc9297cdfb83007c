using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

public sealed class RedisTroubleTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly CacheHarness _node = new();

    private OnggiCache Cache => _node.Cache;

    private FakeStore Store => _node.Store;

    public void Dispose() => _node.Dispose();

    [Theory]
    [InlineData("timeout")]
    [InlineData("connection")]
    [InlineData("loading")]
    [InlineData("nopermission")]
    public async Task A_failed_read_is_a_miss_and_the_loader_answers_without_a_second_wait(string trouble)
    {
        Store.Answering = _ => throw Error(trouble);

        Assert.False((await Cache.GetAsync(TestKeys.Text("a"))).Found);
        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));
        Assert.False((await Cache.GetManyAsync([TestKeys.Text("b")]))[TestKeys.Text("b")].Found);

        Assert.Equal(0, Store.Count("SET"));
        Assert.Contains(_node.Log.All, line => line.Id == 2000 && line.Text.Contains("text", StringComparison.Ordinal));
        Assert.Equal(3, Cache.Statistics("text").Errors);
    }

    [Fact]
    public async Task Who_asks_while_the_host_stops_is_served_by_the_loader()
    {
        Store.Answering = static _ => throw new ObjectDisposedException("RedisClient");

        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));
        Assert.False((await Cache.GetManyAsync([TestKeys.Text("b")]))[TestKeys.Text("b")].Found);
    }

    [Fact]
    public async Task While_Redis_is_away_memory_spares_the_source_for_a_second()
    {
        Store.IsKnownDown = true;
        var loads = 0;
        ValueTask<string?> Load(LoadContext _) => new((++loads).ToString());

        Assert.Equal("1", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));
        var second = await Cache.GetOrLoadResultAsync(TestKeys.Text("a"), Load);
        Assert.Equal(("1", CacheTier.Memory), (second.Value, second.Tier));
        _node.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("2", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));

        Assert.Empty(Store.Commands);
    }

    [Fact]
    public async Task While_Redis_is_away_an_invalidation_still_reaches_memory_and_running_loads()
    {
        Store.IsKnownDown = true;
        await Cache.GetOrLoadAsync(TestKeys.Customer("1"), static _ => new(new Customer("1", "old")));
        var gate = new Gate<Customer?>();
        var loading = Cache.GetOrLoadAsync(TestKeys.Customer("2"), gate.LoadAsync).AsTask();
        await gate.Begun;

        _node.Events.Receive("cache.invalidated", """{"family":"customer","keys":["test:customer:1","test:customer:2"]}""");
        gate.Release(new Customer("2", "old"));
        await loading.WaitAsync(Patience);

        Assert.Equal(0, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task When_Redis_falls_silent_one_read_a_second_asks_it_and_the_others_do_not_wait()
    {
        Store.Answering = _ =>
        {
            _node.Time.Advance(TimeSpan.FromSeconds(2));
            throw Error("timeout");
        };
        await Cache.GetAsync(TestKeys.Text("a"));
        Assert.Single(_node.Log.All, line => line.Id == 2003);

        await Cache.GetAsync(TestKeys.Text("a"));
        await Cache.GetOrLoadAsync(TestKeys.Text("b"), static _ => new("loaded"));
        await Cache.GetManyAsync([TestKeys.Text("c")]);
        Assert.Single(Store.Commands);

        _node.Time.Advance(TimeSpan.FromSeconds(1));
        await Cache.GetAsync(TestKeys.Text("c"));
        await Cache.GetAsync(TestKeys.Text("c"));
        Assert.Equal(2, Store.Commands.Count);
        Assert.Single(_node.Log.All, line => line.Id == 2003);

        _node.Time.Advance(TimeSpan.FromSeconds(1));
        Store.Answering = static _ => Task.CompletedTask;
        await Cache.GetAsync(TestKeys.Text("c"));
        await Cache.GetAsync(TestKeys.Text("c"));
        Assert.Equal(4, Store.Commands.Count);
        Assert.Single(_node.Log.All, line => line.Id == 2004);
    }

    [Fact]
    public async Task One_slow_answer_among_others_is_no_silence()
    {
        var slow = new TaskCompletionSource();
        Store.Answering = command => command.EndsWith(":slow", StringComparison.Ordinal) ? slow.Task : Task.CompletedTask;
        var waiting = Cache.GetAsync(TestKeys.Text("slow")).AsTask();
        _node.Time.Advance(TimeSpan.FromSeconds(1));
        await Cache.GetAsync(TestKeys.Text("a"));

        slow.SetException(Error("timeout"));
        await waiting.WaitAsync(Patience);
        await Cache.GetAsync(TestKeys.Text("a"));

        Assert.Equal(3, Store.Count("GET"));
        Assert.DoesNotContain(_node.Log.All, line => line.Id == 2003);
    }

    [Fact]
    public async Task A_full_Redis_costs_the_storing_and_nothing_else()
    {
        Store.Answering = command =>
            command.StartsWith("SET", StringComparison.Ordinal)
                ? throw new RedisServerException("OOM command not allowed when used memory > 'maxmemory'.")
                : Task.CompletedTask;

        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));
        var set = await Assert.ThrowsAsync<RedisServerException>(() => Cache.SetAsync(TestKeys.Text("a"), "v").AsTask());
        await Cache.InvalidateAsync(TestKeys.Text("a"));

        Assert.Equal("OOM", set.Code);
        Assert.Contains(_node.Log.All, line => line.Id == 2002 && line.Text.Contains("full", StringComparison.Ordinal));
        Assert.Equal(1, Cache.Statistics("text").StoreFailures);
    }

    [Theory]
    [InlineData("garbage secret payload")]
    [InlineData("{\"secret payload\":1}")]
    [InlineData("[\"secret payload\"]")]
    public async Task What_cannot_be_read_is_a_miss_that_the_next_load_overwrites_and_no_payload_is_logged(string foreign)
    {
        Store["test:customer:1"] = foreign;

        Assert.False((await Cache.GetAsync(TestKeys.Customer("1"))).Found);
        Assert.Equal("Kim", (await Cache.GetOrLoadAsync(TestKeys.Customer("1"), static _ => new(new Customer("1", "Kim"))))?.Name);

        Assert.Contains("Kim", Store["test:customer:1"], StringComparison.Ordinal);
        var line = Assert.Single(_node.Log.All, line => line.Id == 2001);
        Assert.Contains("customer", line.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", string.Join('\n', _node.Log.All), StringComparison.Ordinal);
        Assert.DoesNotContain("test:customer:1", string.Join('\n', _node.Log.All), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_of_another_type_is_a_miss_that_the_next_load_overwrites()
    {
        Store.Answering = static command =>
            command.StartsWith("GET", StringComparison.Ordinal)
                ? throw new RedisServerException("WRONGTYPE Operation against a key holding the wrong kind of value")
                : Task.CompletedTask;

        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));

        Assert.Equal("\"loaded\"", Store["test:text:a"]);
        Assert.Equal(1, Cache.Statistics("text").Misses);
    }

    [Fact]
    public async Task An_outage_does_not_fill_the_log()
    {
        Store.IsKnownDown = true;
        for (var i = 0; i < 100; i++)
            await Cache.GetAsync(TestKeys.Text("a"));
        Assert.Single(_node.Log.All);

        _node.Time.Advance(TimeSpan.FromSeconds(1));
        await Cache.GetAsync(TestKeys.Text("a"));
        Assert.Contains("99 more", _node.Log.All[^1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_set_says_what_went_wrong()
    {
        Store.Answering = static _ => throw Error("timeout");

        await Assert.ThrowsAsync<RedisTimeoutException>(() => Cache.SetAsync(TestKeys.Text("a"), "v").AsTask());
        await Assert.ThrowsAsync<RedisTimeoutException>(() =>
            Cache.SetManyAsync(new Dictionary<CacheKey<string>, string?> { [TestKeys.Text("a")] = "v" }).AsTask()
        );
    }

    [Fact]
    public async Task A_store_without_an_answer_that_others_invalidation_overtook_is_taken_back_until_Redis_confirms_it()
    {
        // The clock runs as fast as the test turns it: no pause between two attempts may use up the time for all.
        Store.CommandTimeout = TimeSpan.FromDays(1);
        var failures = 2;
        var confirmed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await LoadWhileItChangesAsync(
            Error("timeout"),
            () =>
            {
                if (failures-- > 0)
                    throw new RedisConnectionException("The connection was lost.", Sent.Maybe);
                confirmed.SetResult();
                return Task.CompletedTask;
            }
        );

        // The pauses between attempts are timers of the test's clock.
        using var patience = new CancellationTokenSource(Patience);
        while (!confirmed.Task.IsCompleted)
        {
            Assert.False(patience.IsCancellationRequested, "Nobody tries again.");
            await Task.Yield();
            _node.Time.Advance(TimeSpan.FromMilliseconds(10));
        }

        await Cache.DisposeAsync();
        Assert.Equal(3, Store.Count("UNLINK"));
        Assert.Null(Store["test:customer:1"]);
        Assert.DoesNotContain(_node.Log.All, line => line.Id == 2012);
    }

    [Fact]
    public async Task A_store_that_Redis_did_not_execute_is_not_taken_back()
    {
        await LoadWhileItChangesAsync(Error("connection"), static () => Task.CompletedTask);

        Assert.Equal(0, Store.Count("UNLINK"));
    }

    [Fact]
    public async Task A_store_that_cannot_be_taken_back_is_said_in_words_of_its_own()
    {
        await LoadWhileItChangesAsync(null, static () => throw Error("nopermission"));

        Assert.Single(_node.Log.All, line => line.Id == 2012);
        Assert.DoesNotContain(_node.Log.All, line => line.Id == 2002);
        Assert.Equal(0, Cache.Statistics("customer").StoreFailures);
    }

    [Fact]
    public async Task A_store_is_taken_back_in_the_background_and_that_ends_with_the_cache()
    {
        await LoadWhileItChangesAsync(null, static () => new TaskCompletionSource().Task);
        Assert.Equal(1, Store.Count("UNLINK"));
        Assert.DoesNotContain(_node.Log.All, line => line.Id == 2012);

        await Cache.DisposeAsync().AsTask().WaitAsync(Patience);

        Assert.Single(_node.Log.All, line => line.Id == 2012);
    }

    // Another node changes the key while the SET is under way, which then ends with the error.
    private async Task LoadWhileItChangesAsync(RedisException? error, Func<Task> removing)
    {
        var sent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Store.Answering = async command =>
        {
            if (command.StartsWith("UNLINK", StringComparison.Ordinal))
                await removing();
            if (!command.StartsWith("SET", StringComparison.Ordinal))
                return;
            sent.SetResult();
            await answer.Task;
        };
        var loading = Cache.GetOrLoadAsync(TestKeys.Customer("1"), static _ => new(new Customer("1", "old"))).AsTask();
        await sent.Task.WaitAsync(Patience);

        _node.Events.Receive("customer.updated", """{"lineNumber":"1"}""");
        if (error is null)
            answer.SetResult();
        else
            answer.SetException(error);

        Assert.Equal("old", (await loading.WaitAsync(Patience))?.Name);
    }

    private static RedisException Error(string trouble) =>
        trouble switch
        {
            "timeout" => new RedisTimeoutException("No reply within 2 s.", Sent.Maybe),
            "connection" => new RedisConnectionException("The connection was lost.", Sent.No),
            "loading" => new RedisServerException("LOADING Redis is loading the dataset in memory"),
            _ => new RedisServerException("NOPERM this user has no permissions to run the 'get' command"),
        };
}
