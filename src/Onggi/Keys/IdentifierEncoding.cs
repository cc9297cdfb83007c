using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Onggi.Keys;

/// <summary>How an identifier stands in a key: escaped, or hashed when it is personal.</summary>
/// <remarks>
/// Escaped are <c>% { } :</c>, white space, control characters and half surrogates, each as <c>%</c> and two upper-case hexadecimal digits per
/// UTF-8 byte (a half surrogate as the three bytes it would have). Everything else stays readable in redis-cli. Since <c>%</c> itself is
/// escaped, two different identifiers never give the same text.
/// </remarks>
internal static class IdentifierEncoding
{
    /// <summary>128 bits in base64url.</summary>
    public const int HashLength = 22;

    private const string Hex = "0123456789ABCDEF";

    private static readonly SearchValues<char> Escaped = SearchValues.Create([
        .. Enumerable.Range(0, char.MaxValue + 1).Select(code => (char)code).Where(IsEscaped),
    ]);

    private static readonly SearchValues<char> HashCharacters = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    );

    /// <summary>The identifier as it stands in a key; the same object when nothing needs escaping.</summary>
    public static string Escape(string identifier)
    {
        var first = identifier.AsSpan().IndexOfAny(Escaped);
        return first < 0 ? identifier : EscapeFrom(identifier, first);
    }

    /// <summary>The identifier that an escaped text stands for; <c>null</c> when <see cref="Escape"/> never makes that text.</summary>
    public static string? Unescape(string text)
    {
        if (text.AsSpan().IndexOfAny(Escaped) < 0)
            return text;
        var units = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; )
        {
            if (text[i] != '%')
            {
                units.Append(text[i++]);
                continue;
            }

            if (!TryReadByte(text, i, out var lead))
                return null;
            var length = lead switch
            {
                < 0x80 => 1,
                < 0xE0 => 2,
                < 0xF0 => 3,
                _ => 0,
            };
            var code = length switch
            {
                1 => lead,
                2 => lead & 0x1F,
                _ => lead & 0x0F,
            };
            for (var n = 1; n < length; n++)
            {
                if (!TryReadByte(text, i + (3 * n), out var next))
                    return null;
                code = (code << 6) | (next & 0x3F);
            }

            if (length == 0)
                return null;
            units.Append((char)code);
            i += 3 * length;
        }

        var identifier = units.ToString();
        return Escape(identifier) == text ? identifier : null;
    }

    /// <summary>HMAC-SHA-256 of the identifier under the team's secret, cut to 128 bits, in base64url: the same person gives the same text in every family.</summary>
    public static string Hash(byte[] secret, string identifier)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(Escape(identifier)), hash);
        return Base64Url.EncodeToString(hash[..16]);
    }

    /// <summary>Whether a text can be the encoded form of an identifier.</summary>
    public static bool CanBe(string text, bool hashed) =>
        hashed ? text.Length == HashLength && !text.AsSpan().ContainsAnyExcept(HashCharacters) : Unescape(text) is not null;

    private static bool IsEscaped(char c) =>
        c is '%' or '{' or '}' or ':' || char.IsControl(c) || char.IsWhiteSpace(c) || char.IsSurrogate(c);

    private static string EscapeFrom(string identifier, int first)
    {
        var escaped = new StringBuilder(identifier.Length + 16);
        escaped.Append(identifier, 0, first);
        for (var i = first; i < identifier.Length; i++)
        {
            var c = identifier[i];
            if (char.IsHighSurrogate(c) && i + 1 < identifier.Length && char.IsLowSurrogate(identifier[i + 1]))
                escaped.Append(c).Append(identifier[++i]);
            else if (!IsEscaped(c))
                escaped.Append(c);
            else if (c < 0x80)
                Append(escaped, c);
            else if (c < 0x800)
            {
                Append(escaped, 0xC0 | (c >> 6));
                Append(escaped, 0x80 | (c & 0x3F));
            }
            else
            {
                Append(escaped, 0xE0 | (c >> 12));
                Append(escaped, 0x80 | ((c >> 6) & 0x3F));
                Append(escaped, 0x80 | (c & 0x3F));
            }
        }

        return escaped.ToString();
    }

    private static void Append(StringBuilder text, int value) => text.Append('%').Append(Hex[value >> 4]).Append(Hex[value & 15]);

    private static bool TryReadByte(string text, int at, out int value)
    {
        value = 0;
        if (at + 2 >= text.Length || text[at] != '%')
            return false;
        var high = Hex.IndexOf(text[at + 1], StringComparison.Ordinal);
        var low = Hex.IndexOf(text[at + 2], StringComparison.Ordinal);
        value = (high << 4) | low;
        return high >= 0 && low >= 0;
    }
}
