using System.Security.Cryptography;
using System.Text;

namespace Onggi.Tokens;

/// <summary>The answer to a refresh as it waits in Redis for a retry: encrypted under a key that only the holder of the old token has.</summary>
/// <remarks>AES-256-GCM under HKDF-SHA-256 of the old token's random bytes; the family and the generation are authenticated along. Its bytes: nonce 12 · tag 16 · ciphertext.</remarks>
internal static class SealedSuccessor
{
    private const int NonceLength = 12;
    private const int TagLength = 16;
    private const char Between = '\n';

    public static byte[] Seal(RefreshToken old, IssuedTokens answer)
    {
        var plain = Encoding.UTF8.GetBytes(
            string.Join(
                Between,
                answer.AccessToken,
                answer.RefreshToken,
                answer.TokenId,
                answer.AccessExpiresAt.ToUnixTimeMilliseconds().ToString(System.Globalization.CultureInfo.InvariantCulture)
            )
        );
        var box = new byte[NonceLength + TagLength + plain.Length];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceLength));
        using var aes = new AesGcm(KeyOf(old), TagLength);
        aes.Encrypt(
            box.AsSpan(0, NonceLength),
            plain,
            box.AsSpan(NonceLength + TagLength),
            box.AsSpan(NonceLength, TagLength),
            PlaceOf(old)
        );
        CryptographicOperations.ZeroMemory(plain);
        return box;
    }

    /// <summary>The answer; <c>null</c> when the old token does not open it.</summary>
    public static IssuedTokens? Open(RefreshToken old, byte[] box, DateTimeOffset refreshExpiresAt)
    {
        if (box.Length < NonceLength + TagLength)
            return null;
        var plain = new byte[box.Length - NonceLength - TagLength];
        try
        {
            using var aes = new AesGcm(KeyOf(old), TagLength);
            aes.Decrypt(
                box.AsSpan(0, NonceLength),
                box.AsSpan(NonceLength + TagLength),
                box.AsSpan(NonceLength, TagLength),
                plain,
                PlaceOf(old)
            );
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }

        var parts = Encoding.UTF8.GetString(plain).Split(Between);
        CryptographicOperations.ZeroMemory(plain);
        return new IssuedTokens
        {
            AccessToken = parts[0],
            RefreshToken = parts[1],
            TokenId = parts[2],
            AccessExpiresAt = DateTimeOffset.FromUnixTimeMilliseconds(
                long.Parse(parts[3], System.Globalization.CultureInfo.InvariantCulture)
            ),
            RefreshExpiresAt = refreshExpiresAt,
            FamilyId = old.Family,
            Subject = old.Subject,
            SessionId = old.SessionId,
        };
    }

    private static byte[] KeyOf(RefreshToken old) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, old.Random, 32, info: "onggi refresh successor 1"u8.ToArray());

    private static byte[] PlaceOf(RefreshToken old) =>
        Encoding.UTF8.GetBytes(
            string.Join(Between, old.Family, old.Generation.ToString(System.Globalization.CultureInfo.InvariantCulture), old.Subject)
        );
}
