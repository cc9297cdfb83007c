using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Events.Streams;

/// <summary>What one consumer of one group asks of Redis: each question is one round trip, in the slot of the stream.</summary>
internal sealed class StreamStore(RedisClient redis, StreamKeys keys, string group, string consumer, StreamOptions options)
{
    private readonly StreamScripts _scripts = StreamScripts.ForNow();
    private readonly StreamGroupKeys _groupKeys = keys.Of(group);
    private readonly long _claimAfterMs = (long)options.ClaimAfter.TotalMilliseconds;

    public string Type => keys.Type;

    public string Group => group;

    public StreamOptions Options => options;

    public string MarkKey(string id) => _groupKeys.Mark(id);

    /// <summary>A connection of its own: reading holds it up.</summary>
    public ValueTask<RedisLease> LeaseAsync(CancellationToken cancellationToken) => redis.LeaseAsync(keys.Stream, cancellationToken);

    /// <summary>Makes the group, from the beginning of the stream on, if there is none; says whether it was there.</summary>
    public async ValueTask<bool> EnsureGroupAsync(CancellationToken cancellationToken)
    {
        try
        {
            await redis
                .SendAsync(["XGROUP", "CREATE", keys.Stream, group, "0", "MKSTREAM"], ReplyParsers.Ignore, cancellationToken)
                .ConfigureAwait(Rt.Capture);
            return false;
        }
        catch (RedisServerException there) when (there.Code == "BUSYGROUP")
        {
            return true;
        }
    }

    /// <summary>Takes new messages; waits for one as long as it is told. Nobody can cancel it: what Redis has handed out must arrive.</summary>
    public ValueTask<StreamEntry[]> ReadAsync(RedisLease lease, int most, TimeSpan wait)
    {
        var ms = (long)wait.TotalMilliseconds;
        return ms < 1
            ? lease.SendAsync(
                ["XREADGROUP", "GROUP", group, consumer, "COUNT", most, "STREAMS", keys.Stream, ">"],
                StreamReplies.Read,
                CancellationToken.None
            )
            : lease.SendAsync(
                ["XREADGROUP", "GROUP", group, consumer, "COUNT", most, "BLOCK", ms, "STREAMS", keys.Stream, ">"],
                StreamReplies.Read,
                wait + redis.Options.CommandTimeout,
                CancellationToken.None
            );
    }

    /// <summary>Takes what is due and what is abandoned. Not asked again: what a lost reply brought is abandoned, and taken later.</summary>
    public ValueTask<ClaimReply> ClaimAsync(int most, string cursor, CancellationToken cancellationToken) =>
        redis.EvalAsync(
            _scripts.Claim,
            [keys.Stream, _groupKeys.Delay],
            [group, consumer, _claimAfterMs, most, cursor],
            StreamReplies.Claim,
            cancellationToken
        );

    /// <summary>The server's time in µs, and for each message 1 when it is done already.</summary>
    public ValueTask<long[]> LookAsync(IEnumerable<string> marks, CancellationToken cancellationToken) =>
        AskAgainAsync(
            _scripts.Look,
            [_groupKeys.Replay, .. marks.Select(static mark => (RedisArg)mark)],
            [],
            StreamReplies.Numbers,
            cancellationToken
        );

    /// <summary>Says that we still work on them; returns those that are another's now, or settled.</summary>
    public ValueTask<string?[]> RenewAsync(IEnumerable<string> ids, CancellationToken cancellationToken) =>
        AskAgainAsync(
            _scripts.Renew,
            [keys.Stream],
            [group, consumer, .. ids.Select(static id => (RedisArg)id)],
            ReplyParsers.TextArray,
            cancellationToken
        );

    public ValueTask<SettleReply> DoneAsync(string id, string mark, bool marks, CancellationToken cancellationToken) =>
        SettleAsync(mark, [group, id, consumer, "done", marks ? (long)options.SettledMarkLife.TotalMilliseconds : 0], cancellationToken);

    public ValueTask<SettleReply> RetryAsync(string id, string mark, TimeSpan delay, CancellationToken cancellationToken) =>
        SettleAsync(mark, [group, id, consumer, "retry", (long)delay.TotalMilliseconds], cancellationToken);

    public ValueTask<SettleReply> QuarantineAsync(
        string id,
        string mark,
        string reason,
        string eventId,
        CancellationToken cancellationToken
    ) => SettleAsync(mark, [group, id, consumer, "quarantine", reason, eventId], cancellationToken);

    /// <summary>Gives a message back that was not handled: whoever looks next takes it, and it does not count as an attempt.</summary>
    public ValueTask<SettleReply> ReleaseAsync(string id, string mark, int attempt, CancellationToken cancellationToken) =>
        SettleAsync(mark, [group, id, consumer, "release", _claimAfterMs, attempt - 1], cancellationToken);

    /// <summary>1: marked by us. 0: marked before. -1: it is another's now.</summary>
    public ValueTask<long> MarkAsync(string id, string mark, string value, CancellationToken cancellationToken) =>
        AskAgainAsync(
            _scripts.Mark,
            [keys.Stream, mark],
            [group, id, consumer, value, (long)options.MarkLife.TotalMilliseconds],
            ReplyParsers.Int64,
            cancellationToken
        );

    public async ValueTask UnmarkAsync(string mark, CancellationToken cancellationToken) =>
        await redis.SendAsync(["DEL", mark], ReplyParsers.Ignore, CommandOptions.Idempotent, cancellationToken).ConfigureAwait(Rt.Capture);

    private ValueTask<SettleReply> SettleAsync(string mark, RedisArg[] args, CancellationToken cancellationToken) =>
        AskAgainAsync(
            _scripts.Settle,
            [keys.Stream, _groupKeys.Delay, mark, _groupKeys.Quarantine],
            args,
            StreamReplies.Settle,
            cancellationToken
        );

    // Asked twice, the answer is the same, or says that it was done before: so a lost reply is asked for again.
    private ValueTask<T> AskAgainAsync<T>(
        RedisScript script,
        RedisArg[] scriptKeys,
        RedisArg[] args,
        ReplyParser<T> parser,
        CancellationToken cancellationToken
    ) => redis.Router.SendAsync(new Command(script, scriptKeys, args), parser, CommandOptions.Idempotent, cancellationToken);
}
