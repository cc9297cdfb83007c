using System.Buffers;
using System.Globalization;
using System.Text;

namespace Onggi.Client.Resp;

/// <summary>Makes a frame with parts of unknown length (RESP3 streamed strings and aggregates) into one with counted parts.</summary>
/// <remarks>
/// Redis sends none today; the specification has them. The slow way is kept apart, so that everything else reads counted frames only.
/// It goes over the frame twice: once to learn the size of each streamed part, in the order in which they begin, and once to write. So deep nesting copies nothing twice.
/// </remarks>
internal ref struct StreamedFrame
{
    private readonly ReadOnlySpan<byte> _frame;
    private readonly List<int> _sizes;
    private readonly ArrayBufferWriter<byte>? _output;
    private int _position;
    private int _nextSize;

    private StreamedFrame(ReadOnlySpan<byte> frame, List<int> sizes, ArrayBufferWriter<byte>? output)
    {
        _frame = frame;
        _sizes = sizes;
        _output = output;
    }

    /// <summary>Rewrites a whole frame that <see cref="FrameScanner"/> has accepted.</summary>
    public static byte[] Flatten(ReadOnlySpan<byte> frame)
    {
        var sizes = new List<int>();
        new StreamedFrame(frame, sizes, null).Whole();
        var output = new ArrayBufferWriter<byte>(frame.Length);
        new StreamedFrame(frame, sizes, output).Whole();
        return output.WrittenSpan.ToArray();
    }

    private void Whole()
    {
        while (_position < _frame.Length)
            Element();
    }

    private void Element()
    {
        var start = _position;
        var type = _frame[start];
        var line = Line();
        if (line.SequenceEqual("?"u8) && type is (byte)'$' or (byte)'*' or (byte)'~' or (byte)'%')
        {
            Streamed(type);
            return;
        }

        if (type is (byte)'$' or (byte)'!' or (byte)'=' && line[0] != (byte)'-')
            _position += Number(line) + 2;
        _output?.Write(_frame[start.._position]);
        if (type is (byte)'*' or (byte)'~' or (byte)'>' or (byte)'%' or (byte)'|' && line[0] != (byte)'-')
            for (var left = Number(line) * (type is (byte)'%' or (byte)'|' ? 2 : 1); left > 0; left--)
                Attributed();
    }

    // An element, with the attributes in front of it.
    private void Attributed()
    {
        while (_frame[_position] == (byte)'|')
            Element();
        Element();
    }

    private void Streamed(byte type)
    {
        var slot = _nextSize++;
        if (_output is null)
            _sizes.Add(0);
        else
            _output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{(char)type}{_sizes[slot]}\r\n")));
        var size = type == (byte)'$' ? Chunks() : Elements();
        _sizes[slot] = type == (byte)'%' ? size / 2 : size;
    }

    // ;4\r\nabcd\r\n … ;0\r\n
    private int Chunks()
    {
        var size = 0;
        while (Number(Line()) is var length and > 0)
        {
            _output?.Write(_frame.Slice(_position, length));
            _position += length + 2;
            size += length;
        }

        _output?.Write("\r\n"u8);
        return size;
    }

    private int Elements()
    {
        var count = 0;
        for (; _frame[_position] != (byte)'.'; count++)
            Attributed();
        Line();
        return count;
    }

    private ReadOnlySpan<byte> Line()
    {
        var start = _position + 1;
        var length = _frame[start..].IndexOf((byte)'\r');
        _position = start + length + 2;
        return _frame.Slice(start, length);
    }

    private static int Number(ReadOnlySpan<byte> line) => int.Parse(line, CultureInfo.InvariantCulture);
}
