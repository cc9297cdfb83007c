using System.Globalization;
using Onggi;
using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Limits;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

public static class LoginEndpoints
{
    /// <summary>How often one may log in, and that Auth looks at the session of each token: here people see what they have ended.</summary>
    public static void AddLogins(this IServiceCollection services)
    {
        services.Configure<OnggiOptions>(onggi =>
            onggi
                .Limits.ForFamily("login", policy => policy.With(LimitRule.Even(5, TimeSpan.FromMinutes(1))))
                .ForFamily("login_address", policy => policy.With(LimitRule.Even(60, TimeSpan.FromMinutes(1))))
        );
        services.Configure<OnggiBearerOptions>(OnggiBearerDefaults.AuthenticationScheme, bearer => bearer.Session = SessionCheck.WhenNamed);
    }

    public static void MapLogin(this WebApplication app)
    {
        var api = app.MapGroup("/api").AddEndpointFilter(WithoutRedisAsync);

        api.MapPost(
                "/login",
                (LoginRequest request, Logins logins, CancellationToken cancellationToken) => logins.LogInAsync(request, cancellationToken)
            )
            .RequireLimit(Keys.LoginAddress, LimitSubject.Address)
            .Answers<LoginAnswer>("Signs a user in; the token goes into the Authorization header of every other request.");

        api.MapPost(
                "/refresh",
                (RefreshRequest request, Logins logins, CancellationToken cancellationToken) =>
                    logins.RefreshAsync(request.RefreshToken, cancellationToken)
            )
            .RequireLimit(Keys.LoginAddress, LimitSubject.Address)
            .Answers<RefreshAnswer>(
                "The next token for a refresh token, which is good once. Two tabs that ask at once get the same answer."
            );

        // The same entry that the Users service reads: one Redis, one key.
        app.MapGet(
                "/api/me",
                async (HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.UserAsync(http.User.Identity!.Name!, cancellationToken), "You are no user any more.")
            )
            .Answers<User>("Who is signed in.")
            .RequireAuthorization();
    }

    /// <summary>Nobody is signed in or out by mistake: what could not be asked is said.</summary>
    public static async ValueTask<object?> WithoutRedisAsync(EndpointFilterInvocationContext call, EndpointFilterDelegate next)
    {
        try
        {
            return await next(call);
        }
        catch (RedisException)
        {
            call.HttpContext.Response.Headers.RetryAfter = "1";
            return TypedResults.Problem(
                "Nobody can be signed in or out at the moment. Repeat the same request: it is safe.",
                title: "Sessions are not available",
                statusCode: StatusCodes.Status503ServiceUnavailable
            );
        }
    }

    /// <summary>429, with when to come back.</summary>
    public static IResult TooMany(this IResultExtensions _, TimeSpan retryAfter) => new TooManyGuesses(retryAfter);

    private sealed class TooManyGuesses(TimeSpan retryAfter) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            var seconds = (long)Math.Ceiling(retryAfter.TotalSeconds);
            httpContext.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
            return TypedResults
                .Problem(
                    $"There were too many wrong passwords for this user. Try again in {seconds} s.",
                    title: "Too many attempts",
                    statusCode: StatusCodes.Status429TooManyRequests
                )
                .ExecuteAsync(httpContext);
        }
    }
}
