using System.Buffers;
using System.Text;

namespace Onggi.Client.Routing.Cluster;

/// <summary>The hash slot of a key: CRC16 (XMODEM) of its hash tag, modulo 16,384.</summary>
/// <remarks>The tag is what stands between the first <c>{</c> and the first <c>}</c> behind it; where there is none, or nothing in it, it is the whole key.</remarks>
internal static class HashSlot
{
    /// <summary>How many slots there are.</summary>
    public const int Count = 16_384;

    private const int OnStack = 256;

    private static readonly ushort[] Table = MakeTable();

    /// <summary>The slot of a key, in 0..16,383.</summary>
    public static int Of(ReadOnlySpan<byte> key) => Crc16(Tag(key)) & (Count - 1);

    /// <summary>The slot of a key as it will be sent. Text that is not Unicode has some slot: writing the command refuses it.</summary>
    public static int Of(in RedisArg key)
    {
        if (key.MostBytes <= OnStack)
        {
            Span<byte> bytes = stackalloc byte[OnStack];
            return Of(bytes[..key.WriteTo(bytes, Encoding.UTF8)]);
        }

        var rented = ArrayPool<byte>.Shared.Rent(checked((int)key.MostBytes));
        try
        {
            return Of(rented.AsSpan(0, key.WriteTo(rented, Encoding.UTF8)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private static ReadOnlySpan<byte> Tag(ReadOnlySpan<byte> key)
    {
        var open = key.IndexOf((byte)'{');
        if (open < 0)
            return key;
        var length = key[(open + 1)..].IndexOf((byte)'}');
        return length > 0 ? key.Slice(open + 1, length) : key;
    }

    /// <summary>The checksum that a slot is made of, going on from that of what stands before.</summary>
    internal static ushort Crc16(ReadOnlySpan<byte> bytes, ushort before = 0)
    {
        int crc = before;
        foreach (var one in bytes)
            crc = ((crc << 8) ^ Table[((crc >> 8) ^ one) & 0xff]) & 0xffff;
        return (ushort)crc;
    }

    // Polynomial x^16 + x^12 + x^5 + 1, highest bit first, beginning with 0.
    private static ushort[] MakeTable()
    {
        var table = new ushort[256];
        for (var i = 0; i < table.Length; i++)
        {
            var crc = i << 8;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
            table[i] = (ushort)crc;
        }

        return table;
    }
}
