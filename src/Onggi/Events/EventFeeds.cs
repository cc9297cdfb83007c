using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events.Replay;

namespace Onggi.Events;

/// <summary>The channels that this process listens to, and who gets what they bring: the features, and the handlers' subscriptions.</summary>
internal sealed class EventFeeds : IAsyncDisposable
{
    private const long Never = long.MinValue;

    private static readonly TimeSpan OneBurst = TimeSpan.FromSeconds(1);

    private readonly RedisClient _redis;
    private readonly EventNames _names;
    private readonly OwnEvents _own;
    private readonly EventsMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly EventWatch _watch;

    private readonly HandlerList<Action<EventNotice>> _received = new();
    private readonly HandlerList<Action> _interrupted = new();

    private readonly Lock _gate = new(); // Guards the feeds, their subscriptions, _toAll's changes and _disposed.
    private readonly Dictionary<string, EventFeed> _feeds = new(StringComparer.Ordinal);
    private ImmutableArray<EventSubscription> _toAll = [];
    private bool _disposed;
    private long _lastInterruption = Never;

    /// <param name="redis">Connected or not.</param>
    /// <param name="names">Say where events are published.</param>
    /// <param name="own">What this process has published.</param>
    /// <param name="tools">What subscriptions work with.</param>
    public EventFeeds(RedisClient redis, EventNames names, OwnEvents own, SubscriptionTools tools)
    {
        (_redis, _names, _own) = (redis, names, own);
        (_metrics, _logger, _time) = (tools.Metrics, tools.Logger, tools.Time);
        _watch = new EventWatch(tools.Ring, tools.Options.CheckEvery, _time, Handled, MarkAll, _logger);
    }

    /// <summary>Whether Redis has confirmed every subscription that is wanted.</summary>
    public bool IsListening
    {
        get
        {
            lock (_gate)
                return _feeds.Values.All(feed => feed.IsOpen);
        }
    }

    /// <summary>How long ago events did not arrive by themselves; <c>null</c> when they always did.</summary>
    public TimeSpan? SinceInterruption =>
        Interlocked.Read(ref _lastInterruption) is not Never and var then ? _time.GetElapsedTime(then) : null;

    /// <summary>Adds a feature that hears every event.</summary>
    public IDisposable OnReceived(Action<EventNotice> handler) => _received.Add(handler);

    /// <summary>Adds a feature that is told when events can have been missed.</summary>
    public IDisposable OnInterrupted(Action handler) => _interrupted.Add(handler);

    /// <summary>Whether this process listens to the type.</summary>
    public bool IsHeard(string type)
    {
        lock (_gate)
            return _feeds.ContainsKey(type);
    }

    /// <summary>Begins to listen to types for as long as the process lives. Needs no connection yet.</summary>
    public void Stand(IEnumerable<string> types)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            foreach (var type in types)
                FeedOf(type).Stands = true;
        }
    }

    /// <summary>Adds a subscription, and listens to what it needs.</summary>
    /// <param name="type">The type; <c>null</c> for all.</param>
    /// <param name="types">All types that it hears.</param>
    /// <param name="make">Makes it, given what it calls when it ends.</param>
    public (EventSubscription Subscription, EventFeed[] Feeds) Add(
        string? type,
        IEnumerable<string> types,
        Func<Func<EventSubscription, ValueTask>, EventSubscription> make
    )
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            var subscription = make(RemoveAsync);
            _watch.Start();
            EventFeed[] feeds = [.. types.Select(FeedOf)];
            if (type is null)
                _toAll = _toAll.Add(subscription);
            else
                feeds[0].Subscriptions = feeds[0].Subscriptions.Add(subscription);
            return (subscription, feeds);
        }
    }

    /// <summary>Returns when Redis has confirmed what is listened to, or has refused it, or is away for longer than the time to connect. What is wrong is logged; listening goes on.</summary>
    public async ValueTask WhenListeningAsync(CancellationToken cancellationToken)
    {
        EventFeed[] feeds;
        lock (_gate)
            feeds = [.. _feeds.Values];
        await FirstRefusalAsync(feeds, cancellationToken).ConfigureAwait(Rt.Capture);
    }

    /// <summary>Waits until Redis has confirmed all feeds; its refusal where it refuses one, <c>null</c> also when it is away for longer than we wait.</summary>
    public async ValueTask<RedisServerException?> FirstRefusalAsync(EventFeed[] feeds, CancellationToken cancellationToken)
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

    /// <summary>Takes what a channel brought. Runs on the reading loop of that channel.</summary>
    public void Receive(string type, RedisMessage message)
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
        var (feed, subscriptions) = Of(type);
        if (envelope.Sequence is { } number)
            feed?.Heard(envelope.Epoch, number);
        foreach (var subscription in subscriptions)
            subscription.Offer(type, envelope);
    }

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

        await _watch.DisposeAsync().ConfigureAwait(Rt.Capture);
        await Task.WhenAll(feeds.Select(feed => feed.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
        await Task.WhenAll(subscriptions.Select(one => one.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
    }

    private (EventFeed? Feed, ImmutableArray<EventSubscription> Subscriptions) Of(string type)
    {
        lock (_gate)
        {
            var feed = _feeds.GetValueOrDefault(type);
            var those = feed?.Subscriptions ?? [];
            return (feed, _toAll.IsEmpty ? those : those.AddRange(_toAll));
        }
    }

    // The feeds that somebody handles events of.
    private IReadOnlyList<EventFeed> Handled()
    {
        lock (_gate)
            return [.. _feeds.Values.Where(feed => !_toAll.IsEmpty || !feed.Subscriptions.IsEmpty)];
    }

    private void MarkAll(string type)
    {
        foreach (var subscription in Of(type).Subscriptions)
            _ = subscription.Mark(type);
    }

    /// <summary>Tells those in this process who go by events: the cache drops what is invalidated.</summary>
    public void TellFeatures(string type, EventEnvelope envelope)
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
            Json = envelope.Data,
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
        Began(type);
    }

    // What was published until now did not arrive by itself.
    private void Began(string type)
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

        MarkAll(type);
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
        feed = new EventFeed(type, _names, _redis, Receive, Began, _logger, _time);
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
}
