using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Onggi.Client;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi.AspNetCore.Authentication;

/// <summary>Takes <c>Authorization: Bearer …</c>: the token by <see cref="OnggiTokens"/>, its session by <see cref="OnggiSessions"/>, both in one flush.</summary>
internal sealed class BearerHandler(
    IOptionsMonitor<OnggiBearerOptions> options,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    OnggiTokens tokens,
    OnggiSessions sessions,
    IOptions<OnggiOptions> onggi,
    BearerOutages outages
) : AuthenticationHandler<OnggiBearerOptions>(options, loggers, encoder)
{
    private const string Bearer = "Bearer";
    private const string InvalidToken = "invalid_token";
    private const string InvalidRequest = "invalid_request";

    // What the challenge is to say; the handler lives as long as its request.
    private bool _isMalformed;
    private bool _isUnknown;
    private bool _hasToken;

    private new OnggiBearerEvents Events => (OnggiBearerEvents)base.Events!;

    protected override Task<object> CreateEventsAsync() => Task.FromResult<object>(new OnggiBearerEvents());

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var received = new BearerReceivedContext(Context, Scheme, Options);
        await Events.OnMessageReceived(received);
        if (received.Result is { } decided)
            return decided;
        var token = received.Token ?? FromHeader(Request.Headers.Authorization);
        if (_isMalformed)
            return AuthenticateResult.Fail("The Authorization header is out of order.");
        if (token is null)
            return AuthenticateResult.NoResult();
        _hasToken = true;
        try
        {
            return await CheckAsync(token);
        }
        catch (RedisException failure)
        {
            outages.Tell(failure);
            return Unknown();
        }
    }

    private async Task<AuthenticateResult> CheckAsync(string text)
    {
        var read = await tokens.ReadAsync(text);
        var handle = read.Token is { } named ? HandleOf(named) : null;
        if (read.Token is not null && handle is null && Options.Session == SessionCheck.Required)
            return AuthenticateResult.Fail("The token names no session.");
        // A token whose time is over must not lengthen a session's life; whether it is, may be known better after Redis was asked.
        var isUnasked = tokens.IsTakenUnasked && !Options.RequireConfirmed;
        var touching = handle is not null && !isUnasked && tokens.IsTimely(read.Token!) ? TouchAsync(read.Token!, handle) : null;
        TokenVerdict verdict;
        try
        {
            verdict = await tokens.ConfirmAsync(read, Context.RequestAborted);
        }
        finally
        {
            if (touching is not null)
                await ((Task)touching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (verdict.Token is not { } token)
            return AuthenticateResult.Fail($"The token was refused: {verdict.Refusal}.");
        if (!verdict.IsConfirmed && Options.RequireConfirmed)
            return Unknown();
        var (session, isSure) =
            handle is null ? (null, true)
            : isUnasked ? (null, false)
            : await FoundAsync(touching ?? TouchAsync(token, handle));
        if (handle is not null && session is null && isSure && !WebMutants.DeadSessions)
            return AuthenticateResult.Fail("The session of the token has ended.");
        return await AcceptAsync(new OnggiCaller(token, session, verdict.IsConfirmed && isSure));
    }

    private async Task<AuthenticateResult> AcceptAsync(OnggiCaller caller)
    {
        var claims = caller.Token.Identity;
        var verified = new BearerVerifiedContext(Context, Scheme, Options, caller)
        {
            Principal = new ClaimsPrincipal(new ClaimsIdentity(claims.Claims, Scheme.Name, claims.NameClaimType, claims.RoleClaimType)),
        };
        verified.Properties.ExpiresUtc = caller.Token.ExpiresAt;
        await Events.OnTokenVerified(verified);
        if (verified.Result is { } decided && !decided.Succeeded)
            return decided;
        Context.Features.Set(caller);
        if (verified.Result is null)
            verified.Success();
        return verified.Result!;
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        // What is wrong is known once it was looked at, which another scheme may have kept from happening.
        await HandleAuthenticateOnceSafeAsync();
        var challenge = new BearerChallengeContext(Context, Scheme, Options, properties);
        (challenge.StatusCode, challenge.Error, challenge.Title, challenge.Detail) =
            _isUnknown
                ? (
                    StatusCodes.Status503ServiceUnavailable,
                    null,
                    "It cannot be told now who you are",
                    "Whether the token still holds could not be asked. Try the same again in a moment; signing in anew would not help."
                )
            : _isMalformed
                ? (
                    StatusCodes.Status400BadRequest,
                    InvalidRequest,
                    "The credentials cannot be read",
                    "Send one header 'Authorization: Bearer' with one token."
                )
            : (
                StatusCodes.Status401Unauthorized,
                _hasToken ? InvalidToken : null,
                "Not signed in",
                _hasToken ? "The token is not accepted. Refresh it, or sign in again." : "Send a token as 'Authorization: Bearer …'."
            );
        await Events.OnChallenge(challenge);
        if (challenge.IsHandled)
            return;
        if (challenge.StatusCode == StatusCodes.Status503ServiceUnavailable)
            Response.Headers.RetryAfter = "1";
        else
            Response.Headers.Append("WWW-Authenticate", Challenge(challenge.Error));
        await AnswerAsync(challenge.StatusCode, challenge.Title, challenge.Detail);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        Response.Headers.Append("WWW-Authenticate", Challenge("insufficient_scope"));
        return AnswerAsync(StatusCodes.Status403Forbidden, "Not allowed", "Who the token is for may not do this.");
    }

    private Task AnswerAsync(int status, string title, string detail)
    {
        Response.Headers.CacheControl = "no-store";
        return Problems.WriteAsync(Context, Problems.Make(status, title, detail));
    }

    private string Challenge(string? error)
    {
        var text = new StringBuilder(Bearer);
        if (Options.Realm is { } realm)
            text.Append(
                $" realm=\"{realm.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\""
            );
        if (error is not null)
            text.Append($"{(text.Length > Bearer.Length ? "," : "")} error=\"{error}\"");
        return text.ToString();
    }

    /// <summary>The token of the header; <c>null</c> where there is none, or another kind of credentials.</summary>
    private string? FromHeader(StringValues headers)
    {
        if (!headers.Any(IsBearer))
            return null;
        // Two of them, and nobody knows whose request it is.
        var token = headers.Count == 1 ? headers[0]![Bearer.Length..].Trim(' ') : "";
        _isMalformed = token.Length == 0 || token.Contains(' ', StringComparison.Ordinal);
        return _isMalformed ? null : token;
    }

    private static bool IsBearer(string? header) =>
        header is not null
        && header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
        && (header.Length == Bearer.Length || header[Bearer.Length] == ' ');

    // The sessions of another issuer are not ours.
    private string? HandleOf(VerifiedToken token) => Options.Session == SessionCheck.Ignore || token.IsForeign ? null : token.SessionId;

    private Task<Session?> TouchAsync(VerifiedToken token, string handle) =>
        sessions.ValidateAsync(token.Subject, handle, Options.WithSessionData, Context.RequestAborted).AsTask();

    /// <summary>The session; and whether it is sure that there is none where there is none.</summary>
    private async Task<(Session? Session, bool IsSure)> FoundAsync(Task<Session?> touching)
    {
        try
        {
            return (await touching, true);
        }
        catch (RedisException failure) when (onggi.Value.Tokens.AcceptUnconfirmed && !Options.RequireConfirmed)
        {
            outages.Tell(failure);
            return (null, false);
        }
    }

    private AuthenticateResult Unknown()
    {
        _isUnknown = true;
        return AuthenticateResult.Fail("Redis could not be asked whether the token still holds.");
    }
}
