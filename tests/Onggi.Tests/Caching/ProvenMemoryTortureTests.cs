using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

/// <summary>Readers without a lock beside one that writes as the reading loop does.</summary>
public class ProvenMemoryTortureTests
{
    private const int Ids = 300;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task No_reader_gets_what_was_dropped_before_it_began()
    {
        // Fewer places than keys, so that entries are evicted and moved all the time.
        using var tier = new ProvenHarness(new CacheOptions { MemoryMaxEntries = 200 }, new CoarseClock());
        var floors = new long[Ids];
        using var stop = new CancellationTokenSource(Longest);
        var readers = Enumerable.Range(0, 2).Select(n => Start(() => Read(tier, floors, Seed.For($"reader {n}"), stop.Token))).ToArray();

        Write(tier, floors, Seed.For("writer"), steps: 300_000, stop.Token);
        await stop.CancelAsync();

        var found = await Task.WhenAll(readers).WaitAsync(Longest);
        Assert.All(found, hits => Assert.True(hits > 0, "A reader that found nothing has shown nothing."));
        Assert.InRange(tier.Memory.Count, 0, 200);
        for (var i = 0; i < Ids; i++)
            tier.Memory.Drop(tier.WireName(Id(i)));
        Assert.Equal((0, 0), (tier.Memory.Count, tier.Memory.Bytes));
    }

    private static string Id(int number) => number % 2 == 0 ? $"{number}" : $"{number:00000000-0000-0000-0000-000000000000}";

    private static Task<long> Start(Func<long> work) => Task.Factory.StartNew(work, TaskCreationOptions.LongRunning);

    private static void Write(ProvenHarness tier, long[] floors, Random random, int steps, CancellationToken stop)
    {
        var memory = tier.Memory;
        var names = Enumerable.Range(0, Ids).Select(i => tier.WireBytes(Id(i))).ToArray();
        var generation = ProvenHarness.Generation;
        for (var version = 1; version <= steps && !stop.IsCancellationRequested; version++)
        {
            var id = random.Next(Ids);
            switch (random.Next(1000))
            {
                case 0:
                    memory.Clear();
                    RaiseAll(floors, version);
                    break;
                case 1:
                    memory.Begin(++generation);
                    RaiseAll(floors, version);
                    memory.Prove(generation, long.MaxValue);
                    break;
                case < 400:
                    memory.Drop(names[id]);
                    Volatile.Write(ref floors[id], version);
                    break;
                default:
                    var entry = tier.Keep(Id(id), $"{version}/{id}", generation, random.Next(3) == 0 ? 0 : long.MaxValue)!;
                    // What stood there before was replaced by it, and is as gone as if it had been dropped.
                    Volatile.Write(ref floors[id], version - 1);
                    if (entry.Expires == 0)
                        memory.Close(entry, long.MaxValue, long.MaxValue);
                    break;
            }
        }
    }

    private static void RaiseAll(long[] floors, long version)
    {
        for (var i = 0; i < floors.Length; i++)
            Volatile.Write(ref floors[i], version);
    }

    private static long Read(ProvenHarness tier, long[] floors, Random random, CancellationToken stop)
    {
        var ids = Enumerable.Range(0, Ids).Select(Id).ToArray();
        var (hits, quick) = (0L, 0L);
        while (!stop.IsCancellationRequested)
        {
            var id = random.Next(Ids);
            // Everything up to this version was dropped before the question begins.
            var floor = Volatile.Read(ref floors[id]);
            if (tier.Hit(ids[id]) is { } hit)
            {
                quick++;
                Check(hit);
                continue;
            }

            if (tier.Find(ids[id]) is not { } entry)
                continue;
            hits++;
            var text = tier.Codec.Decode(entry.Json)!;
            if (!entry.TryShare(text))
                Assert.True(!entry.TryGetShared(out string? shared) || shared == text, Seed.Line);
            Assert.True(entry.Key == ProvenHarness.Key(ids[id]), $"The entry of another key. {Seed.Line}");
            Check(text);

            void Check(string version)
            {
                var (number, of) = (long.Parse(version.Split('/')[0]), int.Parse(version.Split('/')[1]));
                Assert.True(of == id, $"The value of another key. {Seed.Line}");
                Assert.True(number > floor, $"Version {version} was dropped at {floor}. {Seed.Line}");
            }
        }

        return Math.Min(hits, quick);
    }
}
