using System.Text.Json;
using System.Text.Json.Serialization;
using Onggi.Cli.Server;

namespace Onggi.Cli.Backup;

/// <summary>One key of an archive.</summary>
/// <param name="Family">Index into the families of the footer.</param>
/// <param name="Kind">What the value is.</param>
/// <param name="Key">Its name.</param>
/// <param name="EndsAt">When it ends in milliseconds since 1970; -1 for never.</param>
/// <param name="Dump">The value as DUMP has it.</param>
/// <param name="Digest">Of what the value means, taken at the source in the same transaction as the dump; empty where it was too large to be read.</param>
internal readonly record struct KeyRecord(
    int Family,
    ValueKind Kind,
    byte[] Key,
    long EndsAt,
    ReadOnlyMemory<byte> Dump,
    ReadOnlyMemory<byte> Digest
)
{
    /// <summary>Which version of Redis's serialisation the dump has: 2 bytes before its checksum of 8.</summary>
    public int RdbVersion => Dump.Length < 10 ? 0 : Dump.Span[^10] | (Dump.Span[^9] << 8);
}

/// <summary>What stands at the beginning of an archive. Never a password, and no address.</summary>
internal sealed record ArchiveHeader
{
    /// <summary>When it was begun, by the clock of Redis: milliseconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary><c>redis</c> or <c>valkey</c>.</summary>
    public string Product { get; init; } = "redis";

    public string Version { get; init; } = "";

    public int Database { get; init; }

    /// <summary>What the keys begin with, auxiliary ones behind their brace; empty for everything.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>The catalog's system and environment; empty without a catalog.</summary>
    public string System { get; init; } = "";

    public string Environment { get; init; } = "";

    /// <summary>SHA-256 of the catalog's text; empty without one.</summary>
    public string Catalog { get; init; } = "";

    /// <summary>What the source took, for an estimate of what a restore takes.</summary>
    public long SourceMemory { get; init; }

    public long SourceKeys { get; init; }
}

/// <summary>What stands at the end of an archive.</summary>
internal sealed record ArchiveFooter
{
    public required long Keys { get; init; }

    /// <summary>Bytes of names and serialised values.</summary>
    public required long Bytes { get; init; }

    /// <summary>When it was ended, by the clock of Redis.</summary>
    public required long EndedAt { get; init; }

    /// <summary>The newest serialisation in it.</summary>
    public required int RdbVersion { get; init; }

    /// <summary>How many keys SCAN named that were gone when they were read.</summary>
    public long Gone { get; init; }

    /// <summary>How many keys have no digest.</summary>
    public long WithoutDigest { get; init; }

    public required IReadOnlyList<FamilyCount> Families { get; init; }

    /// <summary>How many keys end how soon after the beginning; see <see cref="TtlHistogram"/>.</summary>
    public required IReadOnlyList<long> Ends { get; init; }
}

/// <summary>What an archive has of a family.</summary>
/// <param name="Name">The family's name.</param>
/// <param name="Kind">As in the catalog; empty where there is none.</param>
/// <param name="Keys">How many.</param>
/// <param name="Bytes">Of names and serialised values.</param>
/// <param name="Digest">Of all its keys, whatever their order: names, ends, values.</param>
internal sealed record FamilyCount(string Name, string Kind, long Keys, long Bytes, string Digest);

/// <summary>How soon keys end.</summary>
internal static class TtlHistogram
{
    /// <summary>What each count stands for.</summary>
    public static readonly IReadOnlyList<string> Names = ["never", "within 1m", "1h", "1d", "7d", "later"];

    private static readonly long[] Bounds = [60_000, 3_600_000, 86_400_000, 7 * 86_400_000L];

    public static int PlaceOf(long endsAt, long since)
    {
        if (endsAt < 0)
            return 0;
        var place = Array.FindIndex(Bounds, bound => endsAt - since <= bound);
        return place < 0 ? Names.Count - 1 : place + 1;
    }
}

/// <summary>JSON of archives and of what stands beside them.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ArchiveHeader))]
[JsonSerializable(typeof(ArchiveFooter))]
[JsonSerializable(typeof(BackupProof))]
internal sealed partial class BackupJson : JsonSerializerContext;
