using Microsoft.EntityFrameworkCore;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

public sealed record LoginRequest(string UserId, string Password);

public sealed record LoginAnswer(string Token, int ExpiresInSeconds, User User, IReadOnlyList<string> Permissions);

public static class LoginEndpoints
{
    public static void MapLogin(this WebApplication app)
    {
        app.MapPost(
                "/api/login",
                async (
                    LoginRequest request,
                    IDbContextFactory<PhoneBillDb> databases,
                    CachedReads reads,
                    SignedTokens tokens,
                    CancellationToken cancellationToken
                ) =>
                {
                    // The hash never goes into a cache.
                    await using var db = await databases.CreateDbContextAsync(cancellationToken);
                    if (
                        await db.Users.FindAsync([request.UserId], cancellationToken) is not { } row
                        || !Passwords.Verify(request.Password, row.PasswordHash)
                    )
                        return (IResult)Inputs.Unauthorized("Unknown user or wrong password.");

                    var user = row.ToUser();
                    var permissions = await reads.PermissionsAsync(user.Id, cancellationToken);
                    var answer = new LoginAnswer(
                        tokens.Issue(user),
                        (int)SignedTokens.Lifetime.TotalSeconds,
                        user,
                        permissions.Value?.Granted ?? []
                    );
                    return TypedResults.Ok(answer);
                }
            )
            .Answers<LoginAnswer>("Signs a user in; the token goes into the Authorization header of every other request.");

        // The same entry that the Users service reads: one Redis, one key.
        app.MapGet(
                "/api/me",
                async (HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.UserAsync(http.User.Identity!.Name!, cancellationToken), "You are no user any more.")
            )
            .Answers<User>("Who is signed in.")
            .RequireAuthorization();
    }
}
