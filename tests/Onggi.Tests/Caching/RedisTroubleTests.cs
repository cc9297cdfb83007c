using Onggi.Caching;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

public sealed class RedisTroubleTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

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
        Store.Refuse = _ => Error(trouble);

        Assert.False((await Cache.GetAsync(TestKeys.Text("a"))).Found);
        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));
        Assert.False((await Cache.GetManyAsync([TestKeys.Text("b")]))[TestKeys.Text("b")].Found);

        Assert.Equal(0, Store.Count("FILL"));
        Assert.Contains(_node.Log.All, line => line.Id == 2000 && line.Text.Contains("text", StringComparison.Ordinal));
        Assert.Equal(3, Cache.Statistics("text").Errors);
    }

    [Fact]
    public async Task Who_asks_while_the_host_stops_is_served_by_the_loader()
    {
        Store.Refuse = static _ => new ObjectDisposedException("RedisClient");

        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));
        Assert.False((await Cache.GetManyAsync([TestKeys.Text("b")]))[TestKeys.Text("b")].Found);
    }

    [Fact]
    public async Task While_Redis_is_away_the_source_is_asked_for_a_key_once_in_the_bound()
    {
        Store.IsKnownDown = true;
        var loads = 0;
        ValueTask<string?> Load(LoadContext _) => new((++loads).ToString());

        Assert.Equal("1", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));
        _node.Time.Advance(TimeSpan.FromMilliseconds(499));
        Assert.Equal("1", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));
        _node.Time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal("2", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));

        Assert.Empty(Store.Commands);
        Assert.Equal(3, Cache.Statistics("text").Errors);
    }

    [Fact]
    public async Task While_Redis_is_away_what_is_not_to_be_stored_is_not_handed_to_who_comes_later()
    {
        Store.IsKnownDown = true;
        var loads = 0;
        ValueTask<string?> Load(LoadContext context)
        {
            context.DontStore = true;
            return new((++loads).ToString());
        }

        Assert.Equal("1", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));
        Assert.Equal("2", await Cache.GetOrLoadAsync(TestKeys.Text("a"), Load));
    }

    [Fact]
    public async Task While_Redis_is_away_an_invalidation_that_fails_still_ends_what_is_shared_here()
    {
        Store.IsKnownDown = true;
        Store.Refuse = static _ => Error("nopermission");
        Assert.Equal("old", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("old")));

        await Assert.ThrowsAsync<InvalidationUnconfirmedException>(() => Cache.InvalidateAsync(TestKeys.Text("a")).AsTask());

        Assert.Equal("new", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("new")));
    }

    [Fact]
    public async Task When_Redis_falls_silent_one_read_a_second_asks_it_and_the_others_do_not_wait()
    {
        Store.Refuse = _ =>
        {
            _node.Time.Advance(TimeSpan.FromSeconds(2));
            return Error("timeout");
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
        Store.Refuse = static _ => null;
        await Cache.GetAsync(TestKeys.Text("c"));
        await Cache.GetAsync(TestKeys.Text("c"));
        Assert.Equal(4, Store.Commands.Count);
        Assert.Single(_node.Log.All, line => line.Id == 2004);
    }

    [Fact]
    public void One_slow_answer_among_others_is_no_silence()
    {
        var watch = new RedisSilence(() => Store.IsKnownDown, _node.Time);
        var heard = watch.Heard;
        watch.Answered();

        Assert.False(watch.Failed(Error("timeout"), heard));
        Assert.True(watch.MayAsk());
        Assert.True(watch.Failed(Error("timeout"), watch.Heard));
        Assert.False(watch.MayAsk());
    }

    [Theory]
    [InlineData("get")]
    [InlineData("get many")]
    [InlineData("load")]
    public async Task A_question_that_is_late_while_another_is_answered_turns_nobody_away(string call)
    {
        Task? answered = null;
        Store.Refuse = text =>
        {
            if (!text.Contains(":late", StringComparison.Ordinal))
                return null;
            // It has left; now another asks, and is answered.
            answered ??= Cache.GetAsync(TestKeys.Text("other")).AsTask();
            Assert.True(answered.Wait(Patience));
            return Error("timeout");
        };

        await (
            call switch
            {
                "get" => Cache.GetAsync(TestKeys.Text("late")).AsTask(),
                "get many" => Cache.GetManyAsync([TestKeys.Text("late")]).AsTask(),
                _ => (Task)Cache.GetOrLoadAsync(TestKeys.Text("late"), static _ => new("loaded")).AsTask(),
            }
        );

        Assert.NotNull(answered);
        Assert.DoesNotContain(_node.Log.All, line => line.Id == 2003);
    }

    [Fact]
    public async Task A_full_Redis_costs_the_storing_and_nothing_else()
    {
        _node.Server.IsFull = true;

        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));
        var set = await Assert.ThrowsAsync<RedisServerException>(() => Cache.SetAsync(TestKeys.Text("a"), "v").AsTask());
        await Cache.InvalidateAsync(TestKeys.Text("a"));

        Assert.Equal("OOM", set.Code);
        Assert.Contains(_node.Log.All, line => line.Id == 2002 && line.Text.Contains("full", StringComparison.Ordinal));
        Assert.Equal(1, Cache.Statistics("text").StoreFailures);
        Assert.Equal(0, Cache.Statistics("text").Errors);
    }

    [Fact]
    public async Task A_Redis_that_fills_up_while_a_loader_runs_does_not_keep_the_right_to_fill()
    {
        var gate = new Gate<string?>();
        var loading = Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync).AsTask();
        await gate.Begun;
        _node.Server.IsFull = true;

        gate.Release("loaded");

        Assert.Equal("loaded", await loading.WaitAsync(Patience));
        Assert.Null(Store["test:text:a"]);
        Assert.Null(Store["{test:text:a}:l"]);
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
        _node.Server.SetOtherType("test:text:a");

        Assert.False((await Cache.GetAsync(TestKeys.Text("a"))).Found);
        Assert.False((await Cache.GetManyAsync([TestKeys.Text("a")]))[TestKeys.Text("a")].Found);
        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));

        Assert.Equal("\"loaded\"", Store["test:text:a"]);
        Assert.Equal((3L, 0L), (Cache.Statistics("text").Misses, Cache.Statistics("text").Errors));
        Assert.Contains(_node.Log.All, line => line.Id == 2001);
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
        Store.Refuse = static _ => Error("timeout");

        await Assert.ThrowsAsync<RedisTimeoutException>(() => Cache.SetAsync(TestKeys.Text("a"), "v").AsTask());
        await Assert.ThrowsAsync<RedisTimeoutException>(() =>
            Cache.SetManyAsync(new Dictionary<CacheKey<string>, string?> { [TestKeys.Text("a")] = "v" }).AsTask()
        );
    }

    [Fact]
    public async Task A_store_without_an_answer_costs_nobody_the_value()
    {
        Store.Refuse = static command => command.StartsWith("FILL", StringComparison.Ordinal) ? Error("timeout") : null;

        Assert.Equal("loaded", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("loaded")));

        Assert.Contains(_node.Log.All, line => line.Id == 2002);
        Assert.Equal(1, Cache.Statistics("text").StoreFailures);
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
