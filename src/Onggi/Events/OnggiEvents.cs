using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events.Replay;
using Onggi.Events.Streams;
using Onggi.Keys;

namespace Onggi.Events;

/// <summary>Tells other services what happened, and hears what happened there, through Redis Pub/Sub.</summary>
/// <remarks>
/// At most once, in the order of the numbers that Redis gave within a type. Who was cut off, or was too slow, gets what was missed from a short
/// ring that Redis keeps, or is told of a gap. Who was not there at all (stopped, killed) gets it from there too if it says where it was
/// (<see cref="SubscribeOptions.After"/>); else it has missed it.
/// Types come from the catalog, so a misspelt one does not compile or is refused.
/// </remarks>
public sealed class OnggiEvents : IEventSink, IEventSource, IAsyncDisposable
{
    private readonly RedisClient _redis;
    private readonly Keyspace _keyspace;
    private readonly EventJson _json;
    private readonly EventsMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly EventPublisher _publisher;
    private readonly EventFeeds _feeds;
    private readonly SubscriptionTools _tools;

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
        _json = new EventJson(BuiltInEventsJson.Default, json);
        _metrics = new EventsMetrics(meters);
        _time = time;
        var names = new EventNames(keyspace, options, redis);
        var source = options.Source ?? keyspace.Service ?? "";
        Streams = new OnggiStreams(
            redis,
            keyspace,
            options,
            _json,
            meters,
            logger,
            time,
            (type, envelope) => _feeds!.TellFeatures(type, envelope)
        );
        _publisher = new EventPublisher(redis, names, options, _json, _metrics, logger, time, source, Streams);
        _tools = new SubscriptionTools(options, new RingReader(redis, names), _metrics, logger, time);
        _feeds = new EventFeeds(redis, names, _publisher.Own, _tools);
    }

    /// <summary>What can be asked and done of events that are delivered at least once.</summary>
    public OnggiStreams Streams { get; }

    /// <summary>Counts since the process started.</summary>
    public EventStatistics Statistics => _metrics.Statistics;

    /// <summary>Whether Redis has confirmed every subscription that is wanted.</summary>
    internal bool IsListening => _feeds.IsListening;

    /// <summary>How long ago events did not arrive by themselves; <c>null</c> when they always did.</summary>
    internal TimeSpan? SinceInterruption => _feeds.SinceInterruption;

    /// <summary>Publishes an event: first the entries that it invalidates are removed, then all subscribers are told. Two round trips where it invalidates something, one where not.</summary>
    /// <remarks>
    /// When Redis is slow the call waits, at most the command time-out for each trip. When Redis is full the event is published all the same, but
    /// not kept for those who are cut off (<see cref="EventReceipt.IsKept"/>); one that is delivered at least once is refused (<c>OOM</c>), for it must be kept.
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

    /// <summary>Hands every event of a type from now on to a handler, one after the other, in their order and each once. Two round trips.</summary>
    /// <remarks>
    /// A handler that throws is logged and gets the next event. A handler that is slow delays nobody but itself: what does not fit into its
    /// queue (<see cref="EventOptions.QueueLength"/>) is read from Redis's ring when its turn comes, and so is what was published while the link
    /// was lost. What the ring no longer has is a gap: counted, logged, and told to <see cref="SubscribeOptions.OnGap"/>. When Redis is away the
    /// call returns all the same (a warning is logged) and the subscription begins as soon as Redis is back.
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
    ) => SubscribeAsync(type, handler, null, cancellationToken);

    /// <inheritdoc cref="SubscribeAsync{TData}(EventType{TData}, Func{Event{TData}, CancellationToken, ValueTask}, CancellationToken)"/>
    /// <param name="type">From the generated <c>EventTypes</c>.</param>
    /// <param name="handler">Its token is cancelled when the subscription ends and the time to drain is over.</param>
    /// <param name="options">Where it begins, and who is told of gaps; <c>null</c> for now, and nobody.</param>
    /// <param name="cancellationToken">Ends the wait for Redis's confirmation, and with it the subscription.</param>
    public ValueTask<IAsyncDisposable> SubscribeAsync<TData>(
        EventType<TData> type,
        Func<Event<TData>, CancellationToken, ValueTask> handler,
        SubscribeOptions? options,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(type);
        ArgumentNullException.ThrowIfNull(handler);
        MustBeKnown(type.Name);
        if (!Streams.Carries(type.Name))
            return SubscribeCoreAsync(type.Name, [type.Name], handler, options, cancellationToken);
        if (options?.Replay > TimeSpan.Zero || options?.After is not null)
            throw new ArgumentException(
                $"The catalog delivers {type.Name} at least once: its group goes on where it was. To have it handle again what it has settled, use Streams.ReplayAsync.",
                nameof(options)
            );
        return Streams.SubscribeAsync(type, handler, cancellationToken: cancellationToken);
    }

    /// <summary>Hands every event of every type in the catalog to a handler, its payload as JSON. Two round trips per type, those of all types at once.</summary>
    /// <remarks>As <see cref="SubscribeAsync{TData}(EventType{TData}, Func{Event{TData}, CancellationToken, ValueTask}, CancellationToken)"/>. Order is kept within a type, not between types. What is delivered at least once is not among them.</remarks>
    /// <param name="handler">Its token is cancelled when the subscription ends and the time to drain is over.</param>
    /// <param name="options">Where it begins, and who is told of gaps; <c>null</c> for now, and nobody.</param>
    /// <param name="cancellationToken">Ends the wait for Redis's confirmation, and with it the subscription.</param>
    /// <returns>Dispose it to stop.</returns>
    /// <exception cref="RedisException">Redis refuses one of the channels.</exception>
    /// <exception cref="ArgumentException">The options have a position (<see cref="SubscribeOptions.After"/>): it is of one type.</exception>
    public ValueTask<IAsyncDisposable> SubscribeAllAsync(
        Func<Event<JsonElement>, CancellationToken, ValueTask> handler,
        SubscribeOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(handler);
        if (options?.After is not null)
            throw new ArgumentException(
                "A position is one among the events of one type, and this hears all types. Subscribe to each type with its own position.",
                nameof(options)
            );
        return SubscribeCoreAsync(null, KnownTypes(), handler, options, cancellationToken);
    }

    /// <summary>Reads what Redis's ring still has of a type's last events, for people and tests. One round trip, and one for every 256 events or 128 KiB.</summary>
    /// <remarks>It reads what was there when it began. What the ring has lost is missing without a word: look at the numbers. A payload that cannot be read is logged and passed over.</remarks>
    /// <param name="type">From the generated <c>EventTypes</c>.</param>
    /// <param name="range">Which; all by default.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="RedisException">Redis could not be asked, or refuses.</exception>
    /// <exception cref="ArgumentException">The catalog has no such event.</exception>
    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks the payload's type; the message has the line to add.</exception>
    public IAsyncEnumerable<Event<TData>> ReadRecentAsync<TData>(
        EventType<TData> type,
        EventRange range = default,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(type);
        MustBeKnown(type.Name);
        return ReadCoreAsync(type.Name, _json.Of<TData>(), range, cancellationToken);
    }

    /// <inheritdoc cref="ReadRecentAsync{TData}(EventType{TData}, EventRange, CancellationToken)"/>
    /// <param name="type">The name in the catalog; payloads stay JSON.</param>
    /// <param name="range">Which; all by default.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public IAsyncEnumerable<Event<JsonElement>> ReadRecentAsync(
        string type,
        EventRange range = default,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(type);
        MustBeKnown(type);
        return ReadCoreAsync(type, _json.Of<JsonElement>(), range, cancellationToken);
    }

    /// <inheritdoc/>
    public IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler) => _publisher.OnPublishing(handler);

    /// <inheritdoc/>
    public IDisposable OnReceived(Action<EventNotice> handler) => _feeds.OnReceived(handler);

    /// <inheritdoc/>
    public IDisposable OnInterrupted(Action handler) => _feeds.OnInterrupted(handler);

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
            EventsLog.NoticeNotPublished(_tools.Logger, type.Name, failure.Message);
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
        await Streams.DisposeAsync().ConfigureAwait(Rt.Capture);
        await _feeds.DisposeAsync().ConfigureAwait(Rt.Capture);
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
    internal void Listen() =>
        _feeds.Stand(
            _keyspace
                .Events.Where(settings => settings.Families.Count > 0)
                .Select(settings => settings.Type)
                .Append(OnggiEventTypes.CacheInvalidated.Name)
        );

    /// <summary>Returns when Redis has confirmed what is listened to, or has refused it, or is away for longer than the time to connect. What is wrong is logged; listening goes on.</summary>
    internal ValueTask WhenListeningAsync(CancellationToken cancellationToken) => _feeds.WhenListeningAsync(cancellationToken);

    /// <summary>Takes what a channel brought. Runs on the reading loop of that channel.</summary>
    internal void Receive(string type, RedisMessage message) => _feeds.Receive(type, message);

    private ValueTask<EventReceipt> PublishCoreAsync<TData>(
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
        return _publisher.PublishAsync(type, data, metadata, _feeds.IsHeard(type.Name), runPublishing, givenId, cancellationToken);
    }

    private async ValueTask<IAsyncDisposable> SubscribeCoreAsync<TData>(
        string? type,
        IEnumerable<string> types,
        Func<Event<TData>, CancellationToken, ValueTask> handler,
        SubscribeOptions? options,
        CancellationToken cancellationToken
    )
    {
        options ??= new SubscribeOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Replay, TimeSpan.Zero, nameof(options));
        if (options.After is { } after && (string.IsNullOrEmpty(after.Epoch) || after.Sequence < 0))
            throw new ArgumentException(
                $"The position \"{after}\" is none: it has no epoch, or a negative number. Keep Event.Position as it is, and leave After out where nothing was kept.",
                nameof(options)
            );
        var json = _json.Of<TData>();
        var (subscription, feeds) = _feeds.Add(
            type,
            types,
            ended => new EventSubscription(
                type,
                (envelope, name, stop) => handler(envelope.ToEvent(name, json, _time), stop),
                options,
                _tools,
                ended
            )
        );
        try
        {
            if (await _feeds.FirstRefusalAsync(feeds, cancellationToken).ConfigureAwait(Rt.Capture) is { } refusal)
                throw refusal;
            await BeginAsync(subscription, feeds, cancellationToken).ConfigureAwait(Rt.Capture);
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync().ConfigureAwait(Rt.Capture);
            throw;
        }
    }

    /// <summary>Waits until it is known where each count stands, so that what is missed from here on is noticed. When Redis is away this is asked when it is back.</summary>
    private async ValueTask BeginAsync(EventSubscription subscription, EventFeed[] feeds, CancellationToken cancellationToken)
    {
        var begun = feeds.Where(feed => feed.FirstAnswer.IsCompleted).Select(feed => subscription.Mark(feed.Type));
        try
        {
            await Task.WhenAll(begun).WaitAsync(_redis.Options.ConnectTimeout, _time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException)
        {
            // It is asked in the background for as long as it takes.
        }
    }

    private async IAsyncEnumerable<Event<TData>> ReadCoreAsync<TData>(
        string type,
        JsonTypeInfo<TData> json,
        EventRange range,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        await foreach (var kept in RingScan.ReadAsync(_tools.Ring, type, range, cancellationToken).ConfigureAwait(Rt.Capture))
        {
            Event<TData> read;
            try
            {
                read = kept.ToEvent(type, json, _time);
            }
            catch (EventPayloadException unreadable)
            {
                EventsLog.PayloadUnreadable(_tools.Logger, type, kept.Id, kept.Source, unreadable.Payload, unreadable.InnerException!);
                continue;
            }

            yield return read;
        }
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
}
