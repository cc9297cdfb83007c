using System.Security.Claims;

namespace Onggi.Tokens;

/// <summary>Why an access token was refused. For logs and metrics: who sent it is told "no" and nothing more.</summary>
public enum TokenRefusal
{
    /// <summary>It was not.</summary>
    None,

    /// <summary>It is no JWT, is too long, spelt in an unusual way, or lacks a claim that it must have.</summary>
    Malformed,

    /// <summary>It is of an issuer that this service does not know.</summary>
    WrongIssuer,

    /// <summary>It was made for others.</summary>
    WrongAudience,

    /// <summary>It is a JWT of another type, an identity token for example.</summary>
    WrongType,

    /// <summary>It names no key, or one that is not known or no longer checks.</summary>
    UnknownKey,

    /// <summary>It is not signed, or names another algorithm than that of its key.</summary>
    WrongAlgorithm,

    /// <summary>Its signature does not fit.</summary>
    BadSignature,

    /// <summary>Its time has not come.</summary>
    NotYetValid,

    /// <summary>Its time is over.</summary>
    Expired,

    /// <summary>It lives longer than the catalog allows a token, so a revocation would be forgotten before it ends.</summary>
    LivesTooLong,

    /// <summary>It was revoked, or its family was.</summary>
    Revoked,

    /// <summary>Its user was signed out everywhere since.</summary>
    SignedOut,
}

/// <summary>An access token that is in order.</summary>
public sealed class VerifiedToken
{
    /// <summary>The user (<c>sub</c>).</summary>
    public required string Subject { get; init; }

    /// <summary>Its id (<c>jti</c>).</summary>
    public required string TokenId { get; init; }

    /// <summary>Who issued it.</summary>
    public required string Issuer { get; init; }

    /// <summary>Whether that is not us.</summary>
    public bool IsForeign { get; init; }

    /// <summary>The session that it belongs to (<c>sid</c>); <c>null</c> for none.</summary>
    public string? SessionId { get; init; }

    /// <summary>The refresh family that it came of; <c>null</c> for none.</summary>
    public string? FamilyId { get; init; }

    /// <summary>When it ends.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>What it says, for <c>HttpContext.User</c>; the name is the subject, roles are <c>role</c>.</summary>
    public required ClaimsIdentity Identity { get; init; }

    internal DateTimeOffset NotBefore { get; init; }

    /// <summary>What is compared with the user's epoch.</summary>
    internal long Stamp { get; init; }

    /// <summary>The name of its blacklist entry.</summary>
    internal string DeniedId { get; init; } = "";

    /// <summary>Whose epoch counts for it.</summary>
    internal string SubjectId { get; init; } = "";

    /// <summary>Its id.</summary>
    public override string ToString() => $"token {TokenId} until {ExpiresAt:u}";
}

/// <summary>What was found about an access token.</summary>
public readonly record struct TokenVerdict
{
    private TokenVerdict(VerifiedToken? token, TokenRefusal refusal, bool isConfirmed) =>
        (Token, Refusal, IsConfirmed) = (token, refusal, isConfirmed);

    /// <summary>The token; <c>null</c> when it was refused.</summary>
    public VerifiedToken? Token { get; }

    /// <summary>Why it was refused.</summary>
    public TokenRefusal Refusal { get; }

    /// <summary>Whether Redis was asked: only then is it known that it was not revoked.</summary>
    public bool IsConfirmed { get; }

    /// <summary>Whether it is in order.</summary>
    public bool IsValid => Token is not null;

    internal static TokenVerdict Accepted(VerifiedToken token, bool isConfirmed) => new(token, TokenRefusal.None, isConfirmed);

    internal static TokenVerdict Refused(TokenRefusal refusal) => new(null, refusal, isConfirmed: false);
}
