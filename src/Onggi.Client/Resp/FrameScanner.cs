using System.Buffers.Text;

namespace Onggi.Client.Resp;

/// <summary>Finds where a frame ends, over as many reads as its bytes take, looking at no byte twice.</summary>
/// <remarks>
/// It is the only place that judges bytes from the network: types, lengths, counts, depth and line ends. What it lets through, <see cref="RespReader"/> reads without checks.
/// It keeps nothing of the content and allocates nothing for what a header announces; a frame costs memory only as its bytes arrive.
/// </remarks>
internal sealed class FrameScanner(RespLimits limits)
{
    // An aggregate of unknown size, with an even or an odd number of elements so far: a map cannot end after a key.
    private const int StreamedEven = -1;
    private const int StreamedOdd = -2;

    // One entry per open aggregate: how many elements it still lacks, or one of the two above.
    private readonly int[] _open = new int[limits.MaxDepth];

    // What was opened. An attribute does not count as an element of its parent.
    private readonly byte[] _openType = new byte[limits.MaxDepth];

    private int _depth;
    private int _position;
    private int _searched;
    private bool _inStreamedString;

    // An attribute has just ended: what it describes must follow.
    private bool _attributed;

    /// <summary>Whether the frame under way is a push.</summary>
    public bool IsPush { get; private set; }

    /// <summary>Whether the frame under way is an error reply.</summary>
    public bool IsError { get; private set; }

    /// <summary>Whether the frame has parts of unknown length (<c>$?</c>, <c>*?</c>), which <see cref="StreamedFrame"/> makes plain.</summary>
    public bool HasStreamedParts { get; private set; }

    /// <summary>How many bytes, from the frame's start, must be there before looking again is of use.</summary>
    public int Needed { get; private set; } = 1;

    /// <summary>Goes on in a buffer that begins where the frame begins.</summary>
    /// <returns>The frame's length when it is whole, 0 when more bytes are needed.</returns>
    /// <exception cref="RespProtocolException">The bytes are not RESP3 or break a limit. The connection cannot go on.</exception>
    public int Scan(ReadOnlySpan<byte> buffer)
    {
        if (_position == 0 && _depth == 0)
            (IsPush, IsError, HasStreamedParts) = (false, false, false);
        while (true)
        {
            if (buffer.Length < Needed || !TryElement(buffer, out var ended))
                return 0;
            if (!ended || !CloseParents())
                continue;
            var length = _position;
            Reset();
            return length;
        }
    }

    /// <summary>Forgets the frame under way.</summary>
    private void Reset()
    {
        _position = 0;
        _searched = 0;
        _depth = 0;
        _inStreamedString = false;
        _attributed = false;
        Needed = 1;
    }

    // Reads the header at _position, and the body where it has one. ended: an element is complete; otherwise something was opened.
    private bool TryElement(ReadOnlySpan<byte> buffer, out bool ended)
    {
        ended = true;
        if (!TryLine(buffer, out var line, out var next))
            return false;
        var type = buffer[_position];
        if (_inStreamedString)
            return TryChunk(buffer, type, line, next, out ended);
        if (_depth == 0 && type != (byte)'|')
        {
            IsPush = type == (byte)'>';
            IsError = type is (byte)'-' or (byte)'!';
        }

        var wasAttributed = _attributed;
        _attributed = false;
        switch (type)
        {
            case (byte)'+' or (byte)'-':
                break;
            case (byte)':':
                Require(Utf8Parser.TryParse(line, out long _, out var digits) && digits == line.Length, "an integer");
                break;
            case (byte)'(':
                Require(IsDigits(line), "a big number");
                break;
            case (byte)',':
                Require(IsDouble(line), "a double");
                break;
            case (byte)'#':
                Require(line.SequenceEqual("t"u8) || line.SequenceEqual("f"u8), "a boolean");
                break;
            case (byte)'_':
                Require(line.IsEmpty, "a null");
                break;
            case (byte)'$' or (byte)'!' or (byte)'=':
                return TryBulk(buffer, type, line, next, out ended);
            case (byte)'*' or (byte)'~' or (byte)'%' or (byte)'>' or (byte)'|':
                ended = Open(type, line);
                break;
            case (byte)'.':
                Require(line.IsEmpty && !wasAttributed && CanEndHere(), "the end of a streamed aggregate");
                _depth--;
                break;
            default:
                throw new RespProtocolException($"0x{type:x2} begins no RESP3 type.");
        }

        Advance(next);
        return true;
    }

    private bool TryLine(ReadOnlySpan<byte> buffer, out ReadOnlySpan<byte> line, out int next)
    {
        var from = Math.Max(_position + 1, _searched);
        var end = from > buffer.Length ? -1 : buffer[from..].IndexOf((byte)'\r');
        line = default;
        next = 0;
        var length = (end < 0 ? buffer.Length : from + end) - _position;
        if (length > limits.MaxLine)
            throw new RespProtocolException($"A line is longer than {limits.MaxLine} bytes.");
        if (end < 0 || from + end + 1 >= buffer.Length)
        {
            // A wrong type byte is refused at once, not only when its line ends.
            var types = _inStreamedString ? ";"u8 : "+-:(,#_$!=*~%>|."u8;
            if (!types.Contains(buffer[_position]))
                throw new RespProtocolException($"0x{buffer[_position]:x2} begins no RESP3 type.");
            _searched = end < 0 ? buffer.Length : from + end;
            Needed = buffer.Length + 1;
            return false;
        }

        if (buffer[from + end + 1] != (byte)'\n')
            throw new RespProtocolException("A carriage return stands alone inside a line.");
        line = buffer[(_position + 1)..(from + end)];
        next = from + end + 2;
        return true;
    }

