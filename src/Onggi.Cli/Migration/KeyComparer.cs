using System.Buffers.Binary;
using System.Security.Cryptography;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Migration;

/// <summary>How a key of the target is unlike the one it is a copy of.</summary>
internal enum KeyDifference
{
    Missing,
    Extra,
    Value,
    End,
}

/// <summary>One difference.</summary>
/// <param name="Move">The pair.</param>
/// <param name="Kind">What it is.</param>
/// <param name="EndDifference">By how many milliseconds the ends differ, where both have one.</param>
internal readonly record struct KeyMismatch(KeyMove Move, KeyDifference Kind, long EndDifference = 0);

/// <summary>Compares keys of both sides: values as they mean, ends to the millisecond.</summary>
/// <remarks>Equal values may be serialised differently (the order in a hash table, another version's encoding): where the bytes differ, a digest of the value in a fixed order decides.</remarks>
internal sealed class KeyComparer(MigrationServers servers)
{
    /// <summary>Compares a batch. Two round trips, and two more for each key whose bytes differ.</summary>
    public async Task<List<KeyMismatch>> CompareAsync(IReadOnlyList<KeyMove> moves, CancellationToken cancellationToken)
    {
        var found = new List<KeyMismatch>();
        foreach (var group in moves.GroupBy(move => (move.SourceDatabase, move.TargetDatabase)))
        {
            var pairs = group.ToList();
            var reading = KeyStates.ReadAsync(
                servers.Source(group.Key.SourceDatabase),
                pairs.ConvertAll(pair => pair.Source),
                cancellationToken
            );
            using var targets = await KeyStates
                .ReadAsync(servers.Target(group.Key.TargetDatabase), pairs.ConvertAll(pair => pair.Target), cancellationToken)
                .ConfigureAwait(false);
            using var sources = await reading.ConfigureAwait(false);
            for (var i = 0; i < pairs.Count; i++)
            {
                if (await CompareAsync(pairs[i], sources[i], targets[i], cancellationToken).ConfigureAwait(false) is { } mismatch)
                    found.Add(mismatch);
            }
        }

        return found;
    }

    private async Task<KeyMismatch?> CompareAsync(KeyMove move, KeyState source, KeyState target, CancellationToken cancellationToken)
    {
        if (source.IsGone && target.IsGone)
            return null;
        if (target.IsGone)
            return new KeyMismatch(move, KeyDifference.Missing);
        if (source.IsGone)
            return new KeyMismatch(move, KeyDifference.Extra);
        if (source.EndsAt != target.EndsAt)
            return new KeyMismatch(move, KeyDifference.End, Math.Abs(source.EndsAt - target.EndsAt));
        if (source.Dump.Span.SequenceEqual(target.Dump.Span))
            return null;
        var one = await DigestAsync(servers.Source(move.SourceDatabase), move.Source, cancellationToken).ConfigureAwait(false);
        var other = await DigestAsync(servers.Target(move.TargetDatabase), move.Target, cancellationToken).ConfigureAwait(false);
        return one.AsSpan().SequenceEqual(other) ? null : new KeyMismatch(move, KeyDifference.Value);
    }

    /// <summary>A digest of a value that does not depend on how or in which order the server keeps it; empty where there is no key.</summary>
    public static async Task<byte[]> DigestAsync(RedisClient client, KeyName key, CancellationToken cancellationToken)
    {
        var type = await client.SendAsync(["TYPE", key.Bytes], ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
        RedisArg[]? question = type switch
        {
            "string" => ["GET", key.Bytes],
            "hash" => ["HGETALL", key.Bytes],
            "set" => ["SMEMBERS", key.Bytes],
            "zset" => ["ZRANGE", key.Bytes, 0, -1, "WITHSCORES"],
            "list" => ["LRANGE", key.Bytes, 0, -1],
            "stream" => ["XINFO", "STREAM", key.Bytes, "FULL", "COUNT", 0],
            "none" => [],
            _ => ["DUMP", key.Bytes],
        };
        if (question.Length == 0)
            return [];
        var value = await client.SendAsync(question, ReplyParsers.Reply, CommandOptions.Bulk, cancellationToken).ConfigureAwait(false);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, System.Text.Encoding.UTF8.GetBytes(type!));
        foreach (var part in InOrder(type!, value))
            Append(hash, part);
        return hash.GetHashAndReset();
    }

    private static IEnumerable<byte[]> InOrder(string type, Reply value) =>
        type switch
        {
            "hash" => value
                .Items.Chunk(2)
                .OrderBy(pair => pair[0].Bytes.ToArray(), ByteOrder.Instance)
                .SelectMany(pair => pair.Select(Bytes)),
            "set" => value.Items.Select(Bytes).Order(ByteOrder.Instance),
            // How many nodes its tree has is the server's business.
            "stream" => value
                .Items.Chunk(2)
                .Where(pair => pair[0].Text?.StartsWith("radix-tree", StringComparison.Ordinal) == false)
                .SelectMany(pair => pair.SelectMany(Leaves)),
            _ => Leaves(value),
        };

    private static IEnumerable<byte[]> Leaves(Reply value) =>
        value.Items.Count == 0 ? [Bytes(value)] : value.Items.SelectMany(Leaves).Prepend(BitConverter.GetBytes(value.Items.Count));

    private static byte[] Bytes(Reply value) => value.Bytes.ToArray();

    private static void Append(IncrementalHash hash, byte[] part)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, part.Length);
        hash.AppendData(length);
        hash.AppendData(part);
    }

    private sealed class ByteOrder : IComparer<byte[]>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}
