using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;

namespace Onggi.Sessions;

/// <summary>Who is signed in, for all services that share the Redis: sessions that end when they should, and stay ended.</summary>
/// <remarks>
/// <para>Every operation is one script and one round trip. Times are those of Redis's clock. How long a session lives, and how many a user may have, the catalog's family of kind <c>session</c> says.</para>
/// <para>When Redis is slow or gone, every method throws <see cref="RedisException"/>, and nobody is signed in or out by mistake: what cannot be asked is not known. A revocation that failed so is tried again in the
/// background until it has succeeded. When Redis is full, logins and saves are refused (OOM);
/// validation and sign-out go on. What a failover can lose, and how <see cref="SessionOptions.Replicas"/> prevents it, stands in the page on sessions.</para>
/// </remarks>
public sealed class OnggiSessions : IAsyncDisposable
{
    private const int MostUserCharacters = 512;
    private const int MostDeviceCharacters = 256;
    private const int MostReasonCharacters = 64;

    private readonly Keyspace _keyspace;
    private readonly SessionOptions _options;
    private readonly SessionMetrics _metrics;
    private readonly ILogger<OnggiSessions> _logger;
    private readonly SessionsOfFamily? _family;
    private readonly string _missing;

    internal OnggiSessions(
        RedisClient redis,
        Keyspace keyspace,
        SessionOptions options,
        IEventSink events,
        IMeterFactory meters,
        ILogger<OnggiSessions> logger,
        TimeProvider time
    )
    {
        _keyspace = keyspace;
        _options = options;
        _metrics = new SessionMetrics(meters);
        _logger = logger;
        _missing = SessionsOfFamily.Choose(keyspace, options, out var family);
        if (family is not null)
            _family = new SessionsOfFamily(redis, keyspace, family, options, events, _metrics, logger, time);
    }

    /// <summary>Whether this process has sessions: the catalog has a family of them that it uses.</summary>
    public bool IsConfigured => _family is not null;

    /// <summary>How many sessions live, of all users of the family, as the sweeper last saw them; <c>null</c> while nobody here has looked. No round trip.</summary>
    public long? Live => _metrics.Live is >= 0 and var live ? live : null;

    /// <summary>How many replicas are waited for, and how long; what goes with a session is as safe as the session.</summary>
    internal (int Replicas, TimeSpan Timeout) Waits => (_options.Replicas, _options.ReplicaTimeout);

    internal SessionsOfFamily Family => _family ?? ThrowMissing();

    /// <summary>Begins a session: a login. One round trip.</summary>
    /// <param name="user">Whose it is: the same text for the same person at every login. It stands in Redis as a value, never in a key.</param>
    /// <param name="details">What belongs to it; <c>null</c> for nothing.</param>
    /// <param name="cancellationToken">Ends the wait. The session may begin all the same; nobody has its id then, and it ends by itself.</param>
    /// <returns>The new id. Or none, where the user has as many sessions as there may be and the policy is to reject.</returns>
    /// <exception cref="RedisException">Redis could not be asked, or is full.</exception>
    /// <exception cref="ArgumentException">The user is empty, or something is too long.</exception>
    public async ValueTask<SessionCreation> CreateAsync(
        string user,
        SessionDetails? details = null,
        CancellationToken cancellationToken = default
    )
    {
        var partition = PartitionOf(user);
        details ??= new SessionDetails();
        Check(details);
        var id = SessionId.New(partition);
        var data = details.DataFor is { } make ? make(HandleOf(id)) : details.Data;
        CheckData(data);
        var (reply, replicas) = await Family.Store.CreateAsync(id, user, details, data, cancellationToken).ConfigureAwait(Rt.Capture);
        Family.After(partition, reply.Entries, reply.Evicted);
        if (!reply.IsCreated)
        {
            _metrics.Rejected();
            SessionLog.Rejected(_logger, reply.Live);
            return new SessionCreation { Live = reply.Live };
        }

        var handle = HandleOf(id);
        _metrics.Created(reply.Evicted.Length);
        SessionLog.Created(_logger, handle);
        Warn(handle, replicas);
        return new SessionCreation
        {
            Id = id,
            Handle = handle,
            ExpiresAt = DateTimeOffset.FromUnixTimeMilliseconds(reply.Deadline),
            Live = reply.Live,
            Evicted = reply.Evicted,
            Replicas = replicas,
        };
    }

