using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Onggi.Cli.Backup;

/// <summary>Counts and digests of the keys that pass, by family: the same for the same keys in any order.</summary>
/// <param name="since">From when the times to live count, in milliseconds since 1970.</param>
internal sealed class ArchiveTally(long since)
{
    private readonly List<Sum> _sums = [];
    private readonly long[] _ends = new long[TtlHistogram.Names.Count];

    public long Keys { get; private set; }

    public long Bytes { get; private set; }

    public int RdbVersion { get; private set; }

    public long WithoutDigest { get; private set; }

    public IReadOnlyList<long> Ends => _ends;

    /// <summary>Adds a key.</summary>
    public void Add(in KeyRecord record)
    {
        while (_sums.Count <= record.Family)
            _sums.Add(new Sum());
        var sum = _sums[record.Family];
        var bytes = record.Key.Length + record.Dump.Length;
        sum.Keys++;
        sum.Bytes += bytes;
        sum.Digest += DigestOf(record);
        Keys++;
        Bytes += bytes;
        RdbVersion = Math.Max(RdbVersion, record.RdbVersion);
        WithoutDigest += record.Digest.IsEmpty ? 1 : 0;
        _ends[TtlHistogram.PlaceOf(record.EndsAt, since)]++;
    }

    /// <summary>What was added, by the families' names and kinds in the order of their indices.</summary>
    public IReadOnlyList<FamilyCount> Families(IReadOnlyList<(string Name, string Kind)> names) =>
        [
            .. names.Select(
                (name, i) =>
                {
                    var sum = i < _sums.Count ? _sums[i] : new Sum();
                    return new FamilyCount(name.Name, name.Kind, sum.Keys, sum.Bytes, sum.Digest.ToString("x32"));
                }
            ),
        ];

    // A sum, so that neither the order of SCAN nor that of a hash table is in it.
    private static UInt128 DigestOf(in KeyRecord record)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> head = stackalloc byte[13];
        BinaryPrimitives.WriteInt32LittleEndian(head, record.Key.Length);
        BinaryPrimitives.WriteInt64LittleEndian(head[4..], record.EndsAt);
        head[12] = (byte)record.Kind;
        hash.AppendData(head);
        hash.AppendData(record.Key);
        hash.AppendData(record.Digest.Span);
        Span<byte> sum = stackalloc byte[32];
        hash.GetHashAndReset(sum);
        return BinaryPrimitives.ReadUInt128LittleEndian(sum);
    }

    private sealed class Sum
    {
        public long Keys { get; set; }

        public long Bytes { get; set; }

        public UInt128 Digest { get; set; }
    }
}
