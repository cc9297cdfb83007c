using System.Text;
using Onggi.Client;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi.AspNetCore;

/// <summary>Signs people in and out with both: a session, and tokens that name it. What ends the one ends the other.</summary>
/// <remarks>
/// <para>The session is the authority: it has the limit per user, the list of devices and the end by idleness; its data is the name of the refresh family, so that ending it ends the tokens. Users of sessions and subjects of tokens are the same texts.</para>
/// <para>Every method throws <see cref="RedisException"/> when Redis is slow, gone, or (at a sign-in) full. Then say the same again: doing it twice is harmless, and what was to end is ended in the background all the same.</para>
/// <para>Where <see cref="SessionOptions.Replicas"/> asks for replicas, both halves wait for them, each for <see cref="SessionOptions.ReplicaTimeout"/> at most: on a cluster they lie on different servers. What too few have confirmed in time is done all the same,
/// with a warning (5007, 6007), and where there is a result, it says how many.</para>
/// </remarks>
public sealed class OnggiSignIn
{
    private readonly OnggiSessions _sessions;
    private readonly OnggiTokens _tokens;

    internal OnggiSignIn(OnggiSessions sessions, OnggiTokens tokens) => (_sessions, _tokens) = (sessions, tokens);

    /// <summary>Begins a session and issues tokens that name it. Three round trips.</summary>
    /// <param name="request">For whom. Its <see cref="TokenRequest.SessionId"/> is not looked at.</param>
    /// <param name="device">Where, in words that the user knows again: see <see cref="SessionDetails.Device"/>.</param>
    /// <param name="cancellationToken">Ends the wait. What was begun meanwhile is of no use to anybody, and ends by itself.</param>
    /// <returns>Without tokens where the user has as many sessions as there may be and the policy is to reject, or where he was signed out everywhere at this very moment.</returns>
    /// <exception cref="RedisException">Redis could not be asked, or is full: nobody is signed in.</exception>
    /// <exception cref="InvalidOperationException">Sessions or tokens are not configured here.</exception>
    public async ValueTask<SignedIn> SignInAsync(TokenRequest request, string device = "", CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        // A sign-in that tokens would refuse must not push out another session first.
        AccessTokens.Check(request);
        var details = new SessionDetails { Roles = request.Roles, Device = device };
        var session = await _sessions.CreateAsync(request.Subject, details, cancellationToken);
        if (!session.IsCreated)
            return new SignedIn(session, null);
        var (replicas, timeout) = _sessions.Waits;
        var (tokens, issued) = await _tokens.IssueAsync(Naming(request, session.Handle), replicas, timeout, cancellationToken);
        // It keeps the family's name, and tells whether the session still lives: if it was ended meanwhile, so are the tokens.
        var (isKept, kept) = await _sessions.KeepAsync(session.Id, Encoding.UTF8.GetBytes(tokens.FamilyId ?? ""), cancellationToken);
        if (isKept)
            return new SignedIn(session, tokens) { Replicas = Fewest(session.Replicas, issued, kept) };
        await EndTokensAsync(request.Subject, tokens.FamilyId, session.Handle, "signed_out", cancellationToken);
        return new SignedIn(session, null);
    }

    /// <summary>Takes a refresh token back for its successor, if the session that it belongs to lives; a refresh is a use of the session. Two round trips.</summary>
    /// <param name="refreshToken">The token as it came.</param>
    /// <param name="changes">Other roles and claims for the new tokens; <c>null</c> for the same.</param>
    /// <param name="cancellationToken">Ends the wait; the same token can be presented again within the grace.</param>
    /// <returns>As <see cref="OnggiTokens.RefreshAsync"/>; <see cref="RefreshOutcome.Revoked"/> also where the session has ended: its tokens are then ended with it.</returns>
    /// <exception cref="RedisException">Redis could not be asked: present the same token again.</exception>
    public async ValueTask<RefreshResult> RefreshAsync(
        string? refreshToken,
        TokenChanges? changes = null,
        CancellationToken cancellationToken = default
    )
    {
        var result = await _tokens.RefreshAsync(refreshToken, changes, cancellationToken);
        if (result.Tokens is not { SessionId: { } handle } tokens || !_sessions.IsConfigured)
            return result;
        // Looked at after the rotation: a session that ends from now on takes the new tokens along.
        if (await _sessions.ValidateAsync(tokens.Subject, handle, withData: false, cancellationToken) is not null)
            return result;
        await EndTokensAsync(tokens.Subject, tokens.FamilyId, handle, "session_ended", cancellationToken);
        return new RefreshResult(RefreshOutcome.Revoked, null);
    }

