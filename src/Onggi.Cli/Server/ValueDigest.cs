using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Server;

/// <summary>What a value is; the number is what archives have.</summary>
internal enum ValueKind : byte
{
    Text,
    Hash,
    Set,
    SortedSet,
    List,
    Stream,

    /// <summary>A module's: only its serialised form is known.</summary>
    Other,
}

/// <summary>What a value means, in 16 bytes: independent of the order in which a server keeps hashes and sets, and of how it encodes them.</summary>
internal static class ValueDigest
{
    public const int Length = 16;

    // Of a stream's description: how a server keeps it, or what it works out from the rest.
    private static readonly HashSet<string> Incidental = new(StringComparer.Ordinal)
    {
        "radix-tree-keys",
        "radix-tree-nodes",
        "lag",
        "active-time",
        "inactive",
    };

    public static ValueKind KindOf(string type) =>
        type switch
        {
            "string" => ValueKind.Text,
            "hash" => ValueKind.Hash,
            "set" => ValueKind.Set,
            "zset" => ValueKind.SortedSet,
            "list" => ValueKind.List,
            "stream" => ValueKind.Stream,
            _ => ValueKind.Other,
        };

    /// <summary>The command that reads the value whole; empty for kinds unknown here. It fails with WRONGTYPE for a value of another kind.</summary>
    public static RedisArg[] Question(ValueKind kind, byte[] key) =>
        kind switch
        {
            ValueKind.Text => ["GET", key],
            ValueKind.Hash => ["HGETALL", key],
            ValueKind.Set => ["SMEMBERS", key],
            ValueKind.SortedSet => ["ZRANGE", key, 0, -1, "WITHSCORES"],
            ValueKind.List => ["LRANGE", key, 0, -1],
            ValueKind.Stream => ["XINFO", "STREAM", key, "FULL", "COUNT", 0],
            _ => [],
        };

    /// <summary>The digest of such an answer.</summary>
    public static byte[] Of(ValueKind kind, Reply value)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData([(byte)kind]);
        switch (kind)
        {
            case ValueKind.Hash:
                foreach (var pair in value.Items.Chunk(2).OrderBy(pair => pair[0].Bytes, ByteOrder.Instance))
                    Append(hash, pair);
                break;
            case ValueKind.Set:
                Append(hash, value.Items.OrderBy(item => item.Bytes, ByteOrder.Instance));
                break;
            case ValueKind.Stream:
                AppendStream(hash, value);
                break;
            default:
                Append(hash, value);
                break;
        }

        return hash.GetHashAndReset()[..Length];
    }

    private static void AppendStream(IncrementalHash hash, Reply described)
    {
        foreach (var pair in described.Items.Chunk(2))
        {
            var name = pair[0].Text ?? "";
            if (Incidental.Contains(name))
                continue;
            Append(hash, pair[0]);
            // Groups have consumers, which are described by pairs as well; what else there is are ids, fields and values.
            if (name is "groups" or "consumers")
                foreach (var inner in pair[1].Items)
                    AppendStream(hash, inner);
            else
                Append(hash, pair[1]);
        }
    }

    private static void Append(IncrementalHash hash, IEnumerable<Reply> values)
    {
        foreach (var value in values)
            Append(hash, value);
    }

    private static void Append(IncrementalHash hash, Reply value)
    {
        Span<byte> head = stackalloc byte[9];
        if (value.Type == RespType.Double)
        {
            // Versions spell the same number differently.
            head[0] = 2;
            BinaryPrimitives.WriteInt64LittleEndian(head[1..], BitConverter.DoubleToInt64Bits(Number(value.Text)));
            hash.AppendData(head);
            return;
        }

        head = head[..5];
        head[0] = value.Items.Count > 0 ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32LittleEndian(head[1..], value.Items.Count > 0 ? value.Items.Count : value.Bytes.Length);
        hash.AppendData(head);
        hash.AppendData(value.Bytes.Span);
        Append(hash, value.Items);
    }

    private static double Number(string? text) =>
        text switch
        {
            "inf" => double.PositiveInfinity,
            "-inf" => double.NegativeInfinity,
            _ => double.Parse(text ?? "", NumberStyles.Float, CultureInfo.InvariantCulture),
        };

    private sealed class ByteOrder : IComparer<ReadOnlyMemory<byte>>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(ReadOnlyMemory<byte> x, ReadOnlyMemory<byte> y) => x.Span.SequenceCompareTo(y.Span);
    }
}
