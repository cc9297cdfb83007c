using System.Diagnostics.Metrics;

namespace Onggi.Events;

/// <summary>The meter <c>Onggi.Events</c>, and the same counts as plain numbers.</summary>
internal sealed class EventsMetrics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Onggi.Events";

    private const string TypeTag = "onggi.event.type";
    private const string ReasonTag = "onggi.reason";

    private readonly Counter<long> _published;
    private readonly Counter<long> _publishFailures;
    private readonly Counter<long> _received;
    private readonly Counter<long> _handlerFailures;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _interruptions;
    private readonly Counter<long> _gaps;
    private readonly Counter<long> _replayed;
    private readonly Counter<long> _repeated;
    private readonly Counter<long> _unkept;
    private readonly Histogram<double> _handlerDuration;

    private long _publishedCount;
    private long _receivedCount;
    private long _handlerFailureCount;
    private long _droppedCount;
    private long _interruptionCount;
    private long _gapCount;
    private long _replayedCount;
    private long _repeatedCount;
    private long _unkeptCount;

    public EventsMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _published = meter.CreateCounter<long>("onggi.events.published", "{event}", "Events that Redis took from this process.");
        _publishFailures = meter.CreateCounter<long>(
            "onggi.events.publish.failures",
            "{event}",
            "Events that this process could not publish, or of which it does not know whether they were."
        );
        _received = meter.CreateCounter<long>("onggi.events.received", "{event}", "Events that arrived and could be read.");
        _handlerFailures = meter.CreateCounter<long>("onggi.events.handler.failures", "{call}", "Calls of handlers that failed.");
        _dropped = meter.CreateCounter<long>("onggi.events.dropped", "{event}", "Events that a handler did not get, by reason.");
        _interruptions = meter.CreateCounter<long>(
            "onggi.events.interruptions",
            "{interruption}",
            "How often events can have been missed: link lost and back, or read too slowly."
        );
        _gaps = meter.CreateCounter<long>(
            "onggi.events.gaps",
            "{gap}",
            "How often a handler has missed events that Redis did not have any more, by reason."
        );
        _replayed = meter.CreateCounter<long>("onggi.events.replayed", "{event}", "Missed events that a handler got from the ring.");
        _repeated = meter.CreateCounter<long>(
            "onggi.events.repeated",
            "{event}",
            "Events that arrived once more and were not handed over again."
        );
        _unkept = meter.CreateCounter<long>(
            "onggi.events.unkept",
            "{event}",
            "Events that this process published and Redis, being full, did not keep for those who were cut off."
        );
        _handlerDuration = meter.CreateHistogram<double>("onggi.events.handler.duration", "s", "How long handlers took.");
    }

    /// <summary>A snapshot of the counts.</summary>
    public EventStatistics Statistics =>
        new(
            Interlocked.Read(ref _publishedCount),
            Interlocked.Read(ref _receivedCount),
            Interlocked.Read(ref _handlerFailureCount),
            Interlocked.Read(ref _droppedCount),
            Interlocked.Read(ref _interruptionCount),
            Interlocked.Read(ref _gapCount),
            Interlocked.Read(ref _replayedCount),
            Interlocked.Read(ref _repeatedCount)
        );

    public void Published(string type) => Count(ref _publishedCount, _published, type);

    public void PublishFailed(string type)
    {
        if (_publishFailures.Enabled)
            _publishFailures.Add(1, new KeyValuePair<string, object?>(TypeTag, type));
    }

    public void Received(string type) => Count(ref _receivedCount, _received, type);

    public void HandlerFailed(string type) => Count(ref _handlerFailureCount, _handlerFailures, type);

    public void Interrupted(string type) => Count(ref _interruptionCount, _interruptions, type);

    public void Replayed(string type) => Count(ref _replayedCount, _replayed, type);

    public void Repeated(string type) => Count(ref _repeatedCount, _repeated, type);

    /// <summary>Counts an event that Redis did not keep; how many there were.</summary>
    public long Unkept(string type)
    {
        if (_unkept.Enabled)
            _unkept.Add(1, new KeyValuePair<string, object?>(TypeTag, type));
        return Interlocked.Increment(ref _unkeptCount);
    }

    public void Gap(EventGap gap)
    {
        Interlocked.Increment(ref _gapCount);
        if (_gaps.Enabled)
            _gaps.Add(
                1,
                new KeyValuePair<string, object?>(TypeTag, gap.Type),
                new KeyValuePair<string, object?>(ReasonTag, Reasons.Of(gap.Reason))
            );
        if (gap.Count is { } missed and > 0)
            Dropped(gap.Type, Reasons.Gap, missed);
    }

    public void Handled(string type, TimeSpan took)
    {
        if (_handlerDuration.Enabled)
            _handlerDuration.Record(took.TotalSeconds, new KeyValuePair<string, object?>(TypeTag, type));
    }

    public void Dropped(string type, string reason, long count = 1)
    {
        Interlocked.Add(ref _droppedCount, count);
        if (_dropped.Enabled)
            _dropped.Add(count, new KeyValuePair<string, object?>(TypeTag, type), new KeyValuePair<string, object?>(ReasonTag, reason));
    }

    private static void Count(ref long count, Counter<long> counter, string type)
    {
        Interlocked.Increment(ref count);
        if (counter.Enabled)
            counter.Add(1, new KeyValuePair<string, object?>(TypeTag, type));
    }

    /// <summary>Why an event was dropped, or is missing, as metrics say it.</summary>
    internal static class Reasons
    {
        public const string QueueFull = "queue_full";
        public const string Unreadable = "unreadable";
        public const string OtherType = "other_type";
        public const string Payload = "payload";
        public const string Gap = "gap";

        public static string Of(EventGapReason reason) =>
            reason switch
            {
                EventGapReason.NoLongerKept => "no_longer_kept",
                EventGapReason.NewEpoch => "new_epoch",
                EventGapReason.WentBack => "went_back",
                _ => "not_asked",
            };
    }
}
