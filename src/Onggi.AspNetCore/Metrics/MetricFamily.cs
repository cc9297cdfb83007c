using System.Diagnostics.Metrics;
using System.Numerics;

namespace Onggi.AspNetCore.Metrics;

/// <summary>One metric as Prometheus sees it: name, type, help, and its series. Instruments of the same name share one.</summary>
internal sealed class MetricFamily
{
    // Redis answers in fractions of a millisecond, a legacy system behind it in seconds.
    private static readonly double[] SecondsBounds =
    [
        0.0001,
        0.00025,
        0.0005,
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
        2.5,
        5,
        10,
    ];

    private static readonly double[] BytesBounds = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

    private static readonly double[] OtherBounds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

    private readonly int _maxSeries;
    private readonly double[] _bounds;
    private readonly double _scale;
    private readonly bool _isLastWord;
    private TagSets _tagSets;
    private long _dropped;

    public MetricFamily(Instrument instrument, MetricKind kind, int maxSeries)
    {
        (Name, _scale) = PrometheusName.Of(instrument, kind);
        Kind = kind;
        Meter = instrument.Meter.Name;
        Help = string.IsNullOrWhiteSpace(instrument.Description)
            ? $"The instrument {instrument.Name} of the meter {Meter}."
            : instrument.Description;
        IsObservable = instrument.IsObservable;
        // A gauge says how much it is now, the last word counts. Counters say by how much it changed; observable ones begin at nothing
        // with each look and say the whole, so that what two instruments of the same name say adds up.
        _isLastWord = IsGauge(instrument);
        _maxSeries = maxSeries;
        _bounds = kind == MetricKind.Histogram ? Bounds(instrument) : [];
        _tagSets = NewTagSets();
    }

    public string Name { get; }

    public string Help { get; }

    public string Meter { get; }

    public MetricKind Kind { get; }

    public bool IsObservable { get; }

    public long Dropped => Interlocked.Read(ref _dropped);

    public Series[] All() => Volatile.Read(ref _tagSets).All();

    /// <summary>0 when recorded; otherwise how many measurements this family has dropped by now for want of room for another series.</summary>
    public long Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (Volatile.Read(ref _tagSets).Find(tags) is not { } series)
            return Interlocked.Increment(ref _dropped);
        if (Kind == MetricKind.Histogram)
            series.Observe(value * _scale);
        else if (_isLastWord)
            series.Set(value * _scale);
        else
            series.Add(value * _scale);
        return 0;
    }

    /// <summary>Forgets the series: observables name all that exist at each look, and what they do not name is gone.</summary>
    public void BeginObserving() => Volatile.Write(ref _tagSets, NewTagSets());

    private TagSets NewTagSets() => new(_maxSeries, _bounds, Kind == MetricKind.Histogram);

    private double[] Bounds(Instrument instrument)
    {
        var advised = Advice<double>() ?? Advice<long>() ?? Advice<int>() ?? Advice<float>() ?? Advice<short>() ?? Advice<byte>();
        if (advised is not null)
            return advised;
        return instrument.Unit switch
        {
            "s" or "ms" or "us" or "ns" => SecondsBounds,
            "By" => BytesBounds,
            _ => OtherBounds,
        };

        double[]? Advice<T>()
            where T : struct, INumber<T> =>
            instrument is Histogram<T> { Advice.HistogramBucketBoundaries: { Count: > 0 } bounds }
                ? [.. bounds.Select(bound => double.CreateChecked(bound) * _scale)]
                : null;
    }

    private static bool IsGauge(Instrument instrument) =>
        instrument.GetType() is { IsGenericType: true } type
        && (type.GetGenericTypeDefinition() == typeof(Gauge<>) || type.GetGenericTypeDefinition() == typeof(ObservableGauge<>));
}
