using System.Text.Json;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

public sealed class WarmTests : IDisposable
{
    private readonly CacheHarness _node = new();
    private readonly List<WarmProgress> _steps = [];

    private OnggiCache Cache => _node.Cache;

    private FakeStore Store => _node.Store;

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Warming_stores_all_in_batches_tells_its_progress_and_publishes_the_end()
    {
        var report = await Cache.WarmAsync("texts", Texts(600), new Steps(_steps));

        Assert.Equal(("texts", 600L, 0L), (report.Name, report.Stored, report.Failed));
        Assert.Equal([256L, 512L, 600L], _steps.Select(step => step.Done));
        Assert.All(_steps, step => Assert.Null(step.Total));
        Assert.Equal("\"599\"", Store["test:text:599"]);
        var warmed = Assert.IsType<CacheWarmed>(Assert.Single(_node.Events.Notified));
        Assert.Equal(("texts", 600L), (warmed.Name, warmed.Count));
        Assert.Equal(["text"], warmed.Families);
    }

    [Fact]
    public async Task The_end_names_each_family_by_itself()
    {
        var other = new CacheKey<string>(TestKeys.Customer("1").Entry);
        var values = new Dictionary<CacheKey<string>, string?> { [TestKeys.Text("a")] = "x", [other] = "y" };
        await Cache.WarmAsync("both", values.ToAsyncEnumerable());
        await Cache.PrefetchAsync([TestKeys.Text("a"), other], static (_, _) => throw new InvalidOperationException("all are there"));

        var ends = _node.Events.Notified.Cast<CacheWarmed>().ToList();
        Assert.Equal(2, ends.Count);
        Assert.All(ends, end => Assert.Equal(["customer", "text"], end.Families));
        Assert.Contains(
            "\"families\":[\"customer\",\"text\"]",
            JsonSerializer.Serialize(ends[0], BuiltInEventsJson.Default.CacheWarmed),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Only_a_bounded_number_of_entries_goes_out_at_a_time()
    {
        await Cache.WarmAsync("texts", Texts(2000));

        Assert.Equal(8, Store.Count("PUT"));
        Assert.All(Store.Commands, command => Assert.InRange(command.Count(static letter => letter == ' '), 2, 2 * 256));
    }

    [Fact]
    public async Task What_Redis_refuses_is_counted_and_the_rest_goes_on()
    {
        Store.Refuse = static command =>
            command.Contains("test:text:300 ", StringComparison.Ordinal)
                ? new RedisServerException("OOM command not allowed when used memory > 'maxmemory'.")
                : null;

        var report = await Cache.WarmAsync("texts", Texts(600), new Steps(_steps));

        Assert.Equal((344L, 256L), (report.Stored, report.Failed));
        Assert.Equal(256, _steps[^1].Failed);
        Assert.Contains(_node.Log.All, line => line.Id == 2010);
    }

    [Fact]
    public async Task A_value_that_cannot_be_stored_is_counted_and_the_rest_goes_on()
    {
        using var node = new CacheHarness(new CacheOptions { MaxValueBytes = 100 });

        var report = await node.Cache.WarmAsync("texts", Of([("a", new string('x', 200)), ("b", "small")]));

        Assert.Equal((1L, 1L), (report.Stored, report.Failed));
    }

    [Fact]
    public async Task Without_Redis_warming_fails_fast_and_says_so()
    {
        Store.IsKnownDown = true;

        var report = await Cache.WarmAsync("texts", Texts(600));

        Assert.Equal((0L, 600L), (report.Stored, report.Failed));
        Assert.Empty(Store.Commands);
    }

    [Fact]
    public async Task Warming_ends_when_it_is_cancelled()
    {
        using var cancel = new CancellationTokenSource();
        Store.Refuse = _ =>
        {
            cancel.Cancel();
            return null;
        };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Cache.WarmAsync("texts", Texts(600), null, cancel.Token).AsTask());

        Assert.Equal(1, Store.Count("PUT"));
        Assert.Empty(_node.Events.Notified);
    }

    [Fact]
    public async Task Prefetching_loads_what_is_not_there_and_nothing_else()
    {
        Store["test:text:1"] = "\"here\"";
        var asked = 0;

        var report = await Cache.PrefetchAsync(
            [.. Enumerable.Range(0, 300).Select(i => TestKeys.Text(i.ToString()))],
            (keys, _) =>
            {
                asked += keys.Count;
                return new(keys.ToDictionary(key => key, key => (string?)"loaded"));
            },
            new Steps(_steps)
        );

        Assert.Equal(299, asked);
        Assert.Equal((299L, 0L), (report.Stored, report.Failed));
        Assert.Equal([(256L, 300L), (300L, 300L)], _steps.Select(step => (step.Done, step.Total!.Value)));
        Assert.Equal("\"here\"", Store["test:text:1"]);
        Assert.IsType<CacheWarmed>(Assert.Single(_node.Events.Notified));
    }

    [Fact]
    public async Task Prefetching_counts_what_Redis_did_not_take()
    {
        _node.Server.IsFull = true;

        var report = await Cache.PrefetchAsync(
            [TestKeys.Text("a"), TestKeys.Text("b")],
            static (keys, _) => new(keys.ToDictionary(key => key, key => (string?)"loaded"))
        );

        Assert.Equal((0L, 2L), (report.Stored, report.Failed));
    }

    [Fact]
    public async Task A_rate_is_kept_and_no_more_is_read_than_is_stored_next()
    {
        var read = 0;
        var began = _node.Time.GetTimestamp();
        var warming = Cache
            .WarmAsync(
                "texts",
                Texts(100).Select(one => Counted(one, ref read)),
                new Steps(_steps),
                new WarmOptions { EntriesPerSecond = 100 }
            )
            .AsTask();

        await AdvanceUntilAsync(warming, () => Assert.InRange(read, 0, Done(began) + 20));

        Assert.Equal(100, (await warming).Stored);
        // Ten batches of ten; the first at once.
        Assert.Equal(10, _steps.Count);
        Assert.True(_node.Time.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(900));
    }

    [Fact]
    public async Task A_rate_holds_for_prefetching_too()
    {
        var asked = 0;
        var began = _node.Time.GetTimestamp();
        var prefetching = Cache
            .PrefetchAsync(
                [.. Enumerable.Range(0, 50).Select(i => TestKeys.Text(i.ToString()))],
                (keys, _) =>
                {
                    asked += keys.Count;
                    return new(keys.ToDictionary(key => key, key => (string?)"loaded"));
                },
                new Steps(_steps),
                new WarmOptions { EntriesPerSecond = 50 }
            )
            .AsTask();

        await AdvanceUntilAsync(prefetching, () => Assert.InRange(asked, 0, (Done(began) / 2) + 5));

        Assert.Equal(50, (await prefetching).Stored);
        Assert.True(_node.Time.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(900));
    }

    [Fact]
    public async Task Prefetching_anew_loads_what_is_there_too_and_readers_have_the_old_value_meanwhile()
    {
        Store["test:text:a"] = "\"old\"";
        var gate = new Gate<string>();
        var prefetching = Cache
            .PrefetchAsync(
                [TestKeys.Text("a"), TestKeys.Text("b")],
                async (keys, context) =>
                {
                    var value = await gate.LoadAsync(context);
                    return keys.ToDictionary(key => key, key => (string?)value);
                },
                progress: null,
                new WarmOptions { Anew = true }
            )
            .AsTask();
        await gate.Begun;

        Assert.Equal("old", (await Cache.GetAsync(TestKeys.Text("a"))).Value);
        gate.Release("new");

        Assert.Equal((2L, 0L), ((await prefetching).Stored, (await prefetching).Failed));
        Assert.Equal("\"new\"", Store["test:text:a"]);
        Assert.Equal("new", (await Cache.GetAsync(TestKeys.Text("a"))).Value);
    }

    [Fact]
    public async Task What_is_invalidated_while_it_is_prefetched_anew_is_not_stored()
    {
        Store["test:text:a"] = "\"old\"";
        var gate = new Gate<string>();
        var prefetching = Cache
            .PrefetchAsync(
                [TestKeys.Text("a")],
                async (keys, context) =>
                {
                    var value = await gate.LoadAsync(context);
                    return keys.ToDictionary(key => key, key => (string?)value);
                },
                progress: null,
                new WarmOptions { Anew = true }
            )
            .AsTask();
        await gate.Begun;

        await Cache.InvalidateAsync(TestKeys.Text("a"));
        gate.Release("read before the change");
        await prefetching;

        Assert.Null(Store["test:text:a"]);
        Assert.False((await Cache.GetAsync(TestKeys.Text("a"))).Found);
    }

    private static KeyValuePair<CacheKey<string>, string?> Counted(KeyValuePair<CacheKey<string>, string?> one, ref int count)
    {
        count++;
        return one;
    }

    // By a rate of a hundred.
    private int Done(long began) => (int)(_node.Time.GetElapsedTime(began).TotalMilliseconds / 10);

    /// <summary>Moves the clock by hundredths of a second until the work is done.</summary>
    private async Task AdvanceUntilAsync(Task work, Action check)
    {
        for (var began = TimeProvider.System.GetTimestamp(); !work.IsCompleted; )
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(60), "it does not end");
            check();
            _node.Time.Advance(TimeSpan.FromMilliseconds(10));
            await Task.Delay(1);
        }
    }

    private static IAsyncEnumerable<KeyValuePair<CacheKey<string>, string?>> Texts(int count) =>
        Of(Enumerable.Range(0, count).Select(i => (i.ToString(), i.ToString())));

    private static async IAsyncEnumerable<KeyValuePair<CacheKey<string>, string?>> Of(IEnumerable<(string Id, string Value)> values)
    {
        foreach (var (id, value) in values)
        {
            await Task.Yield();
            yield return new(TestKeys.Text(id), value);
        }
    }

    // Progress<T> reports on the thread pool, some time; a test wants it here and now.
    private sealed class Steps(List<WarmProgress> steps) : IProgress<WarmProgress>
    {
        public void Report(WarmProgress value) => steps.Add(value);
    }
}
