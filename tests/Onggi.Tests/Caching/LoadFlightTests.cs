using System.Globalization;
using Onggi.Caching;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

public sealed class LoadFlightTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly CacheHarness _node = new();

    private OnggiCache Cache => _node.Cache;

    private FakeStore Store => _node.Store;

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task All_who_miss_at_once_share_one_load()
    {
        var gate = new Gate<string?>();
        var callers = Enumerable.Range(0, 50).Select(_ => Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync).AsTask()).ToList();
        await gate.Begun;

        gate.Release("value");

        Assert.All(await Task.WhenAll(callers).WaitAsync(Patience), value => Assert.Equal("value", value));
        Assert.Equal(1, gate.Runs);
        Assert.Equal(1, Store.Count("FILL"));
        Assert.Equal("\"value\"", Store["test:text:a"]);
    }

    [Fact]
    public async Task A_cancelled_caller_leaves_alone()
    {
        var gate = new Gate<string?>();
        using var leave = new CancellationTokenSource();
        var leaving = Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync, leave.Token).AsTask();
        var staying = Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync).AsTask();
        await gate.Begun;

        await leave.CancelAsync();
        var thrown = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving.WaitAsync(Patience));
        Assert.Equal(leave.Token, thrown.CancellationToken);
        Assert.False(gate.Token.IsCancellationRequested);

        gate.Release("value");
        Assert.Equal("value", await staying.WaitAsync(Patience));
        Assert.Equal(1, gate.Runs);
    }

    [Fact]
    public async Task When_the_last_has_left_the_load_is_cancelled_and_the_next_starts_anew()
    {
        var abandoned = new Gate<string?>();
        using var leave = new CancellationTokenSource();
        var first = Cache.GetOrLoadAsync(TestKeys.Text("a"), abandoned.LoadAsync, leave.Token).AsTask();
        var second = Cache.GetOrLoadAsync(TestKeys.Text("a"), abandoned.LoadAsync, leave.Token).AsTask();
        await abandoned.Begun;

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second.WaitAsync(Patience));

        Assert.True(abandoned.Token.IsCancellationRequested);
        Assert.Equal("new", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("new")));
        abandoned.Fail(new OperationCanceledException(abandoned.Token));
    }

    [Fact]
    public async Task A_load_that_has_ended_is_not_cancelled_by_those_who_leave_with_the_value()
    {
        var gate = new Gate<string?>();
        gate.Release("value");

        await Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync);

        Assert.False(gate.Token.IsCancellationRequested);
    }

    [Fact]
    public async Task A_loader_s_exception_goes_to_all_who_wait_and_is_not_remembered()
    {
        var gate = new Gate<string?>();
        var callers = Enumerable.Range(0, 3).Select(_ => Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync).AsTask()).ToList();
        await gate.Begun;

        gate.Fail(new TimeoutException("the source is slow"));

        foreach (var caller in callers)
            Assert.Equal("the source is slow", (await Assert.ThrowsAsync<TimeoutException>(() => caller.WaitAsync(Patience))).Message);
        Assert.Equal(0, Store.Count("FILL"));
        Assert.Equal("better", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("better")));
        Assert.Equal(1, Cache.Statistics("text").LoadFailures);
    }

    [Fact]
    public async Task A_loader_that_throws_at_once_is_no_different()
    {
        await Assert.ThrowsAsync<FormatException>(() =>
            Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => throw new FormatException()).AsTask()
        );
    }

    [Fact]
    public async Task A_value_that_was_invalidated_while_it_was_loaded_goes_to_those_who_wait_and_nowhere_else()
    {
        var old = new Gate<string?>();
        var waiting = Cache.GetOrLoadAsync(TestKeys.Text("a"), old.LoadAsync).AsTask();
        await old.Begun;

        await Cache.InvalidateAsync(TestKeys.Text("a"));
        old.Release("old");

        Assert.Equal("old", await waiting.WaitAsync(Patience));
        Assert.Null(Store["test:text:a"]);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
        Assert.Equal(1, Cache.Statistics("text").RefusedFills);
    }

    [Fact]
    public async Task Who_comes_after_an_invalidation_does_not_join_a_load_from_before_it()
    {
        var old = new Gate<string?>();
        var waiting = Cache.GetOrLoadAsync(TestKeys.Text("a"), old.LoadAsync).AsTask();
        await old.Begun;
        await Cache.InvalidateAsync(TestKeys.Text("a"));

        Assert.Equal("new", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("new")).AsTask().WaitAsync(Patience));

        old.Release("old");
        Assert.Equal("old", await waiting.WaitAsync(Patience));
        Assert.Equal("\"new\"", Store["test:text:a"]);
    }

    [Theory]
    [InlineData("set")]
    [InlineData("setmany")]
    [InlineData("publish")]
    [InlineData("foreign event")]
    [InlineData("another program")]
    [InlineData("another program's value")]
    public async Task Every_kind_of_change_keeps_a_running_load_out_of_Redis_and_memory(string change)
    {
        var gate = new Gate<Customer?>();
        var waiting = Cache.GetOrLoadAsync(TestKeys.Customer("1"), gate.LoadAsync).AsTask();
        await gate.Begun;
        var newer = new Customer("1", "newer");

        switch (change)
        {
            case "set":
                await Cache.SetAsync(TestKeys.Customer("1"), newer);
                break;
            case "setmany":
                await Cache.SetManyAsync(new Dictionary<CacheKey<Customer>, Customer?> { [TestKeys.Customer("1")] = newer });
                break;
            case "publish":
                await _node.Events.PublishAsync("customer.updated", """{"lineNumber":"1"}""");
                break;
            case "foreign event":
                _node.Events.Receive("customer.updated", """{"lineNumber":"1"}""", isForeign: true);
                break;
            case "another program":
                _node.Server.Remove("test:customer:1", "{test:customer:1}:l");
                break;
            case "another program's value":
                Store["test:customer:1"] = """{"lineNumber":"1","name":"newer"}""";
                break;
        }

        gate.Release(new Customer("1", "older"));

        Assert.Equal("older", (await waiting.WaitAsync(Patience))?.Name);
        Assert.DoesNotContain("older", Store["test:customer:1"] ?? "", StringComparison.Ordinal);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task A_load_that_all_have_left_is_not_stored_even_if_its_loader_ignores_the_token()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _node.Log.Written += id => _ = id == 2008 && ended.TrySetResult();
        var gate = new Gate<string?>();
        using var leave = new CancellationTokenSource();
        var leaving = Cache.GetOrLoadAsync(TestKeys.Text("a"), gate.LoadAsync, leave.Token).AsTask();
        await gate.Begun;

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving.WaitAsync(Patience));
        await Cache.InvalidateAsync(TestKeys.Text("a"));
        gate.Release("old");
        await ended.Task.WaitAsync(Patience);

        Assert.Null(Store["test:text:a"]);
    }

    [Fact]
    public async Task A_key_of_a_batch_that_nobody_waits_for_is_not_stored_after_a_change_while_the_batch_goes_on()
    {
        var gate = new Gate<bool>();
        using var leave = new CancellationTokenSource();
        var batch = Batch(["a", "b"], gate, leave.Token);
        await gate.Begun;
        var joined = Cache.GetOrLoadAsync(TestKeys.Text("b"), static _ => new("unused")).AsTask();
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => batch.WaitAsync(Patience));

        await Cache.InvalidateAsync(TestKeys.Text("a"));
        gate.Release(true);

        Assert.Equal("b", await joined.WaitAsync(Patience));
        Assert.Null(Store["test:text:a"]);
        Assert.Equal("\"b\"", Store["test:text:b"]);
    }

    [Fact]
    public async Task A_key_of_a_batch_that_nobody_waits_for_can_be_joined_and_counts_again()
    {
        var gate = new Gate<bool>();
        using var leave = new CancellationTokenSource();
        using var leaveToo = new CancellationTokenSource();
        var batch = Batch(["a", "b"], gate, leave.Token);
        await gate.Begun;
        var b = Cache.GetOrLoadAsync(TestKeys.Text("b"), static _ => new("unused"), leaveToo.Token).AsTask();
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => batch.WaitAsync(Patience));

        var a = Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("unused")).AsTask();
        await leaveToo.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => b.WaitAsync(Patience));
        Assert.False(gate.Token.IsCancellationRequested);
        gate.Release(true);

        Assert.Equal("a", await a.WaitAsync(Patience));
    }

    [Fact]
    public void A_load_that_all_have_left_after_its_loader_returned_stays_in_reach_of_a_change()
    {
        var flights = new LoadFlights();
        var batch = new LoadBatch();
        var flight = Join(flights, "k", batch);
        flights.Detach(batch);

        flights.Leave(flight);
        Assert.Same(flight, Join(flights, "k", new LoadBatch()));
        flights.Void("k");

        Assert.NotSame(flight, Join(flights, "k", new LoadBatch()));
        Assert.False(batch.Abandoned.IsCancellationRequested);
    }

    [Fact]
    public void When_the_last_has_left_all_loads_of_the_batch_are_void_and_off_the_table()
    {
        var flights = new LoadFlights();
        var batch = new LoadBatch();
        var a = Join(flights, "a", batch);
        var b = Join(flights, "b", batch);

        flights.Leave(a);
        Assert.NotEqual(LoadFlight.Void, a.Stamp);
        flights.Leave(b);

        Assert.True(batch.Abandoned.IsCancellationRequested);
        Assert.Equal((LoadFlight.Void, LoadFlight.Void), (a.Stamp, b.Stamp));
        Assert.Equal(0, flights.Running);
    }

    [Fact]
    public void A_load_is_joined_while_it_is_known_to_be_good_and_on_the_same_connection()
    {
        var flights = new LoadFlights();
        var flight = Join(flights, "k", new LoadBatch(), now: 1000);

        Assert.Same(flight, Join(flights, "k", new LoadBatch(), now: 1500));
        flight.Confirm(1400);
        Assert.Same(flight, Join(flights, "k", new LoadBatch(), now: 1900));
        var next = Join(flights, "k", new LoadBatch(), now: 1901);
        Assert.NotSame(flight, next);
        Assert.Same(flight, next.Predecessor);
        Assert.NotSame(next, Join(flights, "k", new LoadBatch(), now: 1901, generation: 2));
    }

    [Fact]
    public void A_load_that_stays_for_a_bound_and_was_made_void_keeps_no_other_on_the_table()
    {
        var flights = new LoadFlights();
        flights.FinishLater(Join(flights, "void", new LoadBatch(), now: 1000));
        flights.FinishLater(Join(flights, "old", new LoadBatch(), now: 1000));
        flights.Void("void");

        Join(flights, "new", new LoadBatch(), now: 5000);

        Assert.Equal(1, flights.Running);
    }

    [Fact]
    public void What_was_made_void_is_not_confirmed_again()
    {
        var flights = new LoadFlights();
        var flight = Join(flights, "k", new LoadBatch());

        flights.Void("k");
        flight.Confirm(5000);

        Assert.Equal(LoadFlight.Void, flight.Stamp);
    }

    [Fact]
    public async Task A_value_is_not_kept_when_a_change_came_between_it_and_the_length_of_its_life()
    {
        Store["test:customer:1"] = """{"lineNumber":"1","name":"old"}""";
        Store.HoldsReplies = true;
        Store.HoldsRequests = true;
        var reading = Cache.GetAsync(TestKeys.Customer("1")).AsTask();

        Store.ExecuteNext();
        Store["test:customer:1"] = """{"lineNumber":"1","name":"new"}""";
        Store.ExecuteNext();
        Store.ReadAll();

        Assert.Equal("old", (await reading.WaitAsync(Patience)).Value?.Name);
        Assert.Equal(0, Cache.Statistics().MemoryEntries);
    }

    [Fact]
    public async Task Those_who_share_a_load_of_a_mutable_type_do_not_share_the_object()
    {
        var gate = new Gate<Basket?>();
        var callers = Enumerable.Range(0, 4).Select(_ => Cache.GetOrLoadAsync(TestKeys.Basket("1"), gate.LoadAsync).AsTask()).ToList();
        await gate.Begun;
        gate.Release(new Basket { Things = ["apple"] });
        var baskets = await Task.WhenAll(callers).WaitAsync(Patience);

        baskets[0]!.Things.Add("stone");

        Assert.Equal(4, baskets.Distinct().Count());
        Assert.Equal(3, baskets.Count(basket => basket!.Things is ["apple"]));
    }

    [Fact]
    public async Task Those_who_share_a_load_of_an_immutable_type_share_the_object()
    {
        var gate = new Gate<Tariff?>();
        var callers = Enumerable.Range(0, 4).Select(_ => Cache.GetOrLoadAsync(TestKeys.As<Tariff>("1"), gate.LoadAsync).AsTask()).ToList();
        await gate.Begun;
        gate.Release(new Tariff("basic"));

        var tariffs = await Task.WhenAll(callers).WaitAsync(Patience);

        Assert.Single(tariffs.Distinct(ReferenceEqualityComparer.Instance));
    }

    [Fact]
    public async Task A_batch_loads_what_nobody_loads_yet_and_waits_for_the_rest()
    {
        var single = new Gate<string?>();
        var one = Cache.GetOrLoadAsync(TestKeys.Text("b"), single.LoadAsync).AsTask();
        await single.Begun;
        IReadOnlyList<string> asked = [];

        var many = Cache
            .GetOrLoadManyAsync(
                [TestKeys.Text("a"), TestKeys.Text("b"), TestKeys.Text("c"), TestKeys.Text("a")],
                (keys, _) =>
                {
                    asked = [.. keys.Select(key => key.Entry.First)];
                    return new(keys.ToDictionary(key => key, key => (string?)key.Entry.First.ToUpperInvariant()));
                }
            )
            .AsTask();
        single.Release("from the other load");
        var results = await many.WaitAsync(Patience);

        Assert.Equal(["a", "c"], asked);
        Assert.Equal("from the other load", results[TestKeys.Text("b")].Value);
        Assert.Equal("A", results[TestKeys.Text("a")].Value);
        Assert.Equal(3, results.Count);
        Assert.Equal("from the other load", await one);
    }

    [Fact]
    public async Task Two_batches_over_the_same_keys_do_not_wait_for_each_other_in_a_circle()
    {
        var first = new Gate<bool>();
        var second = new Gate<bool>();
        var ab = Batch(["a", "b"], first);
        await first.Begun;
        var cba = Batch(["c", "b", "a"], second);
        await second.Begun;

        second.Release(true);
        first.Release(true);

        Assert.Equal(2, (await ab.WaitAsync(Patience)).Count);
        Assert.Equal(3, (await cba.WaitAsync(Patience)).Count);
        Assert.All(["a", "b", "c"], id => Assert.Equal($"\"{id}\"", Store["test:text:" + id]));
    }

    [Fact]
    public async Task A_batch_is_cancelled_when_nobody_waits_for_any_of_its_keys()
    {
        var gate = new Gate<bool>();
        using var leave = new CancellationTokenSource();
        var batch = Batch(["a", "b"], gate, leave.Token);
        await gate.Begun;
        using var leaveToo = new CancellationTokenSource();
        var joined = Cache.GetOrLoadAsync(TestKeys.Text("b"), static _ => new("unused"), leaveToo.Token).AsTask();

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => batch.WaitAsync(Patience));
        Assert.False(gate.Token.IsCancellationRequested);

        await leaveToo.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => joined.WaitAsync(Patience));
        Assert.True(gate.Token.IsCancellationRequested);
        gate.Fail(new OperationCanceledException());
    }

    [Fact]
    public async Task A_failing_batch_fails_all_its_keys_and_stores_none()
    {
        var batch = Cache.GetOrLoadManyAsync([TestKeys.Text("a"), TestKeys.Text("b")], static (_, _) => throw new FormatException("no"));

        await Assert.ThrowsAsync<FormatException>(() => batch.AsTask().WaitAsync(Patience));

        Assert.Equal(0, Store.Count("FILL"));
        Assert.Equal(2, Cache.Statistics("text").LoadFailures);
        Assert.Equal("well", await Cache.GetOrLoadAsync(TestKeys.Text("a"), static _ => new("well")));
    }

    [Fact]
    public async Task A_key_that_a_batch_loader_leaves_out_does_not_exist_and_that_is_remembered()
    {
        var results = await Cache.GetOrLoadManyAsync(
            [TestKeys.Text("a"), TestKeys.Text("b")],
            static (keys, _) => new(new Dictionary<CacheKey<string>, string?> { [keys[0]] = "here" })
        );

        Assert.True(results[TestKeys.Text("b")].Found);
        Assert.False(results[TestKeys.Text("b")].HasValue);
        Assert.Equal("null", Store["test:text:b"]);
    }

    [Fact]
    public async Task A_number_that_a_batch_loader_leaves_out_is_a_miss_not_a_zero()
    {
        var results = await Cache.GetOrLoadManyAsync([TestKeys.Number("a")], static (_, _) => new(new Dictionary<CacheKey<int>, int>()));

        Assert.False(results[TestKeys.Number("a")].Found);
        Assert.Null(Store["test:number:a"]);
    }

    [Fact]
    public async Task The_same_key_under_two_types_helps_both_and_mixes_nothing()
    {
        var texts = new Gate<string?>();
        var text = Cache.GetOrLoadAsync(TestKeys.As<string>("a"), texts.LoadAsync).AsTask();
        await texts.Begun;

        var number = Cache.GetOrLoadAsync(TestKeys.As<int>("a"), static _ => new(5)).AsTask();
        texts.Release("value");

        Assert.Equal("value", await text.WaitAsync(Patience));
        Assert.Equal(5, await number.WaitAsync(Patience));
        Assert.Equal("5", Store["test:text:a"]);
    }

    [Fact]
    public async Task Random_loads_changes_and_cancellations_never_hand_out_what_was_invalidated_before()
    {
        var name = nameof(Random_loads_changes_and_cancellations_never_hand_out_what_was_invalidated_before);
        // Few callers for each key, so that the last one often leaves a load; enough for loads to be shared.
        const int Keys = 4;
        var version = new int[Keys];
        var confirmed = new int[Keys];
        var nextChange = Enumerable.Range(0, Keys).Select(static _ => NewSignal()).ToArray();

        async Task ChangeAsync(int key)
        {
            var made = Interlocked.Increment(ref version[key]);
            await Cache.InvalidateAsync(NumberKey(key));
            for (var seen = Volatile.Read(ref confirmed[key]); seen < made; seen = Volatile.Read(ref confirmed[key]))
                Interlocked.CompareExchange(ref confirmed[key], made, seen);
            Interlocked.Exchange(ref nextChange[key], NewSignal()).SetResult();
        }

        async Task ReadAsync(int key, bool cancelled, bool heedful, int steps)
        {
            var oldest = Volatile.Read(ref confirmed[key]);
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using var cancel = new CancellationTokenSource();
            var reading = Cache
                .GetOrLoadAsync(
                    NumberKey(key),
                    async load =>
                    {
                        var changed = Volatile.Read(ref nextChange[key]).Task;
                        var loaded = Volatile.Read(ref version[key]);
                        begun.TrySetResult();
                        for (var step = 0; step < steps; step++)
                            await Task.Run(static () => { });
                        if (heedful)
                            load.CancellationToken.ThrowIfCancellationRequested();
                        // The worst that a loader can do whom nobody waits for: come back with the old value after a change.
                        if (load.CancellationToken.IsCancellationRequested)
                            await changed;
                        return loaded;
                    },
                    cancel.Token
                )
                .AsTask();
            if (cancelled)
            {
                await Task.WhenAny(begun.Task, reading);
                await cancel.CancelAsync();
            }

            try
            {
                var value = await reading;
                Assert.True(value >= oldest, $"{value} was handed out after {oldest} was confirmed; {Seed.Line}");
            }
            catch (OperationCanceledException) when (cancelled) { }
        }

        await Task.WhenAll(
                Enumerable
                    .Range(0, 8)
                    .Select(worker =>
                        Task.Run(async () =>
                        {
                            var random = Seed.For(name + worker);
                            for (var i = 0; i < 1500; i++)
                            {
                                var key = random.Next(Keys);
                                await (
                                    random.Next(4) == 0
                                        ? ChangeAsync(key)
                                        : ReadAsync(
                                            key,
                                            cancelled: random.Next(2) == 0,
                                            heedful: random.Next(2) == 0,
                                            steps: random.Next(8)
                                        )
                                );
                            }
                        })
                    )
            )
            .WaitAsync(Patience);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static CacheKey<int> NumberKey(int key) => TestKeys.Number(key.ToString(CultureInfo.InvariantCulture));

    private static LoadFlight<string> Join(LoadFlights flights, string name, LoadBatch batch, long now = 0, long generation = 1) =>
        flights.JoinOrStart<string>(name, batch, now, boundMs: 500, generation, out _);

    private Task<IReadOnlyDictionary<CacheKey<string>, CacheResult<string>>> Batch(
        string[] ids,
        Gate<bool> gate,
        CancellationToken cancellationToken = default
    ) =>
        Cache
            .GetOrLoadManyAsync(
                [.. ids.Select(TestKeys.Text)],
                async (keys, context) =>
                {
                    await gate.LoadAsync(context);
                    return keys.ToDictionary(key => key, key => (string?)key.Entry.First);
                },
                cancellationToken
            )
            .AsTask();
}
