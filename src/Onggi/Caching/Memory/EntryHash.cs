using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Where in the table of memory a key belongs: cheap to compute, and not to be foretold by those who choose identifiers.</summary>
/// <remarks>
/// The text is folded sixteen bytes at a time by a multiplication of 64 × 64 to 128 bits whose halves are added by exclusive or, as wyhash and
/// its like do. The secret is drawn once per process. It is no cryptographic function; <see cref="EntryTable"/> bounds
/// what an adversary who broke it could gain.
/// </remarks>
internal static class EntryHash
{
    private static readonly ulong Seed = Draw();
    private static readonly ulong Secret = Draw();

    public static uint Of(in EntryKey key)
    {
        var hash = Fold(Seed ^ (uint)key.Family.GetHashCode(), key.First);
        if (key.Second is { } second)
        {
            hash = Fold(hash, second);
            if (key.Third is { } third)
                hash = Fold(hash, third);
        }

        return (uint)(hash ^ (hash >> 32));
    }

    private static ulong Fold(ulong hash, string text)
    {
        var bytes = MemoryMarshal.AsBytes(text.AsSpan());
        hash ^= (ulong)bytes.Length << 32;
        while (bytes.Length > 16)
        {
            hash = Mix(
                BinaryPrimitives.ReadUInt64LittleEndian(bytes) ^ Secret,
                BinaryPrimitives.ReadUInt64LittleEndian(bytes[sizeof(ulong)..]) ^ hash
            );
            bytes = bytes[16..];
        }

        // The rest, up to sixteen bytes, in two words that may overlap: the length is already mixed in.
        var (low, high) = bytes.Length switch
        {
            >= 8 => (BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes[^8..])),
            >= 4 => (BinaryPrimitives.ReadUInt32LittleEndian(bytes), (ulong)BinaryPrimitives.ReadUInt32LittleEndian(bytes[^4..])),
            >= 2 => (BinaryPrimitives.ReadUInt16LittleEndian(bytes), 0ul),
            _ => (0ul, 0ul),
        };
        return Mix(low ^ Secret, high ^ hash);
    }

    private static ulong Mix(ulong left, ulong right)
    {
        var high = Math.BigMul(left, right, out var low);
        return high ^ low;
    }

    private static ulong Draw()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(bytes);
        // An odd number is never zero, so no text can be multiplied away without knowing it.
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes) | 1;
    }
}
