using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Onggi.Events;

/// <summary>The payload of an event is not what its handler reads.</summary>
internal sealed class EventPayloadException(string payload, Exception inner) : Exception("The payload cannot be read.", inner)
{
    /// <summary>The name of the type that it should be.</summary>
    public string Payload { get; } = payload;
}

/// <summary>One handler with a queue of its own and one loop that empties it, so that a slow handler delays nobody else.</summary>
internal sealed class EventSubscription : IAsyncDisposable
{
    // A handler may end its own subscription: its DisposeAsync must not wait for itself.
    private static readonly AsyncLocal<EventSubscription?> Running = new();

    private readonly Func<EventEnvelope, string, CancellationToken, ValueTask> _handler;
    private readonly EventOptions _options;
    private readonly EventsMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Func<EventSubscription, ValueTask> _ended;
    private readonly Channel<(string Type, EventEnvelope Event)> _queue;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private long _dropped;
    private int _disposed;

    /// <param name="type">The type it hears; <c>null</c> for all.</param>
    /// <param name="handler">Gets the event and its type; an <see cref="EventPayloadException"/> from it is the publisher's fault.</param>
    /// <param name="options">Length of the queue and time to drain it.</param>
    /// <param name="metrics">Counts.</param>
    /// <param name="logger">Says.</param>
    /// <param name="time">Measures.</param>
    /// <param name="ended">Called once, when no more events are wanted.</param>
    public EventSubscription(
        string? type,
        Func<EventEnvelope, string, CancellationToken, ValueTask> handler,
        EventOptions options,
        EventsMetrics metrics,
        ILogger logger,
        TimeProvider time,
        Func<EventSubscription, ValueTask> ended
    )
    {
        Type = type;
        _handler = handler;
        _options = options;
        _metrics = metrics;
        _logger = logger;
        _time = time;
        _ended = ended;
        _queue = Channel.CreateBounded<(string, EventEnvelope)>(
            new BoundedChannelOptions(options.QueueLength) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            OnDropped
        );
        // Handlers run on their own account, not in the request or activity of whoever subscribed.
        using var flow = Rt.WithoutFlow();
        _loop = RunAsync();
    }

    /// <summary>The type it hears; <c>null</c> for all.</summary>
    public string? Type { get; }

    private string Handles => Type ?? "all types";

    /// <summary>Queues an event; never blocks.</summary>
    public void Offer(string type, EventEnvelope envelope) => _queue.Writer.TryWrite((type, envelope));

    /// <summary>Takes no more events; those that already arrived are still handled, for as long as the options allow. Then the handler is cancelled.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _ended(this).ConfigureAwait(Rt.Capture);
        _queue.Writer.TryComplete();
        if (Running.Value == this)
            return;
        if (!await EndsWithinAsync(_options.DrainTimeout).ConfigureAwait(Rt.Capture))
        {
            await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
            if (!await EndsWithinAsync(_options.DrainTimeout).ConfigureAwait(Rt.Capture))
            {
                EventsLog.HandlerLeftBehind(_logger, Handles, _options.DrainTimeout);
                return; // Its token must stay usable.
            }
        }

        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        Running.Value = this;
        await foreach (var (type, envelope) in _queue.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(Rt.Capture))
        {
            if (_stop.IsCancellationRequested)
                return;
            await HandleAsync(type, envelope).ConfigureAwait(Rt.Capture);
        }
    }

    private async ValueTask HandleAsync(string type, EventEnvelope envelope)
    {
        var began = _time.GetTimestamp();
        try
        {
            await _handler(envelope, type, _stop.Token).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // We asked it to.
        }
        catch (EventPayloadException unreadable)
        {
            _metrics.Dropped(type, EventsMetrics.Reasons.Payload);
            EventsLog.PayloadUnreadable(_logger, type, envelope.Id, envelope.Source, unreadable.Payload, unreadable.InnerException!);
            return;
        }
        catch (Exception failure)
        {
            _metrics.HandlerFailed(type);
            EventsLog.HandlerFailed(_logger, type, envelope.Id, failure);
        }

        _metrics.Handled(type, _time.GetElapsedTime(began));
    }

    private void OnDropped((string Type, EventEnvelope Event) oldest)
    {
        _metrics.Dropped(oldest.Type, EventsMetrics.Reasons.QueueFull);
        // Said at the first, then each time the number has doubled: a flood of events must not become a flood of lines.
        var dropped = Interlocked.Increment(ref _dropped);
        if (long.IsPow2(dropped))
            EventsLog.HandlerTooSlow(_logger, Handles, _options.QueueLength, dropped);
    }

    private async ValueTask<bool> EndsWithinAsync(TimeSpan timeout)
    {
        try
        {
            await _loop.WaitAsync(timeout, _time).ConfigureAwait(Rt.Capture);
            return true;
        }
        catch (TimeoutException)
        {
            return _loop.IsCompleted;
        }
    }
}
