using System.Buffers;
using System.Globalization;
using System.Text;

namespace Onggi.Client.Resp;

/// <summary>Makes a frame with parts of unknown length (RESP3 streamed strings and aggregates) into one with counted parts.</summary>
/// <remarks>Redis sends none today; the specification has them. The slow way is kept apart, so that everything else reads counted frames only.</remarks>
internal static class StreamedFrame
{
    /// <summary>Rewrites a whole frame that <see cref="FrameScanner"/> has accepted.</summary>
    public static byte[] Flatten(ReadOnlySpan<byte> frame)
    {
        var output = new ArrayBufferWriter<byte>(frame.Length);
        var position = 0;
        while (position < frame.Length)
            Element(frame, ref position, output);
        return output.WrittenSpan.ToArray();
    }

    private static void Element(ReadOnlySpan<byte> frame, ref int position, ArrayBufferWriter<byte> output)
    {
        var type = frame[position];
        var line = Line(frame, ref position);
        switch (type)
        {
            case (byte)'$' when line.SequenceEqual("?"u8):
                StreamedString(frame, ref position, output);
                return;
            case (byte)'*' or (byte)'~' or (byte)'%' when line.SequenceEqual("?"u8):
                StreamedAggregate(type, frame, ref position, output);
                return;
        }

        output.Write(frame.Slice(position - line.Length - 3, line.Length + 3));
        if (line.SequenceEqual("-1"u8))
            return;
        if (type is (byte)'$' or (byte)'!' or (byte)'=')
        {
            var length = Number(line) + 2;
            output.Write(frame.Slice(position, length));
            position += length;
        }
        else if (type is (byte)'*' or (byte)'~' or (byte)'>' or (byte)'%' or (byte)'|')
        {
            for (var left = Number(line) * (type is (byte)'%' or (byte)'|' ? 2 : 1); left > 0; left--)
                Attributed(frame, ref position, output);
        }
    }

    private static void Attributed(ReadOnlySpan<byte> frame, ref int position, ArrayBufferWriter<byte> output)
    {
        while (frame[position] == (byte)'|')
            Element(frame, ref position, output);
        Element(frame, ref position, output);
    }

    private static void StreamedString(ReadOnlySpan<byte> frame, ref int position, ArrayBufferWriter<byte> output)
    {
        var whole = new ArrayBufferWriter<byte>();
        while (Number(Line(frame, ref position)) is var length and > 0)
        {
            whole.Write(frame.Slice(position, length));
            position += length + 2;
        }

        Header(output, (byte)'$', whole.WrittenCount);
        output.Write(whole.WrittenSpan);
        output.Write("\r\n"u8);
    }

    private static void StreamedAggregate(byte type, ReadOnlySpan<byte> frame, ref int position, ArrayBufferWriter<byte> output)
    {
        var parts = new ArrayBufferWriter<byte>();
        var count = 0;
        for (; frame[position] != (byte)'.'; count++)
            Attributed(frame, ref position, parts);
        Line(frame, ref position);
        if (type == (byte)'%' && count % 2 != 0)
            throw new RespProtocolException("A streamed map ends after a key.");
        Header(output, type, type == (byte)'%' ? count / 2 : count);
        output.Write(parts.WrittenSpan);
    }

    private static void Header(ArrayBufferWriter<byte> output, byte type, int count) =>
        output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{(char)type}{count}\r\n")));

    private static ReadOnlySpan<byte> Line(ReadOnlySpan<byte> frame, ref int position)
    {
        var start = position + 1;
        var length = frame[start..].IndexOf((byte)'\r');
        position = start + length + 2;
        return frame.Slice(start, length);
    }

    private static int Number(ReadOnlySpan<byte> line) => int.Parse(line, CultureInfo.InvariantCulture);
}
