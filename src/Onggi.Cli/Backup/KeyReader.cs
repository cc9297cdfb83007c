using Onggi.Cli.Server;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Backup;

/// <summary>Reads keys as they are at one moment each: value, serialised value and end in one transaction, so that nobody writes between.</summary>
/// <param name="client">Where from.</param>
internal sealed class KeyReader(RedisClient client)
{
    /// <summary>From how many bytes in memory a value is not read a second time for its digest.</summary>
    public const long BigValue = 32 << 20;

    private const long TransactionBytes = 1 << 20;
    private const int TransactionKeys = 64;
    private const int MostTries = 8;

    private static readonly ReplyParser<long> Size = static (ref reader) => reader.IsNull ? 0 : reader.ReadInt64();

    /// <summary>Reads these keys; those that are gone are left out. Whose they are is not known here: the family is 0.</summary>
    /// <exception cref="RedisException">The server does not answer, or refuses.</exception>
    /// <exception cref="ToolException">A key cannot be read.</exception>
    public async Task<List<KeyRecord>> ReadAsync(IReadOnlyList<byte[]> keys, CancellationToken cancellationToken)
    {
        var records = new List<KeyRecord>(keys.Count);
        var left = keys;
        for (var i = 1; left.Count > 0; i++)
        {
            // Its type can change between the two questions; then it is asked again.
            if (i > MostTries)
                throw new ToolException($"the type of {Words.Key(Text(left[0]))} changes all the time: it cannot be read.");
            left = await TryReadAsync(left, records, cancellationToken).ConfigureAwait(false);
        }

        return records;
    }

    private async Task<List<byte[]>> TryReadAsync(IReadOnlyList<byte[]> keys, List<KeyRecord> records, CancellationToken cancellationToken)
    {
        var batch = client.CreateBatch();
        var asked = keys.Select(key =>
                (Key: key, Type: batch.Add(["TYPE", key], ReplyParsers.Text), Size: batch.Add(["MEMORY", "USAGE", key], Size))
            )
            .ToList();
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        var again = new List<byte[]>();
        var (group, bytes) = (new List<(byte[], ValueKind, bool)>(), 0L);
        foreach (var (key, type, size) in asked)
        {
            if (type.Value is not { } kind || kind == "none")
                continue;
            group.Add((key, ValueDigest.KindOf(kind), size.Value > BigValue));
            bytes += size.Value;
            if (bytes < TransactionBytes && group.Count < TransactionKeys)
                continue;
            await ReadGroupAsync(group, records, again, cancellationToken).ConfigureAwait(false);
            (group, bytes) = ([], 0);
        }

        await ReadGroupAsync(group, records, again, cancellationToken).ConfigureAwait(false);
        return again;
    }

    private async Task ReadGroupAsync(
        List<(byte[] Key, ValueKind Kind, bool IsBig)> group,
        List<KeyRecord> records,
        List<byte[]> again,
        CancellationToken cancellationToken
    )
    {
        var transaction = client.CreateTransaction();
        var items = group.ConvertAll(entry =>
        {
            var question = entry.IsBig ? [] : ValueDigest.Question(entry.Kind, entry.Key);
            return (
                entry.Key,
                entry.Kind,
                Dump: transaction.Add(["DUMP", entry.Key], ReplyParsers.Bytes),
                Value: question.Length == 0 ? null : transaction.Add(question, ReplyParsers.Reply),
                // Last: when it is still there now, it was for the others as well.
                Ends: transaction.Add(["PEXPIRETIME", entry.Key], ReplyParsers.Int64)
            );
        });
        await transaction.ExecuteAsync(cancellationToken).ConfigureAwait(false);
        foreach (var (key, kind, dump, value, ends) in items)
        {
            if (dump.Value is not { } bytes || ends.Value == -2)
                continue;
            if (value?.Error is RedisServerException { Code: "WRONGTYPE" })
                again.Add(key);
            else
                records.Add(new KeyRecord(0, kind, key, ends.Value, bytes, value is null ? default : ValueDigest.Of(kind, value.Value)));
        }
    }

    private static string Text(byte[] key) => System.Text.Encoding.UTF8.GetString(key);
}
