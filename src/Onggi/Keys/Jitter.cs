using System.Text;

namespace Onggi.Keys;

/// <summary>
/// How much of its time to live a key loses, so that keys written together do not end together. A function of the key's name alone: every
/// service, language and restart computes the same, so the age of an entry can be told from what is left of its time.
/// </summary>
/// <remarks>
/// 1. FNV-1a over the UTF-8 bytes of the name, 64 bits (offset basis 14695981039346656037, prime 1099511628211).
/// 2. MurmurHash3's finaliser, since FNV's upper bits hardly move for names that differ at the end.
/// 3. The upper 53 bits as a fraction in [0, 1).
/// </remarks>
internal static class Jitter
{
    public static double Fraction(string wireName)
    {
        var hash = 14695981039346656037UL;
        Span<byte> bytes = stackalloc byte[256];
        var rest = wireName.AsSpan();
        var encoder = Encoding.UTF8.GetEncoder();
        var completed = false;
        while (!completed)
        {
            encoder.Convert(rest, bytes, flush: true, out var used, out var written, out completed);
            rest = rest[used..];
            foreach (var value in bytes[..written])
                hash = (hash ^ value) * 1099511628211UL;
        }

        hash ^= hash >> 33;
        hash *= 0xFF51AFD7ED558CCDUL;
        hash ^= hash >> 33;
        hash *= 0xC4CEB9FE1A85EC53UL;
        hash ^= hash >> 33;
        return (hash >> 11) * (1.0 / (1UL << 53));
    }
}