    /// <summary>The session of an id, and a longer life for it: what every request asks. One round trip, which writes only once in <see cref="SessionOptions.TouchEvery"/>.</summary>
    /// <param name="id">What the visitor showed.</param>
    /// <param name="withData">Whether roles and data are wanted.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns><c>null</c> when there is none: never was, expired, ended, or replaced by another id too long ago.</returns>
    /// <exception cref="RedisException">Redis could not be asked: whether the visitor is signed in is not known.</exception>
    /// <exception cref="ArgumentException">The id is empty.</exception>
    public async ValueTask<Session?> ValidateAsync(SessionId id, bool withData = true, CancellationToken cancellationToken = default)
    {
        var session = await Family.Store.TouchAsync(id, withData, cancellationToken).ConfigureAwait(Rt.Capture);
        CountValidated(session);
        return session;
    }

    /// <summary>The session of a user by its handle, and a longer life for it: for who has proven otherwise who the user is, by a token that names the session. One round trip.</summary>
    /// <remarks>A handle is no secret. It is not followed from an id that was replaced to the next one for longer than the overlap.</remarks>
    /// <param name="user">Whose it is, proven.</param>
    /// <param name="handle">Its handle, as a token may name it.</param>
    /// <param name="withData">Whether roles and data are wanted.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns><c>null</c> when this user has no such session: never had, expired, ended, or it has another handle now.</returns>
    /// <exception cref="RedisException">Redis could not be asked: whether it lives is not known.</exception>
    public async ValueTask<Session?> ValidateAsync(
        string user,
        string handle,
        bool withData = true,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(handle);
        var partition = PartitionOf(user);
        var session = Family.Keys.IsHandleOf(partition, handle)
            ? await Family.Store.TouchAsync(partition, handle, withData, cancellationToken).ConfigureAwait(Rt.Capture)
            : null;
        CountValidated(session);
        return session;
    }

    /// <summary>Puts new data into a session, if nobody else has since it was read. One round trip. It never brings back a session that has ended, nor lengthens a life.</summary>
    /// <param name="id">The session's id.</param>
    /// <param name="version"><see cref="Session.Version"/> as it was read; 0 to overwrite whatever stands there.</param>
    /// <param name="data">The new data.</param>
    /// <param name="roles">The new roles; <c>null</c> for those that it has.</param>
    /// <param name="cancellationToken">Ends the wait; it may be saved all the same.</param>
    /// <exception cref="RedisException">Redis could not be asked, or is full.</exception>
    /// <exception cref="ArgumentException">The id is empty, or the data is too long.</exception>
    public ValueTask<SessionSave> SaveAsync(
        SessionId id,
        long version,
        ReadOnlyMemory<byte> data,
        IReadOnlyList<string>? roles = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegative(version);
        CheckData(data);
        return Family.Store.SaveAsync(id, version, data, roles, cancellationToken);
    }

    /// <summary>The same for who overwrites what stands there, and needs it as safe as the session itself: it waits for <see cref="SessionOptions.Replicas"/>.</summary>
    internal async ValueTask<(bool IsSaved, int? Replicas)> KeepAsync(
        SessionId id,
        ReadOnlyMemory<byte> data,
        CancellationToken cancellationToken
    )
    {
        CheckData(data);
        var (save, replicas) = await Family.Store.OverwriteAsync(id, data, cancellationToken).ConfigureAwait(Rt.Capture);
        if (save.IsSaved)
            Warn(HandleOf(id), replicas);
        return (save.IsSaved, replicas);
    }

