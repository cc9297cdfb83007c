using System.Security.Cryptography;
using System.Text;
using Onggi.Keys;

namespace Onggi.Tokens;

/// <summary>What tokens need that is worked out once: names, secrets, and who may issue.</summary>
internal sealed class TokenSetup
{
    public TokenSetup(TokenOptions options, Keyspace keyspace, Func<TokenKeyRing?> keys)
    {
        if (string.IsNullOrWhiteSpace(options.Issuer))
            throw new InvalidOperationException(
                "Tokens are off: Tokens:Issuer is not set. Write the name that stands as iss in your tokens, the same in all services."
            );
        Names = TokenNames.Find(keyspace, options.Owner);
        Access = new AccessTokens(options, Names, keys);
        RefreshIdle = options.RefreshIdle < Names.LongestFamily ? options.RefreshIdle : Names.LongestFamily;
        Secrets =
        [
            .. ((string?[])[options.RefreshSecret, .. options.PreviousRefreshSecrets])
                .Where(secret => !string.IsNullOrEmpty(secret))
                .Select(secret =>
                    HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret!), 32, info: "onggi refresh mac 1"u8.ToArray())
                ),
        ];
        CanRefresh = !string.IsNullOrEmpty(options.RefreshSecret);
    }

    public TokenNames Names { get; }

    public AccessTokens Access { get; }

    public TimeSpan RefreshIdle { get; }

    /// <summary>What refresh tokens are authenticated with; the first makes new ones.</summary>
    public IReadOnlyList<byte[]> Secrets { get; }

    public bool CanRefresh { get; }

    /// <summary>For how long something that was revoked must be remembered: as long as an access token can be taken that was issued just before.</summary>
    public TimeSpan Kept => Names.LongestAccess + TokenOptionsValidator.MaxSkew + OnggiTokens.StampTolerance;

    /// <exception cref="InvalidOperationException">There is no secret.</exception>
    public byte[] Secret() =>
        CanRefresh
            ? Secrets[0]
            : throw new InvalidOperationException(
                "Tokens:RefreshSecret is not set, so this service neither issues nor takes refresh tokens. Give it the secret of those that do (openssl rand -base64 32), or issue with WithRefresh = false."
            );
}
