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
    private readonly Histogram<double> _handlerDuration;

    private long _publishedCount;
    private long _receivedCount;
    private long _handlerFailureCount;
    private long _droppedCount;
    private long _interruptionCount;

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
        _handlerDuration = meter.CreateHistogram<double>("onggi.events.handler.duration", "s", "How long handlers took.");
    }

    /// <summary>A snapshot of the counts.</summary>
    public EventStatistics Statistics =>
        new(
            Interlocked.Read(ref _publishedCount),
            Interlocked.Read(ref _receivedCount),
            Interlocked.Read(ref _handlerFailureCount),
            Interlocked.Read(ref _droppedCount),
            Interlocked.Read(ref _interruptionCount)
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

    public void Handled(string type, TimeSpan took)
    {
        if (_handlerDuration.Enabled)
            _handlerDuration.Record(took.TotalSeconds, new KeyValuePair<string, object?>(TypeTag, type));
    }

    public void Dropped(string type, string reason)
    {
        Interlocked.Increment(ref _droppedCount);
        if (_dropped.Enabled)
            _dropped.Add(1, new KeyValuePair<string, object?>(TypeTag, type), new KeyValuePair<string, object?>(ReasonTag, reason));
    }

    private static void Count(ref long count, Counter<long> counter, string type)
    {
        Interlocked.Increment(ref count);
        if (counter.Enabled)
            counter.Add(1, new KeyValuePair<string, object?>(TypeTag, type));
    }

    /// <summary>Why an event was dropped, as metrics say it.</summary>
    internal static class Reasons
    {
        public const string QueueFull = "queue_full";
        public const string Unreadable = "unreadable";
        public const string OtherType = "other_type";
        public const string Payload = "payload";
    }
}
