using System.Diagnostics.Metrics;

namespace Onggi.Limits;

/// <summary>The meter <c>Onggi.Limits</c>.</summary>
internal sealed class LimitMetrics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Onggi.Limits";

    private const string FamilyTag = "onggi.family";
    private const string OutcomeTag = "onggi.outcome";
    private const string SourceTag = "onggi.source";

    private readonly Counter<long> _decisions;
    private readonly Histogram<double> _duration;
    private readonly Counter<long> _failures;
    private readonly UpDownCounter<long> _places;

    public LimitMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _decisions = meter.CreateCounter<long>("onggi.limit.decisions", "{decision}", "Decisions, by what they were and who made them.");
        _duration = meter.CreateHistogram<double>("onggi.limit.duration", "s", "How long callers waited for Redis's decision.");
        _failures = meter.CreateCounter<long>("onggi.limit.failures", "{failure}", "How often Redis could not be asked.");
        _places = meter.CreateUpDownCounter<long>("onggi.limit.places", "{place}", "Places that this process holds.");
    }

    public void Decided(string family, in Decision decision)
    {
        if (_decisions.Enabled)
            _decisions.Add(
                1,
                new KeyValuePair<string, object?>(FamilyTag, family),
                new KeyValuePair<string, object?>(OutcomeTag, decision.Allowed ? "allowed" : "denied"),
                new KeyValuePair<string, object?>(
                    SourceTag,
                    decision.Source switch
                    {
                        DecisionSource.Redis => "redis",
                        DecisionSource.Remembered => "remembered",
                        _ => "fail_mode",
                    }
                )
            );
    }

    public void Asked(string family, TimeSpan took)
    {
        if (_duration.Enabled)
            _duration.Record(took.TotalSeconds, new KeyValuePair<string, object?>(FamilyTag, family));
    }

    public void Failed(string family)
    {
        if (_failures.Enabled)
            _failures.Add(1, new KeyValuePair<string, object?>(FamilyTag, family));
    }

    public void Places(string family, int change)
    {
        if (_places.Enabled)
            _places.Add(change, new KeyValuePair<string, object?>(FamilyTag, family));
    }
}
