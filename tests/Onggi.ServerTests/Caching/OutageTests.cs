using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Onggi.Caching;
using Onggi.Client;
using Onggi.ServerTests.Client;
using Onggi.Testing;

namespace Onggi.ServerTests.Caching;

/// <summary>Redis is away while the source changes: everybody is served in time, and nobody gets what was.</summary>
public sealed class OutageTests
{
    private const int ReadersPerNode = 4;

    private static readonly TimeSpan MaxStaleness = TimeSpan.FromMilliseconds(500);

    // How long a busy machine may keep a caller's continuation waiting.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(2);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Callers_are_served_from_the_loader_in_time_without_one_stale_answer_and_Redis_again_when_it_is_back(bool killed)
    {
        await using var server = await RedisServerProcess.StartAsync();
        await using var one = await CacheNode.StartAsync(server.ConnectionString, CacheNode.Impatient);
        await using var other = await CacheNode.StartAsync(server.ConnectionString, CacheNode.Impatient);
        var source = new Source();
        await using var readers = Readers.Start([one, other], source);
        await readers.UntilAllHaveReadAsync();
        await CacheNode.UntilAsync(() => one.Cache.TryPeek(Key, out _) && other.Cache.TryPeek(Key, out _));

        source.Change();
        await one.Cache.InvalidateAsync(Key, Invalidation.Strict).Within();
        source.Confirm();
        await CacheNode.UntilAsync(() => one.Cache.TryPeek(Key, out _) && other.Cache.TryPeek(Key, out _));

        var away = one.Redis.Change(connected: false);
        if (killed)
        {
            await server.KillAsync();
            await away;
        }
        else
            server.Pause();
        source.Change();
        var changed = Stopwatch.GetTimestamp();
        await one.Cache.InvalidateAsync(Key).FailsWith<InvalidationUnconfirmedException>();

        // By now nobody's memory has a proof, and what was loaded before the change is nobody's any more.
        await CacheNode.UntilAsync(() => Stopwatch.GetElapsedTime(changed) > MaxStaleness);
        source.Confirm();
        await readers.UntilAllHaveReadAsync();
        await readers.UntilAllHaveReadAsync();

        if (killed)
            await server.RestartAsync();
        else
        {
            // It still has what was there before: nobody has confirmed that it was removed.
            source.Doubt();
            server.Resume();
        }

        await InvalidateAgainAsync(other);
        source.Confirm();
        await CacheNode.UntilAsync(() => one.Cache.TryPeek(Key, out _) && other.Cache.TryPeek(Key, out _));
        await readers.UntilAllHaveReadAsync();

        foreach (var read in await readers.EndAsync())
        {
            Assert.True(
                read.Version >= read.Oldest,
                $"A read got version {read.Version}, when {read.Oldest} was confirmed before it began."
            );
            Assert.True(read.Took < (2 * CacheNode.ShortTimeout) + Slack, $"A read took {read.Took}.");
        }

        Assert.Equal("\"3\"", await server.CommandAsync("GET", "test:text:outage"));
    }

    private static Onggi.Keys.CacheKey<string> Key => CacheNode.Text("outage");

    // What a writer does: until it is confirmed.
    private static async Task InvalidateAgainAsync(CacheNode node)
    {
        using var patience = new CancellationTokenSource(Waiting.Bound);
        while (true)
        {
            try
            {
                await node.Cache.InvalidateAsync(Key, Invalidation.Strict, patience.Token);
                return;
            }
            catch (InvalidationUnconfirmedException)
            {
                await Task.Delay(20, patience.Token);
            }
        }
    }

    private sealed record Read(int Version, int Oldest, TimeSpan Took);

    /// <summary>The truth: its version, and from which on a read may not be older.</summary>
    private sealed class Source
    {
        private int _version = 1;
        private int _oldest = 1;

        public int Version => Volatile.Read(ref _version);

        public int Oldest => Volatile.Read(ref _oldest);

        public void Change() => Interlocked.Increment(ref _version);

        public void Doubt() => Volatile.Write(ref _oldest, Version - 1);

        public void Confirm() => Volatile.Write(ref _oldest, Version);
    }

    private sealed class Readers : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly ConcurrentQueue<Read> _reads = new();
        private List<(Task Reading, StrongBox Count)> _running = [];

        public static Readers Start(CacheNode[] nodes, Source source)
        {
            var readers = new Readers();
            readers._running =
            [
                .. nodes
                    .SelectMany(node => Enumerable.Repeat(node, ReadersPerNode))
                    .Select(node =>
                    {
                        var count = new StrongBox();
                        return (Task.Run(() => readers.ReadAsync(node, source, count)), count);
                    }),
            ];
            return readers;
        }

        public async Task UntilAllHaveReadAsync()
        {
            var before = _running.ConvertAll(one => Volatile.Read(ref one.Count.Value));
            await CacheNode.UntilAsync(() =>
                Enumerable
                    .Range(0, _running.Count)
                    .All(i => _running[i].Reading.IsFaulted || Volatile.Read(ref _running[i].Count.Value) > before[i] + 1)
            );
        }

        public async Task<IReadOnlyCollection<Read>> EndAsync()
        {
            await _stop.CancelAsync();
            await Task.WhenAll(_running.Select(one => one.Reading)).Within();
            return _reads;
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Task.WhenAll(_running.Select(one => one.Reading)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
        }

        private async Task ReadAsync(CacheNode node, Source source, StrongBox count)
        {
            while (!_stop.IsCancellationRequested)
            {
                var oldest = source.Oldest;
                var began = Stopwatch.GetTimestamp();
                var text = await node.Cache.GetOrLoadAsync(
                    Key,
                    source,
                    static async (source, _) =>
                    {
                        var version = source.Version;
                        await Task.Yield();
                        return version.ToString(CultureInfo.InvariantCulture);
                    }
                );
                var read = new Read(int.Parse(text!, CultureInfo.InvariantCulture), oldest, Stopwatch.GetElapsedTime(began));
                // Most are hits, and all alike.
                if (read.Version < read.Oldest || read.Took > CacheNode.ShortTimeout || Volatile.Read(ref count.Value) % 64 == 0)
                    _reads.Enqueue(read);
                Interlocked.Increment(ref count.Value);
                await Task.Delay(1);
            }
        }
    }

    private sealed class StrongBox
    {
        public int Value;
    }
}
