using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;

namespace Onggi.Tokens;

/// <summary>The keys of one issuer: the one that signs now, those that still check what they signed, and those that are published ahead of their time.</summary>
/// <remarks>
/// Rotation is a matter of time: add a key whose <see cref="TokenKey.SignFrom"/> lies further ahead than verifiers keep the JWKS document, give the ring to every process
/// (<see cref="OnggiTokens.UseKeys"/>, or a restart), and take the old key out later. Of the keys that may sign, the one with the latest start does; the one before goes on to check for as long as a token
/// that it signed can live.
/// </remarks>
public sealed class TokenKeyRing
{
    private readonly FrozenDictionary<string, TokenKey> _byId;
    private readonly TokenKey[] _signing;

    /// <summary>A ring of keys.</summary>
    /// <exception cref="ArgumentException">There is none, or two have the same id.</exception>
    public TokenKeyRing(params IReadOnlyCollection<TokenKey> keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        if (keys.Count == 0)
            throw new ArgumentException("A ring needs a key: without one no token can be checked.", nameof(keys));
        if (keys.GroupBy(key => key.Id, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ArgumentException($"Two keys have the id \"{twice.Key}\": a token could not say which signed it.", nameof(keys));
        Keys = [.. keys];
        _byId = Keys.ToFrozenDictionary(key => key.Id, StringComparer.Ordinal);
        _signing = [.. Keys.Where(key => key.CanSign).OrderBy(key => key.SignFrom)];
    }

    /// <summary>The keys.</summary>
    public IReadOnlyList<TokenKey> Keys { get; }

    /// <summary>Reads the public keys of an issuer from a JWKS document. Keys for encryption and of unknown kinds are left out.</summary>
    /// <exception cref="ArgumentException">It cannot be read, has no key that signs, or has a secret key, which has no place there.</exception>
    public static TokenKeyRing FromJwks(string json)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(json);
        JsonWebKeySet set;
        try
        {
            set = new JsonWebKeySet(json);
        }
        catch (Exception unreadable) when (unreadable is ArgumentException or JsonException or SecurityTokenException)
        {
            throw new ArgumentException("The JWKS document cannot be read: it must be {\"keys\":[…]}.", nameof(json), unreadable);
        }

        var keys = new List<TokenKey>();
        foreach (var one in set.Keys)
        {
            if (one.Kty == JsonWebAlgorithmsKeyTypes.Octet)
                throw new ArgumentException("The JWKS document has a secret key (kty oct): secrets are not published.", nameof(json));
            if (AlgorithmOf(one) is { } algorithm && !string.IsNullOrEmpty(one.Kid) && one.Use is null or "" or "sig")
                keys.Add(new TokenKey(one.Kid, algorithm, one, canSign: false, signFrom: null));
        }

        return keys.Count > 0
            ? new TokenKeyRing(keys)
            : throw new ArgumentException("The JWKS document has no key with a kid that signs (EC or RSA).", nameof(json));
    }

    /// <summary>The public halves as a JWKS document (RFC 7517), those included that do not sign yet. Secrets are not in it.</summary>
    public string ToJwks()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartArray("keys"u8);
            foreach (var key in Keys.Where(key => !key.IsSecret))
                Write(json, key);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    /// <summary>The key of that id, if it is not yet too old to check with; <c>null</c> when there is none.</summary>
    /// <param name="id">The token's <c>kid</c>.</param>
    /// <param name="now">The time.</param>
    /// <param name="overlap">How long a key that no longer signs goes on to check.</param>
    internal TokenKey? Find(string id, DateTimeOffset now, TimeSpan overlap)
    {
        if (!_byId.TryGetValue(id, out var key))
            return null;
        if (!key.CanSign || Successor(key) is not { } next)
            return key;
        return next.SignFrom <= now - overlap ? null : key;
    }

    /// <summary>The key that signs now; <c>null</c> when there is none.</summary>
    internal TokenKey? Signing(DateTimeOffset now) => Array.FindLast(_signing, key => key.SignFrom <= now);

    private TokenKey? Successor(TokenKey key)
    {
        var at = Array.IndexOf(_signing, key);
        return at >= 0 && at + 1 < _signing.Length ? _signing[at + 1] : null;
    }

    private static string? AlgorithmOf(JsonWebKey key) =>
        (key.Kty, key.Crv, key.Alg) switch
        {
            (JsonWebAlgorithmsKeyTypes.EllipticCurve, "P-256", null or "" or SecurityAlgorithms.EcdsaSha256) =>
                SecurityAlgorithms.EcdsaSha256,
            (JsonWebAlgorithmsKeyTypes.EllipticCurve, "P-384", null or "" or SecurityAlgorithms.EcdsaSha384) =>
                SecurityAlgorithms.EcdsaSha384,
            (JsonWebAlgorithmsKeyTypes.EllipticCurve, "P-521", null or "" or SecurityAlgorithms.EcdsaSha512) =>
                SecurityAlgorithms.EcdsaSha512,
            (JsonWebAlgorithmsKeyTypes.RSA, _, null or "") => SecurityAlgorithms.RsaSha256,
            (JsonWebAlgorithmsKeyTypes.RSA, _, ['R' or 'P', 'S', ..] algorithm) => algorithm,
            _ => null,
        };

    private static void Write(Utf8JsonWriter json, TokenKey key)
    {
        json.WriteStartObject();
        json.WriteString("kid"u8, key.Id);
        json.WriteString("use"u8, "sig"u8);
        json.WriteString("alg"u8, key.Algorithm);
        switch (key.Key)
        {
            case ECDsaSecurityKey curve:
                var point = curve.ECDsa.ExportParameters(includePrivateParameters: false);
                json.WriteString("kty"u8, "EC"u8);
                json.WriteString("crv"u8, $"P-{curve.KeySize}");
                json.WriteString("x"u8, Base64UrlEncoder.Encode(point.Q.X!));
                json.WriteString("y"u8, Base64UrlEncoder.Encode(point.Q.Y!));
                break;
            case RsaSecurityKey rsa:
                WriteRsa(json, rsa.Rsa.ExportParameters(includePrivateParameters: false));
                break;
            case JsonWebKey published:
                WritePublished(json, published);
                break;
        }

        json.WriteEndObject();
    }

    private static void WriteRsa(Utf8JsonWriter json, RSAParameters rsa)
    {
        json.WriteString("kty"u8, "RSA"u8);
        json.WriteString("n"u8, Base64UrlEncoder.Encode(rsa.Modulus!));
        json.WriteString("e"u8, Base64UrlEncoder.Encode(rsa.Exponent!));
    }

    private static void WritePublished(Utf8JsonWriter json, JsonWebKey key)
    {
        json.WriteString("kty"u8, key.Kty);
        (string Name, string? Value)[] members = [("crv", key.Crv), ("x", key.X), ("y", key.Y), ("n", key.N), ("e", key.E)];
        foreach (var (name, value) in members)
            if (!string.IsNullOrEmpty(value))
                json.WriteString(name, value);
    }
}
