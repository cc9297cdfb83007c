using System.Buffers;
using Onggi.Client.Resp;

namespace Onggi.Client;

/// <summary>Makes a value from a reply, whose first element the reader stands on.</summary>
/// <remarks>
/// It runs on the connection's reading loop, in the order of the wire: it must be short, must not block, and must not keep the reader's spans.
/// An exception from it reaches the caller of the command; the connection goes on. Error replies never reach it.
/// </remarks>
/// <typeparam name="T">What the command returns.</typeparam>
public delegate T ReplyParser<out T>(ref RespReader reader);

/// <summary>Like <see cref="ReplyParser{T}"/>, with what the caller gives it, so that it needs no closure.</summary>
/// <typeparam name="TState">What the caller gives.</typeparam>
/// <typeparam name="T">What the command returns.</typeparam>
public delegate T ReplyParser<in TState, out T>(TState state, ref RespReader reader)
    where TState : class;

/// <summary>The parsers that most commands need.</summary>
public static class ReplyParsers
{
    /// <summary>Bytes of the caller's own; <c>null</c> for null.</summary>
    public static ReplyParser<byte[]?> Bytes { get; } = static (ref reader) => reader.ReadBytes();

    /// <summary>Bytes in memory from the pool.</summary>
    public static ReplyParser<PooledBytes> PooledBytes { get; } =
        static (ref reader) => reader.IsNull ? default : new PooledBytes(reader.ReadSpan());

    /// <summary>Bytes written to the caller's own buffer; how many there were, <c>null</c> for null.</summary>
    public static ReplyParser<IBufferWriter<byte>, int?> Into { get; } =
        static (destination, ref reader) =>
        {
            if (reader.IsNull)
                return null;
            var value = reader.ReadSpan();
            destination.Write(value);
            return value.Length;
        };

    /// <summary>UTF-8 text; <c>null</c> for null.</summary>
    public static ReplyParser<string?> Text { get; } = static (ref reader) => reader.ReadString();

    /// <summary>A 64-bit integer.</summary>
    public static ReplyParser<long> Int64 { get; } = static (ref reader) => reader.ReadInt64();

    /// <summary>A truth value: <c>true</c> for <c>#t</c>, <c>OK</c> and any integer but 0.</summary>
    public static ReplyParser<bool> Boolean { get; } = static (ref reader) => reader.ReadBoolean();

    /// <summary>A double.</summary>
    public static ReplyParser<double> Double { get; } = static (ref reader) => reader.ReadDouble();

    /// <summary>A number of milliseconds; <c>null</c> where Redis answers with a negative one (no time to live, no key).</summary>
    public static ReplyParser<TimeSpan?> Milliseconds { get; } =
        static (ref reader) => reader.ReadInt64() is var ms and >= 0 ? TimeSpan.FromMilliseconds(ms) : null;

    /// <summary>An array or set of byte strings, null where an element is null; an empty array for null.</summary>
    public static ReplyParser<byte[]?[]> BytesArray { get; } =
        static (ref reader) => ReadArray(ref reader, static (ref r) => r.ReadBytes());

    /// <summary>An array or set of texts, null where an element is null; an empty array for null.</summary>
    public static ReplyParser<string?[]> TextArray { get; } =
        static (ref reader) => ReadArray(ref reader, static (ref r) => r.ReadString());

    /// <summary>The whole reply as a tree.</summary>
    public static ReplyParser<Reply> Reply { get; } = static (ref reader) => Resp.Reply.From(ref reader);

    /// <summary>Nothing: the command is done when it is answered without an error.</summary>
    public static ReplyParser<bool> Ignore { get; } = static (ref _) => true;

    /// <summary>Reads an aggregate of which <paramref name="item"/> reads each element; an empty array for null.</summary>
    /// <exception cref="RedisReplyException">The reply is a scalar.</exception>
    public static T[] ReadArray<T>(ref RespReader reader, ReplyParser<T> item)
    {
        ArgumentNullException.ThrowIfNull(item);
        if (reader.IsNull)
            return [];
        if (!reader.IsAggregate)
            throw reader.Unexpected("an array");
        var items = new T[reader.Count];
        for (var i = 0; i < items.Length; i++)
        {
            reader.Read();
            items[i] = item(ref reader);
        }

        return items;
    }
}
