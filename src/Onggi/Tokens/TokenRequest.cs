namespace Onggi.Tokens;

/// <summary>Whom a token is for, and what it is to say.</summary>
public sealed class TokenRequest
{
    /// <summary>The user (<c>sub</c>). Required.</summary>
    public required string Subject { get; init; }

    /// <summary>The session that it belongs to (<c>sid</c>), as it may stand in a token: never a session's secret.</summary>
    /// <value>Default <c>null</c>.</value>
    public string? SessionId { get; init; }

    /// <summary>Who is to read it (<c>aud</c>).</summary>
    /// <value>Default <c>null</c>: the first of <see cref="TokenOptions.Audiences"/>.</value>
    public string? Audience { get; init; }

    /// <summary>What the user may do (<c>role</c>).</summary>
    /// <value>Default empty.</value>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Further claims. Everybody who sees the token can read them.</summary>
    /// <value>Default empty.</value>
    public IReadOnlyDictionary<string, string> Claims { get; init; } = new Dictionary<string, string>();

    /// <summary>How long the access token is good for; at most <see cref="TokenOptions.AccessLifetime"/>.</summary>
    /// <value>Default <c>null</c>: that.</value>
    public TimeSpan? AccessLifetime { get; init; }

    /// <summary>Whether a refresh token comes with it.</summary>
    /// <value>Default <c>true</c>.</value>
    public bool WithRefresh { get; init; } = true;
}

/// <summary>What the next access token is to say that the one before did not; what is left out stays as it was.</summary>
public sealed class TokenChanges
{
    /// <summary>The roles from now on; <c>null</c> for the same.</summary>
    public IReadOnlyList<string>? Roles { get; init; }

    /// <summary>The further claims from now on; <c>null</c> for the same.</summary>
    public IReadOnlyDictionary<string, string>? Claims { get; init; }
}

/// <summary>Tokens as they are handed to the user. They are secrets: <see cref="ToString"/> does not show them.</summary>
public sealed class IssuedTokens
{
    /// <summary>The access token, a signed JWT.</summary>
    public required string AccessToken { get; init; }

    /// <summary>When it ends, by Redis's clock.</summary>
    public required DateTimeOffset AccessExpiresAt { get; init; }

    /// <summary>The refresh token; <c>null</c> when none was asked for.</summary>
    public string? RefreshToken { get; init; }

    /// <summary>When it ends unless it is used, by Redis's clock; <c>null</c> when there is none.</summary>
    public DateTimeOffset? RefreshExpiresAt { get; init; }

    /// <summary>The access token's id (<c>jti</c>).</summary>
    public required string TokenId { get; init; }

    /// <summary>The refresh family: all tokens that came of one sign-in; <c>null</c> when there is none.</summary>
    public string? FamilyId { get; init; }

    /// <summary>The user.</summary>
    public required string Subject { get; init; }

    /// <summary>The session; <c>null</c> for none.</summary>
    public string? SessionId { get; init; }

    /// <summary>The ids, never the tokens.</summary>
    public override string ToString() => $"token {TokenId} until {AccessExpiresAt:u}";
}

/// <summary>How a refresh ended.</summary>
public enum RefreshOutcome
{
    /// <summary>The token was taken back for its successor.</summary>
    Rotated,

    /// <summary>It was used a moment ago: the same successor again.</summary>
    Retried,

    /// <summary>It is no refresh token of ours: made up, cut, changed, or of another secret. Redis was not asked, nothing was revoked.</summary>
    Forged,

    /// <summary>It is one of ours that was used before: somebody kept a copy. Its family is revoked.</summary>
    Reused,

    /// <summary>Its family was revoked.</summary>
    Revoked,

    /// <summary>It was not used for too long, or the family's whole life is over.</summary>
    Expired,

    /// <summary>Redis knows nothing of its family: revoked long ago, or Redis was emptied.</summary>
    Unknown,

    /// <summary>It was used a moment ago, and its successor was dropped for want of memory. Nothing is revoked; the user signs in again.</summary>
    SuccessorLost,
}

/// <summary>The answer to a refresh.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Tokens">The successors; <c>null</c> unless rotated or retried.</param>
public sealed record RefreshResult(RefreshOutcome Outcome, IssuedTokens? Tokens);