    private bool TryBulk(ReadOnlySpan<byte> buffer, byte type, ReadOnlySpan<byte> line, int next, out bool ended)
    {
        ended = true;
        if (type == (byte)'$' && line.SequenceEqual("-1"u8))
        {
            Advance(next);
            return true;
        }

        if (type == (byte)'$' && line.SequenceEqual("?"u8))
        {
            HasStreamedParts = true;
            _inStreamedString = true;
            ended = false;
            Advance(next);
            return true;
        }

        var length = ParseLength(line, limits.MaxLength, "A string");
        if (!TryBody(buffer, next, length))
            return false;
        if (type == (byte)'=')
            Require(length >= 4 && buffer[next + 3] == (byte)':', "a verbatim string");
        Advance(next + length + 2);
        return true;
    }

    // ;4\r\nabcd\r\n … ;0\r\n
    private bool TryChunk(ReadOnlySpan<byte> buffer, byte type, ReadOnlySpan<byte> line, int next, out bool ended)
    {
        ended = false;
        Require(type == (byte)';', "a chunk of a streamed string");
        var length = ParseLength(line, limits.MaxLength, "A chunk");
        if (length == 0)
        {
            _inStreamedString = false;
            ended = true;
            Advance(next);
            return true;
        }

        if (!TryBody(buffer, next, length))
            return false;
        Advance(next + length + 2);
        return true;
    }

    private bool TryBody(ReadOnlySpan<byte> buffer, int start, int length)
    {
        var end = (long)start + length + 2;
        if (end > Array.MaxLength)
            throw new RespProtocolException($"A reply is larger than {Array.MaxLength} bytes.");
        if (buffer.Length < end)
        {
            Needed = (int)end;
            return false;
        }

        Require(buffer[start + length] == (byte)'\r' && buffer[start + length + 1] == (byte)'\n', "the end of a string");
        return true;
    }

    private bool Open(byte type, ReadOnlySpan<byte> line)
    {
        if (type == (byte)'*' && line.SequenceEqual("-1"u8))
            return true;
        if (type == (byte)'>' && _depth > 0)
            throw new RespProtocolException("A push stands inside another element.");
        int count;
        if (line.SequenceEqual("?"u8) && type is (byte)'*' or (byte)'~' or (byte)'%')
        {
            HasStreamedParts = true;
            count = StreamedEven;
        }
        else
        {
            count = ParseLength(line, limits.MaxCount, "An aggregate");
            if (type is (byte)'%' or (byte)'|')
                count *= 2;
        }

        if (count == 0)
        {
            // An empty attribute opens nothing, and is followed by its element all the same.
            _attributed = type == (byte)'|';
            return !_attributed;
        }

        if (_depth == limits.MaxDepth)
            throw new RespProtocolException($"A reply nests deeper than {limits.MaxDepth}.");
        _open[_depth] = count;
        _openType[_depth] = type;
        _depth++;
        return false;
    }

    // An element has ended: its parent lacks one less, and may end with it. True when the frame itself has ended.
    private bool CloseParents()
    {
        while (_depth > 0)
        {
            ref var left = ref _open[_depth - 1];
            if (left < 0)
            {
                left = left == StreamedEven ? StreamedOdd : StreamedEven;
                return false;
            }

            if (--left > 0)
                return false;
            _depth--;
            if (_openType[_depth] == (byte)'|')
            {
                _attributed = true;
                return false;
            }
        }

        return true;
    }

    private bool CanEndHere()
    {
        if (_depth == 0)
            return false;
        var open = _open[_depth - 1];
        return open == StreamedEven || (open == StreamedOdd && _openType[_depth - 1] != (byte)'%');
    }

    private void Advance(int next)
    {
        _position = next;
        _searched = next;
        Needed = next + 1;
    }

    private static int ParseLength(ReadOnlySpan<byte> line, int limit, string what)
    {
        if (
            line.IsEmpty
            || !Utf8Parser.TryParse(line, out long length, out var used)
            || used != line.Length
            || length < 0
            || line[0] is (byte)'+' or (byte)'-'
        )
            throw new RespProtocolException($"{what} announces no valid length.");
        if (length > limit)
            throw new RespProtocolException($"{what} announces {length}, over the limit of {limit}.");
        return (int)length;
    }

    private static bool IsDigits(ReadOnlySpan<byte> line)
    {
        var digits = line.Length > 0 && line[0] is (byte)'-' or (byte)'+' ? line[1..] : line;
        return !digits.IsEmpty && digits.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0;
    }

    private static bool IsDouble(ReadOnlySpan<byte> line) =>
        line.SequenceEqual("inf"u8)
        || line.SequenceEqual("-inf"u8)
        || line.SequenceEqual("nan"u8)
        || line.SequenceEqual("-nan"u8)
        || (Utf8Parser.TryParse(line, out double _, out var used) && used == line.Length);

    private static void Require(bool holds, string what)
    {
        if (!holds)
            throw new RespProtocolException($"A line that should be {what} is not.");
    }
}
