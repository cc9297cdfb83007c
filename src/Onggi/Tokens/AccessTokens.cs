using System.Security.Claims;
using System.Text;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Onggi.Tokens;

/// <summary>Makes access tokens and reads them: all that can be done without Redis.</summary>
/// <remarks>A token chooses nothing: its issuer must be one that we know, its key one of that issuer's, and its algorithm the one that the key is bound to.</remarks>
internal sealed class AccessTokens
{
    private const string Type = "at+jwt";
    private const string RoleClaim = "role";
    private const string FamilyClaim = "fam";
    private const string StampClaim = "iat_ms";
    private const int MaxLength = 16 * 1024;
    private const int MaxName = 512;

    private static readonly string[] OwnClaims =
    [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        RoleClaim,
        FamilyClaim,
        StampClaim,
    ];

    private static readonly JsonWebTokenHandler Handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = MaxLength };

    private readonly TokenOptions _options;
    private readonly TokenNames _names;
    private readonly Func<TokenKeyRing?> _keys;
    private readonly TimeSpan _overlap;
    private readonly List<Known> _foreign;

    public AccessTokens(TokenOptions options, TokenNames names, Func<TokenKeyRing?> keys)
    {
        (_options, _names, _keys) = (options, names, keys);
        _overlap = names.LongestAccess + TokenOptionsValidator.MaxSkew;
        Audiences = options.Audiences.Count > 0 ? [.. options.Audiences] : [options.Issuer];
        Lifetime = options.AccessLifetime < names.LongestAccess ? options.AccessLifetime : names.LongestAccess;
        _foreign =
        [
            .. options.Foreign.Select(one => new Known(
                one.Issuer,
                TokenKeyRing.FromJwks(one.Jwks),
                [.. one.Audiences],
                one.Types.Count > 0 ? [.. one.Types] : [Type, "JWT"],
                IsForeign: true,
                one.SharesSubjects
            )),
        ];
    }

    private sealed record Known(string Issuer, TokenKeyRing Keys, string[] Audiences, string[] Types, bool IsForeign, bool SharesSubjects);

    public string[] Audiences { get; }

    public TimeSpan Lifetime { get; }

    /// <exception cref="ArgumentException">Something in it cannot stand in a token.</exception>
    public static void Check(TokenRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentException.ThrowIfNullOrWhiteSpace(request.Subject, "request.Subject");
        if (request.Subject.Length > MaxName)
            throw new ArgumentException($"The subject has {request.Subject.Length} characters, more than {MaxName}.", nameof(request));
        Check(request.Roles, request.Claims);
        if (request.AccessLifetime < TimeSpan.FromSeconds(1))
            throw new ArgumentException("An access token must live for at least a second.", nameof(request));
    }

    /// <exception cref="ArgumentException">Something in them cannot stand in a token.</exception>
    public static void Check(IReadOnlyList<string>? roles, IReadOnlyDictionary<string, string>? claims)
    {
        foreach (var name in claims?.Keys ?? [])
            if (string.IsNullOrEmpty(name) || OwnClaims.Contains(name))
                throw new ArgumentException($"The claim \"{name}\" is written by the library; give yours another name.", nameof(claims));
        string[] texts = [.. roles ?? [], .. claims?.Keys ?? [], .. claims?.Values ?? []];
        if (texts.Any(text => text.Contains('\n', StringComparison.Ordinal)) || roles?.Contains("") == true)
            throw new ArgumentException("Roles and claims cannot hold line breaks, and roles cannot be empty.");
    }

    /// <summary>Signs an access token.</summary>
    /// <param name="token">What it is to say of the user: the refresh token that comes with it, or would.</param>
    /// <param name="tokenId">Its id.</param>
    /// <param name="withFamily">Whether it belongs to the family.</param>
    /// <param name="stamp">When it is issued, ms of Redis's clock.</param>
    /// <param name="lifetime">How long it is good for.</param>
    /// <exception cref="InvalidOperationException">There is no key to sign with.</exception>
    public (string Text, DateTimeOffset ExpiresAt) Sign(RefreshToken token, string tokenId, bool withFamily, long stamp, TimeSpan lifetime)
    {
        var key =
            _keys()?.Signing(DateTimeOffset.FromUnixTimeMilliseconds(stamp))
            ?? throw new InvalidOperationException(
                "No key signs tokens now: this service can only check them. Give options.TokenKeys a ring with a private key whose SignFrom has come."
            );
        var issued = stamp / 1000;
        var expires = (stamp + (long)lifetime.TotalMilliseconds) / 1000;
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("iss"u8, _options.Issuer);
            json.WriteString("sub"u8, token.Subject);
            json.WriteString("aud"u8, token.Audience);
            json.WriteString("jti"u8, tokenId);
            json.WriteNumber("iat"u8, issued);
            json.WriteNumber("nbf"u8, issued);
            json.WriteNumber("exp"u8, expires);
            json.WriteNumber(StampClaim, stamp);
            if (token.SessionId is { } session)
                json.WriteString("sid"u8, session);
            if (withFamily)
                json.WriteString(FamilyClaim, token.Family);
            if (token.Roles.Count > 0)
            {
                json.WriteStartArray(RoleClaim);
                foreach (var role in token.Roles)
                    json.WriteStringValue(role);
                json.WriteEndArray();
            }

            foreach (var (name, value) in token.Claims)
                json.WriteString(name, value);
            json.WriteEndObject();
        }

        var text = Handler.CreateToken(
            Encoding.UTF8.GetString(buffer.ToArray()),
            new SigningCredentials(key.Key, key.Algorithm),
            new Dictionary<string, object>(StringComparer.Ordinal) { ["typ"] = Type }
        );
        return (text, DateTimeOffset.FromUnixTimeSeconds(expires));
    }

    /// <summary>Everything about a token but its time and whether it was revoked.</summary>
    public async ValueTask<TokenVerdict> InspectAsync(string? text, DateTimeOffset now)
    {
        if (!IsWellFormed(text))
            return TokenVerdict.Refused(TokenRefusal.Malformed);
        JsonWebToken token;
        try
        {
            token = new JsonWebToken(text);
        }
        catch (Exception unreadable) when (unreadable is ArgumentException or SecurityTokenException or JsonException)
        {
            return TokenVerdict.Refused(TokenRefusal.Malformed);
        }

        if (Issuer(token) is not { } issuer)
            return TokenVerdict.Refused(TokenRefusal.WrongIssuer);
        if (string.IsNullOrEmpty(token.Kid) || issuer.Keys.Find(token.Kid, now, _overlap) is not { } key)
            return TokenVerdict.Refused(
                token.Alg is null or "" or "none" && !TokenMutants.Unsigned ? TokenRefusal.WrongAlgorithm : TokenRefusal.UnknownKey
            );
        // Told by the key, never by the token: a public key must not become the secret of HS256.
        if (token.Alg != key.Algorithm && !TokenMutants.Unsigned)
            return TokenVerdict.Refused(TokenRefusal.WrongAlgorithm);
        var checkedToken = await Handler.ValidateTokenAsync(token, Rules(issuer, key)).ConfigureAwait(Rt.Capture);
        if (!checkedToken.IsValid)
            return TokenVerdict.Refused(Why(checkedToken.Exception));
        return Understand(token, issuer, checkedToken.ClaimsIdentity) is { } verified
            ? TokenVerdict.Accepted(verified, isConfirmed: false)
            : TokenVerdict.Refused(TokenRefusal.Malformed);
    }

    /// <summary>Whether it is the token's time.</summary>
    public TokenRefusal Judge(VerifiedToken token, DateTimeOffset now)
    {
        var skew = _options.ClockSkew;
        return token.NotBefore > now + skew ? TokenRefusal.NotYetValid
            : token.ExpiresAt + skew <= now ? TokenRefusal.Expired
            : token.ExpiresAt > now + _names.LongestAccess + skew + OnggiTokens.StampTolerance ? TokenRefusal.LivesTooLong
            : TokenRefusal.None;
    }

    private static bool IsWellFormed(string? text)
    {
        if (text is null || text.Length is 0 or > MaxLength)
            return false;
        var parts = 0;
        foreach (var part in text.AsSpan().Split('.'))
        {
            parts++;
            var segment = text.AsSpan(part);
            if (parts == 3 && segment.IsEmpty && TokenMutants.Unsigned)
                continue;
            if (parts > 3 || !Spelling.IsCanonical(segment))
                return false;
        }

        return parts == 3;
    }

    private Known? Issuer(JsonWebToken token)
    {
        if (_options.Issuer.Length > 0 && token.Issuer == _options.Issuer)
            return _keys() is { } keys ? new Known(_options.Issuer, keys, Audiences, [Type], IsForeign: false, SharesSubjects: true) : null;
        return _foreign.Find(one => one.Issuer == token.Issuer);
    }

    private static TokenValidationParameters Rules(Known issuer, TokenKey key) =>
        new()
        {
            ValidIssuer = issuer.Issuer,
            ValidAudiences = issuer.Audiences,
            ValidateAudience = !TokenMutants.AnyAudience,
            ValidTypes = issuer.Types,
            ValidAlgorithms = TokenMutants.Unsigned ? null : [key.Algorithm],
            IssuerSigningKey = key.Key,
            TryAllIssuerSigningKeys = false,
            RequireSignedTokens = !TokenMutants.Unsigned,
            RequireExpirationTime = true,
            // By Redis's clock, elsewhere.
            LifetimeValidator = static (_, expires, _, _) => expires is not null,
            NameClaimType = JwtRegisteredClaimNames.Sub,
            RoleClaimType = RoleClaim,
        };

    private static TokenRefusal Why(Exception? failure) =>
        failure switch
        {
            SecurityTokenInvalidAudienceException => TokenRefusal.WrongAudience,
            SecurityTokenInvalidTypeException => TokenRefusal.WrongType,
            SecurityTokenInvalidAlgorithmException => TokenRefusal.WrongAlgorithm,
            SecurityTokenInvalidIssuerException => TokenRefusal.WrongIssuer,
            SecurityTokenSignatureKeyNotFoundException => TokenRefusal.BadSignature,
            SecurityTokenInvalidSignatureException => TokenRefusal.BadSignature,
            _ => TokenRefusal.Malformed,
        };

    private static VerifiedToken? Understand(JsonWebToken token, Known issuer, ClaimsIdentity identity)
    {
        if (
            string.IsNullOrEmpty(token.Subject)
            || string.IsNullOrEmpty(token.Id)
            || token.Subject.Length > MaxName
            || token.Id.Length > MaxName
        )
            return null;
        long stamp = 0;
        if (issuer.IsForeign)
            // Seconds are all there is: a token from the second of a sign-out counts as older than it.
            stamp = token.TryGetPayloadValue<long>("iat", out var seconds) ? seconds * 1000 : 0;
        else if (!token.TryGetPayloadValue(StampClaim, out stamp))
            return null;
        return new VerifiedToken
        {
            Subject = token.Subject,
            TokenId = token.Id,
            Issuer = issuer.Issuer,
            IsForeign = issuer.IsForeign,
            SessionId = token.TryGetPayloadValue<string>("sid", out var session) ? session : null,
            FamilyId = !issuer.IsForeign && token.TryGetPayloadValue<string>(FamilyClaim, out var family) ? family : null,
            ExpiresAt = new DateTimeOffset(token.ValidTo, TimeSpan.Zero),
            NotBefore = new DateTimeOffset(token.ValidFrom == DateTime.MinValue ? token.IssuedAt : token.ValidFrom, TimeSpan.Zero),
            Identity = identity,
            Stamp = stamp,
            DeniedId = issuer.IsForeign ? TokenNames.Foreign(issuer.Issuer, token.Id) : token.Id,
            SubjectId = issuer.SharesSubjects ? token.Subject : TokenNames.Foreign(issuer.Issuer, token.Subject),
        };
    }
}
