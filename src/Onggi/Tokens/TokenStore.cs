using System.Globalization;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Scripts;

namespace Onggi.Tokens;

/// <summary>What a script answered: its word, two numbers, and bytes where there are some.</summary>
internal readonly record struct TokenAnswer(string Word, long First, long Second, byte[]? Sealed)
{
    public static readonly ReplyParser<TokenAnswer> Parser = static (ref reader) =>
    {
        var count = reader.Count;
        reader.Read();
        var word = reader.ReadString() ?? "";
        Span<long> numbers = stackalloc long[2];
        for (var i = 1; i < Math.Min(count, 3); i++)
        {
            reader.Read();
            numbers[i - 1] = long.Parse(reader.ReadString()!, CultureInfo.InvariantCulture);
        }

        if (count > 3)
            reader.Read();
        return new TokenAnswer(word, numbers[0], numbers[1], count > 3 ? reader.ReadBytes() : null);
    };
}

/// <summary>The commands of tokens on Redis. Each is one script in one slot; asked twice each does what it does once, so a lost reply is asked for again.</summary>
internal sealed class TokenStore(RedisClient redis, TimeProvider time)
{
    public static readonly RedisScript IssueScript = LuaScript.Load("token_issue.lua");
    public static readonly RedisScript RotateScript = LuaScript.Load("token_rotate.lua");
    public static readonly RedisScript RevokeScript = LuaScript.Load("token_revoke.lua");
    public static readonly RedisScript SignOutScript = LuaScript.Load("token_signout.lua");
    public static readonly RedisScript DenyScript = LuaScript.Load("token_deny.lua");

    // What a replica has can be older than a revocation.
    private const CommandOptions Read = CommandOptions.Idempotent | CommandOptions.Primary;

    private readonly ReplicatedScripts _replicated = new(redis, time);

    public ValueTask<TokenAnswer> RunAsync(
        RedisScript script,
        ReadOnlySpan<RedisArg> keys,
        ReadOnlySpan<RedisArg> args,
        CancellationToken cancellationToken
    ) => redis.Router.SendAsync(new Command(script, keys, args), TokenAnswer.Parser, CommandOptions.Idempotent, cancellationToken);

    /// <summary>Runs a script, and waits for replicas where some are wanted.</summary>
    /// <returns>What it said, how many replicas have it (0 where none were wanted), and when it said so, by our clock: the replicas can come long after it.</returns>
    public async ValueTask<(T Reply, int Replicas, long Answered)> RunSafelyAsync<T>(
        RedisScript script,
        RedisArg[] keys,
        RedisArg[] args,
        ReplyParser<T> parser,
        int replicas,
        TimeSpan timeout,
        CancellationToken cancellationToken
    )
    {
        // mutant: the replicas are not asked.
        var wanted = TokenMutants.NoWait ? 0 : replicas;
        ReplyParser<(T, long)> timed = (ref reader) => (parser(ref reader), time.GetTimestamp());
        var ((reply, answered), confirmed) = await _replicated
            .RunAsync(script, keys, args, timed, wanted, timeout, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        return (reply, TokenMutants.NoWait ? replicas : confirmed, answered);
    }

    /// <summary>Whether a token or its family is on the blacklist, and its user's epoch (0 for none). One MGET for a token of ours, two reads in one flush for another's.</summary>
    public async ValueTask<(bool IsDenied, long Epoch)> ReadAsync(
        TokenNames names,
        VerifiedToken token,
        CancellationToken cancellationToken
    )
    {
        var subject = names.Of(token.SubjectId);
        var denied = names.Denied(token.DeniedId);
        if (token.IsForeign)
        {
            var entry = redis.SendAsync(["GET", denied], ReplyParsers.Text, Read, cancellationToken).AsTask();
            var epoch = redis.SendAsync(["GET", subject.Epoch], ReplyParsers.Text, Read, cancellationToken).AsTask();
            // Both are waited for, also when one fails.
            await Task.WhenAll(entry, epoch).ConfigureAwait(Rt.Capture);
            return (await entry.ConfigureAwait(Rt.Capture) is not null, Number(await epoch.ConfigureAwait(Rt.Capture)));
        }

        RedisArg[] keys = token.FamilyId is { } family
            ? ["MGET", subject.Epoch, denied, names.Denied(family)]
            : ["MGET", subject.Epoch, denied];
        var facts = await redis.SendAsync(keys, ReplyParsers.TextArray, Read, cancellationToken).ConfigureAwait(Rt.Capture);
        return (facts.AsSpan(1).ContainsAnyExcept((string?)null), Number(facts[0]));
    }

    private static long Number(string? text) => text is null ? 0 : long.Parse(text, CultureInfo.InvariantCulture);
}