    /// <summary>Gives a session another id, as should be done at every change of rights. One round trip. The whole life of the session does not begin anew.</summary>
    /// <param name="id">The id that it has.</param>
    /// <param name="overlap">How long that one still opens it; zero at a login, so that an id that somebody planted is worth nothing. <c>null</c> for <see cref="SessionOptions.RotationOverlap"/>.</param>
    /// <param name="cancellationToken">Ends the wait; the id may be replaced all the same.</param>
    /// <exception cref="RedisException">Redis could not be asked, or is full.</exception>
    /// <exception cref="ArgumentException">The id is empty, or the overlap is negative or longer than a minute.</exception>
    public async ValueTask<SessionRotation> RotateAsync(
        SessionId id,
        TimeSpan? overlap = null,
        CancellationToken cancellationToken = default
    )
    {
        var wait = overlap ?? _options.RotationOverlap;
        ArgumentOutOfRangeException.ThrowIfLessThan(wait, TimeSpan.Zero, nameof(overlap));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(wait, TimeSpan.FromMinutes(1), nameof(overlap));
        var partition = id.Partition.ToString();
        var successor = SessionId.New(partition);
        var (reply, replicas) = await Family.Store.RotateAsync(id, successor, wait, cancellationToken).ConfigureAwait(Rt.Capture);
        Family.After(partition, reply.Entries, []);
        if (reply.Code != 1)
            return new SessionRotation { IsSuperseded = reply.Code == 2 };
        Family.Replaced(partition, HandleOf(id));
        var handle = HandleOf(successor);
        Warn(handle, replicas);
        return new SessionRotation
        {
            Id = successor,
            Handle = handle,
            ExpiresAt = DateTimeOffset.FromUnixTimeMilliseconds(reply.Deadline),
            Replicas = replicas,
        };
    }

    /// <summary>Ends the session of an id: a sign-out. One round trip. Also by an id that another has just replaced.</summary>
    /// <param name="id">The session's id.</param>
    /// <param name="reason">For the event, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; the session ends all the same.</param>
    /// <returns>Its handle; none when it had ended already.</returns>
    /// <exception cref="RedisException">It is not known to have ended yet. This process goes on trying in the background, for as long as the session could live.</exception>
    public ValueTask<SessionRevocation> RevokeAsync(
        SessionId id,
        string reason = "signed_out",
        CancellationToken cancellationToken = default
    )
    {
        CheckReason(reason);
        return EndAsync(SessionEnd.OfShown(id.Partition.ToString(), HandleOf(id), reason), cancellationToken);
    }

    /// <summary>Ends one of a user's sessions by its handle: "end that one". One round trip. Another user's is not found.</summary>
    /// <inheritdoc cref="RevokeAsync(SessionId, string, CancellationToken)"/>
    /// <param name="user">Whose it is.</param>
    /// <param name="handle"><see cref="SessionSummary.Handle"/> of a list.</param>
    /// <param name="reason">For the event, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; the session ends all the same.</param>
    public ValueTask<SessionRevocation> RevokeAsync(
        string user,
        string handle,
        string reason = "signed_out",
        CancellationToken cancellationToken = default
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(handle);
        CheckReason(reason);
        var partition = PartitionOf(user);
        return handle.Length != SessionKeys.HandleLength
            ? ValueTask.FromResult(new SessionRevocation { Handles = [] })
            : EndAsync(SessionEnd.Of(partition, [handle], reason), cancellationToken);
    }

    /// <summary>Ends all sessions of a user: "sign out everywhere". One round trip.</summary>
    /// <param name="user">Whose they are.</param>
    /// <param name="reason">For the events, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; the sessions end all the same.</param>
    /// <exception cref="RedisException">They are not known to have ended yet. This process goes on trying in the background, for as long as one of them could live: for those that had begun before this call.</exception>
    public ValueTask<SessionRevocation> RevokeAllAsync(
        string user,
        string reason = "signed_out_everywhere",
        CancellationToken cancellationToken = default
    )
    {
        CheckReason(reason);
        return EndAsync(SessionEnd.OfAll(PartitionOf(user), reason), cancellationToken);
    }

