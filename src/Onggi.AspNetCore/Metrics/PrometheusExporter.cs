using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Numerics;
using Microsoft.Extensions.Logging;

namespace Onggi.AspNetCore.Metrics;

/// <summary>Listens to meters of this process and writes what they measured as Prometheus text.</summary>
/// <remarks>
/// A measurement goes straight from the instrument to its family, which the listener hands back as state, and there to its series by a
/// lock-free look-up: in steady state nothing is allocated and nothing waits.
/// </remarks>
internal sealed partial class PrometheusExporter : IDisposable
{
    private readonly OnggiMetricsOptions _options;
    private readonly IMeterFactory? _factory;
    private readonly ILogger _logger;
    private readonly MeterListener _listener;
    private readonly ConcurrentDictionary<string, MetricFamily> _families = new(StringComparer.Ordinal);

    // Guards the look at observable instruments: two scrapes at once would mix their series.
    private readonly Lock _scrape = new();
    private long _failedObservations;

    /// <param name="options">Which meters, how many series.</param>
    /// <param name="factory">The host's meter factory: meters that another host in this process made are not ours to show.</param>
    /// <param name="logger">Hears of dropped series and failing observables.</param>
    public PrometheusExporter(OnggiMetricsOptions options, IMeterFactory? factory, ILogger logger)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxSeries, 1);
        _options = options;
        _factory = factory;
        _logger = logger;
        _listener = new MeterListener { InstrumentPublished = OnPublished };
        _listener.SetMeasurementEventCallback<byte>(Record);
        _listener.SetMeasurementEventCallback<short>(Record);
        _listener.SetMeasurementEventCallback<int>(Record);
        _listener.SetMeasurementEventCallback<long>(Record);
        _listener.SetMeasurementEventCallback<float>(Record);
        _listener.SetMeasurementEventCallback<double>(Record);
        _listener.SetMeasurementEventCallback<decimal>(Record);
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>Asks the observable instruments, then writes every family.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        lock (_scrape)
        {
            Observe();
            var text = new PrometheusText(output);
            var dropped = 0L;
            foreach (var family in _families.Values.OrderBy(family => family.Name, StringComparer.Ordinal))
            {
                text.Write(family);
                dropped += family.Dropped;
            }
            text.WriteCounter(
                "onggi_metrics_dropped_measurements_total",
                "Measurements that were dropped, since their instrument has as many series as it may have.",
                dropped
            );
            text.WriteCounter(
                "onggi_metrics_failed_observations_total",
                "Looks at the observable instruments that ended with an exception.",
                _failedObservations
            );
        }
    }

    private void Observe()
    {
        foreach (var family in _families.Values)
        {
            if (family.IsObservable)
                family.BeginObserving();
        }
        try
        {
            _listener.RecordObservableInstruments();
        }
        catch (AggregateException failures)
        {
            // The listener has asked all of them before it throws; those that answered are shown.
            _failedObservations++;
            LogObservationFailed(failures);
        }
    }

    private void OnPublished(Instrument instrument, MeterListener listener)
    {
        if (!_options.Includes(instrument.Meter.Name) || instrument.Meter.Scope is IMeterFactory other && other != _factory)
            return;
        var kind = KindOf(instrument);
        var made = new MetricFamily(instrument, kind, _options.MaxSeries);
        var family = _families.GetOrAdd(made.Name, made);
        if (family.Kind != kind || family.IsObservable != instrument.IsObservable)
        {
            LogNameTaken(instrument.Name, instrument.Meter.Name, family.Name, family.Meter);
            return;
        }
        listener.EnableMeasurementEvents(instrument, family);
    }

    private void Record<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
        where T : struct, INumber<T>
    {
        var family = (MetricFamily)state!;
        if (family.Record(double.CreateSaturating(value), tags) == 1)
            LogFull(instrument.Name, _options.MaxSeries);
    }

    private static MetricKind KindOf(Instrument instrument)
    {
        var type = instrument.GetType();
        var shape = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        if (shape == typeof(Counter<>) || shape == typeof(ObservableCounter<>))
            return MetricKind.Counter;
        return shape == typeof(Histogram<>) ? MetricKind.Histogram : MetricKind.Gauge;
    }

    [LoggerMessage(
        8001,
        LogLevel.Warning,
        "{Instrument} has {MaxSeries} series, as many as it may have. Further combinations of tag values are not shown at the metrics "
            + "endpoint; a tag with endless values does not belong on it."
    )]
    private partial void LogFull(string instrument, int maxSeries);

    [LoggerMessage(
        8002,
        LogLevel.Warning,
        "{Instrument} of the meter {Meter} is not shown at the metrics endpoint: its Prometheus name {Name} belongs to another kind of "
            + "instrument of the meter {Other}."
    )]
    private partial void LogNameTaken(string instrument, string meter, string name, string other);

    [LoggerMessage(8003, LogLevel.Warning, "Some observable instruments failed to answer; the others are shown.")]
    private partial void LogObservationFailed(Exception failures);
}
