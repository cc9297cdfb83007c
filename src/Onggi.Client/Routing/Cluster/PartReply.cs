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

    private static readonly ReplyParser<PartReply> Oks = static (ref reader) =>
        reader.Type == RespType.SimpleString && reader.Value.SequenceEqual("OK"u8) ? default : throw reader.Unexpected("OK");

    /// <summary>Reads the reply to a part of a command whose replies are joined in this way.</summary>
    public static ReplyParser<PartReply> ParserFor(ReplyJoin join) =>
        join switch
        {
            ReplyJoin.Array => Arrays,
            ReplyJoin.Sum => Numbers,
            _ => Oks,
        };
}
