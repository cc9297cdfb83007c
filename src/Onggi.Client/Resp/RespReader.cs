using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Onggi.Client.Resp;

/// <summary>Reads the elements of one whole reply, depth first, straight from the receive buffer.</summary>
/// <remarks>
/// The frame is complete and within the limits before a reader is made (<see cref="FrameScanner"/>), so reading neither waits nor allocates.
/// Attributes (<c>|</c>) are passed over. The spans it hands out live only until the parser returns.
/// </remarks>
public ref struct RespReader
{
    private readonly ReadOnlySpan<byte> _frame;
    private int _position;

    /// <summary>Makes a reader in front of the first element of a whole frame.</summary>
    internal RespReader(ReadOnlySpan<byte> frame) => _frame = frame;

    /// <summary>What the current element is.</summary>
    public RespType Type { get; private set; }

    /// <summary>How many elements stand directly inside the current one (for a map: keys and values together); 0 for a scalar.</summary>
    public int Count { get; private set; }

    /// <summary>The bytes of the current scalar, without type, length and line end; empty for null and aggregates.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>Whether the current element is null.</summary>
    public readonly bool IsNull => Type == RespType.Null;

    /// <summary>Whether the current element is an error of either kind.</summary>
    public readonly bool IsError => Type is RespType.SimpleError or RespType.BulkError;

    /// <summary>Whether the current element holds others.</summary>
    public readonly bool IsAggregate => Type is RespType.Array or RespType.Set or RespType.Map or RespType.Push;

    /// <summary>Moves to the next element; <c>false</c> at the end of the frame.</summary>
    public bool Read()
    {
        while (_position < _frame.Length)
        {
            var type = _frame[_position++];
            var line = ReadLine();
            Value = default;
            Count = 0;
            switch (type)
            {
                case (byte)'|':
                    // An attribute is a map in front of the element it describes: its parts are skipped, one by one.
                    for (var left = 2 * ParseCount(line); left > 0; left--)
                    {
                        Read();
                        Skip();
                    }

                    continue;
                case (byte)'$' or (byte)'!' or (byte)'=':
                    ReadBulk(type, line);
                    return true;
                case (byte)'*' or (byte)'~' or (byte)'%' or (byte)'>':
                    ReadAggregate(type, line);
                    return true;
                default:
                    Type = Scalar(type);
                    Value = Type == RespType.Null ? default : line;
                    return true;
            }
        }

        Type = RespType.None;
        return false;
    }

    /// <summary>Passes over everything inside the current element.</summary>
    public void Skip()
    {
        for (var left = Count; left > 0; left--)
        {
            Read();
            Skip();
        }
    }

    /// <summary>The current element as a 64-bit integer. Text of digits counts as one, as Redis keeps numbers as text.</summary>
    /// <exception cref="RedisReplyException">It is not an integer.</exception>
    public readonly long ReadInt64()
    {
        if (
            Type is RespType.Integer or RespType.BulkString or RespType.SimpleString
            && Utf8Parser.TryParse(Value, out long number, out var used)
            && used == Value.Length
        )
            return number;
        throw Unexpected("an integer");
    }

    /// <summary>The current element as a double, <c>inf</c>, <c>-inf</c> and <c>nan</c> included.</summary>
    /// <exception cref="RedisReplyException">It is not a number.</exception>
    public readonly double ReadDouble()
    {
        if (Type is RespType.Double or RespType.Integer or RespType.BulkString)
        {
            if (Value.SequenceEqual("inf"u8))
                return double.PositiveInfinity;
            if (Value.SequenceEqual("-inf"u8))
                return double.NegativeInfinity;
            if (Value.SequenceEqual("nan"u8) || Value.SequenceEqual("-nan"u8))
                return double.NaN;
            if (double.TryParse(Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
                return number;
        }

        throw Unexpected("a number");
    }

    /// <summary>The current element as a truth value: <c>#t</c>, <c>:1</c> and <c>+OK</c> are true; <c>#f</c>, <c>:0</c> and null are false.</summary>
    /// <exception cref="RedisReplyException">It is none of them.</exception>
    public readonly bool ReadBoolean() =>
        Type switch
        {
            RespType.Boolean => Value.SequenceEqual("t"u8),
            RespType.Integer => !Value.SequenceEqual("0"u8),
            RespType.SimpleString => Value.SequenceEqual("OK"u8),
            RespType.Null => false,
            _ => throw Unexpected("a truth value"),
        };

    /// <summary>The current element as text, read as UTF-8; <c>null</c> for null.</summary>
    /// <exception cref="RedisReplyException">It is an aggregate.</exception>
    public readonly string? ReadString()
    {
        if (IsNull)
            return null;
        return IsAggregate ? throw Unexpected("a string") : Encoding.UTF8.GetString(Value);
    }

    /// <summary>The bytes where they stand, valid until the parser returns; empty for null.</summary>
    /// <exception cref="RedisReplyException">The element is an aggregate.</exception>
    public readonly ReadOnlySpan<byte> ReadSpan()
    {
        if (IsNull)
            return default;
        if (IsAggregate)
            throw Unexpected("a string");
        return Value;
    }

    /// <summary>The current element as bytes of the caller's own; <c>null</c> for null.</summary>
    /// <exception cref="RedisReplyException">It is an aggregate.</exception>
    public readonly byte[]? ReadBytes()
    {
        if (IsNull)
            return null;
        return IsAggregate ? throw Unexpected("a string") : Value.ToArray();
    }

    /// <summary>The exception for an element that is not what the call reads; it names the types, never the content.</summary>
    public readonly RedisReplyException Unexpected(string wanted)
    {
        var got = IsAggregate ? $"{Type} of {Count}" : $"{Type} of {Value.Length} bytes";
        return new RedisReplyException($"The reply should be {wanted}, but it is {got}.");
    }

    private ReadOnlySpan<byte> ReadLine()
    {
        var rest = _frame[_position..];
        var end = rest.IndexOf((byte)'\r');
        _position += end + 2;
        return rest[..end];
    }

    private void ReadBulk(byte type, ReadOnlySpan<byte> line)
    {
        if (line[0] == (byte)'-')
        {
            Type = RespType.Null;
            return;
        }

        var length = ParseCount(line);
        Value = _frame.Slice(_position, length);
        _position += length + 2;
        Type = type switch
        {
            (byte)'$' => RespType.BulkString,
            (byte)'!' => RespType.BulkError,
            _ => RespType.VerbatimString,
        };
        if (Type == RespType.VerbatimString)
            Value = Value[4..];
    }

    private void ReadAggregate(byte type, ReadOnlySpan<byte> line)
    {
        if (line[0] == (byte)'-')
        {
            Type = RespType.Null;
            return;
        }

        Count = ParseCount(line);
        Type = type switch
        {
            (byte)'*' => RespType.Array,
            (byte)'~' => RespType.Set,
            (byte)'>' => RespType.Push,
            _ => RespType.Map,
        };
        if (Type == RespType.Map)
            Count *= 2;
    }

    private static RespType Scalar(byte type) =>
        type switch
        {
            (byte)'+' => RespType.SimpleString,
            (byte)'-' => RespType.SimpleError,
            (byte)':' => RespType.Integer,
            (byte)',' => RespType.Double,
            (byte)'#' => RespType.Boolean,
            (byte)'(' => RespType.BigNumber,
            _ => RespType.Null,
        };

    private static int ParseCount(ReadOnlySpan<byte> line) => Utf8Parser.TryParse(line, out int count, out _) ? count : 0;
}
