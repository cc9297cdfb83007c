using System.Text.Json;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Scripts;

namespace Onggi.Sessions;

/// <summary>How long sessions live and how many there may be, as the catalog and the options say together.</summary>
internal sealed record SessionRules(TimeSpan Idle, TimeSpan Absolute, SessionLimit Limit);

/// <summary>The scripts on a real Redis: each operation is one of them, in one slot, in one round trip.</summary>
/// <remarks>
/// Every script may be run twice with the same arguments: a command whose reply was lost is asked again. (A save is not: the second time would see the first one's version, and say that
/// somebody else was first.)
/// </remarks>
internal sealed class SessionStore(RedisClient redis, SessionKeys keys, SessionRules rules, SessionOptions options, TimeProvider time)
{
    /// <summary>How long what stands beside a session outlives it, so that its end is still told when all services were away.</summary>
    private static readonly long AftermathMs = (long)TimeSpan.FromHours(24).TotalMilliseconds;

    private const int AtATime = 500;

    private readonly SessionScripts _scripts = SessionScripts.ForNow();
    private readonly ReplicatedScripts _replicated = new(redis, time);
    private readonly long _touchEveryMs = (long)options.TouchEvery.TotalMilliseconds;
    private readonly long _republishMs = options.Events
        ? (long)options.RepublishAfterOr(redis.Options.CommandTimeout).TotalMilliseconds
        : 0;

