using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Tokens;

/// <summary>Issues, checks, refreshes and revokes tokens: signed JWTs that can be taken back, and refresh tokens that cannot be used twice.</summary>
/// <remarks>
/// <para>Every call is one round trip: one script, or one MGET, in the slot of the user. Time is that of Redis; what a machine believes it is does not matter.</para>
/// <para>What a caller sees: Redis <b>slow</b>: <see cref="RedisTimeoutException"/>. <b>Gone</b>: <see cref="RedisConnectionException"/>; a revocation that failed so is tried again in the background until it has
/// succeeded; with <see cref="TokenOptions.AcceptUnconfirmed"/> checking goes on without asking. <b>Full</b>: issuing fails with OOM; refreshing and revoking go on. <b>Restarted empty</b>: refresh tokens are unknown, revoked access tokens
/// live again except those that a living process revoked. <b>Failed over</b>: as gone, and each process asserts its own revocations again.</para>
/// </remarks>
public sealed class OnggiTokens : IAsyncDisposable
{
    /// <summary>By how much a stamp may differ from the server's time; beyond, the token is signed anew with a better one.</summary>
    internal static readonly TimeSpan StampTolerance = TimeSpan.FromSeconds(5);

    private const int MostAttempts = 4;

    private readonly RedisClient _redis;
    private readonly TokenOptions _options;
    private readonly TokensMetrics _metrics;
    private readonly ILogger<OnggiTokens> _logger;
    private readonly TokenStore _store;
    private readonly ServerClock _clock;
    private readonly RecentRevocations _recent;
    private readonly TokenNotices _notices;
    private readonly Revoker _revoker;
    private readonly RedisSilence _silence;
    private readonly TokenWatch _watch;
    private readonly Lazy<TokenSetup> _setup;
    private volatile TokenKeyRing? _keys;

    internal OnggiTokens(
        RedisClient redis,
        Keyspace keyspace,
        TokenOptions options,
        TokenKeyRing? keys,
        IEventSink sink,
        IMeterFactory meters,
        ILogger<OnggiTokens> logger,
        TimeProvider time
    )
    {
        (_redis, _options, _keys, _logger) = (redis, options, keys, logger);
        _metrics = new TokensMetrics(meters);
        _store = new TokenStore(redis, time);
        _clock = new ServerClock(time);
        _silence = new RedisSilence(() => redis.IsKnownDown, time);
        _watch = new TokenWatch(time, logger);
        _recent = new RecentRevocations(redis, _clock, options.RememberedRevocations, _metrics, logger, time);
        _metrics.Observe(() => _recent.Count);
        _notices = new TokenNotices(sink, _metrics);
        _setup = new Lazy<TokenSetup>(() => new TokenSetup(options, keyspace, () => _keys), LazyThreadSafetyMode.PublicationOnly);
        _revoker = new Revoker(redis, _store, _recent, _notices, _metrics, _clock, () => Setup, logger);
    }

    /// <summary>Whether this service uses tokens: <see cref="TokenOptions.Issuer"/> is set.</summary>
    public bool IsConfigured => !string.IsNullOrWhiteSpace(_options.Issuer);

    /// <summary>The keys in use; <c>null</c> when there are none.</summary>
    public TokenKeyRing? Keys => _keys;

    internal TokenSetup Setup => _setup.Value;

    internal RecentRevocations Recent => _recent;

    /// <summary>Replaces the keys, at once for all calls that begin from now on. No round trip.</summary>
    public void UseKeys(TokenKeyRing keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        _keys = keys;
    }

    /// <summary>The public keys as a JWKS document, for <c>/.well-known/jwks.json</c>. No round trip.</summary>
    /// <exception cref="InvalidOperationException">There are no keys.</exception>
    public string Jwks() =>
        _keys?.ToJwks()
        ?? throw new InvalidOperationException("There are no keys to publish: give options.TokenKeys a TokenKeyRing, or call UseKeys.");

