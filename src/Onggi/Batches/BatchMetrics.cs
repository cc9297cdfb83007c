using System.Diagnostics.Metrics;
using Onggi.Client;

namespace Onggi.Batches;

/// <summary>The meter <c>Onggi.Batches</c>.</summary>
internal sealed class BatchMetrics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Onggi.Batches";

    private const string OperationTag = "onggi.operation";
    private const string OutcomeTag = "onggi.outcome";
    private const string KindTag = "onggi.kind";

    private readonly Counter<long> _entries;
    private readonly Histogram<double> _duration;

    public BatchMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _entries = meter.CreateCounter<long>(
            "onggi.batch.entries",
            "{entry}",
            "Entries of batches, by what was done and what became of it."
        );
        _duration = meter.CreateHistogram<double>(
            "onggi.batch.duration",
            "s",
            "From the call that sends a batch until all of it has an end."
        );
    }

    public void Ended(IReadOnlyList<BatchEntry> entries, bool atomic, TimeSpan took)
    {
        if (_duration.Enabled)
            _duration.Record(took.TotalSeconds, new KeyValuePair<string, object?>(KindTag, atomic ? "atomic" : "plain"));
        if (!_entries.Enabled)
            return;
        foreach (var group in entries.GroupBy(static entry => (entry.Operation, entry.Outcome)))
            _entries.Add(
                group.Count(),
                new KeyValuePair<string, object?>(OperationTag, WordOf(group.Key.Operation)),
                new KeyValuePair<string, object?>(OutcomeTag, WordOf(group.Key.Outcome))
            );
    }

    private static string WordOf(BatchOperation operation) =>
        operation switch
        {
            BatchOperation.Get => "get",
            BatchOperation.Set => "set",
            BatchOperation.Delete => "delete",
            _ => "expire",
        };

    private static string WordOf(BatchOutcome outcome) =>
        outcome switch
        {
            BatchOutcome.Answered => "answered",
            BatchOutcome.Failed => "failed",
            BatchOutcome.Unknown => "unknown",
            _ => "not_sent",
        };
}
