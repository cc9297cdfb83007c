using System.Diagnostics.Metrics;

namespace Onggi.Cli.Operations;

/// <summary>Meters for the blocks of Onggi that the tool uses. Nobody collects them.</summary>
internal sealed class ToolMeters : IMeterFactory
{
    private readonly List<Meter> _meters = [];

    public Meter Create(MeterOptions options)
    {
        var meter = new Meter(options);
        _meters.Add(meter);
        return meter;
    }

    public void Dispose()
    {
        foreach (var meter in _meters)
            meter.Dispose();
    }
}
