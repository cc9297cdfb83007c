using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events.Replay;

namespace Onggi.Events;

/// <summary>The payload of an event is not what its handler reads.</summary>
internal sealed class EventPayloadException(string payload, Exception inner) : Exception("The payload cannot be read.", inner)
{
    /// <summary>The name of the type that it should be.</summary>
    public string Payload { get; } = payload;
}

/// <summary>What all subscriptions of a bus share.</summary>
internal sealed record SubscriptionTools(EventOptions Options, RingReader Ring, EventsMetrics Metrics, ILogger Logger, TimeProvider Time);

/// <summary>One handler with a queue of its own and one loop that empties it, so that a slow handler delays nobody else.</summary>
/// <remarks>
/// The queue may lose events: it is bounded, and links break. The loop notices by the numbers, and brings what is missing from the ring
/// before it goes on with the queue, a page at a time, as fast as the handler takes it. So the handler sees one order, and a flood waits in
/// Redis, not here.
/// </remarks>
internal sealed class EventSubscription : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    // A handler may end its own subscription: its DisposeAsync must not wait for itself.
    private static readonly AsyncLocal<EventSubscription?> Running = new();

    private readonly Func<EventEnvelope, string, CancellationToken, ValueTask> _handler;
    private readonly SubscribeOptions _wishes;
    private readonly SubscriptionTools _tools;
    private readonly Func<EventSubscription, ValueTask> _ended;
    private readonly Channel<Arrival> _queue;
    private readonly Dictionary<string, EventCursor> _cursors = new(StringComparer.Ordinal); // The loop's own.
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private readonly Lock _gate = new(); // Guards the types that are owed.
    private long _arrivals;
    private Dictionary<string, EventEnvelope?>? _owed;
    private long _overflows;
    private bool _hasGivenUp;
    private int _disposed;

    /// <param name="type">The type it hears; <c>null</c> for all.</param>
    /// <param name="handler">Gets the event and its type; an <see cref="EventPayloadException"/> from it is the publisher's fault.</param>
    /// <param name="wishes">Where it begins, and who is told of gaps.</param>
    /// <param name="tools">What it works with.</param>
    /// <param name="ended">Called once, when no more events are wanted.</param>
    public EventSubscription(
        string? type,
        Func<EventEnvelope, string, CancellationToken, ValueTask> handler,
        SubscribeOptions wishes,
        SubscriptionTools tools,
        Func<EventSubscription, ValueTask> ended
    )
    {
        Type = type;
        _handler = handler;
        _wishes = wishes;
        _tools = tools;
        _ended = ended;
        _queue = Channel.CreateBounded<Arrival>(
            new BoundedChannelOptions(tools.Options.QueueLength) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            OnOverflow
        );
        // Handlers run on their own account, not in the request or activity of whoever subscribed.
        using var flow = Rt.WithoutFlow();
        _loop = RunAsync();
    }

    /// <summary>The type it hears; <c>null</c> for all.</summary>
    public string? Type { get; }

    private string Handles => Type ?? "all types";

    private bool IsEnding => Volatile.Read(ref _disposed) != 0;

    /// <summary>Queues an event; never blocks.</summary>
    public void Offer(string type, EventEnvelope envelope) =>
        _queue.Writer.TryWrite(new Arrival(type, envelope, Interlocked.Increment(ref _arrivals), null));

    /// <summary>Says that listening to a type begins here, or that events can have been missed: what comes after is handed over after what the ring has. Never blocks.</summary>
    /// <returns>Ends when Redis has been asked, or cannot be.</returns>
    public Task Mark(string type)
    {
        var asked = new TaskCompletionSource(Rt.Signals);
        if (!_queue.Writer.TryWrite(new Arrival(type, null, Interlocked.Increment(ref _arrivals), asked)))
            asked.TrySetResult();
        return asked.Task;
    }

    /// <summary>Takes no more events; those that already arrived are still handled, for as long as the options allow. Then the handler is cancelled.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _ended(this).ConfigureAwait(Rt.Capture);
        _queue.Writer.TryComplete();
        if (Running.Value == this)
            return;
        var timeout = _tools.Options.DrainTimeout;
        if (!await EndsWithinAsync(timeout).ConfigureAwait(Rt.Capture))
        {
            await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
            if (!await EndsWithinAsync(timeout).ConfigureAwait(Rt.Capture))
            {
                EventsLog.HandlerLeftBehind(_tools.Logger, Handles, timeout);
                return; // Its token must stay usable.
            }
        }

        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        Running.Value = this;
        await foreach (var arrival in _queue.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(Rt.Capture))
        {
            try
            {
                await TakeAsync(arrival).ConfigureAwait(Rt.Capture);
            }
            catch (Exception mistake)
            {
                EventsLog.SubscriptionFailed(_tools.Logger, arrival.Type, mistake);
            }
            finally
            {
                arrival.Asked?.TrySetResult();
            }
        }
    }

    private async ValueTask TakeAsync(Arrival arrival)
    {
        var owed = TakeOwed();
        if (owed?.GetValueOrDefault(arrival.Type) is { } own)
            CursorOf(arrival.Type).BeginBefore(own);
        if (!_stop.IsCancellationRequested)
            await TakeAsync(arrival, CursorOf(arrival.Type), owed?.Remove(arrival.Type) == true).ConfigureAwait(Rt.Capture);
        arrival.Asked?.TrySetResult();
        // Of the other types nothing else may ever come: what was pushed out may have been their last.
        if (owed is null)
            return;
        foreach (var (type, first) in owed)
        {
            if (_stop.IsCancellationRequested)
                return;
            CursorOf(type).BeginBefore(first ?? FirstOwed(type));
            await CatchUpAsync(type, CursorOf(type)).ConfigureAwait(Rt.Capture);
        }
    }

    private async ValueTask TakeAsync(Arrival arrival, EventCursor cursor, bool owes)
    {
        var (type, envelope) = (arrival.Type, arrival.Event);
        if (envelope is null)
        {
            // mutant: InterruptionsIgnored
            if (!EventMutants.InterruptionsIgnored || !cursor.IsBegun)
                await CatchUpAsync(type, cursor).ConfigureAwait(Rt.Capture);
            return;
        }

        if (owes)
            await CatchUpAsync(type, cursor).ConfigureAwait(Rt.Capture);
        var verdict = cursor.Judge(envelope, arrival.Number);
        if (verdict == EventVerdict.Ask)
        {
            var answered = await CatchUpAsync(type, cursor).ConfigureAwait(Rt.Capture);
            if (_stop.IsCancellationRequested)
                return;
            verdict = cursor.Judge(envelope, arrival.Number);
            if (verdict == EventVerdict.Ask && !answered)
            {
                var gap = cursor.Skip(envelope);
                await TellAsync(gap).ConfigureAwait(Rt.Capture);
                verdict = EventVerdict.HandOver;
            }
        }

        if (verdict == EventVerdict.HandOver)
            await HandleAsync(type, envelope).ConfigureAwait(Rt.Capture);
        else
            _tools.Metrics.Repeated(type);
    }

    /// <summary>Brings what is missing up to where the count stands now, and hands it over. What is published meanwhile waits in the queue, or is asked for when its turn comes.</summary>
    /// <returns>Whether Redis has answered.</returns>
    private async ValueTask<bool> CatchUpAsync(string type, EventCursor cursor)
    {
        var items = new List<CursorItem>();
        (string? Epoch, long Sequence)? goal = null;
        var (before, wasBegun) = (Interlocked.Read(ref _arrivals), cursor.IsBegun);
        while (await AskAsync(type, cursor).ConfigureAwait(Rt.Capture) is { } page)
        {
            items.Clear();
            var hasMore = cursor.Take(page, items);
            foreach (var item in items)
            {
                if (_stop.IsCancellationRequested)
                    return true;
                await HandOverAsync(type, item).ConfigureAwait(Rt.Capture);
            }

            if (goal is null || goal.Value.Epoch != page.Epoch)
                goal = (page.Epoch, page.Sequence);
            if (hasMore && cursor.Last < goal.Value.Sequence)
                continue;
            if (wasBegun)
                cursor.Covers(before);
            return true;
        }

        return false;
    }

    private async ValueTask HandOverAsync(string type, CursorItem item)
    {
        if (item.Gap is { } gap)
        {
            await TellAsync(gap).ConfigureAwait(Rt.Capture);
            return;
        }

        _tools.Metrics.Replayed(type);
        await HandleAsync(type, item.Event!).ConfigureAwait(Rt.Capture);
    }

    // Null when Redis cannot be asked. As long as nobody waits for the answer there is no hurry: without Redis nothing arrives.
    private async ValueTask<RingPage?> AskAsync(string type, EventCursor cursor)
    {
        var began = _tools.Time.GetTimestamp();
        var (age, most) = (cursor.IsBegun, _wishes.Replay > TimeSpan.Zero) switch
        {
            (true, _) => ((TimeSpan?)null, RingReader.EventsOfPage),
            (false, true) => (_wishes.Replay, RingReader.EventsOfPage),
            _ => (null, 0),
        };
        for (var pause = FirstPause; !_stop.IsCancellationRequested; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                var page = await _tools.Ring.ReadAsync(type, cursor.AskFrom, age, most, _stop.Token).ConfigureAwait(Rt.Capture);
                _hasGivenUp = false;
                return page;
            }
            catch (RedisException failure)
            {
                var isOver = _hasGivenUp || (_queue.Reader.Count > 0 && _tools.Time.GetElapsedTime(began) >= _tools.Options.ReplayTimeout);
                if (!failure.IsTransient || isOver || IsEnding)
                {
                    if (!_hasGivenUp)
                        EventsLog.ReplayNotPossible(_tools.Logger, type, failure.Message);
                    _hasGivenUp = true;
                    return null;
                }
            }
            catch (Exception end) when (end is OperationCanceledException or ObjectDisposedException)
            {
                return null;
            }

            await Task.Delay(pause, _tools.Time, _stop.Token).ConfigureAwait(Rt.Quietly);
        }

        return null;
    }

    private async ValueTask HandleAsync(string type, EventEnvelope envelope)
    {
        var began = _tools.Time.GetTimestamp();
        using var span = EventSpans.Begin(type, envelope);
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
            span.Failed(unreadable);
            _tools.Metrics.Dropped(type, EventsMetrics.Reasons.Payload);
            EventsLog.PayloadUnreadable(_tools.Logger, type, envelope.Id, envelope.Source, unreadable.Payload, unreadable.InnerException!);
            return;
        }
        catch (Exception failure)
        {
            span.Failed(failure);
            _tools.Metrics.HandlerFailed(type);
            EventsLog.HandlerFailed(_tools.Logger, type, envelope.Id, failure);
        }

        _tools.Metrics.Handled(type, _tools.Time.GetElapsedTime(began));
    }

    private async ValueTask TellAsync(EventGap gap)
    {
        _tools.Metrics.Gap(gap);
        EventsLog.Gap(_tools.Logger, gap.Type, gap.From, gap.To, EventsMetrics.Reasons.Of(gap.Reason));
        if (_wishes.OnGap is not { } told)
            return;
        try
        {
            await told(gap, _stop.Token).ConfigureAwait(Rt.Capture);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // We asked it to.
        }
        catch (Exception failure)
        {
            _tools.Metrics.HandlerFailed(gap.Type);
            EventsLog.GapHandlerFailed(_tools.Logger, gap.Type, failure);
        }
    }

    private void OnOverflow(Arrival oldest)
    {
        // mutant: OverflowForgotten
        if (!EventMutants.OverflowForgotten && oldest.Event is null or { Sequence: not null })
            Owe(oldest);
        if (oldest.Event is null)
        {
            oldest.Asked?.TrySetResult();
            return;
        }

        // What has a number is brought from the ring when its turn comes; what has none is lost.
        if (oldest.Event.Sequence is null)
            _tools.Metrics.Dropped(oldest.Type, EventsMetrics.Reasons.QueueFull);
        // Said at the first, then each time the number has doubled: a flood of events must not become a flood of lines.
        var overflows = Interlocked.Increment(ref _overflows);
        if (long.IsPow2(overflows))
            EventsLog.HandlerTooSlow(_tools.Logger, Handles, _tools.Options.QueueLength, overflows);
    }

    private void Owe(Arrival oldest)
    {
        lock (_gate)
        {
            _owed ??= new Dictionary<string, EventEnvelope?>(StringComparer.Ordinal);
            if (!_owed.TryGetValue(oldest.Type, out var first) || first is null)
                _owed[oldest.Type] = oldest.Event;
        }

        // The loop looks when it takes something. If it has just taken the last, nothing else may come.
        if (_queue.Reader.Count == 0)
            _queue.Writer.TryWrite(new Arrival(oldest.Type, null, Interlocked.Increment(ref _arrivals), null));
    }

    private Dictionary<string, EventEnvelope?>? TakeOwed()
    {
        lock (_gate)
        {
            var owed = _owed;
            _owed = null;
            return owed;
        }
    }

    // Pushed out while the handler was at work.
    private EventEnvelope? FirstOwed(string type)
    {
        lock (_gate)
            return _owed?.GetValueOrDefault(type);
    }

    private EventCursor CursorOf(string type)
    {
        if (!_cursors.TryGetValue(type, out var cursor))
            _cursors.Add(type, cursor = new EventCursor(type, replays: _wishes.Replay > TimeSpan.Zero, _wishes.After));
        return cursor;
    }

    private async ValueTask<bool> EndsWithinAsync(TimeSpan timeout)
    {
        try
        {
            await _loop.WaitAsync(timeout, _tools.Time).ConfigureAwait(Rt.Capture);
            return true;
        }
        catch (TimeoutException)
        {
            return _loop.IsCompleted;
        }
    }

    /// <summary>What stands in the queue.</summary>
    /// <param name="Type">The type.</param>
    /// <param name="Event">The event; <c>null</c> for the news that events can have been missed.</param>
    /// <param name="Number">Grows with each arrival.</param>
    /// <param name="Asked">Completed when that news has been seen to.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Arrival(string Type, EventEnvelope? Event, long Number, TaskCompletionSource? Asked);
}
