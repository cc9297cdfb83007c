using System.Security.Cryptography;
using Microsoft.IdentityModel.Tokens;

namespace Onggi.Tokens;

/// <summary>A key that access tokens are signed or checked with, bound to one algorithm: a token that names another is refused, whatever it was signed with.</summary>
/// <remarks>It does not change and is never written out: <see cref="ToString"/> is its id and algorithm.</remarks>
public sealed class TokenKey
{
    private const int LeastRsaBits = 2048;
    private const int LeastSecretBytes = 32;

    internal TokenKey(string id, string algorithm, SecurityKey key, bool canSign, DateTimeOffset? signFrom)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(id);
        Id = id;
        Algorithm = algorithm;
        Key = key;
        Key.KeyId = id;
        CanSign = canSign;
        SignFrom = signFrom ?? DateTimeOffset.MinValue;
    }

    /// <summary>Its name in tokens and in the JWKS document (<c>kid</c>).</summary>
    public string Id { get; }

    /// <summary>The one algorithm it is good for: ES256, ES384, ES512, RS256, PS256 … or HS256.</summary>
    public string Algorithm { get; }

    /// <summary>Whether it is private, or a secret; with a public one tokens can only be checked.</summary>
    public bool CanSign { get; }

    /// <summary>When it begins to sign. Until then it is only published, so that everybody knows it in time.</summary>
    public DateTimeOffset SignFrom { get; }

    internal SecurityKey Key { get; }

    internal bool IsSecret => Key is SymmetricSecurityKey;

    /// <summary>Reads a key from PEM: an elliptic curve (P-256: ES256, P-384: ES384) or RSA of at least 2048 bits (RS256), private or public.</summary>
    /// <param name="id">Its name; never given to another key.</param>
    /// <param name="pem">The text, with its <c>-----BEGIN …</c> line.</param>
    /// <param name="signFrom">When it begins to sign; <c>null</c> for at once.</param>
    /// <exception cref="ArgumentException">It is no such key; the message does not repeat it.</exception>
    public static TokenKey FromPem(string id, string pem, DateTimeOffset? signFrom = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(pem);
        var isPrivate = pem.Contains("PRIVATE KEY-----", StringComparison.Ordinal);
        if (TryImport(ECDsa.Create(), pem) is ECDsa curve)
            return OfCurve(id, curve, isPrivate, signFrom);
        if (TryImport(RSA.Create(), pem) is RSA rsa)
            return rsa.KeySize >= LeastRsaBits
                ? new TokenKey(id, SecurityAlgorithms.RsaSha256, new RsaSecurityKey(rsa), isPrivate, signFrom)
                : throw new ArgumentException(
                    $"The RSA key \"{id}\" has {rsa.KeySize} bits and needs {LeastRsaBits}: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256.",
                    nameof(pem)
                );
        throw new ArgumentException(
            $"The text of the key \"{id}\" is neither an elliptic curve nor an RSA key in PEM. Make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256.",
            nameof(pem)
        );
    }

    /// <summary>A secret that signs and checks (HS256). Whoever can check such tokens can make them: for a single service, or for development. It is not in the JWKS document.</summary>
    /// <param name="id">Its name; never given to another key.</param>
    /// <param name="secret">At least 32 random bytes; copied.</param>
    /// <param name="signFrom">When it begins to sign; <c>null</c> for at once.</param>
    /// <exception cref="ArgumentException">It is too short.</exception>
    public static TokenKey FromSecret(string id, ReadOnlySpan<byte> secret, DateTimeOffset? signFrom = null) =>
        secret.Length >= LeastSecretBytes
            ? new TokenKey(id, SecurityAlgorithms.HmacSha256, new SymmetricSecurityKey(secret.ToArray()), canSign: true, signFrom)
            : throw new ArgumentException(
                $"The secret \"{id}\" has {secret.Length} bytes and needs {LeastSecretBytes}: openssl rand -base64 32.",
                nameof(secret)
            );

    /// <summary>A new ES256 key that lives as long as this process: for tests and development.</summary>
    public static TokenKey Generate(string id, DateTimeOffset? signFrom = null) =>
        OfCurve(id, ECDsa.Create(ECCurve.NamedCurves.nistP256), canSign: true, signFrom);

    /// <summary>The id and the algorithm; never the key.</summary>
    public override string ToString() => $"{Id} ({Algorithm})";

    private static TokenKey OfCurve(string id, ECDsa curve, bool canSign, DateTimeOffset? signFrom) =>
        new(
            id,
            curve.KeySize switch
            {
                256 => SecurityAlgorithms.EcdsaSha256,
                384 => SecurityAlgorithms.EcdsaSha384,
                521 => SecurityAlgorithms.EcdsaSha512,
                _ => throw new ArgumentException(
                    $"The key \"{id}\" is on a curve of {curve.KeySize} bits; P-256, P-384 and P-521 are known."
                ),
            },
            new ECDsaSecurityKey(curve),
            canSign,
            signFrom
        );

    private static AsymmetricAlgorithm? TryImport(AsymmetricAlgorithm empty, string pem)
    {
        try
        {
            empty.ImportFromPem(pem);
            return empty;
        }
        catch (Exception other) when (other is CryptographicException or ArgumentException)
        {
            empty.Dispose();
            return null;
        }
    }
}
