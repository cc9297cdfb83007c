using System.Buffers.Text;
using System.Text;

namespace Onggi.Client;

/// <summary>One argument of a command: text, bytes or a number. It only points at what it was made from; it is written into the send buffer before the call returns.</summary>
public readonly struct RedisArg
{
    private readonly object? _source;
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly long _number;
    private readonly Kind _kind;

    private RedisArg(Kind kind, object? source = null, ReadOnlyMemory<byte> bytes = default, long number = 0)
    {
        _kind = kind;
        _source = source;
        _bytes = bytes;
        _number = number;
    }

    private enum Kind : byte
    {
        Bytes,
        Text,
        Integer,
        Double,
    }

    /// <summary>The text as it is, or a word for what it is: names commands in metrics and messages.</summary>
    internal string Name => _source as string ?? "(bytes)";

    internal bool IsNumber => _kind is Kind.Integer or Kind.Double;

    /// <summary>Text, sent as UTF-8.</summary>
    public static implicit operator RedisArg(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new(Kind.Text, text);
    }

    /// <summary>Bytes, sent as they are.</summary>
    public static implicit operator RedisArg(byte[] bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        return new(Kind.Bytes, bytes: bytes);
    }

    /// <summary>Bytes, sent as they are.</summary>
    public static implicit operator RedisArg(ReadOnlyMemory<byte> bytes) => new(Kind.Bytes, bytes: bytes);

    /// <summary>A whole number, sent as digits.</summary>
    public static implicit operator RedisArg(long number) => new(Kind.Integer, number: number);

    /// <summary>A whole number, sent as digits.</summary>
    public static implicit operator RedisArg(int number) => new(Kind.Integer, number: number);

    /// <summary>A number, sent in the shortest form that reads back the same.</summary>
    public static implicit operator RedisArg(double number) => new(Kind.Double, number: BitConverter.DoubleToInt64Bits(number));

    /// <summary>No fewer bytes than the argument takes.</summary>
    internal long MostBytes =>
        _kind switch
        {
            Kind.Bytes => _bytes.Length,
            Kind.Text => 3L * ((string)_source!).Length,
            _ => 32,
        };

    /// <summary>The exact number of bytes of text or bytes, without writing them.</summary>
    internal int ByteLength(Encoding encoding) => _kind == Kind.Bytes ? _bytes.Length : encoding.GetByteCount((string)_source!);

    /// <summary>Writes the argument's bytes and says how many.</summary>
    internal int WriteTo(Span<byte> destination, Encoding encoding)
    {
        switch (_kind)
        {
            case Kind.Bytes:
                _bytes.Span.CopyTo(destination);
                return _bytes.Length;
            case Kind.Text:
                return encoding.GetBytes((string)_source!, destination);
            case Kind.Integer:
                Utf8Formatter.TryFormat(_number, destination, out var digits);
                return digits;
            default:
                BitConverter.Int64BitsToDouble(_number).TryFormat(destination, out var written, "R");
                return written;
        }
    }

    /// <inheritdoc/>
    public override string ToString() =>
        _kind switch
        {
            Kind.Bytes => Encoding.UTF8.GetString(_bytes.Span),
            Kind.Text => (string)_source!,
            Kind.Integer => _number.ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => BitConverter.Int64BitsToDouble(_number).ToString("R", System.Globalization.CultureInfo.InvariantCulture),
        };
}
