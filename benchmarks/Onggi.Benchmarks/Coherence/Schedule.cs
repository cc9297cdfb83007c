namespace Onggi.Benchmarks.Coherence;

/// <summary>What an invalidation promises when it returns.</summary>
internal enum Strength
{
    /// <summary>Redis has executed it; other nodes' memory follows within the bound.</summary>
    Fast,

    /// <summary>No read that begins later gets the old value, on any node.</summary>
    Strict,
}

/// <summary>What programs without Onggi do to the keys.</summary>
internal enum Strangers
{
    None,

    /// <summary>The value of even keys is put by a plain SET; of odd keys the first write of a burst is a plain UNLINK of the key and its lease, the second a node's.</summary>
    SetAndUnlink,

    /// <summary>A plain DEL of the key alone: what the cache says it cannot see while the key is absent.</summary>
    BareDelete,
}

/// <summary>One write of the plan.</summary>
/// <param name="At">When, from the beginning.</param>
/// <param name="Key">To which key.</param>
/// <param name="Node">Which node makes it; -1 for a stranger.</param>
internal sealed record Write(TimeSpan At, int Key, int Node);

/// <summary>The writes of a fleet, drawn from the seed before the run, so that every process knows the same plan without being told.</summary>
/// <remarks>They come in bursts: two writes to one key, 1 to 8 ms apart, by any two nodes. That is what finds caches whose loaders store late.</remarks>
internal static class Schedule
{
    /// <summary>Keys of each strength; few, so that memory answers most reads.</summary>
    public const int KeysOfStrength = 25;

    /// <summary>Keys in all: first the fast ones, then the strict ones.</summary>
    public const int Keys = 2 * KeysOfStrength;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>How many versions a key can come to have at most in a run of that length.</summary>
    public static int VersionsIn(TimeSpan longest) => (2 * ((int)(longest / Pause) + 1)) + 1;

    public static Strength StrengthOf(int key) => key < KeysOfStrength ? Strength.Fast : Strength.Strict;

    /// <summary>All writes of a fleet within the time, in order.</summary>
    public static IReadOnlyList<Write> Of(int seed, int fleet, int nodes, Strangers strangers, TimeSpan longest)
    {
        var random = new Random(unchecked((seed * 31) + fleet));
        var writes = new List<Write>();
        for (var at = TimeSpan.Zero; at < longest; at += Pause)
        for (var first = 0; first < Keys; first += KeysOfStrength)
        {
            var key = first + random.Next(KeysOfStrength);
            var begins = at + (random.NextDouble() * Pause);
            var again = begins + TimeSpan.FromMilliseconds(random.Next(1, 9));
            writes.Add(new Write(begins, key, Writer(random.Next(nodes), key, isFirst: true, strangers)));
            writes.Add(new Write(again, key, Writer(random.Next(nodes), key, isFirst: false, strangers)));
        }

        writes.Sort((one, other) => one.At.CompareTo(other.At));
        return writes;
    }

    /// <summary>Whether strangers put the key's value themselves. Only they write such a key: of two writers who put values, the older can win, and no cache can mend that.</summary>
    public static bool IsPut(int key, Strangers strangers) => strangers == Strangers.SetAndUnlink && key % 2 == 0;

    private static int Writer(int node, int key, bool isFirst, Strangers strangers) =>
        strangers switch
        {
            Strangers.BareDelete => -1,
            Strangers.SetAndUnlink when isFirst || IsPut(key, strangers) => -1,
            _ => node,
        };
}
