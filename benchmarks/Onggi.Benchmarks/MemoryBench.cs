using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Caching;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Benchmarks;

/// <summary>A hit in this process's memory, against the two dictionaries that people would use instead.</summary>
internal sealed class MemoryBench : IBench
{
    private const int Batch = 4096;

    private const string Catalog = """
        {
          "system": "bench",
          "environment": "dev",
          "families": { "item": { "key": "item:{id}", "kind": "cache", "ttl": "1h", "value": "string" } }
        }
        """;

    public string Name => "l1";

    public string Summary => "a hit in memory against ConcurrentDictionary and MemoryCache";

    public async Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        run.Notes.AddRange([
            "`hit.1000`, `hit.100000`: nanoseconds per `OnggiCache.GetAsync` that memory answers, with so many entries, one thread, keys in random order; keys are made anew for each call, as a service does.",
            "The same for `ConcurrentDictionary<string, string>` and `MemoryCache` (with an absolute expiry), whose keys are ready-made texts.",
            "`hit.bytes`: bytes allocated per hit.",
            "An entry lives for one second; here its clock is read and stands still, so that all calls are hits.",
        ]);
        var slice = TimeSpan.FromMilliseconds(run.Quick ? 250 : 700);
        List<Duel> duels = [];
        List<Subject> subjects = [];
        foreach (var count in (int[])[1000, 100_000])
        {
            var subject = await Subject.MakeAsync(count);
            subjects.Add(subject);
            duels.Add(
                new($"hit.{count}", "ns", "ConcurrentDictionary", span => Time(subject.Onggi, span), span => Time(subject.Dictionary, span))
            );
            duels.Add(
                new(
                    $"hit.{count}.memorycache",
                    "ns",
                    "MemoryCache",
                    span => Time(subject.Onggi, span),
                    span => Time(subject.MemoryCache, span)
                )
            );
        }

        var rows = await Duel.RunAsync(duels, run.Quick ? 7 : 11, slice, run.Stop);
        rows.Add(new Row("hit.bytes", "B/op", Bytes(subjects[0])));
        foreach (var subject in subjects)
            await subject.DisposeAsync();
        return rows;
    }

    private static Task<double> Time(Func<int, int> batch, TimeSpan slice)
    {
        var end = Duel.EndOf(slice);
        var began = Stopwatch.GetTimestamp();
        var calls = 0L;
        var turn = 0;
        for (; Stopwatch.GetTimestamp() < end; calls += Batch)
            if (batch(turn++) != Batch)
                throw new InvalidOperationException("Not every call was a hit.");
        return Task.FromResult(Stopwatch.GetElapsedTime(began).TotalNanoseconds / calls);
    }

    private static double Bytes(Subject subject)
    {
        const int Batches = 64;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Batches; i++)
            subject.Onggi(i);
        return (GC.GetAllocatedBytesForCurrentThread() - before) / (double)(Batches * Batch);
    }

    /// <summary>The same entries in all three.</summary>
    private sealed class Subject : IAsyncDisposable
    {
        private static readonly KeyFamily Family = new("item", "id");

        private readonly string[] _ids;
        private readonly int[] _order;
        private readonly OnggiCache _cache;
        private readonly ConcurrentDictionary<string, string> _dictionary = new();
        private readonly MemoryCache _memoryCache = new(new MemoryCacheOptions());

        private Subject(int count, OnggiCache cache)
        {
            _cache = cache;
            _ids = [.. Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"item-{i:000000}"))];
            _order = [.. Enumerable.Range(0, 16 * Batch).Select(i => (int)(i * 2_654_435_761L % count))];
        }

        public static async Task<Subject> MakeAsync(int count)
        {
            var options = new CacheOptions { MemoryMaxEntries = 2 * count, MemoryMaxBytes = 1L << 30 };
            var cache = new OnggiCache(
                new FixedStore(),
                Keyspace.Load(Catalog),
                options,
                BenchJson.Default,
                new NoEvents(),
                new NoEvents(),
                new Meters(),
                NullLogger<OnggiCache>.Instance,
                new StandingClock()
            );
            var subject = new Subject(count, cache);
            foreach (var id in subject._ids)
            {
                await cache.GetAsync(KeyOf(id));
                subject._dictionary[id] = id;
                subject._memoryCache.Set(id, id, TimeSpan.FromHours(1));
            }

            return subject;
        }

        public int Onggi(int turn)
        {
            var hits = 0;
            foreach (var i in Turn(turn))
            {
                var asked = _cache.GetAsync(KeyOf(_ids[i]));
                if (asked.IsCompletedSuccessfully && asked.Result.Tier == CacheTier.Memory)
                    hits++;
            }

            return hits;
        }

        public int Dictionary(int turn)
        {
            var hits = 0;
            foreach (var i in Turn(turn))
                if (_dictionary.TryGetValue(_ids[i], out _))
                    hits++;
            return hits;
        }

        public int MemoryCache(int turn)
        {
            var hits = 0;
            foreach (var i in Turn(turn))
                if (_memoryCache.TryGetValue(_ids[i], out string? _))
                    hits++;
            return hits;
        }

        public async ValueTask DisposeAsync()
        {
            _memoryCache.Dispose();
            await _cache.DisposeAsync();
        }

        private static CacheKey<string> KeyOf(string id) => new(new EntryKey(Family, id));

        private ReadOnlySpan<int> Turn(int turn) => _order.AsSpan(turn % 16 * Batch, Batch);
    }

    /// <summary>A clock that is read like the real one and says that no time has passed.</summary>
    private sealed class StandingClock : TimeProvider
    {
        private long _read;

        public override long GetTimestamp()
        {
            _read = base.GetTimestamp();
            return 0;
        }
    }

    /// <summary>A Redis that has a value for every name, at once.</summary>
    private sealed class FixedStore : ICacheStore
    {
        public bool IsKnownDown => false;

        public TimeSpan CommandTimeout => TimeSpan.FromSeconds(2);

        public ValueTask<StoredValue> GetAsync(string wireName, CancellationToken cancellationToken) =>
            new(new StoredValue("\"value\""u8.ToArray(), IsOversized: false));

        public ValueTask<StoredValue[]> GetManyAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken) => new([]);

        public ValueTask SetAsync(string wireName, ReadOnlyMemory<byte> json, TimeSpan timeToLive, CancellationToken cancellationToken) =>
            default;

        public ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, CancellationToken cancellationToken) => default;
    }

    private sealed class NoEvents : IEventSource, IEventSink, IDisposable
    {
        public IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler) => this;

        public IDisposable OnReceived(Action<EventNotice> handler) => this;

        public IDisposable OnInterrupted(Action handler) => this;

        public ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default) => default;

        public void Dispose()
        {
            // Nothing is held.
        }
    }

    private sealed class Meters : IMeterFactory
    {
        public Meter Create(MeterOptions options) => new(options);

        public void Dispose()
        {
            // Its meters end with the process.
        }
    }
}

[JsonSerializable(typeof(string))]
internal sealed partial class BenchJson : JsonSerializerContext;
