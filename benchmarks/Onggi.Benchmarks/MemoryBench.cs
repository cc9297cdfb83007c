using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging.Abstractions;
using Onggi.Caching;
using Onggi.Client;
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

    public Task<IReadOnlyList<Row>> RunAsync(BenchRun run)
    {
        run.Notes.AddRange([
            "`hit.1000`, `hit.100000`: nanoseconds per `OnggiCache.GetAsync` that memory answers, with so many entries, one thread, identifiers in random order. Each identifier is a text of its own that was made just before, as one that a service has read from a request: equal to what is kept, not the same object.",
            "The same texts are asked of `ConcurrentDictionary<string, string>` and `MemoryCache` (with an absolute expiry); they find them under the text itself, while ours makes a key of it for each call.",
            "`guid`: the same with identifiers of 36 characters, the text of a GUID; the others have 11.",
            "`same-text`: the identifier is the very object that was given when the entry was kept, which no service has. The dictionary need not look at the kept text then, and its look-ups are short enough for the processor to overlap several.",
            "`hit.two-threads`: nanoseconds per hit and thread when two threads read the same 1,000 keys, against one thread alone.",
            "`hit.bytes`: bytes allocated per hit.",
            "Each value is the median of rounds, and in a round of batches of 4,096 calls, so that what else runs on the machine moves it little.",
        ]);
        return MeasureAsync(run);
    }

    private static async Task<IReadOnlyList<Row>> MeasureAsync(BenchRun run)
    {
        var slice = TimeSpan.FromMilliseconds(run.Quick ? 250 : 700);
        List<Duel> duels = [];
        using var few = new Subject(1000);
        using var many = new Subject(100_000);
        using var fewLong = new Subject(1000, LongId);
        using var manyLong = new Subject(100_000, LongId);
        foreach (var (subject, longs, goal) in ((Subject, Subject, double)[])[(few, fewLong, 2.0), (many, manyLong, 2.2)])
        {
            var row = $"hit.{subject.Count}";
            Add(
                row,
                "ConcurrentDictionary",
                span => Time(subject, subject.Onggi, span),
                span => Time(subject, subject.Dictionary, span),
                new Goal(goal, AtMost: true)
            );
            Add(
                $"{row}.guid",
                "ConcurrentDictionary",
                span => Time(longs, longs.Onggi, span),
                span => Time(longs, longs.Dictionary, span),
                goal: null
            );
            Add(
                $"{row}.memorycache",
                "MemoryCache",
                span => Time(subject, subject.Onggi, span),
                span => Time(subject, subject.MemoryCache, span),
                goal: null
            );
            Add(
                $"{row}.same-text",
                "ConcurrentDictionary",
                span => Time(subject, subject.Onggi, span, sameText: true),
                span => Time(subject, subject.Dictionary, span, sameText: true),
                goal: null
            );
        }

        Add(
            "hit.two-threads",
            "one thread",
            span => TimeTwo(few, few.Onggi, span),
            span => Time(few, few.Onggi, span),
            new Goal(1.3, AtMost: true)
        );
        Add(
            "hit.two-threads.dictionary",
            "one thread",
            span => TimeTwo(few, few.Dictionary, span),
            span => Time(few, few.Dictionary, span),
            goal: null
        );
        var rows = await Duel.RunAsync(duels, run.Quick ? 7 : 11, slice, run.Stop);
        if (run.Wants("hit.bytes"))
            rows.Add(Row.AtMost("hit.bytes", "B/op", Bytes(few), 0));
        return rows;

        void Add(string row, string baseline, Func<TimeSpan, Task<double>> ours, Func<TimeSpan, Task<double>> theirs, Goal? goal)
        {
            if (run.Wants(row))
                duels.Add(new(row, "ns", baseline, ours, theirs, goal));
        }
    }

    private static Task<double> Time(Subject subject, Func<string[], int> batch, TimeSpan slice, bool sameText = false) =>
        Task.FromResult(Measure(subject, batch, slice, sameText));

    private static async Task<double> TimeTwo(Subject subject, Func<string[], int> batch, TimeSpan slice)
    {
        using var ready = new Barrier(2);
        var times = await Task.WhenAll(
            Enumerable
                .Range(0, 2)
                .Select(_ =>
                    Task.Factory.StartNew(
                        () =>
                        {
                            ready.SignalAndWait();
                            return Measure(subject, batch, slice, sameText: false);
                        },
                        TaskCreationOptions.LongRunning
                    )
                )
        );
        return times.Average();
    }

    private static double Measure(Subject subject, Func<string[], int> batch, TimeSpan slice, bool sameText)
    {
        var asked = subject.NewTexts();
        var end = Duel.EndOf(slice);
        List<double> times = [];
        for (var turn = 0; Stopwatch.GetTimestamp() < end; turn++)
        {
            subject.Fill(asked, turn, sameText);
            var began = Stopwatch.GetTimestamp();
            if (batch(asked) != Batch)
                throw new InvalidOperationException("Not every call was a hit.");
            times.Add(Stopwatch.GetElapsedTime(began).TotalNanoseconds / Batch);
        }

        return Duel.Median(times);
    }

    // As most are: of a letter or two and a number, or a GUID.
    private static string ShortId(int number) => string.Create(CultureInfo.InvariantCulture, $"item-{number:000000}");

    private static string LongId(int number) =>
        string.Create(CultureInfo.InvariantCulture, $"6f1c1d2e-0b7a-4d5c-9c1e-{number:000000000000}");

    private static double Bytes(Subject subject)
    {
        const int Batches = 64;
        var asked = subject.NewTexts();
        subject.Fill(asked, turn: 0, sameText: false);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Batches; i++)
            subject.Onggi(asked);
        return (GC.GetAllocatedBytesForCurrentThread() - before) / (double)(Batches * Batch);
    }

    /// <summary>The same entries in all three.</summary>
    private sealed class Subject : IDisposable
    {
        private const long Generation = 1;

        private static readonly KeyFamily Family = new("item", "id");

        private readonly string[] _ids;
        private readonly int[] _order;
        private readonly RedisClient _redis = new(new RedisClientOptions());
        private readonly OnggiCache _cache;
        private readonly ConcurrentDictionary<string, string> _dictionary = new();
        private readonly MemoryCache _memoryCache = new(new MemoryCacheOptions());

        public Subject(int count)
            : this(count, ShortId) { }

        public Subject(int count, Func<int, string> idOf)
        {
            _ids = [.. Enumerable.Range(0, count).Select(idOf)];
            _order = [.. Enumerable.Range(0, 16 * Batch).Select(i => (int)(i * 2_654_435_761L % count))];
            var options = new CacheOptions { MemoryMaxEntries = 2 * count, MemoryMaxBytes = 1L << 30 };
            var codec = new CacheJson(BenchJson.Default, options).Codec<string>();
            var keyspace = Keyspace.Load(Catalog);
            var family = new CacheFamilies(keyspace, new CacheOptions(), TimeProvider.System).Of(Family);
            // Nobody connects: memory is filled and proven by hand.
            var events = new NoEvents();
            _cache = new OnggiCache(
                new CacheStore(_redis, OnggiCache.EpochName(keyspace)),
                keyspace,
                options,
                BenchJson.Default,
                events,
                events,
                new Meters(),
                NullLogger<OnggiCache>.Instance,
                TimeProvider.System,
                new CoarseClock()
            );
            _cache.Memory.Begin(Generation);
            _cache.Memory.Prove(Generation, long.MaxValue);
            foreach (var id in _ids)
            {
                var key = KeyOf(id).Entry;
                _cache
                    .Memory.Keep(Generation, key, keyspace.WireName(key), family, codec.Encode(id), long.MaxValue, long.MaxValue)!
                    .TryShare(id);
                _dictionary[id] = id;
                _memoryCache.Set(id, id, TimeSpan.FromHours(1));
            }
        }

        public int Count => _ids.Length;

        // Each loop is a method of its own, as a caller of the cache is: the compiler at run time would put one or another of them into what measures.
        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Onggi(string[] asked)
        {
            var hits = 0;
            foreach (var id in asked)
            {
                var got = _cache.GetAsync(KeyOf(id));
                if (got.IsCompletedSuccessfully && got.Result.Tier == CacheTier.Memory)
                    hits++;
            }

            return hits;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Dictionary(string[] asked)
        {
            var hits = 0;
            foreach (var id in asked)
                if (_dictionary.TryGetValue(id, out _))
                    hits++;
            return hits;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public int MemoryCache(string[] asked)
        {
            var hits = 0;
            foreach (var id in asked)
                if (_memoryCache.TryGetValue(id, out string? _))
                    hits++;
            return hits;
        }

        public void Dispose()
        {
            _memoryCache.Dispose();
            // Nothing of it waits for a server.
            _cache.DisposeAsync().AsTask().GetAwaiter().GetResult();
            _redis.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }

        private static CacheKey<string> KeyOf(string id) => new(new EntryKey(Family, id));

        /// <summary>Room for what is asked in a turn. Characters are written over for each, so that nothing is collected while it is measured.</summary>
        public string[] NewTexts() => [.. Enumerable.Range(0, Batch).Select(_ => new string('-', _ids[0].Length))];

        /// <summary>What is asked in a turn: other texts, which say the same as those that the entries were kept under, or those themselves.</summary>
        public void Fill(string[] asked, int turn, bool sameText)
        {
            var order = _order.AsSpan(turn % 16 * Batch, Batch);
            for (var i = 0; i < Batch; i++)
            {
                var id = _ids[order[i]];
                if (sameText)
                    asked[i] = id;
                else
                    id.CopyTo(MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(asked[i].AsSpan()), id.Length));
            }
        }
    }

    private sealed class NoEvents : IEventSource, IEventSink, IDisposable
    {
        public IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler) => this;

        public IDisposable OnReceived(Action<EventNotice> handler) => this;

        public IDisposable OnInterrupted(Action handler) => this;

        public ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default) => default;

        public ValueTask DeliverAsync<TData>(EventType<TData> type, string id, TData data, CancellationToken cancellationToken = default) =>
            default;

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
