using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events.Streams;
using Onggi.Keys;
using Onggi.Scripts;

namespace Onggi.Events;

/// <summary>Tells other services what happened, and hears what happened there, through Redis Pub/Sub.</summary>
/// <remarks>
/// At most once: who is connected hears it, in the order of the numbers that Redis gave within a type; who is not has missed it.
/// Types come from the catalog, so a misspelt one does not compile or is refused.
/// </remarks>
public sealed class OnggiEvents : IEventSink, IEventSource, IAsyncDisposable
{
    private const long Never = long.MinValue;

    private static readonly TimeSpan OneBurst = TimeSpan.FromSeconds(1);

    private static readonly RedisScript PublishScript = LuaScript.Load("publish.lua");

    private static readonly ReplyParser<(long Sequence, long Receivers)> PublishReply = static (ref reader) =>
    {
        var numbers = ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadInt64());
        return (numbers[0], numbers[1]);
    };

    private readonly RedisClient _redis;
    private readonly Keyspace _keyspace;
    private readonly EventOptions _options;
    private readonly EventJson _json;
    private readonly EventsMetrics _metrics;
    private readonly ILogger<OnggiEvents> _logger;
    private readonly TimeProvider _time;
    private readonly string _source;

    private readonly HandlerList<Func<EventNotice, CancellationToken, ValueTask>> _publishing = new();
    private readonly HandlerList<Action<EventNotice>> _received = new();
    private readonly HandlerList<Action> _interrupted = new();
    private readonly OwnEvents _own = new();

    private readonly Lock _gate = new(); // Guards the feeds, their subscriptions, _toAll's changes and _disposed.
    private readonly Dictionary<string, EventFeed> _feeds = new(StringComparer.Ordinal);
    private ImmutableArray<EventSubscription> _toAll = [];
    private bool _disposed;
    private long _lastInterruption = Never;

    internal OnggiEvents(
        RedisClient redis,
        Keyspace keyspace,
        EventOptions options,
        IJsonTypeInfoResolver? json,
        IMeterFactory meters,
        ILogger<OnggiEvents> logger,
        TimeProvider time
    )
    {
        _redis = redis;
        _keyspace = keyspace;
        _options = options;
        _json = new EventJson(BuiltInEventsJson.Default, json);
        _metrics = new EventsMetrics(meters);
        _logger = logger;
        _time = time;
        _source = options.Source ?? keyspace.Service ?? "";
        Streams = new OnggiStreams(redis, keyspace, options, _json, meters, logger, time, TellFeatures);
    }

    /// <summary>What can be asked and done of events that are delivered at least once.</summary>
    public OnggiStreams Streams { get; }

    /// <summary>Counts since the process started.</summary>
    public EventStatistics Statistics => _metrics.Statistics;

    /// <summary>Whether Redis has confirmed every subscription that is wanted.</summary>
    internal bool IsListening
    {
        get
        {
            lock (_gate)
                return _feeds.Values.All(feed => feed.IsOpen);
        }
    }

    /// <summary>How long ago events can have been missed; <c>null</c> when they never can.</summary>
    internal TimeSpan? SinceInterruption =>
        Interlocked.Read(ref _lastInterruption) is not Never and var then ? _time.GetElapsedTime(then) : null;

    /// <summary>Publishes an event: first the entries that it invalidates are removed, then all subscribers are told. Two round trips where it invalidates something, one where not.</summary>
    /// <remarks>
    /// When Redis is slow the call waits, at most the command time-out for each trip. When Redis is full the event is published all the same; one that is delivered at least once is refused (<c>OOM</c>), for it must be kept.
    /// </remarks>
    /// <param name="type">From the generated <c>EventTypes</c>.</param>
    /// <param name="data">The payload; <c>null</c> is published as JSON null.</param>
    /// <param name="metadata">What readers may want beside the payload, for example <c>user_id</c>; <c>null</c> for none.</param>
    /// <param name="cancellationToken">Ends the wait. An event that is already on its way is published all the same.</param>
    /// <exception cref="RedisException">
    /// Redis could not be asked. When the removal failed nothing was published; otherwise <see cref="RedisException.Sent"/> says whether it can have been.
    /// </exception>
    /// <exception cref="ArgumentException">The catalog has no such event, or the event is larger than <see cref="EventOptions.MaxBytes"/>.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the payload's type; the message has the line to add.</exception>
    public ValueTask<EventReceipt> PublishAsync<TData>(
        EventType<TData> type,
        TData data,
        IReadOnlyDictionary<string, string>? metadata = null,
        CancellationToken cancellationToken = default
    ) => PublishCoreAsync(type, data, metadata, runPublishing: true, cancellationToken);

    /// <summary>Hands every event of a type that arrives from now on to a handler, one after the other. One round trip.</summary>
    /// <remarks>
    /// A handler that throws is logged and gets the next event. A handler that is slow delays nobody but itself; when
    /// <see cref="EventOptions.QueueLength"/> events wait, the oldest is dropped. When Redis is away the call returns all the same (a warning is
    /// logged) and the subscription begins as soon as Redis is back; it survives lost links, but not what was published meanwhile.
    /// An event that the catalog delivers at least once comes as <see cref="OnggiStreams.SubscribeAsync{TData}"/> says instead.
    /// </remarks>
    /// <param name="type">From the generated <c>EventTypes</c>.</param>
    /// <param name="handler">Its token is cancelled when the subscription ends and the time to drain is over.</param>
    /// <param name="cancellationToken">Ends the wait for Redis's confirmation, and with it the subscription.</param>
    /// <returns>Dispose it to stop: it waits, bounded by <see cref="EventOptions.DrainTimeout"/>, until the handler has returned.</returns>
    /// <exception cref="RedisException">Redis refuses (no permission for the channel, wrong password).</exception>
    /// <exception cref="ArgumentException">The catalog has no such event.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the payload's type; the message has the line to add.</exception>
    public ValueTask<IAsyncDisposable> SubscribeAsync<TData>(
        EventType<TData> type,
        Func<Event<TData>, CancellationToken, ValueTask> handler,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(type);
        ArgumentNullException.ThrowIfNull(handler);
        MustBeKnown(type.Name);
        if (Streams.Carries(type.Name))
            return Streams.SubscribeAsync(type, handler, cancellationToken: cancellationToken);
        return SubscribeCoreAsync(type.Name, [type.Name], handler, cancellationToken);
    }

    /// <summary>Hands every event of every type in the catalog to a handler, its payload as JSON. One round trip per type that nobody here hears yet, all at once.</summary>
    /// <remarks>As <see cref="SubscribeAsync{TData}"/>. Order is kept within a type, not between types. What is delivered at least once is not among them.</remarks>
    /// <param name="handler">Its token is cancelled when the subscription ends and the time to drain is over.</param>
    /// <param name="cancellationToken">Ends the wait for Redis's confirmation, and with it the subscription.</param>
    /// <returns>Dispose it to stop.</returns>
    /// <exception cref="RedisException">Redis refuses one of the channels.</exception>
    public ValueTask<IAsyncDisposable> SubscribeAllAsync(
        Func<Event<JsonElement>, CancellationToken, ValueTask> handler,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(handler);
        return SubscribeCoreAsync(null, KnownTypes(), handler, cancellationToken);
    }

    /// <inheritdoc/>
    public IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler) => _publishing.Add(handler);

    /// <inheritdoc/>
    public IDisposable OnReceived(Action<EventNotice> handler) => _received.Add(handler);

    /// <inheritdoc/>
    public IDisposable OnInterrupted(Action handler) => _interrupted.Add(handler);

    /// <inheritdoc/>
    public async ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default)
    {
        try
        {
            await PublishCoreAsync(type, data, null, runPublishing: false, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (Exception failure)
            when (failure is RedisException or OperationCanceledException or ArgumentException or ObjectDisposedException)
        {
            // A host that ends may have closed the client already: what the notice is about has happened all the same.
            EventsLog.NoticeNotPublished(_logger, type.Name, failure.Message);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DeliverAsync<TData>(
        EventType<TData> type,
        string id,
        TData data,
        CancellationToken cancellationToken = default
    ) => await PublishCoreAsync(type, data, null, runPublishing: false, cancellationToken, id).ConfigureAwait(Rt.Capture);

    /// <summary>Ends all subscriptions, bounded as each one is; waiting events are still handled.</summary>
    public async ValueTask DisposeAsync()
    {
        EventFeed[] feeds;
        EventSubscription[] subscriptions;
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
            feeds = [.. _feeds.Values];
            subscriptions = [.. _toAll, .. feeds.SelectMany(feed => feed.Subscriptions)];
            _feeds.Clear();
        }

        await Streams.DisposeAsync().ConfigureAwait(Rt.Capture);
        await Task.WhenAll(feeds.Select(feed => feed.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
        await Task.WhenAll(subscriptions.Select(one => one.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Checks at start that every payload of the catalog that this program has can be written and read.</summary>
    /// <exception cref="InvalidOperationException">Some cannot; the message lists the lines to add.</exception>
    internal void VerifyTypes()
    {
        var missing = _json.Missing(_keyspace.Events.Select(settings => (settings.PayloadType, $"the payload of {settings.Type}")));
        if (missing.Count > 0)
            throw new InvalidOperationException(
                $"The catalog names {missing.Count} payload type(s) that the JsonSerializerContext in OnggiOptions.Json does not know. Add to it:"
                    + string.Concat(missing.Select(static line => Environment.NewLine + "  " + line))
            );
    }

    /// <summary>Begins to listen to what the features need: every type that invalidates entries, and the cache's own notices. It needs no connection yet.</summary>
    internal void Listen()
    {
        var types = _keyspace
            .Events.Where(settings => settings.Families.Count > 0)
            .Select(settings => settings.Type)
            .Append(OnggiEventTypes.CacheInvalidated.Name);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            foreach (var type in types)
                FeedOf(type).Stands = true;
        }
    }

    /// <summary>Returns when Redis has confirmed what is listened to, or has refused it, or is away for longer than the time to connect. What is wrong is logged; listening goes on.</summary>
    internal async ValueTask WhenListeningAsync(CancellationToken cancellationToken)
    {
        EventFeed[] feeds;
        lock (_gate)
            feeds = [.. _feeds.Values];
        await FirstRefusalAsync(feeds, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Takes what a channel brought. Runs on the reading loop of that channel.</summary>
    internal void Receive(string type, RedisMessage message)
    {
        if (message.Interrupted)
        {
            Interrupted(type);
            return;
        }

        if (!EventEnvelope.TryRead(message.Payload, out var envelope, out var problem))
        {
            Drop(type, EventsMetrics.Reasons.Unreadable, problem);
            return;
        }

        if (envelope.Type is { } named && named != type)
        {
            Drop(type, EventsMetrics.Reasons.OtherType, "it says that it is of another type");
            return;
        }

        _metrics.Received(type);
        TellFeatures(type, envelope);
        EventFeed? feed;
        lock (_gate)
            feed = _feeds.GetValueOrDefault(type);
        foreach (var subscription in feed?.Subscriptions ?? [])
            subscription.Offer(type, envelope);
        foreach (var subscription in _toAll)
            subscription.Offer(type, envelope);
    }

    private async ValueTask<EventReceipt> PublishCoreAsync<TData>(
        EventType<TData> type,
        TData data,
        IReadOnlyDictionary<string, string>? metadata,
        bool runPublishing,
        CancellationToken cancellationToken,
        string? givenId = null
    )
    {
        ArgumentNullException.ThrowIfNull(type);
        MustBeKnown(type.Name);
        var payload = JsonSerializer.SerializeToUtf8Bytes(data, _json.Of<TData>());
        var now = _time.GetUtcNow();
        var fresh = Guid.CreateVersion7(now).ToString();
        var id = givenId ?? fresh;
        var envelope = EventEnvelope.Write(id, type.Name, _source, now, metadata, payload);
        if (envelope.Length > _options.MaxBytes)
            throw new ArgumentException(
                $"The event {type.Name} has {envelope.Length} bytes of JSON, more than Events:MaxBytes allows ({_options.MaxBytes}). Publish what readers need to fetch it, not the thing itself.",
                nameof(data)
            );

        if (runPublishing)
            await RunPublishingAsync(type.Name, metadata, payload, cancellationToken).ConfigureAwait(Rt.Capture);
        if (IsHeard(type.Name))
            _own.Add(id);
        try
        {
            if (Streams.Carries(type.Name))
            {
                var number = await Streams.AppendAsync(type.Name, fresh, envelope, cancellationToken).ConfigureAwait(Rt.Capture);
                _metrics.Published(type.Name);
                return new EventReceipt(id, number, 0);
            }

            var (sequence, receivers) = await _redis
                .EvalAsync(
                    PublishScript,
                    [HeadOf(type.Name)],
                    [_keyspace.ChannelOf(type.Name), fresh, envelope],
                    PublishReply,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
            _metrics.Published(type.Name);
            return new EventReceipt(id, sequence, receivers);
        }
        catch (RedisException)
        {
            _metrics.PublishFailed(type.Name);
            throw;
        }
    }

    private async ValueTask RunPublishingAsync(
        string type,
        IReadOnlyDictionary<string, string>? metadata,
        byte[] payload,
        CancellationToken cancellationToken
    )
    {
        var handlers = _publishing.Handlers;
        if (handlers.IsEmpty)
            return;
        var notice = new EventNotice
        {
            Type = type,
            Source = _source,
            Metadata = metadata ?? ImmutableDictionary<string, string>.Empty,
            Data = JsonElement.Parse(payload),
            IsOwn = true,
        };
        foreach (var handler in handlers)
            await handler(notice, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    private async ValueTask<IAsyncDisposable> SubscribeCoreAsync<TData>(
        string? type,
        IEnumerable<string> types,
        Func<Event<TData>, CancellationToken, ValueTask> handler,
        CancellationToken cancellationToken
    )
    {
        var json = _json.Of<TData>();
        EventFeed[] feeds;
        EventSubscription subscription;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            subscription = new EventSubscription(
                type,
                (envelope, name, stop) => handler(ToEvent(envelope, name, json), stop),
                _options,
                _metrics,
                _logger,
                _time,
                RemoveAsync
            );
            feeds = [.. types.Select(FeedOf)];
            if (type is null)
                _toAll = _toAll.Add(subscription);
            else
                feeds[0].Subscriptions = feeds[0].Subscriptions.Add(subscription);
        }

        try
        {
            if (await FirstRefusalAsync(feeds, cancellationToken).ConfigureAwait(Rt.Capture) is { } refusal)
                throw refusal;
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }
    }

    /// <summary>Waits until Redis has confirmed all feeds; its refusal where it refuses one, <c>null</c> also when it is away for longer than we wait.</summary>
    private async ValueTask<RedisServerException?> FirstRefusalAsync(EventFeed[] feeds, CancellationToken cancellationToken)
    {
        try
        {
            var answers = await Task.WhenAll(feeds.Select(feed => feed.FirstAnswer))
                .WaitAsync(_redis.Options.ConnectTimeout, _time, cancellationToken)
                .ConfigureAwait(Rt.Capture);
            return answers.FirstOrDefault(answer => answer is not null);
        }
        catch (TimeoutException)
        {
            foreach (var feed in feeds.Where(feed => !feed.FirstAnswer.IsCompleted))
                EventsLog.FeedWaiting(_logger, feed.Type);
            return null;
        }
    }

    private Event<TData> ToEvent<TData>(EventEnvelope envelope, string type, JsonTypeInfo<TData> json) =>
        new()
        {
            Type = type,
            Source = envelope.Source,
            Id = envelope.Id,
            Time = envelope.Time ?? _time.GetUtcNow(),
            Epoch = envelope.Epoch,
            Sequence = envelope.Sequence,
            Metadata = envelope.Metadata,
            Data = ReadData(envelope, json),
        };

    internal static TData? ReadData<TData>(EventEnvelope envelope, JsonTypeInfo<TData> json)
    {
        if (envelope.Data.IsEmpty)
            return default;
        try
        {
            return JsonSerializer.Deserialize(envelope.Data.Span, json);
        }
        catch (Exception unreadable) when (unreadable is JsonException or NotSupportedException)
        {
            throw new EventPayloadException(typeof(TData).Name, unreadable);
        }
    }

    private void TellFeatures(string type, EventEnvelope envelope)
    {
        var isOwn = _own.Take(envelope.Id);
        var handlers = _received.Handlers;
        if (handlers.IsEmpty)
            return;
        var notice = new EventNotice
        {
            Type = type,
            Source = envelope.Source,
            Metadata = envelope.Metadata,
            Data = envelope.Data.IsEmpty ? default : JsonElement.Parse(envelope.Data.Span),
            IsOwn = isOwn,
            IsForeign = envelope.Sequence is null,
        };
        foreach (var handler in handlers)
        {
            try
            {
                handler(notice);
            }
            catch (Exception failure)
            {
                EventsLog.FeatureFailed(_logger, type, envelope.Id, failure);
            }
        }
    }

    private void Interrupted(string type)
    {
        // A lost link interrupts every type at nearly the same time: each is counted and told, one is said.
        var isFirst = SinceInterruption is not { } since || since >= OneBurst;
        Interlocked.Exchange(ref _lastInterruption, _time.GetTimestamp());
        _metrics.Interrupted(type);
        if (isFirst)
            EventsLog.Interrupted(_logger, type);
        TellInterrupted(type);
    }

    private void TellInterrupted(string type)
    {
        foreach (var handler in _interrupted.Handlers)
        {
            try
            {
                handler();
            }
            catch (Exception failure)
            {
                EventsLog.FeatureFailed(_logger, type, "", failure);
            }
        }
    }

    private void Drop(string type, string reason, string problem)
    {
        _metrics.Dropped(type, reason);
        EventsLog.Unreadable(_logger, type, problem);
    }

    // Under the gate. A feed waits for nobody: it starts by itself and goes on trying.
    private EventFeed FeedOf(string type)
    {
        if (_feeds.TryGetValue(type, out var feed))
            return feed;
        feed = new EventFeed(type, _keyspace.ChannelOf(type), _redis, Receive, TellInterrupted, _logger, _time);
        _feeds.Add(type, feed);
        feed.Start();
        return feed;
    }

    private async ValueTask RemoveAsync(EventSubscription subscription)
    {
        List<EventFeed> unused = [];
        lock (_gate)
        {
            _toAll = _toAll.Remove(subscription);
            foreach (var feed in _feeds.Values)
            {
                feed.Subscriptions = feed.Subscriptions.Remove(subscription);
                if (!feed.Stands && feed.Subscriptions.IsEmpty && _toAll.IsEmpty)
                    unused.Add(feed);
            }

            foreach (var feed in unused)
                _feeds.Remove(feed.Type);
        }

        foreach (var feed in unused)
            await feed.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    private bool IsHeard(string type)
    {
        lock (_gate)
            return _feeds.ContainsKey(type);
    }

    private IEnumerable<string> KnownTypes() =>
        _keyspace.Events.Where(settings => !Streams.Carries(settings.Type)).Select(settings => settings.Type).Concat(BuiltIns.Events);

    private void MustBeKnown(string type)
    {
        if (!_keyspace.KnowsEvent(type))
            throw new ArgumentException(
                $"The catalog has no event \"{type}\". Add it under \"events\" in keyspace.json, and use the generated EventTypes.",
                nameof(type)
            );
    }

    private string HeadOf(string type) => $"{_keyspace.Prefix}events:head:{type}";
}
