using System.Diagnostics.Metrics;

namespace Onggi.Migration;

/// <summary>The meter <c>Onggi.Migration</c>.</summary>
internal sealed class MigrationMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Onggi.Migration";

    private readonly Meter? _own;
    private readonly Counter<long> _shadowReads;
    private readonly Counter<long> _mismatches;
    private readonly Counter<long> _redirected;

    public MigrationMetrics(IMeterFactory? meters, Func<MigrationPhase> phase)
    {
        var meter = meters?.Create(MeterName) ?? (_own = new Meter(MeterName));
        _shadowReads = meter.CreateCounter<long>("onggi.migration.shadow.reads", "{read}", "Reads that were done on both sides.");
        _mismatches = meter.CreateCounter<long>(
            "onggi.migration.shadow.mismatches",
            "{read}",
            "Of these, how many differed and went on to."
        );
        _redirected = meter.CreateCounter<long>(
            "onggi.migration.redirected",
            "{call}",
            "Calls that a fence refused and the other side answered."
        );
        meter.CreateObservableGauge("onggi.migration.phase", () => (int)phase(), description: "0 old, 1 mirror, 2 shadow, 3 new.");
    }

    public void Compared(bool same)
    {
        _shadowReads.Add(1);
        if (!same)
            _mismatches.Add(1);
    }

    public void Redirected() => _redirected.Add(1);

    // One of a host's factory is the factory's.
    public void Dispose() => _own?.Dispose();
}
