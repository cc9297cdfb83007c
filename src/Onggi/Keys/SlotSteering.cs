using System.Security.Cryptography;
using System.Text;
using Onggi.Client.Routing.Cluster;

namespace Onggi.Keys;

/// <summary>Finds three characters that bring a name into a chosen hash slot, so that names without braces can share one.</summary>
/// <remarks>
/// CRC16 is linear over GF(2): <c>crc(name + suffix) = crc(name + 3 zero bytes) ^ crc(suffix)</c>. Of the 64³ suffixes of base64url characters there is at least one for
/// each of the 16,384 slots; a table keeps one of each. The suffix is a function of the name and the slot, so it neither adds to nor takes from what is random in a name.
/// </remarks>
internal static class SlotSteering
{
    /// <summary>How many characters a suffix has.</summary>
    public const int Length = 3;

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    private static readonly byte[] Suffixes = MakeSuffixes();

    /// <summary>Writes the suffix that brings a name into a slot.</summary>
    /// <param name="name">The name without the suffix, which must be its end; without braces.</param>
    /// <param name="slot">0 to 16,383.</param>
    /// <param name="suffix">Three bytes.</param>
    public static void Write(ReadOnlySpan<byte> name, int slot, Span<byte> suffix) => Write(HashSlot.Crc16(name), slot, suffix);

    /// <summary>The same, where the CRC of the name is known.</summary>
    public static void Write(ushort crc, int slot, Span<byte> suffix)
    {
        ReadOnlySpan<byte> zeros = [0, 0, 0];
        var wanted = (HashSlot.Crc16(zeros, crc) ^ slot) & (HashSlot.Count - 1);
        Suffixes.AsSpan(wanted * Length, Length).CopyTo(suffix);
    }

    /// <summary>The slot of a key.</summary>
    public static int SlotOf(string wireName) => HashSlot.Of(Encoding.UTF8.GetBytes(wireName));

    /// <summary>The suffix that brings a name into a slot, as text.</summary>
    public static string SuffixTo(string name, int slot)
    {
        Span<byte> suffix = stackalloc byte[Length];
        Write(Encoding.UTF8.GetBytes(name), slot, suffix);
        return Encoding.ASCII.GetString(suffix);
    }

    /// <summary>An id of 144 random bits whose key, <paramref name="before"/> with the id appended, is in the slot.</summary>
    public static string NewId(string before, int slot)
    {
        var random = Convert.ToBase64String(RandomNumberGenerator.GetBytes(18)).Replace('+', '-').Replace('/', '_');
        return random + SuffixTo(before + random, slot);
    }

    private static byte[] MakeSuffixes()
    {
        var suffixes = new byte[HashSlot.Count * Length];
        Span<byte> suffix = stackalloc byte[Length];
        for (var i = 0; i < Alphabet.Length * Alphabet.Length * Alphabet.Length; i++)
        {
            suffix[0] = (byte)Alphabet[i >> 12];
            suffix[1] = (byte)Alphabet[(i >> 6) & 63];
            suffix[2] = (byte)Alphabet[i & 63];
            var place = suffixes.AsSpan((HashSlot.Crc16(suffix) & (HashSlot.Count - 1)) * Length, Length);
            if (place[0] == 0)
                suffix.CopyTo(place);
        }

        return suffixes;
    }
}
