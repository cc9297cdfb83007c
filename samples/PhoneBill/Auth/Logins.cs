using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Onggi.AspNetCore;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Sessions;
using Onggi.Tokens;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

public sealed record LoginRequest(string UserId, string Password, string? Device = null);

/// <param name="Token">The access token, for the Authorization header of every other request.</param>
/// <param name="ExpiresInSeconds">How long it is good for.</param>
/// <param name="RefreshToken">For POST /api/refresh, once.</param>
/// <param name="Session">The name of this session in GET /api/sessions.</param>
/// <param name="User">Who is signed in.</param>
/// <param name="Permissions">What the user may do.</param>
public sealed record LoginAnswer(
    string Token,
    int ExpiresInSeconds,
    string RefreshToken,
    string Session,
    User User,
    IReadOnlyList<string> Permissions
);

public sealed record RefreshRequest(string RefreshToken);

public sealed record RefreshAnswer(string Token, int ExpiresInSeconds, string RefreshToken);

/// <summary>Passwords against sessions and tokens.</summary>
public sealed class Logins(
    IDbContextFactory<PhoneBillDb> databases,
    CachedReads reads,
    OnggiSignIn signIn,
    OnggiLimits limits,
    TimeProvider time
)
{
    private const int LongestUserId = 40;

    public async Task<IResult> LogInAsync(LoginRequest request, CancellationToken cancellationToken)
    {
        // No user has such a name, and it would only fill Redis.
        if (request.UserId.Length is 0 or > LongestUserId)
            return WrongPassword();
        // Taken before the password is looked at, so that many guesses at once are not looked at either. It keeps the user out, too, for as long as somebody guesses.
        var guess = await limits.TakeAsync(Keys.Login(request.UserId), cancellationToken: cancellationToken);
        if (!guess.Allowed)
            return TypedResults.Extensions.TooMany(guess.RetryAfter);

        // The hash never goes into a cache.
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (
            await db.Users.FindAsync([request.UserId], cancellationToken) is not { } row
            || !Passwords.Verify(request.Password, row.PasswordHash)
        )
            return WrongPassword();

        await limits.RefundAsync(Keys.Login(request.UserId), guess, cancellationToken);
        var user = row.ToUser();
        var login = await signIn.SignInAsync(
            new TokenRequest { Subject = user.Id, Roles = [user.Role] },
            request.Device is { Length: > 0 } device ? device[..Math.Min(device.Length, 80)] : "",
            cancellationToken
        );
        if (login.Tokens is not { } tokens)
            return Inputs.Unauthorized("You were signed out everywhere just now. Log in again.");
        var permissions = await reads.PermissionsAsync(user.Id, cancellationToken);
        return TypedResults.Ok(
            new LoginAnswer(
                tokens.AccessToken,
                SecondsOf(tokens),
                tokens.RefreshToken!,
                login.Session.Handle,
                user,
                permissions.Value?.Granted ?? []
            )
        );
    }

    public async Task<IResult> RefreshAsync(string refreshToken, CancellationToken cancellationToken)
    {
        var result = await signIn.RefreshAsync(refreshToken, cancellationToken: cancellationToken);
        // Why it was refused is nobody's business but ours.
        if (result.Tokens is not { } tokens)
            return NoLongerGood();
        if ((await reads.UserAsync(tokens.Subject, cancellationToken)).Value is not null)
            return TypedResults.Ok(new RefreshAnswer(tokens.AccessToken, SecondsOf(tokens), tokens.RefreshToken!));

        // Logged in at the moment in which the account was deleted, or nobody of us heard of it: see UserRemovals.
        await signIn.SignOutEverywhereAsync(tokens.Subject, "account_deleted", CancellationToken.None);
        return NoLongerGood();
    }

    private static ProblemHttpResult NoLongerGood() => Inputs.Unauthorized("This refresh token is not good any more. Log in again.");

    private static ProblemHttpResult WrongPassword() => Inputs.Unauthorized("Unknown user or wrong password.");

    private int SecondsOf(IssuedTokens tokens) => (int)(tokens.AccessExpiresAt - time.GetUtcNow()).TotalSeconds;
}
