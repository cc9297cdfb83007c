using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;

namespace Onggi.Events.Streams;

/// <summary>Events that the catalog delivers at least once (<c>"delivery": "atLeastOnce"</c>), through Redis Streams: what can be asked and done beyond publishing and subscribing.</summary>
/// <remarks>
/// <see cref="OnggiEvents"/> publishes and subscribes to both kinds alike. Here are second groups of one service, the quarantine, replays and the state of groups.
/// Each method is one round trip where it does not say otherwise. Redis slow or gone: <see cref="RedisException"/> as for any command. Full: reading, settling and trimming go on; publishing and driving back are refused.
/// </remarks>
public sealed class OnggiStreams : IAsyncDisposable
{
    private const int PageLength = 100;

    private readonly RedisClient _redis;
    private readonly Keyspace _keyspace;
    private readonly EventOptions _options;
    private readonly EventJson _json;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Action<string, EventEnvelope> _tell;
    private readonly StreamMetrics _metrics;
    private readonly StreamKeeper _keeper;
    private readonly StreamScripts _scripts = StreamScripts.ForNow();
    private readonly ConcurrentDictionary<string, StreamKeys> _keys = new(StringComparer.Ordinal);
    private readonly Lock _gate = new(); // Guards the two below.
    private ImmutableArray<StreamConsumer> _consumers = [];
    private bool _disposed;

    internal OnggiStreams(
        RedisClient redis,
        Keyspace keyspace,
        EventOptions options,
        EventJson json,
        IMeterFactory meters,
        ILogger logger,
        TimeProvider time,
        Action<string, EventEnvelope> tell
    )
    {
        _redis = redis;
        _keyspace = keyspace;
        _options = options;
        _json = json;
        _logger = logger;
        _time = time;
        _tell = tell;
        _metrics = new StreamMetrics(meters);
        _keeper = new StreamKeeper(redis, options.Streams, _metrics, logger, time);
    }

    /// <summary>Hands every event of a type to a handler until it has succeeded, or the event is in quarantine. Some round trips; then it goes on by itself.</summary>
    /// <remarks>
    /// Of all processes of the service that subscribe under one name, one gets an event; services, and names, get all events each. The first time, a name begins with the oldest event that is still there.
    /// When Redis is away the call returns all the same (a warning is logged), and reading begins as soon as Redis is back: the events wait. Each subscription holds a connection.
    /// </remarks>
    /// <param name="type">From the generated <c>EventTypes</c>.</param>
    /// <param name="handler">Gets the event with its <see cref="Event{TData}.Delivery"/>. Its token is cancelled after <see cref="StreamOptions.HandlerTimeout"/>, when another process has taken the event over, and when the subscription ends and the time to drain is over.</param>
    /// <param name="name">Tells this subscription from another one of the same service to the same type; <c>null</c> for the service's only one.</param>
    /// <param name="options">How this one is handled; <c>null</c> for what <c>Events:Streams</c> says.</param>
    /// <param name="cancellationToken">Ends the wait for Redis's first answer, and with it the subscription.</param>
    /// <returns>Dispose it to stop: it waits, bounded by <see cref="EventOptions.DrainTimeout"/>, until the handlers have returned.</returns>
    /// <exception cref="RedisException">Redis refuses (no permission for the key).</exception>
    /// <exception cref="ArgumentException">The catalog does not deliver the event at least once, or the name cannot be one.</exception>
    /// <exception cref="InvalidOperationException">The process has such a subscription already; or the <c>JsonSerializerContext</c> lacks the payload's type, the message has the line to add.</exception>
    public async ValueTask<IAsyncDisposable> SubscribeAsync<TData>(
        EventType<TData> type,
        Func<Event<TData>, CancellationToken, ValueTask> handler,
        string? name = null,
        StreamOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(type);
        ArgumentNullException.ThrowIfNull(handler);
        var keys = KeysOf(type.Name);
        var json = _json.Of<TData>();
        var used = options ?? _options.Streams;
        var consumer = $"{_keyspace.Service}@{used.Instance ?? Environment.MachineName}";
        var store = new StreamStore(_redis, keys, GroupOf(name), consumer, used);
        var tools = new StreamTools(store, HandleAsync, _options.DrainTimeout, _metrics, _logger, _time);
        var subscription = Add(tools, consumer);
        try
        {
            await FirstAnswerAsync(subscription, cancellationToken).ConfigureAwait(Rt.Capture);
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }

        ValueTask HandleAsync(EventEnvelope envelope, StreamDelivery delivery, CancellationToken stop)
        {
            var read = envelope.ToEvent(type.Name, json, _time, delivery);
            _tell(type.Name, envelope);
            return handler(read, stop);
        }
    }

