using System.Text.Json.Serialization;

namespace Onggi.Benchmarks.Coherence;

/// <summary>What a worker process is to run: one node of each of some fleets.</summary>
internal sealed record WorkerPlan(int Seed, double LongestMs, int ReadersOfFleet, IReadOnlyList<NodePlan> Nodes);

/// <summary>One node of one fleet.</summary>
/// <param name="Fleet">The fleet's number.</param>
/// <param name="Node">The node's number in it.</param>
/// <param name="OfNodes">How many there are.</param>
/// <param name="Port">Its proxy.</param>
/// <param name="Truth">The file of <see cref="Coherence.Truth"/>.</param>
/// <param name="Subject">What stands in the cache's place.</param>
/// <param name="IsSlow">Whether some loads take longer than values live.</param>
/// <param name="Strangers">Who else writes.</param>
internal sealed record NodePlan(
    int Fleet,
    int Node,
    int OfNodes,
    int Port,
    string Truth,
    Subject Subject,
    bool IsSlow,
    Strangers Strangers
);

/// <summary>The beginning of the run: when (in ticks of the common clock), and for how long writes are made.</summary>
internal sealed record Start(long At, double WritesMs);

/// <summary>What was observed on keys of one strength.</summary>
internal sealed record Observed
{
    public long Reads { get; set; }
    public long MemoryHits { get; set; }

    /// <summary>Reads that gave a value older than one whose invalidation had returned before they began.</summary>
    public long Stale { get; set; }

    /// <summary>The longest time between that return and the beginning of such a read.</summary>
    public double WorstMs { get; set; }

    /// <summary>Pairs of a node (or Redis) and a key that still gave an old value, or none at all, after everything had ended.</summary>
    public long Left { get; set; }

    /// <summary>Reads that threw or did not end, and writes whose invalidation never returned.</summary>
    public long Failed { get; set; }

    /// <summary>Writes whose invalidation returned.</summary>
    public long Writes { get; set; }

    /// <summary>Invalidations that threw, and were made again.</summary>
    public long Unconfirmed { get; set; }

    public void Add(Observed other)
    {
        Reads += other.Reads;
        MemoryHits += other.MemoryHits;
        Stale += other.Stale;
        WorstMs = Math.Max(WorstMs, other.WorstMs);
        Left += other.Left;
        Failed += other.Failed;
        Writes += other.Writes;
        Unconfirmed += other.Unconfirmed;
    }
}

/// <summary>What one node reports at the end.</summary>
/// <param name="Fleet">Its fleet.</param>
/// <param name="Fast">The keys that are invalidated fast.</param>
/// <param name="Strict">The keys that are invalidated strictly.</param>
/// <param name="Examples">The worst that was seen, in words.</param>
internal sealed record NodeReport(int Fleet, Observed Fast, Observed Strict, IReadOnlyList<string> Examples);

/// <summary>The value under every key.</summary>
[System.ComponentModel.ImmutableObject(true)]
internal sealed record Item(int Key, long Version);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(WorkerPlan))]
[JsonSerializable(typeof(Start))]
[JsonSerializable(typeof(NodeReport[]))]
[JsonSerializable(typeof(Item))]
internal sealed partial class CoherenceJson : JsonSerializerContext;
