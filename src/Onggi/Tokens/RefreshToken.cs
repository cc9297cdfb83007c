using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Onggi.Tokens;

/// <summary>What a refresh token says; only we can make one.</summary>
/// <remarks>
/// Its bytes: version 1 · generation, 4 bytes · 32 random bytes · family, subject, session, audience, roles, claims, each with its length in two bytes before it · HMAC-SHA-256 of all that, 32 bytes. In base64url, in exactly one
/// spelling. The MAC is compared before anything else is believed, in constant time, so nothing that was made up ever reaches Redis. Redis knows the SHA-256 of the whole and nothing of the token itself.
/// </remarks>
internal sealed class RefreshToken
{
    public const int MaxLength = 8192;

    private const byte Version = 1;
    private const int MacLength = HMACSHA256.HashSizeInBytes;
    private const int RandomLength = 32;
    private const int HeadLength = 1 + 4 + RandomLength;
    private const char Between = '\n';

    public required int Generation { get; init; }

    public required byte[] Random { get; init; }

    public required string Family { get; init; }

    public required string Subject { get; init; }

    public string? SessionId { get; init; }

    public required string Audience { get; init; }

    public IReadOnlyList<string> Roles { get; init; } = [];

    public IReadOnlyDictionary<string, string> Claims { get; init; } = new Dictionary<string, string>();

    /// <summary>The token as the user has it.</summary>
    public string Text { get; private init; } = "";

    /// <summary>What Redis knows it by.</summary>
    public string Hash => Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Text)));

    /// <summary>The first token of a family.</summary>
    public static RefreshToken First(TokenRequest request, string audience, string family, byte[] secret) =>
        new RefreshToken
        {
            Generation = 0,
            Random = RandomNumberGenerator.GetBytes(RandomLength),
            Family = family,
            Subject = request.Subject,
            SessionId = request.SessionId,
            Audience = audience,
            Roles = request.Roles,
            Claims = request.Claims,
        }.Spelt(secret);

    /// <summary>The token that this one is taken back for.</summary>
    public RefreshToken Successor(TokenChanges? changes, byte[] secret) =>
        new RefreshToken
        {
            Generation = Generation + 1,
            Random = RandomNumberGenerator.GetBytes(RandomLength),
            Family = Family,
            Subject = Subject,
            SessionId = SessionId,
            Audience = Audience,
            Roles = changes?.Roles ?? Roles,
            Claims = changes?.Claims ?? Claims,
        }.Spelt(secret);

    /// <summary>Reads a token; <c>null</c> when it is none that was made with one of the secrets.</summary>
    public static RefreshToken? Read(string? text, IReadOnlyList<byte[]> secrets)
    {
        if (text is null || text.Length is 0 or > MaxLength || !Spelling.IsCanonical(text))
            return null;
        var bytes = Base64Url.DecodeFromChars(text);
        if (bytes.Length < HeadLength + MacLength || bytes[0] != Version)
            return null;
        var body = bytes.AsSpan(0, bytes.Length - MacLength);
        var known = TokenMutants.NoMac;
        Span<byte> mac = stackalloc byte[MacLength];
        foreach (var secret in secrets)
        {
            HMACSHA256.HashData(secret, body, mac);
            known |= CryptographicOperations.FixedTimeEquals(mac, bytes.AsSpan(bytes.Length - MacLength));
        }

        if (!known)
            return null;
        var rest = body[HeadLength..];
        var parts = new string[6];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!TryTake(ref rest, out parts[i]))
                return null;
        }

        return new RefreshToken
        {
            Generation = BinaryPrimitives.ReadInt32BigEndian(body[1..]),
            Random = body.Slice(5, RandomLength).ToArray(),
            Family = parts[0],
            Subject = parts[1],
            SessionId = parts[2].Length > 0 ? parts[2] : null,
            Audience = parts[3],
            Roles = parts[4].Length > 0 ? parts[4].Split(Between) : [],
            Claims = ReadClaims(parts[5]),
            Text = text,
        };
    }

    private RefreshToken Spelt(byte[] secret)
    {
        using var buffer = new MemoryStream();
        Span<byte> number = stackalloc byte[4];
        buffer.WriteByte(Version);
        BinaryPrimitives.WriteInt32BigEndian(number, Generation);
        buffer.Write(number);
        buffer.Write(Random);
        foreach (var part in (string[])[Family, Subject, SessionId ?? "", Audience, string.Join(Between, Roles), WriteClaims(Claims)])
            Put(buffer, part);
        buffer.Write(HMACSHA256.HashData(secret, buffer.ToArray()));
        var text = Base64Url.EncodeToString(buffer.ToArray());
        if (text.Length > MaxLength)
            throw new ArgumentException(
                $"The refresh token would have {text.Length} characters, more than {MaxLength}: it carries the roles and claims of its access tokens. Give them less."
            );
        return new RefreshToken
        {
            Generation = Generation,
            Random = Random,
            Family = Family,
            Subject = Subject,
            SessionId = SessionId,
            Audience = Audience,
            Roles = Roles,
            Claims = Claims,
            Text = text,
        };
    }

    private static void Put(MemoryStream buffer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length > ushort.MaxValue)
            throw new ArgumentException("Roles and claims are too large for a refresh token.");
        Span<byte> length = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)bytes.Length);
        buffer.Write(length);
        buffer.Write(bytes);
    }

    private static bool TryTake(ref Span<byte> rest, out string part)
    {
        part = "";
        if (rest.Length < 2 || BinaryPrimitives.ReadUInt16BigEndian(rest) is var length && rest.Length < 2 + length)
            return false;
        part = Encoding.UTF8.GetString(rest.Slice(2, length));
        rest = rest[(2 + length)..];
        return true;
    }

    // Names and values one after the other; neither can hold the separator, which issuing refuses.
    private static string WriteClaims(IReadOnlyDictionary<string, string> claims) =>
        string.Join(Between, claims.SelectMany(claim => (string[])[claim.Key, claim.Value]));

    private static Dictionary<string, string> ReadClaims(string text)
    {
        var claims = new Dictionary<string, string>(StringComparer.Ordinal);
        var parts = text.Length > 0 ? text.Split(Between) : [];
        for (var i = 0; i + 1 < parts.Length; i += 2)
            claims[parts[i]] = parts[i + 1];
        return claims;
    }
}

/// <summary>Whether base64url is spelt in the one way that we spell it.</summary>
/// <remarks>The last character of a text can have bits that stand for nothing; decoders differ in whether they look at them, and padding, white space and the other alphabet are more ways to write the same bytes.</remarks>
internal static class Spelling
{
    public static bool IsCanonical(ReadOnlySpan<char> text)
    {
        if (TokenMutants.AnySpelling)
            return true;
        foreach (var letter in text)
            if (!char.IsAsciiLetterOrDigit(letter) && letter is not ('-' or '_'))
                return false;
        if (text.IsEmpty || text.Length % 4 == 1)
            return false;
        var unused = (text.Length % 4) switch
        {
            2 => 0b1111,
            3 => 0b11,
            _ => 0,
        };
        return (ValueOf(text[^1]) & unused) == 0;
    }

    private static int ValueOf(char letter) =>
        letter switch
        {
            >= 'A' and <= 'Z' => letter - 'A',
            >= 'a' and <= 'z' => letter - 'a' + 26,
            >= '0' and <= '9' => letter - '0' + 52,
            '-' => 62,
            _ => 63,
        };
}
