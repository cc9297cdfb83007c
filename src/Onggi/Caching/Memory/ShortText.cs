using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Onggi.Caching;

/// <summary>A text of 8 to 16 characters, as most identifiers are, where it is compared; of others only the length.</summary>
/// <remarks>
/// The text itself lies elsewhere in memory, and a hit would wait for that after it has waited for the entry. The two halves overlap: each is eight characters
/// long, from the front and from the back.
/// </remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly struct ShortText
{
    private const int Half = 8;

    private readonly Vector128<ushort> _front;
    private readonly Vector128<ushort> _back;
    private readonly int _length;

    public ShortText(string text)
    {
        _length = text.Length;
        if (IsWhole)
            (_front, _back) = Halves(text);
    }

    /// <summary>Whether <see cref="SaysTheSame"/> is the whole answer.</summary>
    public bool IsWhole => _length is >= Half and <= 2 * Half;

    /// <summary>Whether it is this text, where <see cref="IsWhole"/>.</summary>
    public bool SaysTheSame(string text)
    {
        if (text.Length != _length)
            return false;
        var (front, back) = Halves(text);
        return ((front ^ _front) | (back ^ _back)) == Vector128<ushort>.Zero;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<ushort> Front, Vector128<ushort> Back) Halves(string text)
    {
        ref var start = ref Unsafe.As<char, ushort>(ref Unsafe.AsRef(in text.GetPinnableReference()));
        return (Vector128.LoadUnsafe(ref start), Vector128.LoadUnsafe(ref start, (nuint)(text.Length - Half)));
    }
}
