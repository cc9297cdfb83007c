namespace Onggi.AspNetCore.Metrics;

/// <summary>The three types of the Prometheus text format that .NET's instruments map to.</summary>
internal enum MetricKind
{
    Counter,
    Gauge,
    Histogram,
}
