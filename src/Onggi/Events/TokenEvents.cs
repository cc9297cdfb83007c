namespace Onggi.Events;

/// <summary>The payload of <c>auth.token_issued</c>. It names the user in plain text: who hears it must be allowed to.</summary>
/// <param name="Subject">The user.</param>
/// <param name="TokenId">The access token's id (<c>jti</c>), not the token.</param>
/// <param name="FamilyId">The refresh family; <c>null</c> when there is none.</param>
/// <param name="SessionId">The session; <c>null</c> for none.</param>
/// <param name="ExpiresAt">When the access token ends.</param>
/// <param name="IsRefreshed">Whether it came of a refresh, not of a sign-in.</param>
public sealed record TokenIssued(
    string Subject,
    string TokenId,
    string? FamilyId,
    string? SessionId,
    DateTimeOffset ExpiresAt,
    bool IsRefreshed
);

/// <summary>The payload of <c>auth.token_revoked</c>. It names the user in plain text: who hears it must be allowed to.</summary>
/// <param name="Subject">The user.</param>
/// <param name="TokenId">The token's id; <c>null</c> when more than one token ended.</param>
/// <param name="FamilyId">The refresh family; <c>null</c> for a token without one, or when all of the user's ended.</param>
/// <param name="SessionId">The session that the token named; <c>null</c> for none.</param>
/// <param name="Scope">What ended: <c>token</c>, <c>family</c> or <c>user</c>.</param>
/// <param name="Reason">Why; <c>reuse</c> when a refresh token was used a second time.</param>
public sealed record TokenRevoked(string Subject, string? TokenId, string? FamilyId, string? SessionId, string Scope, string Reason);
