using System.Diagnostics;
using System.Globalization;
using Onggi.Client;

namespace Onggi.Benchmarks.Coherence;

/// <summary>One node of a fleet: readers and writers around a cache, and the judgement of every read where it is made.</summary>
internal sealed class Node
{
    private const int MostExamples = 3;

    // Read in little groups: a pause costs more than a hit, and two cores carry a thousand readers.
    private const int ReadsAtOnce = 8;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(20);

    private readonly NodePlan _plan;
    private readonly Truth _truth;
    private readonly Source _source;
    private readonly ISubject _subject;
    private readonly int _seed;
    private readonly List<Tally> _tallies = [];
    private readonly List<Task> _readers = [];
    private readonly Dictionary<int, (double AgeMs, string Text)> _examples = [];
    private readonly Observed _fast = new();
    private readonly Observed _strict = new();
    private readonly Lock _gate = new();
    private volatile bool _stopped;

    private Node(NodePlan plan, Truth truth, Source source, ISubject subject, int seed) =>
        (_plan, _truth, _source, _subject, _seed) = (plan, truth, source, subject, unchecked((seed * 31) + (plan.Fleet * 8) + plan.Node));

    public static async Task<Node> StartAsync(NodePlan plan, int seed, TimeSpan longest)
    {
        var truth = Truth.Open(plan.Truth, Schedule.Keys, Schedule.VersionsIn(longest));
        var source = new Source(truth, plan.IsSlow);
        var subject = plan.Subject switch
        {
            Subject.Naive => await NaiveSubject.StartAsync(plan.Port, source),
            Subject.Lease => await LeaseSubject.StartAsync(plan.Port, source),
            _ => await OnggiSubject.StartAsync(plan.Port, source, plan.IsSlow),
        };
        // Compiles the paths and fills memory before anybody counts.
        await Task.WhenAll(Enumerable.Range(0, Schedule.Keys).Select(key => subject.ReadAsync(key).AsTask()));
        return new Node(plan, truth, source, subject, seed);
    }

    /// <summary>Begins to read.</summary>
    public void Read(int readers)
    {
        _source.IsCalm = false;
        for (var reader = 0; reader < readers; reader++)
        {
            var tally = new Tally();
            _tallies.Add(tally);
            var random = new Random(unchecked((_seed * 1_000) + reader));
            _readers.Add(Task.Run(() => ReadAsync(tally, random)));
        }
    }

    /// <summary>Makes this node's writes of the plan; ends when all their invalidations have returned, or the time for that is over.</summary>
    public async Task WriteAsync(IEnumerable<Write> writes, Start start, TimeSpan patience)
    {
        var last = TimeSpan.FromMilliseconds(start.WritesMs);
        var running = new List<Task>();
        foreach (var write in writes)
        {
            var due = write.At - Stopwatch.GetElapsedTime(start.At);
            if (due > TimeSpan.Zero)
                await Task.Delay(due);
            running.Add(WriteAsync(write.Key, start.At, last + patience));
        }

        await Task.WhenAll(running);
    }

    /// <summary>Reads every key once more, stops, and tells what was seen.</summary>
    public async Task<NodeReport> FinishAsync()
    {
        _source.IsCalm = true;
        var left = await Task.WhenAll(Enumerable.Range(0, Schedule.Keys).Select(IsLeftAsync));
        for (var key = 0; key < left.Length; key++)
            Of(key).Left += left[key] ? 1 : 0;

        _stopped = true;
        var ended = Task.WhenAll(_readers);
        if (await Task.WhenAny(ended, Task.Delay(Patience)) == ended)
            await ended;
        for (var reader = 0; reader < _readers.Count; reader++)
        {
            var tally = _tallies[reader];
            _fast.Add(tally.Fast);
            _strict.Add(tally.Strict);
            if (_readers[reader].IsCompleted)
                continue;
            Of(tally.Key).Failed++;
            Tell(tally.Key, double.MaxValue, $"a read of key {tally.Key} had not ended {Patience.TotalSeconds:0} s after all was over");
        }

        _fast.MemoryHits = _subject.MemoryHits(Strength.Fast);
        _strict.MemoryHits = _subject.MemoryHits(Strength.Strict);
        return new NodeReport(_plan.Fleet, _fast, _strict, Examples());
    }

    private async Task ReadAsync(Tally tally, Random random)
    {
        while (!_stopped)
        {
            for (var i = 0; i < ReadsAtOnce; i++)
                await ReadAsync(tally, random.Next(Schedule.Keys));
            await Task.Delay(random.Next(10, 21));
        }
    }

