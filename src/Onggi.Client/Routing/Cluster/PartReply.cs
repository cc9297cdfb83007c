using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>What a node answered to its part of a command that was split by slot.</summary>
/// <param name="Items">The elements of an array.</param>
/// <param name="Number">A number.</param>
internal readonly record struct PartReply(byte[]?[]? Items, long Number)
{
    private static readonly ReplyParser<PartReply> Arrays = static (ref reader) =>
        reader.Type == RespType.Array ? new(ReplyParsers.BytesArray(ref reader), 0) : throw reader.Unexpected("an array");

    private static readonly ReplyParser<PartReply> Numbers = static (ref reader) => new(null, reader.ReadInt64());

    private static readonly ReplyParser<PartReply> Texts = static (ref reader) => new([reader.ReadBytes()], 0);

    private static readonly ReplyParser<PartReply> Oks = static (ref reader) =>
        reader.Type == RespType.SimpleString && reader.Value.SequenceEqual("OK"u8) ? default : throw reader.Unexpected("OK");

    /// <summary>Reads the reply to a part of a command whose replies are joined in this way.</summary>
    public static ReplyParser<PartReply> ParserFor(ReplyJoin join) =>
        join switch
        {
            ReplyJoin.Array or ReplyJoin.Concatenation => Arrays,
            ReplyJoin.First => Texts,
            ReplyJoin.Sum => Numbers,
            _ => Oks,
        };
}

/// <summary>What became of a part: its reply, or why there is none.</summary>
internal readonly record struct PartOutcome(PartReply Reply, Exception? Error)
{
    /// <summary>What the caller of the whole gets when a part has failed; <c>null</c> when none has.</summary>
    /// <remarks>Where the command writes, other parts can have been executed: then the error says so, and which.</remarks>
    public static Exception? ErrorOf(KeySplit split, ReadOnlySpan<PartOutcome> outcomes)
    {
        Exception? first = null;
        var done = new List<string>();
        for (var i = 0; i < outcomes.Length; i++)
        {
            if (outcomes[i].Error is not { } error)
                done.Add($"{split.Parts[i].Slot}");
            else
            {
                first ??= error;
                if (error is RedisException { Sent: Sent.Maybe })
                    done.Add($"{split.Parts[i].Slot} (not known)");
            }
        }

        if (split.OnlyReads || done.Count == 0)
            return first;
        var message =
            $"{first?.Message} This was one part of {outcomes.Length}; executed were those of the slots {string.Join(", ", done)}.";
        return first switch
        {
            RedisServerException refused => new RedisServerException(message, Sent.Maybe, refused),
            RedisTimeoutException late => new RedisTimeoutException(message, Sent.Maybe, late),
            RedisException failed => new RedisConnectionException(message, Sent.Maybe, failed, failed.IsTransient),
            _ => first,
        };
    }
}
