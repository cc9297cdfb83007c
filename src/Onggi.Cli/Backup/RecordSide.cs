using Onggi.Cli.Server;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Cli.Backup;

/// <summary>How a key of a server is unlike its record.</summary>
internal enum RecordDifference
{
    None,
    Missing,
    Kind,
    End,
    Value,
}

/// <summary>A server to which records are restored, or with which they are compared.</summary>
/// <param name="client">The server.</param>
/// <param name="nameOf">A record's name there.</param>
/// <param name="shift">By how many milliseconds later keys end there.</param>
internal sealed class RecordSide(RedisClient client, Func<byte[], byte[]> nameOf, long shift = 0)
{
    /// <summary>Restores records, in one go.</summary>
    /// <param name="records">What is to be there.</param>
    /// <param name="replace">Whether keys that are there already are replaced; otherwise they stay.</param>
    /// <param name="cancellationToken">Ends it: what is not sent yet is not sent.</param>
    /// <returns>Which were restored; the others were there already.</returns>
    /// <exception cref="RedisException">The server does not answer, is full, or refuses a record.</exception>
    public async Task<bool[]> RestoreAsync(IReadOnlyList<KeyRecord> records, bool replace, CancellationToken cancellationToken)
    {
        var batch = client.CreateBatch();
        foreach (var record in records)
        {
            RedisArg[] end = record.EndsAt < 0 ? [] : ["ABSTTL"];
            RedisArg[] over = replace ? ["REPLACE"] : [];
            var ends = record.EndsAt < 0 ? 0 : record.EndsAt + shift;
            batch.Add(["RESTORE", nameOf(record.Key), ends, record.Dump, .. end, .. over], ReplyParsers.Ignore, CommandOptions.Bulk);
        }

        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        if (batch.Items.FirstOrDefault(item => item.Error is not (null or RedisServerException { Code: "BUSYKEY" })) is { } failed)
            throw failed.Error!;
        return [.. batch.Items.Select(item => item.Error is null)];
    }

    /// <summary>How each record's key is there, in their order, and what stands there now as a record with the ends shifted back.</summary>
    /// <exception cref="RedisException">The server does not answer, or refuses.</exception>
    public async Task<List<(RecordDifference Difference, KeyRecord Found)>> CompareAsync(
        IReadOnlyList<KeyRecord> records,
        CancellationToken cancellationToken
    )
    {
        var batch = client.CreateBatch();
        var asked = records
            .Select(record =>
            {
                var name = nameOf(record.Key);
                var question = record.Digest.IsEmpty ? ["DUMP", name] : ValueDigest.Question(record.Kind, name);
                return (
                    Record: record,
                    Type: batch.Add(["TYPE", name], ReplyParsers.Text, CommandOptions.Bulk | CommandOptions.Idempotent),
                    Value: batch.Add(question, ReplyParsers.Reply, CommandOptions.Bulk | CommandOptions.Idempotent),
                    Ends: batch.Add(["PEXPIRETIME", name], ReplyParsers.Int64, CommandOptions.Bulk | CommandOptions.Idempotent)
                );
            })
            .ToList();
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        return asked.ConvertAll(item => Compare(item.Record, item.Type.Value ?? "none", item.Value, item.Ends.Value));
    }

    private (RecordDifference Difference, KeyRecord Found) Compare(KeyRecord record, string type, BatchItem<Reply> value, long ends)
    {
        if (type == "none" || ends == -2)
            return (RecordDifference.Missing, record);
        var found = record with { Kind = ValueDigest.KindOf(type), EndsAt = ends < 0 ? ends : ends - shift };
        if (found.Kind != record.Kind)
            return (RecordDifference.Kind, found);
        // A large one has no digest: its serialised form may differ though it means the same, so only what it is and when it ends are known.
        if (!record.Digest.IsEmpty)
            found = found with { Digest = ValueDigest.Of(record.Kind, value.Value) };
        var difference =
            found.EndsAt != record.EndsAt ? RecordDifference.End
            : found.Digest.Span.SequenceEqual(record.Digest.Span) ? RecordDifference.None
            : RecordDifference.Value;
        return (difference, found);
    }
}