    public async ValueTask<(CreateReply Reply, int? Replicas)> CreateAsync(
        SessionId id,
        string user,
        SessionDetails details,
        ReadOnlyMemory<byte> data,
        CancellationToken cancellationToken
    )
    {
        var limit = details.Limit ?? rules.Limit;
        var names = keys.Of(id);
        try
        {
            return await RunSafelyAsync(
                    _scripts.Create,
                    [names.Session, names.Index, names.Meta, names.Shard.Due, names.Shard.Out],
                    [
                        names.Handle,
                        names.Partition,
                        user,
                        RolesJson(details.Roles),
                        details.Device,
                        data,
                        (long)rules.Idle.TotalMilliseconds,
                        (long)rules.Absolute.TotalMilliseconds,
                        limit.Most,
                        PolicyWord(limit.Policy),
                        AftermathMs,
                        _republishMs,
                    ],
                    SessionReplies.Created,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
        }
        finally
        {
            names.Release();
        }
    }

    public ValueTask<Session?> TouchAsync(SessionId id, bool withData, CancellationToken cancellationToken) =>
        TouchAsync(keys.Of(id), withData, isShown: true, cancellationToken);

    /// <summary>The same by a handle, which must be one of the user's.</summary>
    public ValueTask<Session?> TouchAsync(string partition, string handle, bool withData, CancellationToken cancellationToken) =>
        TouchAsync(keys.Of(partition, handle), withData, isShown: false, cancellationToken);

    private ValueTask<Session?> TouchAsync(SessionNames names, bool withData, bool isShown, CancellationToken cancellationToken)
    {
        try
        {
            // Names and arguments are written before the call returns.
            return redis.Router.SendAsync(
                new Command(
                    _scripts.Touch,
                    [names.Session, names.Index, names.Meta],
                    [names.Handle, _touchEveryMs, withData ? "1" : "0", isShown ? "1" : "0"]
                ),
                names.HandleText,
                SessionReplies.Touched,
                CommandOptions.Idempotent,
                cancellationToken
            );
        }
        finally
        {
            names.Release();
        }
    }

    public ValueTask<SessionSave> SaveAsync(
        SessionId id,
        long version,
        ReadOnlyMemory<byte> data,
        IReadOnlyList<string>? roles,
        CancellationToken cancellationToken
    )
    {
        var names = keys.Of(id);
        try
        {
            return redis.EvalAsync(
                _scripts.Save,
                [names.Session, names.Index, names.Meta],
                [names.Handle, version, data, roles is null ? "" : RolesJson(roles)],
                SessionReplies.Saved,
                cancellationToken
            );
        }
        finally
        {
            names.Release();
        }
    }

    /// <summary>Overwrites the data, whatever stands there, and waits for the replicas where the options ask for it. Twice is the same.</summary>
    public async ValueTask<(SessionSave Reply, int? Replicas)> OverwriteAsync(
        SessionId id,
        ReadOnlyMemory<byte> data,
        CancellationToken cancellationToken
    )
    {
        var names = keys.Of(id);
        try
        {
            return await RunSafelyAsync(
                    _scripts.Save,
                    [names.Session, names.Index, names.Meta],
                    [names.Handle, 0, data, ""],
                    SessionReplies.Saved,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
        }
        finally
        {
            names.Release();
        }
    }

    public async ValueTask<(RotateReply Reply, int? Replicas)> RotateAsync(
        SessionId old,
        SessionId successor,
        TimeSpan overlap,
        CancellationToken cancellationToken
    )
    {
        var names = keys.Of(old);
        var next = keys.Of(successor);
        try
        {
            return await RunSafelyAsync(
                    _scripts.Rotate,
                    [names.Session, next.Session, names.Index, names.Meta, names.Shard.Due, names.Shard.Out],
                    [names.Handle, next.Handle, names.Partition, (long)overlap.TotalMilliseconds, _republishMs, AftermathMs],
                    SessionReplies.Rotated,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
        }
        finally
        {
            names.Release();
            next.Release();
        }
    }

    /// <summary>Ends sessions.</summary>
    public async ValueTask<(RevokeReply Reply, int? Replicas)> RevokeAsync(SessionEnd end, CancellationToken cancellationToken)
    {
        var names = NamesOf(end);
        try
        {
            return await RunSafelyAsync(
                    _scripts.Revoke,
                    RevokeKeys(end, names),
                    RevokeArgs(end, names, 0),
                    SessionReplies.Revoked,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
        }
        finally
        {
            names.Release();
        }
    }

    /// <summary>Ends sessions that had ended or were to end once more, in one flush. One script for each call, which is of one user.</summary>
    /// <param name="calls">Which, and by when it must have begun, ms of the server's clock; 0 for whatever there is.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Of each what it said, or why it could not be asked.</returns>
    public async ValueTask<(RevokeReply? Reply, RedisException? Failure)[]> RevokeAgainAsync(
        IReadOnlyList<(SessionEnd End, long BegunBy)> calls,
        CancellationToken cancellationToken
    )
    {
        var batch = redis.CreateBatch();
        foreach (var (end, begunBy) in calls)
        {
            var names = NamesOf(end);
            batch.Add(
                _scripts.Revoke,
                RevokeKeys(end, names),
                RevokeArgs(end, names, begunBy),
                SessionReplies.Revoked,
                CommandOptions.Idempotent
            );
            names.Release();
        }

        await batch.SendAsync(null, cancellationToken).ConfigureAwait(Rt.Capture);
        return
        [
            .. batch.Items.Select(item =>
                item.Outcome == BatchOutcome.Answered
                    ? (((BatchItem<RevokeReply>)item).Value, item.Error)
                    : (default(RevokeReply), item.Error)
            ),
        ];
    }

    public ValueTask<SessionSummary[]> ListAsync(string partition, CancellationToken cancellationToken)
    {
        var names = keys.Of(partition);
        try
        {
            return redis.Router.SendAsync(
                new Command(_scripts.List, [names.Index, names.Meta], []),
                SessionReplies.Listed,
                CommandOptions.Idempotent,
                cancellationToken
            );
        }
        finally
        {
            names.Release();
        }
    }

    /// <summary>Looks at all shards. One round trip.</summary>
    /// <returns>Of each what it said, or why it could not be asked.</returns>
    public async ValueTask<(LookReply? Reply, RedisException? Failure)[]> LookAsync(int most, CancellationToken cancellationToken)
    {
        var batch = redis.CreateBatch();
        foreach (var shard in keys.Shards)
            batch.Add(_scripts.Look, [shard.Due, shard.Out], [most, Math.Max(1, _republishMs)], SessionReplies.Looked);
        await batch.SendAsync(null, cancellationToken).ConfigureAwait(Rt.Capture);
        // A shard that cannot be asked (its server is away) must not hold up the others.
        return
        [
            .. batch.Items.Select(item =>
                item.Outcome == BatchOutcome.Answered ? (((BatchItem<LookReply>)item).Value, item.Error) : (default(LookReply), item.Error)
            ),
        ];
    }

    /// <summary>Ends what is due, each user's in a script of its own, all in one flush.</summary>
    /// <param name="due">Partition and handle of each.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<IReadOnlyList<(SessionKeys.Shard Shard, ReapReply Reply)>> ReapAsync(
        IEnumerable<string> due,
        CancellationToken cancellationToken
    )
    {
        var batch = redis.CreateBatch();
        var shards = new List<SessionKeys.Shard>();
        foreach (var user in due.GroupBy(static member => member[..SessionId.PartitionLength], StringComparer.Ordinal))
        {
            var names = keys.Of(user.Key);
            batch.Add(
                _scripts.Reap,
                [names.Index, names.Meta, names.Shard.Due, names.Shard.Out],
                [
                    names.Partition,
                    _republishMs,
                    AftermathMs,
                    .. user.Select(static member => (RedisArg)member[SessionId.PartitionLength..]),
                ],
                SessionReplies.Reaped
            );
            shards.Add(names.Shard);
            names.Release();
        }

        await batch.SendAsync(null, cancellationToken).ConfigureAwait(Rt.Capture);
        var replies = new List<(SessionKeys.Shard, ReapReply)>(shards.Count);
        for (var i = 0; i < shards.Count; i++)
        {
            if (batch.Items[i].Outcome == BatchOutcome.Answered)
                replies.Add((shards[i], ((BatchItem<ReapReply>)batch.Items[i]).Value));
        }

        return replies;
    }

    /// <summary>Takes events that are published out of the outbox, and removes the keys of sessions that have ended. An event that is not taken out is published again, and marked.</summary>
    public async ValueTask ConfirmAsync(IEnumerable<OutboxEntry> published, CancellationToken cancellationToken)
    {
        var batch = redis.CreateBatch();
        foreach (var shard in published.GroupBy(static entry => entry.Shard))
        {
            foreach (var entries in shard.Where(static entry => entry.Ended is null).Chunk(AtATime))
                batch.Add(
                    ["ZREM", shard.Key.Out, .. entries.Select(static entry => (RedisArg)entry.Json)],
                    ReplyParsers.Int64,
                    CommandOptions.Idempotent
                );
            // All keys of a shard are in one slot.
            foreach (var handles in shard.SelectMany(static entry => entry.Ended ?? []).Chunk(AtATime))
                batch.Add(
                    ["UNLINK", .. handles.Select(handle => (RedisArg)keys.SessionOf(handle))],
                    ReplyParsers.Int64,
                    CommandOptions.Idempotent
                );
        }

        await batch.SendAsync(null, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    private SessionNames NamesOf(SessionEnd end) => end.IsShown ? keys.Of(end.Partition, end.Handles[0]) : keys.Of(end.Partition);

    private static RedisArg[] RevokeKeys(SessionEnd end, SessionNames names) =>
        [end.IsShown ? names.Session : names.Index, names.Index, names.Meta, names.Shard.Due, names.Shard.Out];

    private RedisArg[] RevokeArgs(SessionEnd end, SessionNames names, long begunBy) =>
        [
            end.Mode,
            names.Partition,
            end.Reason,
            _republishMs,
            AftermathMs,
            begunBy,
            .. end.Handles.Select(static handle => (RedisArg)handle),
        ];

    /// <summary>Runs a script, and waits for the replicas where the options ask for it.</summary>
    private async ValueTask<(T Reply, int? Replicas)> RunSafelyAsync<T>(
        RedisScript script,
        RedisArg[] scriptKeys,
        RedisArg[] args,
        ReplyParser<T> parser,
        CancellationToken cancellationToken
    )
    {
        // mutant: the replicas are not asked.
        var wanted = SessionMutants.NoWait ? 0 : options.Replicas;
        var (reply, confirmed) = await _replicated
            .RunAsync(script, scriptKeys, args, parser, wanted, options.ReplicaTimeout, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        return (
            reply,
            options.Replicas == 0 ? null
            : SessionMutants.NoWait ? options.Replicas
            : confirmed
        );
    }

    private static string PolicyWord(SessionLimitPolicy policy) =>
        policy switch
        {
            SessionLimitPolicy.Reject => "reject",
            SessionLimitPolicy.Oldest => "oldest",
            _ => "leastRecent",
        };

    private static byte[] RolesJson(IReadOnlyList<string> roles)
    {
        if (roles.Count == 0)
            return "[]"u8.ToArray();
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartArray();
            foreach (var role in roles)
                writer.WriteStringValue(role);
            writer.WriteEndArray();
        }

        return buffer.ToArray();
    }
}
