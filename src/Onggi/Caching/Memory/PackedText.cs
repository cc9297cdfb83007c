using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Onggi.Caching;

/// <summary>A text of up to 16 characters of Latin-1, as most identifiers are, in sixteen bytes that lie where they are compared.</summary>
/// <remarks>
/// The text itself lies elsewhere in memory, and a hit would wait for that after it has waited for the entry. From 8 characters on the two halves overlap:
/// each is eight characters long, from the front and from the back. Two texts of the same length are equal when what was made of them is.
/// </remarks>
internal static class PackedText
{
    /// <summary>In characters.</summary>
    public const int Longest = 2 * Half;

    private const int Half = 8;

    /// <summary>Packs a text.</summary>
    /// <returns><c>false</c> when it is longer, or has other characters.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPack(string text, out Vector128<byte> packed)
    {
        if (text.Length is < Half or > Longest)
            return TryPackFew(text, out packed);
        ref var start = ref Unsafe.As<char, ushort>(ref Unsafe.AsRef(in text.GetPinnableReference()));
        var front = Vector128.LoadUnsafe(ref start);
        var back = Vector128.LoadUnsafe(ref start, (nuint)(text.Length - Half));
        packed = Vector128.Narrow(front, back);
        return ((front | back) & Vector128.Create((ushort)0xFF00)) == Vector128<ushort>.Zero;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryPackFew(string text, out Vector128<byte> packed)
    {
        packed = default;
        if (text.Length > Longest)
            return false;
        var bytes = 0UL;
        foreach (var character in text)
        {
            if (character > byte.MaxValue)
                return false;
            bytes = (bytes << 8) | character;
        }

        packed = Vector128.CreateScalar(bytes).AsByte();
        return true;
    }
}
