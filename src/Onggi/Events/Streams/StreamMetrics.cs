using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Onggi.Events.Streams;

/// <summary>The meter <c>Onggi.Streams</c>.</summary>
internal sealed class StreamMetrics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Onggi.Streams";

    private const string TypeTag = "onggi.event.type";
    private const string GroupTag = "onggi.group";
    private const string OutcomeTag = "onggi.outcome";
    private const string ReasonTag = "onggi.reason";

    private readonly ConcurrentDictionary<(string Type, string Group), StreamGroupStatus> _groups = new();
    private readonly ConcurrentDictionary<string, long> _lengths = new(StringComparer.Ordinal);
    private readonly Counter<long> _deliveries;
    private readonly Counter<long> _redelivered;
    private readonly Counter<long> _claimed;
    private readonly Counter<long> _quarantined;
    private readonly Counter<long> _gone;
    private readonly Counter<long> _trimmed;
    private readonly Histogram<double> _handlerDuration;

    public StreamMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _deliveries = meter.CreateCounter<long>("onggi.streams.deliveries", "{event}", "Events handed out here, by what became of them.");
        _redelivered = meter.CreateCounter<long>("onggi.streams.redelivered", "{event}", "Events handed out that had been before.");
        _claimed = meter.CreateCounter<long>("onggi.streams.claimed", "{event}", "Events taken over from a process that was silent.");
        _quarantined = meter.CreateCounter<long>("onggi.streams.quarantined", "{event}", "Events put into quarantine, by reason.");
        _gone = meter.CreateCounter<long>(
            "onggi.streams.gone",
            "{event}",
            "Events that somebody removed from the stream before they were settled."
        );
        _trimmed = meter.CreateCounter<long>("onggi.streams.trimmed", "{event}", "Settled events that this process removed.");
        _handlerDuration = meter.CreateHistogram<double>("onggi.streams.handler.duration", "s", "How long handlers took.");
        meter.CreateObservableGauge("onggi.streams.length", Lengths, "{event}", "Events in the stream.");
        meter.CreateObservableGauge("onggi.streams.lag", Lags, "{event}", "Events that were not handed to the group yet.");
        meter.CreateObservableGauge("onggi.streams.pending", Pendings, "{event}", "Events handed to the group and not settled.");
        meter.CreateObservableGauge("onggi.streams.oldest", Ages, "s", "Age of the oldest event that the group has not settled.");
    }

    public void Delivered(string type, string group, string outcome) =>
        _deliveries.Add(
            1,
            new KeyValuePair<string, object?>(TypeTag, type),
            new KeyValuePair<string, object?>(GroupTag, group),
            new KeyValuePair<string, object?>(OutcomeTag, outcome)
        );

    public void Redelivered(string type, string group) => Add(_redelivered, 1, type, group);

    public void Claimed(string type, string group, long count) => Add(_claimed, count, type, group);

    public void Gone(string type, string group, long count) => Add(_gone, count, type, group);

    public void Quarantined(string type, string group, string reason) =>
        _quarantined.Add(
            1,
            new KeyValuePair<string, object?>(TypeTag, type),
            new KeyValuePair<string, object?>(GroupTag, group),
            new KeyValuePair<string, object?>(ReasonTag, reason)
        );

    public void Handled(string type, string group, TimeSpan took)
    {
        if (_handlerDuration.Enabled)
            _handlerDuration.Record(
                took.TotalSeconds,
                new KeyValuePair<string, object?>(TypeTag, type),
                new KeyValuePair<string, object?>(GroupTag, group)
            );
    }

    /// <summary>Takes what a round of trimming found.</summary>
    public void Trimmed(string type, TrimReply reply)
    {
        if (reply.Removed > 0)
            _trimmed.Add(reply.Removed, new KeyValuePair<string, object?>(TypeTag, type));
        _lengths[type] = reply.Length;
        foreach (var group in reply.Groups)
            _groups[(type, group.Group)] = group;
        foreach (var known in _groups.Keys)
            if (known.Type == type && !reply.Groups.Any(group => group.Group == known.Group))
                _groups.TryRemove(known, out _);
    }

    private static void Add(Counter<long> counter, long count, string type, string group)
    {
        if (count > 0 && counter.Enabled)
            counter.Add(count, new KeyValuePair<string, object?>(TypeTag, type), new KeyValuePair<string, object?>(GroupTag, group));
    }

    private IEnumerable<Measurement<long>> Lengths() =>
        _lengths.Select(static one => new Measurement<long>(one.Value, new KeyValuePair<string, object?>(TypeTag, one.Key)));

    private IEnumerable<Measurement<long>> Lags() =>
        _groups
            .Where(static one => one.Value.Waiting is not null)
            .Select(static one => new Measurement<long>(one.Value.Waiting!.Value, Tags(one.Key)));

    private IEnumerable<Measurement<long>> Pendings() =>
        _groups.Select(static one => new Measurement<long>(one.Value.Pending, Tags(one.Key)));

    private IEnumerable<Measurement<double>> Ages() =>
        _groups.Select(static one => new Measurement<double>(one.Value.Oldest?.TotalSeconds ?? 0, Tags(one.Key)));

    private static KeyValuePair<string, object?>[] Tags((string Type, string Group) one) =>
        [new(TypeTag, one.Type), new(GroupTag, one.Group)];

    /// <summary>What became of a delivery, as metrics say it.</summary>
    internal static class Outcomes
    {
        public const string Done = "done";
        public const string Marked = "marked";
        public const string Passed = "passed";
        public const string Retried = "retried";
        public const string Quarantined = "quarantined";
        public const string Released = "released";
        public const string Elsewhere = "elsewhere";
    }

    /// <summary>Why an event is in quarantine; its reason begins with it.</summary>
    internal static class Reasons
    {
        public const string Unreadable = "unreadable";
        public const string Payload = "payload";
        public const string Failed = "failed";
        public const string Timeout = "timeout";
        public const string Rejected = "rejected";
        public const string Abandoned = "abandoned";
    }
}
