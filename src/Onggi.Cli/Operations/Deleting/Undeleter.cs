using System.Text;
using Onggi.Cli.Output;
using Onggi.Client;
using Onggi.Keys;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>What became of the keys of an undo bundle.</summary>
internal sealed class UndoResult
{
    /// <summary>They are back, with the end they had.</summary>
    public long Restored { get; set; }

    /// <summary>There is a key of that name now, and it was left as it is.</summary>
    public long Existing { get; set; }

    /// <summary>Their time was over meanwhile.</summary>
    public long Ended { get; set; }

    /// <summary>Cached values, which their source has newer.</summary>
    public long Cached { get; set; }

    /// <summary>Redis would not have them.</summary>
    public long Refused { get; set; }

    /// <summary>What it said to the first of those.</summary>
    public string? Refusal { get; set; }

    /// <summary>Some of those that exist.</summary>
    public List<string> ExistingNames { get; } = [];

    /// <summary>Whether the file was whole.</summary>
    public bool IsWhole { get; set; }
}

/// <summary>Puts the keys of an undo bundle back.</summary>
/// <param name="client">The Redis.</param>
/// <param name="keyspace">Says which keys are cached values; <c>null</c> when all are to be put back.</param>
/// <param name="replace">Whether keys that stand there now are overwritten.</param>
/// <param name="time">Measures what has passed since the server said its time.</param>
internal sealed class Undeleter(RedisClient client, Keyspace? keyspace, bool replace, TimeProvider time)
{
    private const int AtATime = 256;
    private const int ManyBytes = 2 << 20;
    private const int ShownKeys = 10;

    private static readonly ReplyParser<long> ServerMilliseconds = static (ref reader) =>
    {
        var parts = ReplyParsers.ReadArray(ref reader, static (ref part) => part.ReadInt64());
        return (parts[0] * 1000) + (parts[1] / 1000);
    };

    private long _asked;
    private long _serverTime;

    // A key that was met twice, because the delete was killed between saving and removing it, is not in its own way.
    private readonly HashSet<string> _restored = new(StringComparer.Ordinal);

    // Ends are of the server's clock.
    private long Now => _serverTime + (long)time.GetElapsedTime(_asked).TotalMilliseconds;

    /// <summary>Reads the file to its end and restores as it goes.</summary>
    /// <exception cref="RedisException">Redis is gone. What was restored stays; the same again goes on, and finds that existing.</exception>
    public async Task<UndoResult> RunAsync(Stream bundle, ToolProgress progress, CancellationToken cancellationToken)
    {
        var result = new UndoResult();
        var batch = new List<UndoRecord>(AtATime);
        var bytes = 0L;
        progress.Expect(bundle.Length);
        _asked = time.GetTimestamp();
        _serverTime = await client.SendAsync(["TIME"], ServerMilliseconds, cancellationToken).ConfigureAwait(false);
        while (UndoBundle.Read(bundle, out var isFinished) is var record)
        {
            if (record is { } one && IsWanted(one, result))
            {
                batch.Add(one);
                bytes += one.Payload.Length;
            }

            if (record is null || batch.Count == AtATime || bytes > ManyBytes)
            {
                await RestoreAsync(batch, result, cancellationToken).ConfigureAwait(false);
                batch.Clear();
                bytes = 0;
                progress.Set(bundle.Position);
                progress.Note = $"{result.Restored:N0} keys restored";
            }

            if (record is not null)
                continue;
            result.IsWhole = isFinished;
            break;
        }

        return result;
    }

    private bool IsWanted(in UndoRecord record, UndoResult result)
    {
        if (record.EndsAt >= 0 && record.EndsAt <= Now)
            result.Ended++;
        else if (keyspace is not null && DeleteSubject.IsCached(keyspace.FamilyOf(Encoding.UTF8.GetString(record.Key))))
            result.Cached++;
        else
            return true;
        return false;
    }

    private async Task RestoreAsync(List<UndoRecord> records, UndoResult result, CancellationToken cancellationToken)
    {
        if (records.Count == 0)
            return;
        var batch = client.CreateBatch();
        var items = records.ConvertAll(record => (Record: record, Item: batch.Add(CommandOf(record), ReplyParsers.Ignore)));
        await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        foreach (var (record, item) in items)
        {
            if (item.Error is null)
            {
                result.Restored += _restored.Add(Convert.ToHexString(record.Key)) ? 1 : 0;
                continue;
            }

            if (item.Error is not RedisServerException refused)
                throw item.Error;
            // The later one of two is what was removed.
            if (refused.Code == "BUSYKEY" && _restored.Contains(Convert.ToHexString(record.Key)))
                await client.SendAsync(CommandOf(record), ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
            else
                Count(record, refused, result);
        }
    }

    private RedisArg[] CommandOf(in UndoRecord record)
    {
        var ends = record.EndsAt < 0 ? 0 : record.EndsAt;
        return replace || _restored.Contains(Convert.ToHexString(record.Key))
            ? ["RESTORE", record.Key, ends, record.Payload, "ABSTTL", "REPLACE"]
            : ["RESTORE", record.Key, ends, record.Payload, "ABSTTL"];
    }

    private static void Count(in UndoRecord record, RedisServerException refused, UndoResult result)
    {
        if (refused.Code == "BUSYKEY")
        {
            result.Existing++;
            if (result.ExistingNames.Count < ShownKeys)
                result.ExistingNames.Add(Words.Key(Encoding.UTF8.GetString(record.Key)));
            return;
        }

        if (refused.Code is "NOPERM" or "NOAUTH" or "OOM" or "READONLY")
            throw refused;
        result.Refused++;
        result.Refusal ??= refused.Message;
    }
}
