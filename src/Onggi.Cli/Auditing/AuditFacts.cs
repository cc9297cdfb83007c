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
    private double _mean;
    private double _squares;

    public string Name => name;

    /// <summary>Keys, all counted.</summary>
    public long Keys { get; set; }

    /// <summary>Keys that were looked into.</summary>
    public long Looked { get; private set; }

    /// <summary>Bytes of all, reckoned from those that were looked into.</summary>
    public double Bytes => _mean * Keys;

    /// <summary>By how much that may be off, 19 times of 20; 0 where all were looked into.</summary>
    public double Error =>
        Looked >= Keys || Looked == 0 ? 0
        : Looked == 1 ? Bytes
        : 1.96 * Math.Sqrt(_squares / (Looked - 1) / Looked * (1 - ((double)Looked / Keys))) * Keys;

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
    public double Blind => IsExact || Looked == 0 ? 0 : Math.Min(1, 3.0 / Looked);
}
