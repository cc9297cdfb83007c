using Onggi.AspNetCore;
using Onggi.Sessions;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

/// <param name="Handle">Names it, for DELETE /api/sessions/{handle}.</param>
/// <param name="Device">Where it was begun.</param>
/// <param name="CreatedAt">When.</param>
/// <param name="LastSeenAt">When it was used last, to the minute.</param>
/// <param name="ExpiresAt">When it ends if nobody uses it.</param>
/// <param name="IsThis">Whether it is that of this request.</param>
public sealed record MySession(
    string Handle,
    string Device,
    DateTimeOffset CreatedAt,
    DateTimeOffset LastSeenAt,
    DateTimeOffset ExpiresAt,
    bool IsThis
);

public static class SessionEndpoints
{
    public static void MapSessions(this WebApplication app)
    {
        var api = app.MapGroup("/api").RequireAuthorization().AddEndpointFilter(LoginEndpoints.WithoutRedisAsync);

        api.MapPost(
                "/logout",
                async (HttpContext http, OnggiSignIn signIn) =>
                {
                    // Who hangs up is signed out all the same.
                    await signIn.SignOutAsync(http.GetOnggiCaller()!.Token, cancellationToken: CancellationToken.None);
                    return TypedResults.NoContent();
                }
            )
            .AnswersNothing("Signs this device out: its session, its tokens, its refresh token.");

        api.MapPost(
                "/logout/everywhere",
                async (HttpContext http, OnggiSignIn signIn) =>
                {
                    await signIn.SignOutEverywhereAsync(http.User.Identity!.Name!, cancellationToken: CancellationToken.None);
                    return TypedResults.NoContent();
                }
            )
            .AnswersNothing("Signs the user out on all devices.");

        api.MapGet(
                "/sessions",
                async (HttpContext http, OnggiSessions sessions, CancellationToken cancellationToken) =>
                {
                    var mine = http.GetOnggiCaller()!.Token.SessionId;
                    var list = await sessions.ListAsync(http.User.Identity!.Name!, cancellationToken);
                    return TypedResults.Ok<IReadOnlyList<MySession>>([
                        .. list.Select(one => new MySession(
                            one.Handle,
                            one.Device,
                            one.CreatedAt,
                            one.LastSeenAt,
                            one.ExpiresAt,
                            one.Handle == mine
                        )),
                    ]);
                }
            )
            .Answers<IReadOnlyList<MySession>>("Where the user is signed in.");

        api.MapDelete(
                "/sessions/{handle}",
                async (string handle, HttpContext http, OnggiSignIn signIn) =>
                    await signIn.EndSessionAsync(http.User.Identity!.Name!, handle, cancellationToken: CancellationToken.None)
                        ? (IResult)TypedResults.NoContent()
                        : Inputs.NotFound("You have no such session.")
            )
            .AnswersNothing("Ends one of the user's sessions, on every service at once.");
    }
}
