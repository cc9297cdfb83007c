using System.Text;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Events.Streams;

/// <summary>A message as a consumer takes it.</summary>
/// <param name="Id">Its id in the stream.</param>
/// <param name="Attempt">How often it was handed to somebody, this time included.</param>
/// <param name="Event">The event's JSON; <c>null</c> where the entry has none.</param>
/// <param name="For">The only group that is meant; <c>null</c> for all.</param>
internal sealed record StreamEntry(string Id, int Attempt, byte[]? Event, string? For);

/// <summary>What a look for due and abandoned messages brought.</summary>
/// <param name="Cursor">Where to look on.</param>
/// <param name="NextDue">In how many ms the next retry is due; -1 when there is none.</param>
/// <param name="Gone">How many messages were removed from the stream by somebody else before they were settled.</param>
/// <param name="Abandoned">How many of the messages were abandoned; the others are due.</param>
/// <param name="Entries">The messages.</param>
internal sealed record ClaimReply(string Cursor, long NextDue, long Gone, long Abandoned, StreamEntry[] Entries);

/// <summary>What trimming did, and how the groups stand.</summary>
internal sealed record TrimReply(long Removed, long Length, StreamGroupStatus[] Groups);

/// <summary>What became of what a consumer said of a message.</summary>
internal enum SettleReply
{
    AnothersNow = -1,
    Before = 0,
    Settled = 1,
}

/// <summary>Reads the replies of streams.</summary>
internal static class StreamReplies
{
    /// <summary><c>{ seq, id }</c>.</summary>
    public static readonly ReplyParser<(long Sequence, string Id)> Append = static (ref reader) =>
    {
        reader.Read();
        var sequence = reader.ReadInt64();
        reader.Read();
        return (sequence, reader.ReadString()!);
    };

    /// <summary>XREADGROUP of one stream: null, or the stream's name and its entries (a map; a list of pairs in RESP2).</summary>
    public static readonly ReplyParser<StreamEntry[]> Read = static (ref reader) =>
    {
        if (reader.IsNull)
            return [];
        if (reader.Type == RespType.Array)
            reader.Read();
        reader.Read();
        reader.Read();
        return ReplyParsers.ReadArray(ref reader, Delivered);
    };

    public static readonly ReplyParser<long[]> Numbers = static (ref reader) =>
        ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadInt64());

    public static readonly ReplyParser<ClaimReply> Claim = static (ref reader) =>
    {
        var entries = new StreamEntry[reader.Count - 4];
        reader.Read();
        var cursor = reader.ReadString()!;
        reader.Read();
        var due = reader.ReadInt64();
        reader.Read();
        var gone = reader.ReadInt64();
        reader.Read();
        var abandoned = reader.ReadInt64();
        for (var i = 0; i < entries.Length; i++)
            entries[i] = Claimed(ref reader);
        return new ClaimReply(cursor, due, gone, abandoned, entries);
    };

    public static readonly ReplyParser<SettleReply> Settle = static (ref reader) => (SettleReply)reader.ReadInt64();

    public static readonly ReplyParser<TrimReply> Trim = static (ref reader) =>
    {
        var groups = new StreamGroupStatus[reader.Count - 2];
        reader.Read();
        var removed = reader.ReadInt64();
        reader.Read();
        var length = reader.ReadInt64();
        for (var i = 0; i < groups.Length; i++)
            groups[i] = Group(ref reader);
        return new TrimReply(removed, length, groups);
    };

    public static readonly ReplyParser<QuarantinedEvent[]> Quarantined = static (ref reader) =>
        ReplyParsers.ReadArray(ref reader, QuarantineEntry);

    private static StreamEntry Delivered(ref RespReader reader)
    {
        reader.Read();
        var id = reader.ReadString()!;
        reader.Read();
        return WithFields(ref reader, id, attempt: 1);
    }

    private static QuarantinedEvent QuarantineEntry(ref RespReader reader)
    {
        reader.Read();
        var id = reader.ReadString()!;
        reader.Read();
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var left = reader.Count; left > 0; left -= 2)
        {
            reader.Read();
            var name = reader.ReadString() ?? "";
            reader.Read();
            // The quarantine's own fields stand first: what a foreign publisher calls the same does not count.
            fields.TryAdd(name, Encoding.UTF8.GetString(reader.ReadSpan()));
        }

        return QuarantinedEvent.Of(id, fields);
    }

    private static StreamEntry Claimed(ref RespReader reader)
    {
        reader.Read();
        reader.Read();
        var id = reader.ReadString()!;
        reader.Read();
        var deliveries = (int)Math.Min(reader.ReadInt64(), int.MaxValue);
        reader.Read();
        return WithFields(ref reader, id, deliveries);
    }

    // The reader stands on the list of fields and values; null where the entry was deleted.
    private static StreamEntry WithFields(ref RespReader reader, string id, int attempt)
    {
        byte[]? json = null;
        string? only = null;
        for (var left = reader.Count; left > 0; left -= 2)
        {
            reader.Read();
            var isEvent = reader.ReadSpan().SequenceEqual("event"u8);
            var isFor = reader.ReadSpan().SequenceEqual("for"u8);
            reader.Read();
            if (isEvent)
                json ??= reader.ReadBytes();
            else if (isFor)
                only ??= reader.ReadString();
        }

        return new StreamEntry(id, attempt, json, only);
    }

    private static StreamGroupStatus Group(ref RespReader reader)
    {
        reader.Read();
        reader.Read();
        var name = reader.ReadString()!;
        reader.Read();
        var pending = reader.ReadInt64();
        reader.Read();
        var waiting = reader.ReadInt64();
        reader.Read();
        var age = reader.ReadInt64();
        reader.Read();
        return new StreamGroupStatus(
            name,
            pending,
            waiting < 0 ? null : waiting,
            age < 0 ? null : TimeSpan.FromMilliseconds(age),
            reader.ReadInt64()
        );
    }
}
