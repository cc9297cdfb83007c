using System.Security.Cryptography;
using System.Text;
using Onggi.Client.Routing.Cluster;

namespace Onggi.Keys;

/// <summary>Ids that bring their key into a chosen slot of the cluster, so that one script, or one MGET, may use it together with others. No braces are needed.</summary>
/// <remarks>
/// CRC16 is linear: the checksum of a name with a suffix is that of the name with as many zero bytes, XOR that of the suffix alone. A table tells for each slot three characters with that checksum, so the right
/// suffix is one look. It is a function of the rest of the name: it takes nothing from the id's randomness, and adds nothing.
/// </remarks>
internal static class SlotSteering
{
    /// <summary>How many characters are appended.</summary>
    public const int SuffixLength = 3;

    private const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    private static readonly Lazy<int[]> Suffixes = new(MakeTable);

    /// <summary>The slot of a key.</summary>
    public static int SlotOf(string wireName) => HashSlot.Of(Encoding.UTF8.GetBytes(wireName));

    /// <summary>Three characters of base64url that bring <paramref name="wireName"/>, when they are appended, into the slot.</summary>
    /// <param name="wireName">The name so far; without braces, which would decide the slot alone.</param>
    /// <param name="slot">Where it is to be.</param>
    public static string SuffixTo(string wireName, int slot)
    {
        var zeroed = HashSlot.Of(Encoding.UTF8.GetBytes(wireName + "\0\0\0"));
        var suffix = Suffixes.Value[zeroed ^ slot];
        return string.Create(SuffixLength, suffix, static (text, packed) => Spell(text, packed));
    }

    /// <summary>An id of 144 random bits whose key, <paramref name="before"/> with the id appended, is in the slot.</summary>
    public static string NewId(string before, int slot)
    {
        var random = Convert.ToBase64String(RandomNumberGenerator.GetBytes(18)).Replace('+', '-').Replace('/', '_');
        return random + SuffixTo(before + random, slot);
    }

    private static void Spell(Span<char> text, int packed)
    {
        text[0] = Letters[packed >> 12];
        text[1] = Letters[(packed >> 6) & 63];
        text[2] = Letters[packed & 63];
    }

    private static int[] MakeTable()
    {
        var table = new int[HashSlot.Count];
        Array.Fill(table, -1);
        Span<byte> bytes = stackalloc byte[SuffixLength];
        Span<char> text = stackalloc char[SuffixLength];
        for (var packed = 0; packed < 64 * 64 * 64; packed++)
        {
            Spell(text, packed);
            Encoding.ASCII.GetBytes(text, bytes);
            ref var place = ref table[HashSlot.Of(bytes)];
            if (place < 0)
                place = packed;
        }

        return table;
    }
}
