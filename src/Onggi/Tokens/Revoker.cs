using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Events;

namespace Onggi.Tokens;

/// <summary>Ends tokens: remembers each revocation before Redis is asked, asks once, and takes along what is to go with it.</summary>
internal sealed class Revoker(
    RedisClient redis,
    TokenStore store,
    RecentRevocations recent,
    TokenNotices notices,
    TokensMetrics metrics,
    ServerClock clock,
    Func<TokenSetup> setup,
    ILogger logger
)
{
    private const int MaxReason = 64;
    private const string OneToken = "token";
    private const string OneFamily = "family";
    private const string Everything = "user";

    /// <summary>What a script did; epoch and the server's time are 0 where it does not tell them.</summary>
    private sealed record Made(int Ended, long Epoch, long Now);

    private static readonly ReplyParser<Made> Count = static (ref reader) => new Made((int)reader.ReadInt64(), 0, 0);

    private static readonly ReplyParser<Made> SignedOut = static (ref reader) =>
    {
        reader.Read();
        var epoch = long.Parse(reader.ReadString()!, System.Globalization.CultureInfo.InvariantCulture);
        reader.Read();
        var ended = (int)reader.ReadInt64();
        reader.Read();
        return new Made(ended, epoch, long.Parse(reader.ReadString()!, System.Globalization.CultureInfo.InvariantCulture));
    };

    public async ValueTask<Revocation> RevokeAsync(VerifiedToken token, RevocationOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(token);
        var reason = Checked(options);
        // As long as anybody may take it: whoever judges it may allow more skew than we do.
        var skew = TokenMutants.DeniedUntilExpiry ? TimeSpan.Zero : TokenOptionsValidator.MaxSkew;
        var until = token.ExpiresAt + skew;
        var left = until - DateTimeOffset.FromUnixTimeMilliseconds(clock.NowMs);
        var matters = left > TimeSpan.Zero ? left : TimeSpan.FromSeconds(1);
        var note = new RevocationNote(
            TokenStore.DenyScript,
            [setup().Names.Denied(token.DeniedId)],
            (_, _) => [reason, until.ToUnixTimeMilliseconds()],
            matters,
            matters
        );
        var done = await RunAsync(note, Count, options, cancellationToken).ConfigureAwait(Rt.Capture);
        Tell(OneToken, new TokenRevoked(token.Subject, token.TokenId, token.FamilyId, token.SessionId, OneToken, reason));
        return done;
    }

    public async ValueTask<Revocation> RevokeFamilyAsync(
        string subject,
        string family,
        string? sessionId,
        RevocationOptions options,
        CancellationToken cancellationToken
    )
    {
        var reason = Checked(options);
        var done = await RunAsync(FamilyNote(subject, family, reason), Count, options, cancellationToken).ConfigureAwait(Rt.Capture);
        Tell(OneFamily, new TokenRevoked(subject, null, family, sessionId, OneFamily, reason));
        return done;
    }

    public async ValueTask<Revocation> SignOutEverywhereAsync(
        string subject,
        RevocationOptions options,
        CancellationToken cancellationToken
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(subject);
        var reason = Checked(options);
        var names = setup().Names.Of(subject);
        var note = new RevocationNote(
            TokenStore.SignOutScript,
            [names.Families, names.Deadlines, names.Epoch],
            static (note, left) => [TokenMutants.SignOutAnew ? 0 : note.Epoch, left],
            setup().Kept,
            setup().Names.LongestFamily
        )
        {
            HasEpoch = true,
            // Asked for the first time it makes a new epoch; asserted again, before its answer is known, it ends what was issued before this call.
            Epoch = clock.IsKnown ? clock.NowMs : 0,
        };
        var done = await RunAsync(note, SignedOut, options, cancellationToken, [0, Ms(setup().Kept)]).ConfigureAwait(Rt.Capture);
        Tell(Everything, new TokenRevoked(subject, null, null, null, Everything, reason));
        return done;
    }

    /// <summary>Redis has just revoked a family itself.</summary>
    public void Reused(RefreshToken token)
    {
        var note = FamilyNote(token.Subject, token.Family, "reuse");
        recent.Add(note);
        recent.Made(note, 0);
        Tell(OneFamily, new TokenRevoked(token.Subject, null, token.Family, token.SessionId, OneFamily, "reuse"));
    }

    private RevocationNote FamilyNote(string subject, string family, string reason)
    {
        var names = setup().Names.Of(subject);
        return new RevocationNote(
            TokenStore.RevokeScript,
            [
                names.Families,
                names.Deadlines,
                names.Sealed(family),
                TokenMutants.FamilyNotDenied ? names.Sealed(family) : names.Denied(family),
            ],
            (_, left) => [family, reason, left],
            setup().Kept,
            setup().Names.LongestFamily
        );
    }

    private async ValueTask<Revocation> RunAsync(
        RevocationNote note,
        ReplyParser<Made> parser,
        RevocationOptions options,
        CancellationToken cancellationToken,
        RedisArg[]? args = null
    )
    {
        recent.Add(note);
        args ??= note.ArgsAt(age: null);
        var asked = clock.Asking();
        var asking = store
            .RunSafelyAsync(note.Script, note.Keys, args, parser, options.Replicas, options.ReplicaTimeout, cancellationToken)
            .AsTask();
        var unlink = redis.CreateBatch();
        // A key each: they can be of several slots.
        foreach (var key in options.Unlink)
            unlink.Add(["UNLINK", key], ReplyParsers.Int64, CommandOptions.Idempotent);
        var unlinking = unlink.Count > 0 ? unlink.SendAsync(cancellationToken: cancellationToken) : Task.CompletedTask;
        await Task.WhenAll(asking, unlinking).ConfigureAwait(Rt.Quietly);
        if (!asking.IsCompletedSuccessfully)
            recent.Failed(note);
        var (answer, replicas, answered) = await asking.ConfigureAwait(Rt.Capture);
        recent.Made(note, answer.Epoch);
        if (answer.Now > 0)
            clock.Learn(answer.Now, asked, answered);
        if (replicas < options.Replicas)
            TokensLog.NotReplicated(logger, "A revocation", replicas, options.Replicas);
        await unlinking.ConfigureAwait(Rt.Capture);
        return new Revocation(
            answer.Ended,
            replicas,
            unlink.Items.Sum(item => item.Outcome == BatchOutcome.Answered ? ((BatchItem<long>)item).Value : 0),
            unlink.Items.FirstOrDefault(item => item.Error is not null)?.Error
        );
    }

    private void Tell(string scope, TokenRevoked revoked)
    {
        metrics.Revoked(scope);
        notices.Tell(OnggiEventTypes.AuthTokenRevoked, revoked);
    }

    private static string Checked(RevocationOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(options.Replicas, "options.Replicas");
        // WAIT counts milliseconds, and takes 0 for without end.
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ReplicaTimeout, TimeSpan.FromMilliseconds(1), "options.ReplicaTimeout");
        ArgumentException.ThrowIfNullOrWhiteSpace(options.Reason, "options.Reason");
        return options.Reason.Length <= MaxReason
            ? options.Reason
            : throw new ArgumentException(
                $"The reason has {options.Reason.Length} characters, more than {MaxReason}: a word is meant.",
                nameof(options)
            );
    }

    private static long Ms(TimeSpan span) => (long)span.TotalMilliseconds;
}