    /// <summary>Signs one device out: the family of its tokens, and their session. Of another issuer's token, only the token. Two round trips.</summary>
    /// <param name="token">The caller's: <c>context.GetOnggiCaller()!.Token</c>.</param>
    /// <param name="reason">For the events, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; it is done all the same.</param>
    /// <exception cref="RedisException">It is not known to be done. Both halves were tried, and are tried on in the background.</exception>
    public async ValueTask SignOutAsync(VerifiedToken token, string reason = "signed_out", CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(token);
        var tokens = _tokens.RevokeFamilyAsync(token, Because(reason), cancellationToken).AsTask();
        // Also where the first half fails: each is tried on by itself, once it was asked for.
        await ((Task)tokens).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!token.IsForeign && token.SessionId is { } handle && _sessions.IsConfigured)
            await _sessions.RevokeAsync(token.Subject, handle, reason, cancellationToken);
        await tokens;
    }

    /// <summary>Ends one of a user's sessions, and the tokens that name it: "end that one". Three round trips.</summary>
    /// <param name="user">Whose it is. Another user's is not found.</param>
    /// <param name="handle"><see cref="SessionSummary.Handle"/> of the user's list.</param>
    /// <param name="reason">For the events, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; it may be done all the same.</param>
    /// <returns><c>false</c> when there is none.</returns>
    /// <exception cref="RedisException">It is not known to be done: say it again. Where the session was found, both halves are tried on in the background.</exception>
    public async ValueTask<bool> EndSessionAsync(
        string user,
        string handle,
        string reason = "signed_out",
        CancellationToken cancellationToken = default
    )
    {
        if (await _sessions.ValidateAsync(user, handle, withData: true, cancellationToken) is not { } session)
            return false;
        var tokens = _tokens.IsConfigured
            ? EndTokensAsync(user, FamilyOf(session), handle, reason, cancellationToken).AsTask()
            : Task.CompletedTask;
        await tokens.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _sessions.RevokeAsync(user, handle, reason, cancellationToken);
        await tokens;
        return true;
    }

    /// <summary>Signs a user out everywhere: all sessions, those of cookies too, and all tokens. What is begun afterwards lives. Two round trips.</summary>
    /// <remarks>Of a sign-in at the very same moment no token outlives its session. Its tokens can be dead from the start; then it is to be made again.</remarks>
    /// <param name="user">The user.</param>
    /// <param name="reason">For the events, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; it is done all the same.</param>
    /// <exception cref="RedisException">It is not known to be done. Both halves were tried, and are tried on in the background, for what had begun before this call.</exception>
    /// <exception cref="InvalidOperationException">Neither sessions nor tokens are configured here.</exception>
    public async ValueTask<SignedOut> SignOutEverywhereAsync(
        string user,
        string reason = "signed_out_everywhere",
        CancellationToken cancellationToken = default
    )
    {
        if (!_sessions.IsConfigured && !_tokens.IsConfigured)
            throw new InvalidOperationException(
                "There is nothing to sign out of: the catalog has no sessions, and Tokens:Issuer is not set."
            );
        // Sessions first: a sign-in whose tokens are issued too late to be ended finds its session dead, and gives up.
        var sessions = EndSessionsAsync();
        await ((Task)sessions).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var tokens = EndAllTokensAsync();
        await ((Task)tokens).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var (ended, families) = (await sessions, await tokens);
        return new SignedOut(ended?.Count ?? 0, families?.Ended ?? 0, Fewest(ended?.Replicas, families?.Replicas));

        async Task<SessionRevocation?> EndSessionsAsync() =>
            _sessions.IsConfigured ? await _sessions.RevokeAllAsync(user, reason, cancellationToken) : null;

        async Task<Revocation?> EndAllTokensAsync() =>
            _tokens.IsConfigured ? await _tokens.SignOutEverywhereAsync(user, Because(reason), cancellationToken) : null;
    }

    private async ValueTask EndTokensAsync(string user, string? family, string handle, string reason, CancellationToken cancellationToken)
    {
        if (family is not null)
            await _tokens.RevokeFamilyAsync(user, family, handle, Because(reason), cancellationToken);
    }

    // Tokens end as safely as their session.
    private RevocationOptions Because(string reason)
    {
        var (replicas, timeout) = _sessions.Waits;
        return new RevocationOptions
        {
            Reason = reason,
            Replicas = replicas,
            ReplicaTimeout = timeout,
        };
    }

    private int? Fewest(params ReadOnlySpan<int?> confirmed)
    {
        if (_sessions.Waits.Replicas == 0)
            return null;
        var fewest = int.MaxValue;
        foreach (var one in confirmed)
            fewest = Math.Min(fewest, one ?? int.MaxValue);
        return fewest;
    }

    // What other code keeps in its sessions is no family.
    private static string? FamilyOf(Session session) =>
        session.Data.Length is > 0 and <= 64 && SessionText(session) is { } text && text.All(IsIdCharacter) ? text : null;

    private static string SessionText(Session session) => Encoding.ASCII.GetString(session.Data.Span);

    private static bool IsIdCharacter(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_';

    private static TokenRequest Naming(TokenRequest request, string handle) =>
        new()
        {
            Subject = request.Subject,
            SessionId = handle,
            Audience = request.Audience,
            Roles = request.Roles,
            Claims = request.Claims,
            AccessLifetime = request.AccessLifetime,
            WithRefresh = request.WithRefresh,
        };
}

/// <summary>What became of a sign-in.</summary>
public sealed class SignedIn
{
    internal SignedIn(SessionCreation session, IssuedTokens? tokens) => (Session, Tokens) = (session, tokens);

    /// <summary>Whether somebody is signed in now.</summary>
    public bool IsSignedIn => Tokens is not null;

    /// <summary>The session: its handle, how many the user has, and who was pushed out for it.</summary>
    public SessionCreation Session { get; }

    /// <summary>The tokens; <c>null</c> when nobody is signed in.</summary>
    public IssuedTokens? Tokens { get; }

    /// <summary>How many replicas have all of it, session and tokens: whoever of those is elected, nothing of it is lost. <c>null</c> where <see cref="SessionOptions.Replicas"/> asks for none, or nobody is signed in.</summary>
    public int? Replicas { get; init; }
}

/// <summary>What a sign-out everywhere has ended.</summary>
/// <param name="Sessions">How many sessions.</param>
/// <param name="Families">How many refresh families.</param>
/// <param name="Replicas">How many replicas know of both; <c>null</c> where <see cref="SessionOptions.Replicas"/> asks for none.</param>
public sealed record SignedOut(int Sessions, int Families, int? Replicas = null);