    /// <summary>Ends all sessions of a user but one: "sign out all other devices". One round trip. Nothing happens when that one has ended itself.</summary>
    /// <param name="keep">The session that goes on.</param>
    /// <param name="reason">For the events, a word of yours.</param>
    /// <param name="cancellationToken">Ends the wait; the sessions end all the same.</param>
    /// <exception cref="RedisException">They are not known to have ended yet. This process goes on trying in the background, for as long as one of them could live: for those that had begun before this call.</exception>
    public ValueTask<SessionRevocation> RevokeOthersAsync(
        SessionId keep,
        string reason = "signed_out_elsewhere",
        CancellationToken cancellationToken = default
    )
    {
        CheckReason(reason);
        return EndAsync(SessionEnd.OfOthers(keep.Partition.ToString(), HandleOf(keep), reason), cancellationToken);
    }

    /// <summary>The live sessions of a user, the next to end first. One round trip.</summary>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    public async ValueTask<IReadOnlyList<SessionSummary>> ListAsync(string user, CancellationToken cancellationToken = default) =>
        await Family.Store.ListAsync(PartitionOf(user), cancellationToken).ConfigureAwait(Rt.Capture);

    /// <summary>What names the session of an id in lists, events and logs. No round trip.</summary>
    public string HandleOf(SessionId id)
    {
        var names = Family.Keys.Of(id);
        var handle = names.HandleText;
        names.Release();
        return handle;
    }

    /// <summary>Begins to look for sessions past their deadline, where the catalog has sessions and this service owns them. It needs no connection yet.</summary>
    internal void Start() => _family?.Start();

    /// <summary>Publishes what is still to be published, for 2 s at most, and ends.</summary>
    public ValueTask DisposeAsync() => _family?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async ValueTask<SessionRevocation> EndAsync(SessionEnd end, CancellationToken cancellationToken)
    {
        var (reply, replicas) = await Family.EndAsync(end, cancellationToken).ConfigureAwait(Rt.Capture);
        if (reply.Handles.Length > 0)
            Warn(reply.Handles[0], replicas);
        return new SessionRevocation { Handles = reply.Handles, Replicas = replicas };
    }

    private void CountValidated(Session? session) =>
        _metrics.Validated(
            session is null ? "none"
            : session.IsSuperseded ? "superseded"
            : "live"
        );

    private void Warn(string handle, int? replicas)
    {
        if (replicas < _options.Replicas)
            SessionLog.NotReplicated(_logger, handle, replicas.Value, _options.Replicas);
    }

    private string PartitionOf(string user)
    {
        ArgumentException.ThrowIfNullOrEmpty(user);
        if (user.Length > MostUserCharacters)
            throw new ArgumentException(
                $"The user has {user.Length} characters, more than {MostUserCharacters}. Pass what identifies a person, not what describes one.",
                nameof(user)
            );
        return _keyspace.PseudonymOf(user);
    }

    private static void Check(SessionDetails details)
    {
        if (details.Device.Length > MostDeviceCharacters)
            throw new ArgumentException(
                $"The device has {details.Device.Length} characters, more than {MostDeviceCharacters}. Pass a few words that the user knows again, not the whole User-Agent.",
                nameof(details)
            );
        if (details.Limit is { Most: < 0 })
            throw new ArgumentException(
                $"The limit is {details.Limit.Value.Most}, but nobody can have fewer than no sessions. Pass 0 for no limit.",
                nameof(details)
            );
    }

    private void CheckData(ReadOnlyMemory<byte> data)
    {
        if (data.Length > _options.MaxDataBytes)
            throw new ArgumentException(
                $"The data has {data.Length} bytes, more than Sessions:MaxDataBytes allows ({_options.MaxDataBytes}). It is read at every request: keep what is large in the cache.",
                nameof(data)
            );
    }

    private static void CheckReason(string reason)
    {
        ArgumentException.ThrowIfNullOrEmpty(reason);
        if (reason.Length > MostReasonCharacters)
            throw new ArgumentException(
                $"The reason has {reason.Length} characters, more than {MostReasonCharacters}. Pass a word.",
                nameof(reason)
            );
    }

    [DoesNotReturn]
    private SessionsOfFamily ThrowMissing() => throw new InvalidOperationException(_missing);
}