    private async ValueTask ReadAsync(Tally tally, int key)
    {
        // In this order: a process that is stopped between the lines then knows fewer acknowledgements than there were, and counts their age short, never too much.
        var floor = _truth.Floor(key);
        var began = Stopwatch.GetTimestamp();
        var observed = tally.Begin(key);
        Item? item;
        try
        {
            item = await _subject.ReadAsync(key);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            if (observed.Failed++ == 0)
                Tell(key, double.MaxValue, $"a read of key {key} threw {error.GetType().Name}: {error.Message}");
            return;
        }

        if (item?.Key != key)
        {
            observed.Failed++;
            Tell(key, double.MaxValue, $"a read of key {key} gave {item}");
        }
        else if (item.Version < floor)
        {
            var since = _truth.StaleSince(key, item.Version, floor);
            var age = Stopwatch.GetElapsedTime(since, began).TotalMilliseconds;
            observed.Stale++;
            if (age <= observed.WorstMs)
                return;
            observed.WorstMs = age;
            if (Schedule.StrengthOf(key) == Strength.Strict || age > OnggiSubject.MaxStaleness.TotalMilliseconds)
            {
                var took = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
                Tell(
                    key,
                    age,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"key {key} gave version {item.Version} {age:0.0} ms after a newer one (up to {floor}) had been invalidated; the read took {took:0.00} ms"
                    )
                );
            }
        }
    }

    private async Task WriteAsync(int key, long began, TimeSpan until)
    {
        var version = _truth.Commit(key);
        for (var unconfirmed = 0; ; unconfirmed++)
        {
            try
            {
                await _subject.InvalidateAsync(key, Schedule.StrengthOf(key)).AsTask().WaitAsync(Patience * 2);
                _truth.Acknowledge(key, version, Stopwatch.GetTimestamp());
                Count(key, writes: 1, unconfirmed, failed: 0);
                return;
            }
            catch (RedisException) when (Stopwatch.GetElapsedTime(began) < until)
            {
                // Nothing was promised: the writer asks again, as its program must.
                await Task.Delay(RetryPause);
            }
            catch (Exception error) when (error is RedisException or TimeoutException)
            {
                Count(key, writes: 0, unconfirmed, failed: 1);
                Tell(key, double.MaxValue, $"the invalidation of key {key} was given up: {error.Message}");
                return;
            }
        }
    }

    private async Task<bool> IsLeftAsync(int key)
    {
        var floor = _truth.Floor(key);
        try
        {
            var item = await _subject.ReadAsync(key).AsTask().WaitAsync(Patience);
            if (item?.Key == key && item.Version >= floor)
                return false;
            Tell(key, double.MaxValue, $"key {key} is left with {item}, version {floor} was the last to be invalidated");
        }
        catch (Exception error) when (error is RedisException or TimeoutException or InvalidOperationException)
        {
            Tell(key, double.MaxValue, $"key {key} cannot be read at the end: {error.Message}");
        }

        return true;
    }

    private Observed Of(int key) => Schedule.StrengthOf(key) == Strength.Fast ? _fast : _strict;

    private void Count(int key, int writes, int unconfirmed, int failed)
    {
        lock (_gate)
        {
            var its = Of(key);
            its.Writes += writes;
            its.Unconfirmed += unconfirmed;
            its.Failed += failed;
        }
    }

    // The worst of each key.
    private void Tell(int key, double ageMs, string what)
    {
        lock (_gate)
            if (!_examples.TryGetValue(key, out var known) || known.AgeMs < ageMs)
                _examples[key] = (ageMs, $"node {_plan.Node}: {what}");
    }

    private string[] Examples()
    {
        lock (_gate)
            return [.. _examples.Values.OrderByDescending(example => example.AgeMs).Take(MostExamples).Select(example => example.Text)];
    }

    /// <summary>What one reader saw; its own, so that readers do not meet.</summary>
    private sealed class Tally
    {
        public Observed Fast { get; } = new();

        public Observed Strict { get; } = new();

        /// <summary>The key that is read, or was last.</summary>
        public int Key { get; private set; }

        public Observed Begin(int key)
        {
            Key = key;
            var observed = Schedule.StrengthOf(key) == Strength.Fast ? Fast : Strict;
            observed.Reads++;
            return observed;
        }
    }
}
