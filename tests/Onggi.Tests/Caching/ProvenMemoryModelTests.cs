using Onggi.Caching;
using Onggi.Testing;

namespace Onggi.Tests.Caching;

/// <summary>Memory against the simplest thing that does the same: a dictionary of what must be there.</summary>
public class ProvenMemoryModelTests
{
    private const int Ids = 700;

    [Fact]
    public void It_does_what_a_plain_dictionary_with_a_proof_beside_it_does()
    {
        for (var run = 0; run < 20; run++)
            Run(Seed.For($"model {run}"), run);
    }

    // Each way in which a text is compared: packed, short or long, and not packed.
    private static string Id(int number) =>
        (number % 4) switch
        {
            0 => $"{number}",
            1 => $"item-{number:000000}",
            2 => $"{number:00000000-0000-0000-0000-000000000000}",
            _ => $"고객-{number}",
        };

    private static void Run(Random random, int run)
    {
        using var tier = new ProvenHarness(proven: false);
        var memory = tier.Memory;
        var model = new Dictionary<string, (string Value, long Expires, ProvenEntry Entry, bool IsShared)>();
        var generation = -1L;
        (long Generation, long Until)? proof = null;
        for (var step = 0; step < 20_000; step++)
        {
            var id = Id(random.Next(Ids));
            var now = tier.Clock.Now;
            switch (random.Next(100))
            {
                case < 30:
                    var of = random.Next(20) == 0 ? generation - 1 : generation;
                    var expires = random.Next(4) switch
                    {
                        0 => 0,
                        1 => now + random.Next(50),
                        _ => now + random.Next(100_000),
                    };
                    var kept = of < 0 ? null : tier.Keep(id, step.ToString(), of, expires);
                    Assert.Equal(of == generation && of >= 0, kept is not null);
                    if (kept is not null)
                        model[id] = (step.ToString(), expires, kept, IsShared: false);
                    break;
                case < 40 when model.TryGetValue(id, out var known):
                    memory.Close(known.Entry, now + 1000, long.MaxValue);
                    if (known.Expires == 0)
                        model[id] = known with { Expires = now + 1000 };
                    break;
                case < 45:
                    memory.Drop(tier.WireName(id));
                    model.Remove(id);
                    break;
                case < 50:
                    memory.Drop(tier.WireBytes(id));
                    model.Remove(id);
                    break;
                case < 60:
                    var (proven, until) = (generation - (random.Next(5) == 0 ? 1 : 0), now + random.Next(-5, 60));
                    memory.Prove(proven, until);
                    if (proven == generation && generation >= 0)
                        proof = (generation, until);
                    break;
                case 60:
                    memory.Unprove();
                    proof = null;
                    break;
                case 61 when random.Next(20) == 0:
                    memory.Begin(++generation);
                    proof = null;
                    model.Clear();
                    break;
                case 62 when random.Next(20) == 0:
                    memory.Clear();
                    model.Clear();
                    break;
                case < 70 when model.TryGetValue(id, out var own):
                    own.Entry.TryShare(own.Value);
                    model[id] = own with { IsShared = true };
                    break;
                case 70:
                    memory.Shorten(tier.WireName(id), now + 10);
                    if (model.TryGetValue(id, out var longer) && longer.Expires > now + 10)
                        model[id] = longer with { Expires = now + 10 };
                    break;
                case < 73:
                    tier.Pass(random.Next(20));
                    break;
                default:
                    var expected =
                        model.TryGetValue(id, out var there) && proof is { } right && now <= right.Until && now < there.Expires
                            ? there.Value
                            : null;
                    var shared = expected is not null && there.IsShared ? expected : null;
                    Assert.True(shared == tier.Hit(id), $"Hit, run {run}, step {step}: {Seed.Line}");
                    Assert.True(expected == tier.Value(id), $"Run {run}, step {step}: {Seed.Line}");
                    break;
            }
        }

        // The sweep may have taken what the model still counts, and nothing else.
        var alive = model.Values.Count(entry => entry.Expires == 0 || entry.Expires > tier.Clock.Now);
        Assert.InRange(memory.Count, alive, model.Count);
        foreach (var id in Enumerable.Range(0, Ids))
            memory.Drop(tier.WireName(Id(id)));
        Assert.Equal((0, 0), (memory.Count, memory.Bytes));
    }
}