    /// <summary>Issues an access token, and with it a refresh token that begins a family. One round trip; a second one when this process's idea of Redis's time was wrong.</summary>
    /// <param name="request">For whom, and what it says.</param>
    /// <param name="cancellationToken">Ends the wait. A family that was begun meanwhile is of no use to anybody and ends by itself.</param>
    /// <exception cref="RedisException">Redis could not be asked, or is full: nothing was issued.</exception>
    /// <exception cref="InvalidOperationException">Tokens are not configured here, there is no key to sign with, or no secret for refresh tokens.</exception>
    /// <exception cref="ArgumentException">Something in the request cannot stand in a token.</exception>
    public async ValueTask<IssuedTokens> IssueAsync(TokenRequest request, CancellationToken cancellationToken = default) =>
        (await IssueAsync(request, 0, TimeSpan.Zero, cancellationToken).ConfigureAwait(Rt.Capture)).Tokens;

    /// <summary>The same, and waits until replicas have the family.</summary>
    /// <returns>The tokens, and how many replicas have the family: fewer than were wanted when the time was over.</returns>
    internal async ValueTask<(IssuedTokens Tokens, int Replicas)> IssueAsync(
        TokenRequest request,
        int replicas,
        TimeSpan timeout,
        CancellationToken cancellationToken
    )
    {
        AccessTokens.Check(request);
        var setup = Setup;
        var secret = request.WithRefresh ? setup.Secret() : [];
        var subject = setup.Names.Of(request.Subject);
        var lifetime = request.AccessLifetime is { } asked && asked < setup.Access.Lifetime ? asked : setup.Access.Lifetime;
        var family = subject.NewId();
        var first = RefreshToken.First(request, request.Audience ?? setup.Access.Audiences[0], family, secret);
        var tokenId = subject.NewId();
        var stamp = _clock.NowMs;
        for (var attempt = 1; ; attempt++)
        {
            var (access, expires) = setup.Access.Sign(first, tokenId, request.WithRefresh, stamp, lifetime);
            var asking = _clock.Asking();
            var (answer, confirmed, answered) = await _store
                .RunSafelyAsync(
                    TokenStore.IssueScript,
                    [subject.Families, subject.Deadlines, subject.Epoch],
                    [
                        request.WithRefresh ? family : "",
                        request.WithRefresh ? first.Hash : "",
                        Ms(setup.RefreshIdle),
                        Ms(setup.Names.LongestFamily),
                        stamp,
                        Ms(setup.Kept),
                        Ms(StampTolerance),
                        _options.MaxFamilies,
                    ],
                    TokenAnswer.Parser,
                    replicas,
                    timeout,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
            if (answer.Word == "clock")
            {
                stamp = Correct(answer, asking, answered, attempt);
                continue;
            }

            _clock.Learn(answer.Second, asking, answered);
            var tokens = new IssuedTokens
            {
                AccessToken = access,
                AccessExpiresAt = expires,
                RefreshToken = request.WithRefresh ? first.Text : null,
                RefreshExpiresAt = request.WithRefresh ? DateTimeOffset.FromUnixTimeMilliseconds(answer.First) : null,
                TokenId = tokenId,
                FamilyId = request.WithRefresh ? family : null,
                Subject = request.Subject,
                SessionId = request.SessionId,
            };
            TellIssued(tokens, isRefreshed: false);
            if (confirmed < replicas)
                TokensLog.NotReplicated(_logger, "A sign-in", confirmed, replicas);
            return (tokens, confirmed);
        }
    }

    /// <summary>Checks an access token: its signature, issuer, audience and time, and in one round trip that neither it nor its family was revoked, nor its user signed out everywhere.</summary>
    /// <remarks>What is not in order by itself is refused without asking Redis.</remarks>
    /// <param name="token">The token as it came; <c>null</c> is refused.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="RedisException">Redis could not be asked, and <see cref="TokenOptions.AcceptUnconfirmed"/> is not set.</exception>
    /// <exception cref="InvalidOperationException">Tokens are not configured here.</exception>
    public async ValueTask<TokenVerdict> VerifyAsync(string? token, CancellationToken cancellationToken = default)
    {
        var read = await ReadAsync(token).ConfigureAwait(Rt.Capture);
        return await ConfirmAsync(read, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>The first half of <see cref="VerifyAsync"/>: all but time and revocation. For who has more to ask about a token, in the flush of the second half.</summary>
    internal ValueTask<TokenVerdict> ReadAsync(string? token) => Setup.Access.InspectAsync(token, Now);

    /// <summary>Whether it is the token's time, as far as is known here.</summary>
    internal bool IsTimely(VerifiedToken token) => Setup.Access.Judge(token, Now) == TokenRefusal.None;

    /// <summary>Whether tokens are taken unasked at the moment: that is allowed, and Redis is away as far as is known.</summary>
    internal bool IsTakenUnasked => _options.AcceptUnconfirmed && _silence.IsAway;

    /// <summary>The second half. What it asks of Redis is on its way when it returns.</summary>
    internal async ValueTask<TokenVerdict> ConfirmAsync(TokenVerdict read, CancellationToken cancellationToken)
    {
        if (read.Token is not { } verified)
            return Judged(read);
        var setup = Setup;
        // A clock that is known well refuses without asking; one that is not is asked for in the same flush.
        var isDue = _clock.IsDue;
        if (!isDue && setup.Access.Judge(verified, Now) is not TokenRefusal.None and var early)
            return Judged(TokenVerdict.Refused(early));
        if (_options.AcceptUnconfirmed && !_silence.MayAsk())
            return Unasked(read, verified, "it is known to be away.");
        var heard = _silence.Heard;
        var asking = isDue ? _clock.AskAsync(_redis, cancellationToken).AsTask() : Task.CompletedTask;
        try
        {
            var (isDenied, epoch) = await _store.ReadAsync(setup.Names, verified, cancellationToken).ConfigureAwait(Rt.Capture);
            await asking.ConfigureAwait(Rt.Capture);
            _silence.Answered();
            var refusal = setup.Access.Judge(verified, Now);
            if (refusal == TokenRefusal.None)
                refusal =
                    isDenied ? TokenRefusal.Revoked
                    : verified.Stamp < epoch ? TokenRefusal.SignedOut
                    : TokenRefusal.None;
            return Judged(
                refusal == TokenRefusal.None ? TokenVerdict.Accepted(verified, isConfirmed: true) : TokenVerdict.Refused(refusal)
            );
        }
        catch (RedisException failure)
        {
            await asking.ConfigureAwait(Rt.Quietly);
            if (!_options.AcceptUnconfirmed)
            {
                _metrics.VerifyFailed();
                throw;
            }

            _silence.Failed(failure, heard);
            return Unasked(read, verified, failure.Message);
        }
    }

    /// <summary>Reads an access token without asking Redis: signature, issuer, audience and time. It may have been revoked. No round trip.</summary>
    /// <remarks>For what is needed before the check, a session's id for example, to ask for both at once.</remarks>
    /// <exception cref="InvalidOperationException">Tokens are not configured here.</exception>
    public async ValueTask<TokenVerdict> InspectAsync(string? token)
    {
        var setup = Setup;
        var read = await setup.Access.InspectAsync(token, Now).ConfigureAwait(Rt.Capture);
        return read.Token is { } verified && setup.Access.Judge(verified, Now) is not TokenRefusal.None and var refusal
            ? TokenVerdict.Refused(refusal)
            : read;
    }

    /// <summary>Takes a refresh token back for its successor and a new access token. One round trip, none for what is not ours; a second one when this process's idea of Redis's time was wrong.</summary>
    /// <remarks>
    /// Of callers who come with the same token at once, or again within <see cref="TokenOptions.RefreshGrace"/>, one rotates it and all get the same answer, byte by byte. Who comes later with it has kept a copy: the family is revoked.
    /// </remarks>
    /// <param name="token">The refresh token as it came; <c>null</c> is <see cref="RefreshOutcome.Forged"/>.</param>
    /// <param name="changes">Other roles and claims for the new tokens; <c>null</c> for the same.</param>
    /// <param name="cancellationToken">Ends the wait. When the token was rotated meanwhile, it can be presented again within the grace.</param>
    /// <exception cref="RedisException">Redis could not be asked; the same token can be presented again.</exception>
    /// <exception cref="InvalidOperationException">Tokens are not configured here, there is no key to sign with, or no secret.</exception>
    public async ValueTask<RefreshResult> RefreshAsync(
        string? token,
        TokenChanges? changes = null,
        CancellationToken cancellationToken = default
    )
    {
        AccessTokens.Check(changes?.Roles, changes?.Claims);
        var setup = Setup;
        var secret = setup.Secret();
        if (RefreshToken.Read(token, setup.Secrets) is not { } old)
            return NotRefreshed(RefreshOutcome.Forged);
        var subject = setup.Names.Of(old.Subject);
        var next = old.Successor(changes, secret);
        var tokenId = subject.NewId();
        var stamp = _clock.NowMs;
        for (var attempt = 1; ; attempt++)
        {
            var (access, expires) = setup.Access.Sign(next, tokenId, withFamily: true, stamp, setup.Access.Lifetime);
            var tokens = new IssuedTokens
            {
                AccessToken = access,
                AccessExpiresAt = expires,
                RefreshToken = next.Text,
                TokenId = tokenId,
                FamilyId = old.Family,
                Subject = old.Subject,
                SessionId = old.SessionId,
            };
            var box = SealedSuccessor.Seal(old, tokens);
            var asking = _clock.Asking();
            var answer = await _store
                .RunAsync(
                    TokenStore.RotateScript,
                    [subject.Families, subject.Deadlines, subject.Epoch, subject.Sealed(old.Family), subject.Denied(old.Family)],
                    [
                        old.Family,
                        old.Generation,
                        old.Hash,
                        next.Hash,
                        Ms(setup.RefreshIdle),
                        Ms(_options.RefreshGrace),
                        box,
                        stamp,
                        Ms(setup.Kept),
                        Ms(StampTolerance),
                    ],
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
            if (answer.Word == "clock")
            {
                stamp = Correct(answer, asking, _clock.Asking(), attempt);
                continue;
            }

            if (answer.Word is "rotated" or "retry")
                _clock.Learn(answer.Second, asking);
            // What was stored is the answer, also for who stored it: a lost reply that was asked for again comes back as a retry.
            return answer.Word switch
            {
                "rotated" => Refreshed(
                    old,
                    TokenMutants.OwnSuccessor ? SealedSuccessor.Seal(old, tokens) : box,
                    answer.First,
                    RefreshOutcome.Rotated
                ),
                "retry" => Refreshed(old, TokenMutants.OwnSuccessor ? box : answer.Sealed!, answer.First, RefreshOutcome.Retried),
                "reuse" => Reused(old),
                "revoked" => NotRefreshed(RefreshOutcome.Revoked),
                "expired" => NotRefreshed(RefreshOutcome.Expired),
                "late" => NotRefreshed(RefreshOutcome.SuccessorLost),
                _ => NotRefreshed(RefreshOutcome.Unknown),
            };
        }
    }

    /// <summary>Revokes one access token, ours or of another issuer: until it would have ended it is on the blacklist. One round trip.</summary>
    /// <param name="token">What <see cref="VerifyAsync"/> or <see cref="InspectAsync"/> found.</param>
    /// <param name="options">Why, and what goes with it; <c>null</c> for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait; the revocation is made all the same.</param>
    /// <exception cref="RedisException">It is not known to be revoked yet. This process goes on trying in the background.</exception>
    public ValueTask<Revocation> RevokeAsync(
        VerifiedToken token,
        RevocationOptions? options = null,
        CancellationToken cancellationToken = default
    ) => _revoker.RevokeAsync(token, options ?? RevocationOptions.Default, cancellationToken);

    /// <summary>Signs one device out: ends the refresh family that an access token came of, and all its access tokens. Of a token without a family only itself. One round trip.</summary>
    /// <inheritdoc cref="RevokeAsync"/>
    public ValueTask<Revocation> RevokeFamilyAsync(
        VerifiedToken token,
        RevocationOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(token);
        return token.FamilyId is { } family
            ? _revoker.RevokeFamilyAsync(token.Subject, family, token.SessionId, options ?? RevocationOptions.Default, cancellationToken)
            : RevokeAsync(token, options, cancellationToken);
    }

    /// <summary>The same by the name of the family, for who has kept it.</summary>
    internal ValueTask<Revocation> RevokeFamilyAsync(
        string subject,
        string family,
        string? sessionId,
        RevocationOptions options,
        CancellationToken cancellationToken
    ) => _revoker.RevokeFamilyAsync(subject, family, sessionId, options, cancellationToken);

    /// <summary>Signs one device out by its refresh token. One round trip, none for what is not ours.</summary>
    /// <param name="refreshToken">The refresh token as it came, current or old.</param>
    /// <param name="options">Why, and what goes with it; <c>null</c> for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait; the revocation is made all the same.</param>
    /// <returns><c>null</c> when it is no refresh token of ours: nothing was done.</returns>
    /// <exception cref="RedisException">It is not known to be revoked yet. This process goes on trying in the background.</exception>
    public async ValueTask<Revocation?> RevokeRefreshTokenAsync(
        string? refreshToken,
        RevocationOptions? options = null,
        CancellationToken cancellationToken = default
    ) =>
        RefreshToken.Read(refreshToken, Setup.Secrets) is { } token
            ? await _revoker
                .RevokeFamilyAsync(token.Subject, token.Family, token.SessionId, options ?? RevocationOptions.Default, cancellationToken)
                .ConfigureAwait(Rt.Capture)
            : null;

    /// <summary>Signs a user out everywhere: ends all refresh families, and all access tokens that were issued until now. What is issued afterwards lives. One round trip.</summary>
    /// <param name="subject">The user.</param>
    /// <param name="options">Why, and what goes with it; <c>null</c> for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait; the revocation is made all the same.</param>
    /// <exception cref="RedisException">It is not known to be done yet. This process goes on trying in the background, for what was issued before this call.</exception>
    public ValueTask<Revocation> SignOutEverywhereAsync(
        string subject,
        RevocationOptions? options = null,
        CancellationToken cancellationToken = default
    ) => _revoker.SignOutEverywhereAsync(subject, options ?? RevocationOptions.Default, cancellationToken);

    /// <summary>Ends the work in the background. The client is not disposed.</summary>
    public async ValueTask DisposeAsync()
    {
        await _recent.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _notices.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    /// <summary>Checks at start that the catalog has what tokens need.</summary>
    /// <exception cref="InvalidOperationException">It has not; the message says what to write.</exception>
    internal void VerifySetup()
    {
        if (IsConfigured)
            _ = Setup;
    }

    private DateTimeOffset Now => DateTimeOffset.FromUnixTimeMilliseconds(_clock.NowMs);

    private static long Ms(TimeSpan span) => (long)span.TotalMilliseconds;

    private TokenVerdict Unasked(TokenVerdict read, VerifiedToken verified, string reason)
    {
        _watch.SayUnconfirmed(reason);
        var refusal = Setup.Access.Judge(verified, Now);
        return Judged(refusal == TokenRefusal.None ? read : TokenVerdict.Refused(refusal));
    }

    // The stamp was off, or older than a sign-out: the server's time, and above the epoch.
    private long Correct(TokenAnswer answer, long asking, long answered, int attempt)
    {
        _clock.Learn(answer.First, asking, answered);
        return attempt < MostAttempts
            ? Math.Max(_clock.NowMs, answer.Second)
            : throw new InvalidOperationException(
                $"Redis refused the time of {MostAttempts} tokens in a row. Its clock was set back after a sign-out everywhere, or replies take longer than {StampTolerance.TotalSeconds:0} s."
            );
    }

    private TokenVerdict Judged(TokenVerdict verdict)
    {
        _metrics.Verified(verdict);
        if (!verdict.IsValid)
            TokensLog.Refused(_logger, verdict.Refusal);
        return verdict;
    }

    private RefreshResult NotRefreshed(RefreshOutcome outcome)
    {
        _metrics.Refreshed(outcome);
        TokensLog.NotRefreshed(_logger, outcome);
        return new RefreshResult(outcome, null);
    }

    private RefreshResult Refreshed(RefreshToken old, byte[] box, long deadline, RefreshOutcome outcome)
    {
        // What is in Redis was sealed for the holder of this very token; if it does not open, it was not written by us.
        if (SealedSuccessor.Open(old, box, DateTimeOffset.FromUnixTimeMilliseconds(deadline)) is not { } tokens)
            return NotRefreshed(RefreshOutcome.SuccessorLost);
        _metrics.Refreshed(outcome);
        if (outcome == RefreshOutcome.Rotated)
            TellIssued(tokens, isRefreshed: true);
        return new RefreshResult(outcome, tokens);
    }

    private RefreshResult Reused(RefreshToken old)
    {
        TokensLog.Reused(_logger, old.Family);
        _revoker.Reused(old);
        return NotRefreshed(RefreshOutcome.Reused);
    }

    private void TellIssued(IssuedTokens tokens, bool isRefreshed)
    {
        _metrics.Issued();
        if (_options.PublishIssued)
            _notices.Tell(
                OnggiEventTypes.AuthTokenIssued,
                new TokenIssued(tokens.Subject, tokens.TokenId, tokens.FamilyId, tokens.SessionId, tokens.AccessExpiresAt, isRefreshed)
            );
    }
}
