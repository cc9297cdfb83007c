using Onggi.Keys;

namespace Onggi.Benchmarks.Coherence;

/// <summary>What is observed.</summary>
internal enum Subject
{
    /// <summary>The cache.</summary>
    Onggi,

    /// <summary>A cache without the protocol, that must be found out.</summary>
    Naive,

    /// <summary>A cache too simple to be wrong, that must be found innocent.</summary>
    Lease,
}

/// <summary>A cache under observation: all that is seen of it is what a caller sees. It lives as long as its process.</summary>
internal interface ISubject
{
    /// <summary>Get or load.</summary>
    ValueTask<Item?> ReadAsync(int key);

    /// <summary>After a commit.</summary>
    ValueTask InvalidateAsync(int key, Strength strength);

    /// <summary>How many of the reads of the keys of a strength memory answered.</summary>
    long MemoryHits(Strength strength);
}

/// <summary>The keyspace of the bench, the same in all processes.</summary>
internal static class BenchKeys
{
    /// <summary>With times to live of half a minute, so that nothing old goes by itself while we look.</summary>
    public const string Catalog = """
        {
          "system": "coherence", "environment": "bench", "prefix": "{environment}:",
          "defaults": { "ttl": "30s", "grace": "5s", "jitter": "10%", "negativeTtl": "1s" },
          "services": { "node": {} },
          "families": {
            "fast": { "key": "fast:{id}", "kind": "cache", "value": "Onggi.Benchmarks.Coherence.Item" },
            "strict": { "key": "strict:{id}", "kind": "cache", "value": "Onggi.Benchmarks.Coherence.Item" }
          }
        }
        """;

    /// <summary>The same with times to live shorter than some loads.</summary>
    public static readonly string ShortCatalog = Catalog.Replace(
        "\"ttl\": \"30s\", \"grace\": \"5s\"",
        "\"ttl\": \"1s\", \"grace\": \"1s\"",
        StringComparison.Ordinal
    );

    private static readonly KeyFamily Fast = new("fast", "id");
    private static readonly KeyFamily Strict = new("strict", "id");

    public static CacheKey<Item> KeyOf(int key) =>
        new(new EntryKey(Schedule.StrengthOf(key) == Strength.Fast ? Fast : Strict, $"{key:00}"));

    /// <summary>The names in Redis, as every program can know them.</summary>
    public static string[] WireNames()
    {
        var keyspace = Keyspace.Load(Catalog);
        return [.. Enumerable.Range(0, Schedule.Keys).Select(key => keyspace.WireName(KeyOf(key).Entry))];
    }

    /// <summary>The lease that goes with a name.</summary>
    public static string LeaseOf(string wireName) => $"{{{wireName}}}:l";
}

/// <summary>Loads from <see cref="Truth"/> as slowly as a database answers.</summary>
internal sealed class Source(Truth truth, bool isSlow)
{
    // Enough that most of them are overtaken by a write, and few enough that readers do not all wait.
    private const int OneSlowIn = 40;

    /// <summary>Whether no load is slower than usual: before the run, and after it.</summary>
    public bool IsCalm { get; set; } = true;

    public async ValueTask<Item?> LoadAsync(int key)
    {
        var takes = TimeSpan.FromMilliseconds(Random.Shared.Next(1, 21));
        if (isSlow && !IsCalm && Random.Shared.Next(OneSlowIn) == 0)
            takes = TimeSpan.FromMilliseconds(Random.Shared.Next(1_100, 2_600));
        // A database looks when the question arrives; the answer may be long under way. Now and then it also looks late.
        var before = Random.Shared.Next(2) == 0 ? TimeSpan.Zero : takes * Random.Shared.NextDouble();
        if (before > TimeSpan.Zero)
            await Task.Delay(before);
        var version = truth.Committed(key);
        await Task.Delay(takes - before);
        return new Item(key, version);
    }
}
