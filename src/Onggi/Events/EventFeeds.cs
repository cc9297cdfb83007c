using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events;

/// <summary>The channels that this process listens to, and who gets what they bring: the features, and the handlers' subscriptions.</summary>
internal sealed class EventFeeds(
    RedisClient redis,
    EventNames names,
    EventsMetrics metrics,
    OwnEvents own,
    ILogger logger,
    TimeProvider time
) : IAsyncDisposable
{
    private const long Never = long.MinValue;

    private static readonly TimeSpan OneBurst = TimeSpan.FromSeconds(1);

    private readonly HandlerList<Action<EventNotice>> _received = new();
    private readonly HandlerList<Action> _interrupted = new();

    private readonly Lock _gate = new(); // Guards the feeds, their subscriptions, _toAll's changes and _disposed.
    private readonly Dictionary<string, EventFeed> _feeds = new(StringComparer.Ordinal);
    private ImmutableArray<EventSubscription> _toAll = [];
    private bool _disposed;
    private long _lastInterruption = Never;

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
        Interlocked.Read(ref _lastInterruption) is not Never and var then ? time.GetElapsedTime(then) : null;

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
                .WaitAsync(redis.Options.ConnectTimeout, time, cancellationToken)
                .ConfigureAwait(Rt.Capture);
            return answers.FirstOrDefault(answer => answer is not null);
        }
        catch (TimeoutException)
        {
            foreach (var feed in feeds.Where(feed => !feed.FirstAnswer.IsCompleted))
                EventsLog.FeedWaiting(logger, feed.Type);
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

        metrics.Received(type);
        TellFeatures(type, envelope);
        foreach (var subscription in SubscriptionsTo(type))
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

        await Task.WhenAll(feeds.Select(feed => feed.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
        await Task.WhenAll(subscriptions.Select(one => one.DisposeAsync().AsTask())).ConfigureAwait(Rt.Capture);
    }

    private ImmutableArray<EventSubscription> SubscriptionsTo(string type)
    {
        EventFeed? feed;
        lock (_gate)
            feed = _feeds.GetValueOrDefault(type);
        var (those, all) = (feed?.Subscriptions ?? [], _toAll);
        return all.IsEmpty ? those : those.AddRange(all);
    }

    private void TellFeatures(string type, EventEnvelope envelope)
    {
        var isOwn = own.Take(envelope.Id);
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
                EventsLog.FeatureFailed(logger, type, envelope.Id, failure);
            }
        }
    }

    private void Interrupted(string type)
    {
        // A lost link interrupts every type at nearly the same time: each is counted and told, one is said.
        var isFirst = SinceInterruption is not { } since || since >= OneBurst;
        Interlocked.Exchange(ref _lastInterruption, time.GetTimestamp());
        metrics.Interrupted(type);
        if (isFirst)
            EventsLog.Interrupted(logger, type);
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
                EventsLog.FeatureFailed(logger, type, "", failure);
            }
        }

        foreach (var subscription in SubscriptionsTo(type))
            _ = subscription.Mark(type);
    }

    private void Drop(string type, string reason, string problem)
    {
        metrics.Dropped(type, reason);
        EventsLog.Unreadable(logger, type, problem);
    }

    // Under the gate. A feed waits for nobody: it starts by itself and goes on trying.
    private EventFeed FeedOf(string type)
    {
        if (_feeds.TryGetValue(type, out var feed))
            return feed;
        feed = new EventFeed(type, names, redis, Receive, Began, logger, time);
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
