using Onggi.Client.Connections;
using Onggi.Client.Resp;

namespace Onggi.Tests.Client;

/// <summary>The real parser, fed as the connection feeds it, telling what it read in the notation of <see cref="ReferenceParser"/>.</summary>
internal static class FrameReading
{
    /// <summary>Reads a stream that arrives in pieces, cut at the given places.</summary>
    public static Reading Read(ReadOnlySpan<byte> stream, params ReadOnlySpan<int> cuts)
    {
        var feed = new Feed();
        var start = 0;
        foreach (var cut in cuts)
        {
            feed.OnBytes(stream[start..cut]);
            start = cut;
        }

        feed.OnBytes(stream[start..]);
        return feed.ToReading();
    }

    /// <summary>Reads a stream of which every byte arrives alone.</summary>
    public static Reading ReadByteByByte(ReadOnlySpan<byte> stream)
    {
        var feed = new Feed();
        for (var i = 0; i < stream.Length; i++)
            feed.OnBytes(stream.Slice(i, 1));
        return feed.ToReading();
    }

    /// <summary>Passes a stream through scanner and buffer without keeping what it reads, and says how it ended: for measuring what the parser itself allocates.</summary>
    public static StreamEnd Scan(ReceiveBuffer buffer, FrameScanner scanner, ReadOnlySpan<byte> stream, int piece)
    {
        try
        {
            for (var start = 0; start < stream.Length; start += piece)
                Receive(buffer, scanner, stream.Slice(start, Math.Min(piece, stream.Length - start)), onFrame: null);
            return buffer.Unread.IsEmpty ? StreamEnd.Clean : StreamEnd.Incomplete;
        }
        catch (RespProtocolException)
        {
            return StreamEnd.Broken;
        }
    }

    /// <summary>Writes the element that the reader stands on, and all inside it.</summary>
    public static string Render(ref RespReader reader)
    {
        switch (reader.Type)
        {
            case RespType.Null:
                return "null";
            case RespType.SimpleString:
                return "+" + ReferenceParser.Escape(reader.Value);
            case RespType.SimpleError:
                return "-" + ReferenceParser.Escape(reader.Value);
            case RespType.Integer:
                return ":" + ReferenceParser.Escape(reader.Value);
            case RespType.BigNumber:
                return "(" + ReferenceParser.Escape(reader.Value);
            case RespType.Double:
                return "," + ReferenceParser.Escape(reader.Value);
            case RespType.Boolean:
                return "#" + ReferenceParser.Escape(reader.Value);
            case RespType.BulkString:
                return $"\"{ReferenceParser.Escape(reader.Value)}\"";
            case RespType.BulkError:
                return $"!\"{ReferenceParser.Escape(reader.Value)}\"";
            case RespType.VerbatimString:
                return $"=\"{ReferenceParser.Escape(reader.Value)}\"";
            default:
                var mark = reader.Type switch
                {
                    RespType.Array => "",
                    RespType.Set => "~",
                    RespType.Map => "%",
                    RespType.Push => ">",
                    _ => throw new InvalidOperationException($"The reader stands on {reader.Type}."),
                };
                var items = new string[reader.Count];
                for (var i = 0; i < items.Length; i++)
                    items[i] = reader.Read() ? Render(ref reader) : throw new InvalidOperationException("The frame ended early.");
                return $"{mark}[{string.Join(' ', items)}]";
        }
    }

    private static void Receive(ReceiveBuffer buffer, FrameScanner scanner, ReadOnlySpan<byte> bytes, Action<byte[]>? onFrame)
    {
        while (!bytes.IsEmpty)
        {
            var room = buffer.GetMemory(scanner.Needed);
            Assert.False(room.IsEmpty);
            var count = Math.Min(room.Length, bytes.Length);
            bytes[..count].CopyTo(room.Span);
            bytes = bytes[count..];
            buffer.Received(count);
            while (scanner.Scan(buffer.Unread) is var length and > 0)
            {
                var frame = buffer.Unread[..length];
                if (scanner.HasStreamedParts)
                {
                    var plain = StreamedFrame.Flatten(frame);
                    onFrame?.Invoke(plain);
                }
                else
                {
                    onFrame?.Invoke(frame.ToArray());
                }

                buffer.Consume(length);
            }
        }
    }

    private sealed class Feed
    {
        private readonly ReceiveBuffer _buffer = new();
        private readonly FrameScanner _scanner = new(RespLimits.Default);
        private readonly List<string> _frames = [];
        private bool _broken;

        public void OnBytes(ReadOnlySpan<byte> bytes)
        {
            if (_broken)
                return;
            try
            {
                Receive(_buffer, _scanner, bytes, OnFrame);
            }
            catch (RespProtocolException)
            {
                _broken = true;
            }
        }

        public Reading ToReading() =>
            new(
                _frames,
                _broken ? StreamEnd.Broken
                    : _buffer.Unread.IsEmpty ? StreamEnd.Clean
                    : StreamEnd.Incomplete
            );

        private void OnFrame(byte[] frame)
        {
            var reader = new RespReader(frame);
            Assert.True(reader.Read());
            Assert.Equal(_scanner.IsPush, reader.Type == RespType.Push);
            Assert.Equal(_scanner.IsError, reader.IsError);
            _frames.Add(Render(ref reader));
            Assert.False(reader.Read(), "There is more in the frame than its first element.");
            var skipping = new RespReader(frame);
            skipping.Read();
            skipping.Skip();
            Assert.False(skipping.Read(), "Skip did not pass over the whole element.");
        }
    }
}
