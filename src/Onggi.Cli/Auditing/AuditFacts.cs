using Onggi.Keys;

namespace Onggi.Cli.Auditing;

/// <summary>What <c>onggi audit</c> was asked to look at.</summary>
/// <param name="Keyspace">The catalog, bound to the environment.</param>
/// <param name="Sample">How many keys are looked into; 0 for all.</param>
/// <param name="Big">From how many bytes on a key is big.</param>
/// <param name="Top">How many of the biggest and hottest are told.</param>
/// <param name="Seed">Which keys are looked into.</param>
internal sealed record AuditTerms(Keyspace Keyspace, int Sample, long Big, int Top, int Seed);

/// <summary>One key that was looked into.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Family">Its family.</param>
/// <param name="Type">string, hash, zset …</param>
/// <param name="TtlMs">Milliseconds that it has left; -1 for no end.</param>
/// <param name="Bytes">What it takes.</param>
/// <param name="Frequency">How often it is used, on Redis's scale to 255; <c>null</c> where Redis does not count.</param>
internal sealed record KeyFacts(string Name, FamilySettings? Family, string Type, long TtlMs, long Bytes, int? Frequency);

/// <summary>What a family has, counted and reckoned.</summary>
internal sealed class FamilyTally(string name)
{
    /// <summary>So many of a family are looked into at the least, or all of them.</summary>
    private const int Least = 100;

    private readonly List<string> _spared = [];
    private long _sparedOf;
    private double _mean;
    private double _squares;

    public string Name => name;

    /// <summary>Keys, all counted.</summary>
    public long Keys { get; set; }

    /// <summary>Keys that chance has chosen.</summary>
    public long Chosen { get; set; }

    /// <summary>Keys beside those, each with the same chance, that make a sample with them; empty where they are enough by themselves.</summary>
    public IEnumerable<string> Spared => _spared.Take((int)Math.Max(0, Least - Chosen));

    /// <summary>Keys that were looked into.</summary>
    public long Looked { get; private set; }

    /// <summary>Bytes of all, reckoned from those that were looked into.</summary>
    public double Bytes => _mean * Keys;

    /// <summary>By how much that may be off, 19 times of 20; 0 where all were looked into.</summary>
    public double Error =>
        Looked >= Keys || Looked == 0 ? 0
        : Looked == 1 ? Bytes
        : 1.96 * Math.Sqrt(_squares / (Looked - 1) / Looked * (1 - ((double)Looked / Keys))) * Keys;

    /// <summary>About how many keys there are of which some were found among those that were looked into, and by how many that may be off, 19 times of 20.</summary>
    /// <remarks>https://doi.org/10.1080/00031305.1998.10480550: two more found and two more not, so that few found, or all, do not look certain.</remarks>
    public (double Count, double Error) Reckon(long found)
    {
        if (Looked >= Keys || Looked == 0)
            return (found, 0);
        var share = (found + 2.0) / (Looked + 4);
        return ((double)found / Looked * Keys, 1.96 * Math.Sqrt(share * (1 - share) / (Looked + 4) * (1 - ((double)Looked / Keys))) * Keys);
    }

    /// <summary>One that chance has not chosen. (Vitter's algorithm R, whose sample stands in a random order only as a whole: so it is shuffled as it grows.)</summary>
    public void Spare(string key, Random random)
    {
        _sparedOf++;
        if (_spared.Count < Least)
        {
            _spared.Add(key);
            var at = random.Next(_spared.Count);
            (_spared[at], _spared[^1]) = (_spared[^1], _spared[at]);
        }
        else if (random.NextInt64(_sparedOf) is var at and < Least)
            _spared[(int)at] = key;
    }

    // Welford's way: https://doi.org/10.1080/00401706.1962.10490022
    public void Add(long bytes)
    {
        Looked++;
        var from = bytes - _mean;
        _mean += from / Looked;
        _squares += from * (bytes - _mean);
    }
}

/// <summary>Accesses that Redis refused.</summary>
/// <param name="User">To whom.</param>
/// <param name="Reason">What for, as ACL LOG says it: auth, command, key, channel.</param>
/// <param name="Count">How often.</param>
internal sealed record RefusedAccess(string User, string Reason, long Count);

/// <summary>Everything that was seen.</summary>
internal sealed record AuditResult(
    string Server,
    long Keys,
    long Looked,
    long Chosen,
    IReadOnlyList<FamilyTally> Families,
    IReadOnlyList<Checks.Finding> Findings,
    IReadOnlyList<KeyFacts> Biggest,
    IReadOnlyList<KeyFacts> Hottest,
    IReadOnlyList<RefusedAccess> Refusals,
    IReadOnlyList<string> Notes
)
{
    public bool IsExact => Looked >= Keys;

    /// <summary>A share of all keys below which something can have been missed, 19 times of 20.</summary>
    public double Blind =>
        IsExact ? 0
        : Chosen == 0 ? 1
        : Math.Min(1, 3.0 / Chosen);
}
