using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace Onggi.Tests.Client;

/// <summary>How reading a stream of bytes ended.</summary>
internal enum StreamEnd
{
    /// <summary>With a whole frame.</summary>
    Clean,

    /// <summary>In the middle of one.</summary>
    Incomplete,

    /// <summary>At bytes that are not RESP3.</summary>
    Broken,
}

/// <summary>What a stream of bytes reads as: its whole frames, and how it ended.</summary>
internal sealed record Reading(IReadOnlyList<string> Frames, StreamEnd End);

/// <summary>RESP3 in the plainest way: one frame after another from an array, by recursion, without a thought for speed. The oracle for the real parser.</summary>
/// <remarks>It writes each frame in the notation that <see cref="GoldenFrame"/> describes, so that trees compare as texts.</remarks>
internal sealed partial class ReferenceParser(byte[] bytes)
{
    private const int MaxDepth = 128;
    private const int MaxCount = 1 << 26;
    private const int MaxLength = 512 << 20;
    private const int MaxLine = 64 << 10;

    private int _position;

    public static Reading Read(byte[] bytes)
    {
        var parser = new ReferenceParser(bytes);
        List<string> frames = [];
        try
        {
            while (parser._position < bytes.Length)
                frames.Add(parser.Element(depth: 0));
            return new Reading(frames, StreamEnd.Clean);
        }
        catch (EndOfStreamException)
        {
            return new Reading(frames, StreamEnd.Incomplete);
        }
        catch (FormatException)
        {
            return new Reading(frames, StreamEnd.Broken);
        }
    }

    /// <summary>The arguments of one command, escaped; <c>null</c> when the bytes are not exactly one array of bulk strings.</summary>
    public static string[]? Arguments(byte[] bytes)
    {
        var parser = new ReferenceParser(bytes);
        if (parser.Peek() != '*')
            return null;
        var arguments = new string[Number(parser.Line()[1..], MaxCount)];
        for (var i = 0; i < arguments.Length; i++)
        {
            if (parser.Peek() != '$')
                return null;
            arguments[i] = parser.Body(parser.Line()[1..]);
        }

        return parser._position == bytes.Length ? arguments : null;
    }

    /// <summary>One character per byte; those outside printable ASCII as <c>\xNN</c>.</summary>
    public static string Escape(ReadOnlySpan<char> text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var letter in text)
            if (letter is >= ' ' and <= '~')
                escaped.Append(letter);
            else
                escaped.Append(CultureInfo.InvariantCulture, $"\\x{(int)letter:X2}");
        return escaped.ToString();
    }

    public static string Escape(ReadOnlySpan<byte> bytes) => Escape(Encoding.Latin1.GetString(bytes));

    private string Element(int depth)
    {
        while (Peek() == '|')
        {
            Insist(depth < MaxDepth || Ahead() == "0");
            Elements(2 * Number(Line()[1..], MaxCount), depth + 1);
        }

        var type = Peek();
        Insist(type != ';');
        var line = Line()[1..];
        switch (type)
        {
            case '+' or '-':
                return type + Escape(line);
            case ':':
                Insist(
                    Whole().IsMatch(line)
                        && BigInteger.Parse(line, CultureInfo.InvariantCulture) is var number
                        && number >= long.MinValue
                        && number <= long.MaxValue
                );
                return ":" + line;
            case '(':
                Insist(Whole().IsMatch(line));
                return "(" + line;
            case ',':
                Insist(Real().IsMatch(line));
                return "," + line;
            case '#':
                Insist(line is "t" or "f");
                return "#" + line;
            case '_':
                Insist(line.Length == 0);
                return "null";
            case '$' when line == "-1":
            case '*' when line == "-1":
                return "null";
            case '$' when line == "?":
                return $"\"{Chunks()}\"";
            case '$':
                return $"\"{Body(line)}\"";
            case '!':
                return $"!\"{Body(line)}\"";
            case '=':
                var body = Encoding.Latin1.GetString(Raw(line));
                Insist(body.Length >= 4 && body[3] == ':');
                return $"=\"{Escape(body.AsSpan(4))}\"";
            case '*' or '~' or '%' when line == "?":
                Insist(depth < MaxDepth);
                return Aggregate(type, Streamed(type, depth + 1));
            case '*' or '~' or '%' or '>':
                Insist(type != '>' || depth == 0);
                var count = Number(line, MaxCount) * (type == '%' ? 2 : 1);
                Insist(count == 0 || depth < MaxDepth);
                return Aggregate(type, Elements(count, depth + 1));
            default:
                throw new FormatException();
        }
    }

    private static string Aggregate(char type, IEnumerable<string> elements) =>
        $"{(type == '*' ? "" : type)}[{string.Join(' ', elements)}]";

    private List<string> Elements(int count, int depth)
    {
        List<string> elements = [];
        for (var i = 0; i < count; i++)
            elements.Add(Element(depth));
        return elements;
    }

    private List<string> Streamed(char type, int depth)
    {
        List<string> elements = [];
        while (Peek() != '.')
            elements.Add(Element(depth));
        Insist(Line() == ".");
        Insist(type != '%' || elements.Count % 2 == 0);
        return elements;
    }

    private string Chunks()
    {
        var whole = new StringBuilder();
        while (true)
        {
            Insist(Peek() == ';');
            var line = Line()[1..];
            if (Number(line, MaxLength) == 0)
                return whole.ToString();
            whole.Append(Body(line));
        }
    }

    private string Body(string line) => Escape(Raw(line));

    private byte[] Raw(string line)
    {
        var length = Number(line, MaxLength);
        if (bytes.Length - _position < (long)length + 2)
            throw new EndOfStreamException();
        var body = bytes.AsSpan(_position, length).ToArray();
        _position += length;
        Insist(bytes[_position] == '\r' && bytes[_position + 1] == '\n');
        _position += 2;
        return body;
    }

    private static int Number(string line, int most)
    {
        Insist(Digits().IsMatch(line));
        var number = BigInteger.Parse(line, CultureInfo.InvariantCulture);
        Insist(number <= most);
        return (int)number;
    }

    private char Peek() => _position < bytes.Length ? (char)bytes[_position] : throw new EndOfStreamException();

    private string Ahead()
    {
        var here = _position;
        var line = Line()[1..];
        _position = here;
        return line;
    }

    // The type byte and what follows up to the line's end.
    private string Line()
    {
        Insist("+-:(,#_$!=*~%>|.;".Contains((char)bytes[_position], StringComparison.Ordinal));
        var end = Array.IndexOf(bytes, (byte)'\r', _position);
        Insist((end < 0 ? bytes.Length : end) - _position <= MaxLine);
        if (end < 0 || end + 1 == bytes.Length)
            throw new EndOfStreamException();
        Insist(bytes[end + 1] == '\n');
        var line = Encoding.Latin1.GetString(bytes, _position, end - _position);
        _position = end + 2;
        return line;
    }

    private static void Insist(bool holds)
    {
        if (!holds)
            throw new FormatException();
    }

    [GeneratedRegex("^[+-]?[0-9]+\\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Whole();

    [GeneratedRegex("^[0-9]+\\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Digits();

    [GeneratedRegex(
        "^([+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?|-?inf|[+-]?(?i:nan|infinity))\\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000
    )]
    private static partial Regex Real();
}