    /// <summary>How the groups of a type stand.</summary>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    public async ValueTask<IReadOnlyList<StreamGroupStatus>> GroupsAsync(string type, CancellationToken cancellationToken = default) =>
        (await _keeper.TrimAsync(KeysOf(type), always: false, cancellationToken).ConfigureAwait(Rt.Capture)).Groups;

    /// <summary>Removes what all groups have settled, beyond <see cref="StreamOptions.KeepSettled"/>, at once: otherwise it happens by itself every <see cref="StreamOptions.TrimEvery"/>. A round trip for about a thousand events.</summary>
    /// <returns>How many were removed.</returns>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    public async ValueTask<long> TrimAsync(string type, CancellationToken cancellationToken = default) =>
        (await _keeper.TrimAsync(KeysOf(type), always: true, cancellationToken).ConfigureAwait(Rt.Capture)).Removed;

    /// <summary>What a group could not handle, the oldest first.</summary>
    /// <param name="type">The event's name.</param>
    /// <param name="group">Whose; <c>null</c> for the service's.</param>
    /// <param name="after">The <see cref="QuarantinedEvent.Id"/> behind which the page begins; <c>null</c> for the beginning.</param>
    /// <param name="most">At most so many.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    public async ValueTask<IReadOnlyList<QuarantinedEvent>> QuarantineAsync(
        string type,
        string? group = null,
        string? after = null,
        int most = PageLength,
        CancellationToken cancellationToken = default
    ) =>
        await _redis
            .SendAsync(
                ["XRANGE", KeysOf(type).Of(group ?? GroupOf(null)).Quarantine, after is null ? "-" : "(" + after, "+", "COUNT", most],
                StreamReplies.Quarantined,
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);

    /// <summary>Hands events from quarantine to their group again, with all their attempts before them. A round trip for each, and one for each hundred.</summary>
    /// <param name="type">The event's name.</param>
    /// <param name="group">Whose; <c>null</c> for the service's.</param>
    /// <param name="ids"><see cref="QuarantinedEvent.Id"/>s; <c>null</c> for all that are there now.</param>
    /// <param name="cancellationToken">Ends it between two events.</param>
    /// <returns>How many were driven back; such as another took at the same time do not count.</returns>
    /// <exception cref="RedisException">Redis could not be asked, or is full; those before were driven back.</exception>
    public async ValueTask<long> RedriveAsync(
        string type,
        string? group = null,
        IEnumerable<string>? ids = null,
        CancellationToken cancellationToken = default
    )
    {
        var keys = KeysOf(type);
        var groupKeys = keys.Of(group ?? GroupOf(null));
        var driven = 0L;
        await foreach (var id in (ids?.ToAsyncEnumerable() ?? NowInAsync(groupKeys, cancellationToken)).ConfigureAwait(Rt.Capture))
        {
            cancellationToken.ThrowIfCancellationRequested();
            driven += await _redis
                .EvalAsync(
                    _scripts.Redrive,
                    [keys.Stream, groupKeys.Quarantine],
                    [groupKeys.Group, id],
                    ReplyParsers.Int64,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
        }

        if (driven > 0)
            StreamLog.Redriven(_logger, type, groupKeys.Group, driven);
        return driven;
    }

    /// <summary>Removes events from quarantine for good.</summary>
    /// <param name="type">The event's name.</param>
    /// <param name="ids"><see cref="QuarantinedEvent.Id"/>s.</param>
    /// <param name="group">Whose; <c>null</c> for the service's.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were there.</returns>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    public ValueTask<long> DiscardAsync(
        string type,
        IEnumerable<string> ids,
        string? group = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(ids);
        RedisArg[] all = [.. ids.Select(static id => (RedisArg)id)];
        return all.Length == 0
            ? new ValueTask<long>(0)
            : _redis.SendAsync(["XDEL", KeysOf(type).Of(group ?? GroupOf(null)).Quarantine, .. all], ReplyParsers.Int64, cancellationToken);
    }

    /// <summary>Lets a group handle again what was published from a time on, as far as it is still there (<see cref="StreamOptions.KeepSettled"/>). Marks set until now count for nothing.</summary>
    /// <remarks>What is in hand at this moment can be handled twice at the same time. Events that the stream has trimmed do not come back.</remarks>
    /// <param name="type">The event's name.</param>
    /// <param name="from">By Redis's clock.</param>
    /// <param name="group">Whose; <c>null</c> for the service's.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="RedisException">Redis could not be asked; <c>NOGROUP</c>: there is no such group.</exception>
    public ValueTask ReplayAsync(string type, DateTimeOffset from, string? group = null, CancellationToken cancellationToken = default) =>
        ReplayBehindAsync(type, StreamIds.Before(Math.Max(0, from.ToUnixTimeMilliseconds()), 0), group, cancellationToken);

    /// <summary>The same, from an event on.</summary>
    /// <param name="type">The event's name.</param>
    /// <param name="messageId">The first that is handled again: <see cref="StreamDelivery.MessageId"/>.</param>
    /// <param name="group">Whose; <c>null</c> for the service's.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="FormatException">That is no id.</exception>
    /// <exception cref="RedisException">Redis could not be asked; <c>NOGROUP</c>: there is no such group.</exception>
    public ValueTask ReplayAsync(string type, string messageId, string? group = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messageId);
        return ReplayBehindAsync(type, StreamIds.Before(messageId), group, cancellationToken);
    }

    /// <summary>Forgets a group that is gone for good: what it has not settled is not kept for it any more. What it has in quarantine stays.</summary>
    /// <param name="type">The event's name.</param>
    /// <param name="group">Its name; there is no default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="RedisException">Redis could not be asked.</exception>
    public async ValueTask<bool> DropGroupAsync(string type, string group, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(group);
        var keys = KeysOf(type);
        var groupKeys = keys.Of(group);
        var dropped = await _redis
            .SendAsync(["XGROUP", "DESTROY", keys.Stream, group], ReplyParsers.Int64, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        await _redis
            .SendAsync(["UNLINK", groupKeys.Delay, groupKeys.Replay], ReplyParsers.Ignore, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        return dropped == 1;
    }

    /// <summary>Ends all subscriptions, bounded as each one is.</summary>
    public async ValueTask DisposeAsync()
    {
        ImmutableArray<StreamConsumer> consumers;
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
            consumers = _consumers;
        }

        await Task.WhenAll(consumers.Select(one => one.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
        await _keeper.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    /// <summary>Whether a type goes through a stream.</summary>
    internal bool Carries(string type) => _keyspace.DeliveryOf(type) == EventDelivery.AtLeastOnce;

    /// <summary>Appends an event; returns its number.</summary>
    internal async ValueTask<long> AppendAsync(string type, string epoch, byte[] envelope, CancellationToken cancellationToken)
    {
        var keys = KeysOf(type);
        var (sequence, _) = await _redis
            .EvalAsync(_scripts.Append, [keys.Stream, keys.Head], [epoch, envelope], StreamReplies.Append, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        return sequence;
    }

    private StreamConsumer Add(StreamTools tools, string consumer)
    {
        StreamConsumer subscription;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_consumers.Any(other => other.Type == tools.Store.Type && other.Group == tools.Store.Group))
                throw new InvalidOperationException(
                    $"This process handles {tools.Store.Type} as group {tools.Store.Group} already: each event goes to one of them only. Give the second one a name: events.Streams.SubscribeAsync(…, name: \"audit\")."
                );
            subscription = new StreamConsumer(tools, consumer, RemoveAsync);
            _consumers = _consumers.Add(subscription);
        }

        subscription.Start();
        return subscription;
    }

    private ValueTask RemoveAsync(StreamConsumer subscription)
    {
        lock (_gate)
            _consumers = _consumers.Remove(subscription);
        return ValueTask.CompletedTask;
    }

    private async ValueTask FirstAnswerAsync(StreamConsumer subscription, CancellationToken cancellationToken)
    {
        try
        {
            var refusal = await subscription
                .FirstAnswer.WaitAsync(_redis.Options.ConnectTimeout, _time, cancellationToken)
                .ConfigureAwait(Rt.Capture);
            if (refusal is not null)
                throw refusal;
        }
        catch (TimeoutException)
        {
            StreamLog.Waiting(_logger, subscription.Type, subscription.Group);
        }
    }

    private async ValueTask ReplayBehindAsync(string type, string behind, string? group, CancellationToken cancellationToken)
    {
        var keys = KeysOf(type);
        var groupKeys = keys.Of(group ?? GroupOf(null));
        var marksStand = Max(_options.Streams.MarkLife, _options.Streams.SettledMarkLife);
        await _redis
            .Router.SendAsync(
                new Command(
                    _scripts.Replay,
                    [keys.Stream, groupKeys.Replay, groupKeys.Delay],
                    [groupKeys.Group, behind, (long)marksStand.TotalMilliseconds]
                ),
                ReplyParsers.Ignore,
                CommandOptions.Idempotent,
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
        StreamLog.Replayed(_logger, type, groupKeys.Group, behind);
    }

    /// <summary>What is in quarantine now; what comes in meanwhile is not.</summary>
    private async IAsyncEnumerable<string> NowInAsync(
        StreamGroupKeys keys,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var last = await _redis
            .SendAsync(["XREVRANGE", keys.Quarantine, "+", "-", "COUNT", 1], StreamReplies.Quarantined, cancellationToken)
            .ConfigureAwait(Rt.Capture);
        if (last.Length == 0)
            yield break;
        for (var begin = "-"; ; )
        {
            var page = await _redis
                .SendAsync(
                    ["XRANGE", keys.Quarantine, begin, last[0].Id, "COUNT", PageLength],
                    StreamReplies.Quarantined,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
            foreach (var one in page)
                yield return one.Id;
            if (page.Length < PageLength)
                yield break;
            begin = "(" + page[^1].Id;
        }
    }

    private StreamKeys KeysOf(string type)
    {
        ArgumentNullException.ThrowIfNull(type);
        if (_keys.TryGetValue(type, out var known))
            return known;
        if (!Carries(type))
            throw new ArgumentException(
                $"The catalog does not deliver \"{type}\" at least once. Write there \"{type}\": {{ \"delivery\": \"atLeastOnce\", … }}.",
                nameof(type)
            );
        var keys = _keys.GetOrAdd(type, static (type, prefix) => new StreamKeys(prefix, type), _keyspace.Prefix);
        _keeper.Keep(keys);
        return keys;
    }

    private string GroupOf(string? name)
    {
        var service =
            _keyspace.Service
            ?? throw new InvalidOperationException("Groups are named after services, and this process is none: say the group's name.");
        if (name is null)
            return service;
        return StreamKeys.IsName(name)
            ? $"{service}.{name}"
            : throw new ArgumentException(
                "A name has letters, digits, dots, underscores and hyphens, and at most 64 of them.",
                nameof(name)
            );
    }

    private static TimeSpan Max(TimeSpan left, TimeSpan right) => left > right ? left : right;
}
