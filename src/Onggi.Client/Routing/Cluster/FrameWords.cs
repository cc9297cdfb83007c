using System.Buffers.Text;
using Onggi.Client.Resp;

namespace Onggi.Client.Routing.Cluster;

/// <summary>Reads a command back from its bytes, when its caller's arguments are gone.</summary>
internal static class FrameWords
{
    /// <summary>The words of <c>*2\r\n$3\r\nGET\r\n$4\r\nuser\r\n</c>, in memory of their own.</summary>
    public static RedisArg[] Read(ReadOnlySpan<byte> frame)
    {
        var bytes = frame.ToArray();
        var at = 0;
        var words = new RedisArg[Header(bytes, ref at)];
        for (var i = 0; i < words.Length; i++)
        {
            var length = Header(bytes, ref at);
            words[i] = new ReadOnlyMemory<byte>(bytes, at, length);
            at += length + 2;
        }

        return words;
    }

    private static int Header(byte[] bytes, ref int at)
    {
        if (!Utf8Parser.TryParse(bytes.AsSpan(at + 1), out int number, out var digits))
            throw new InvalidOperationException("These are not the bytes of a command.");
        at += 1 + digits + 2;
        return number;
    }
}
