using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Sessions;

/// <summary>What stands behind the facade where the catalog has sessions: store, outbox, sweeper and the memory of revocations.</summary>
internal sealed class SessionsOfFamily : IAsyncDisposable
{
    private const string SessionKind = "session";

    private readonly SessionMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly bool _sweeps;
    private int _disposed;

    public SessionsOfFamily(
        RedisClient redis,
        Keyspace keyspace,
        FamilySettings family,
        SessionOptions options,
        IEventSink events,
        SessionMetrics metrics,
        ILogger logger,
        TimeProvider time
    )
    {
        (_metrics, _time) = (metrics, time);
        Settings = family;
        Rules = RulesOf(family, options);
        // The pattern ends with the session's identifier: "dev:auth:session:{sessionId}".
        Keys = new SessionKeys($"{keyspace.Prefix}{family.Owner}:");
        Store = new SessionStore(redis, Keys, Rules, options, time);
        Outbox = new SessionOutbox(Store, events, metrics, logger, time);
        Sweeper = new SessionSweeper(Store, Keys, Outbox, metrics, logger, time);
        Revocations = new SessionRevocations(redis, Store, Rules.Absolute, Ended, logger, time);
        _sweeps = options.Sweep && (keyspace.Service is null || keyspace.Service == family.Owner);
    }

    public FamilySettings Settings { get; }

    public SessionRules Rules { get; }

    public SessionKeys Keys { get; }

    public SessionStore Store { get; }

    public SessionOutbox Outbox { get; }

    public SessionSweeper Sweeper { get; }

    public SessionRevocations Revocations { get; }

    /// <summary>Finds the family of the catalog that this process uses; the sentence to say where there is none.</summary>
    public static string Choose(Keyspace keyspace, SessionOptions options, out FamilySettings? family)
    {
        var all = keyspace.Families.Where(known => known.Kind == SessionKind).ToList();
        var named = string.Join(", ", all.Select(known => $"\"{known.Family.Name}\""));
        family = options.Family is { } wanted
            ? all.Find(known => known.Family.Name == wanted)
            : all.Find(known => known.Owner == keyspace.Service) ?? (all.Count == 1 ? all[0] : null);
        return (all.Count, options.Family) switch
        {
            (0, _) =>
                "The catalog has no sessions. Add a family to keyspace.json: \"session\": { \"key\": \"auth:session:{sessionId}\", \"kind\": \"session\", \"owner\": \"auth\", \"idle\": \"30m\", \"absolute\": \"24h\" }.",
            (_, { } name) => $"The catalog has no sessions \"{name}\". Write one of {named} in Sessions:Family.",
            _ =>
                $"The catalog has several families of sessions ({named}), and this service owns none of them. Write in Sessions:Family which one it uses.",
        };
    }

    public void Start()
    {
        if (_sweeps)
            Sweeper.Start();
    }

    /// <summary>Ends sessions. Where that fails, the caller is told, and it is tried on behind his back.</summary>
    public async ValueTask<(RevokeReply Reply, int? Replicas)> EndAsync(SessionEnd end, CancellationToken cancellationToken)
    {
        var asked = _time.GetTimestamp();
        try
        {
            var done = await Store.RevokeAsync(end, cancellationToken).ConfigureAwait(Rt.Capture);
            Ended(end.Partition, done.Reply);
            return done;
        }
        catch (Exception failure) when (failure is RedisException or OperationCanceledException)
        {
            Revocations.Failed(end, asked);
            throw;
        }
    }

    private void Ended(string partition, RevokeReply reply)
    {
        _metrics.Revoked(reply.Handles.Length);
        _metrics.Expired(reply.Expired);
        After(partition, reply.Entries, reply.Handles);
    }

    /// <summary>What follows an operation, for which nobody waits: events are published, what was revoked is remembered and its keys are removed.</summary>
    public void After(string partition, byte[][] entries, string[] ended)
    {
        var shard = Keys.ShardOf(partition);
        Outbox.Add(shard, entries);
        if (ended.Length == 0)
            return;
        Revocations.Add(partition, ended);
        Outbox.Remove(shard, ended);
    }

    /// <summary>A session has another handle. The one before is over, and stays so after a failover that has lost the rotation; its key is left, for the overlap.</summary>
    public void Replaced(string partition, string handle) => Revocations.Add(partition, [handle]);

    public async ValueTask DisposeAsync()
    {
        // The host's end and that of its services both say it.
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await Sweeper.DisposeAsync().ConfigureAwait(Rt.Capture);
        await Revocations.DisposeAsync().ConfigureAwait(Rt.Capture);
        await Outbox.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    private static SessionRules RulesOf(FamilySettings family, SessionOptions options) =>
        new(
            options.IdleForTests ?? family.IdleTtl!.Value,
            options.AbsoluteForTests ?? family.Ttl,
            new SessionLimit(options.Limit ?? family.SessionLimit ?? 0, options.Policy ?? PolicyOf(family.SessionPolicy))
        );

    private static SessionLimitPolicy PolicyOf(string? word) =>
        word switch
        {
            "reject" => SessionLimitPolicy.Reject,
            "oldest" => SessionLimitPolicy.Oldest,
            _ => SessionLimitPolicy.LeastRecent,
        };
}
