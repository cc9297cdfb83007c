using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>Where in the table of memory a key belongs: cheap to compute, and not to be foretold by those who choose identifiers.</summary>
/// <remarks>
/// The text is folded sixteen bytes at a time, in whatever order the processor keeps them, by a multiplication of 64 × 64 to 128 bits whose halves are added by exclusive or, as wyhash and
/// its like do. The secret is drawn once per process. It is no cryptographic function; <see cref="EntryTable"/> bounds
/// what an adversary who broke it could gain.
/// </remarks>
internal static class EntryHash
{
    private const int Word = sizeof(ulong);
    private const ulong GoldenRatio = 0x9E3779B97F4A7C15;

    private static readonly ulong Seed = Draw();
    private static readonly ulong Secret = Draw();
    private static readonly ulong OtherSecret = Draw();

    public static uint Of(in EntryKey key)
    {
        var hash = Fold(Seed ^ (uint)key.Family.GetHashCode(), key.First);
        return key.Second is null ? Narrow(hash) : Narrow(FoldOthers(hash, key));
    }

    // Folding leaves patterns in the low bits for some secrets, and neighbours among identifiers then crowd together in the table.
    private static uint Narrow(ulong hash)
    {
        hash *= GoldenRatio;
        return (uint)(hash ^ (hash >> 32));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong FoldOthers(ulong hash, in EntryKey key)
    {
        hash = Fold(hash, key.Second!);
        return key.Third is { } third ? Fold(hash, third) : hash;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Fold(ulong hash, string text)
    {
        ref var start = ref Unsafe.As<char, byte>(ref Unsafe.AsRef(in text.GetPinnableReference()));
        var length = text.Length * sizeof(char);
        // The length is a part of it, so the words below may overlap.
        hash ^= (ulong)length << 32;
        return length switch
        {
            <= 2 * Word => FoldShort(hash, ref start, length),
            <= 4 * Word => Mix(Read(ref start, 0) ^ Secret, Read(ref start, Word) ^ hash)
                ^ Mix(Read(ref start, length - (2 * Word)) ^ OtherSecret, Read(ref start, length - Word) ^ hash),
            _ => FoldLong(hash, ref start, length),
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong FoldShort(ulong hash, ref byte start, int length) =>
        length switch
        {
            >= Word => Mix(Read(ref start, 0) ^ Secret, Read(ref start, length - Word) ^ hash),
            >= Word / 2 => Mix(ReadHalf(ref start, 0) ^ Secret, ReadHalf(ref start, length - (Word / 2)) ^ hash),
            // One character, or none: a string is followed by a zero character, so two can be read.
            _ => Mix(ReadHalf(ref start, 0) ^ Secret, hash),
        };

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong FoldLong(ulong hash, ref byte start, int length)
    {
        var at = 0;
        for (; at < length - (2 * Word); at += 2 * Word)
            hash = Mix(Read(ref start, at) ^ Secret, Read(ref start, at + Word) ^ hash);
        return Mix(Read(ref start, length - (2 * Word)) ^ OtherSecret, Read(ref start, length - Word) ^ hash);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read(ref byte start, int at) => Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong ReadHalf(ref byte start, int at) => Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref start, at));

    private static ulong Mix(ulong left, ulong right)
    {
        // The compiler at run time takes the way of BigMul through memory for the lower half, which costs as much as the multiplication.
        if (Bmi2.X64.IsSupported)
            return Bmi2.X64.MultiplyNoFlags(left, right) ^ (left * right);
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
