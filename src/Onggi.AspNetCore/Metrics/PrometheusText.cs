using System.Buffers;
using System.Globalization;
using System.Text;

namespace Onggi.AspNetCore.Metrics;

/// <summary>Writes the Prometheus text format, version 0.0.4.</summary>
/// <remarks>
/// The raw form, a line each ending in LF:
/// <code>
/// # HELP onggi_cache_requests_total Reads by outcome.
/// # TYPE onggi_cache_requests_total counter
/// onggi_cache_requests_total{onggi_family="customer",onggi_outcome="redis"} 42
/// </code>
/// A histogram <c>h</c> is <c>h_bucket{…,le="0.1"}</c> for every bound and <c>+Inf</c>, each counting all at or under it, then
/// <c>h_sum</c> and <c>h_count</c>.
/// </remarks>
internal readonly ref struct PrometheusText(IBufferWriter<byte> output)
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public void Write(MetricFamily family)
    {
        var series = family.All();
        if (series.Length == 0)
            return;
        Head(family.Name, family.Help, family.Kind);
        foreach (var one in series)
        {
            if (family.Kind == MetricKind.Histogram)
                Histogram(family.Name, one);
            else
                Sample(family.Name, one.Labels, one.Value);
        }
    }

    public void WriteCounter(string name, string help, double value)
    {
        Head(name, help, MetricKind.Counter);
        Sample(name, "", value);
    }

    private void Head(string name, string help, MetricKind kind)
    {
        var escaped = help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        Line($"# HELP {name} {escaped}");
        Line(
            $"# TYPE {name} {kind switch
            {
                MetricKind.Counter => "counter",
                MetricKind.Histogram => "histogram",
                _ => "gauge",
            }}"
        );
    }

    private void Histogram(string name, Series series)
    {
        var counts = series.Cumulative();
        var comma = series.Labels.Length > 0 ? "," : "";
        for (var i = 0; i < series.Bounds.Length; i++)
            Line($"{name}_bucket{{{series.Labels}{comma}le=\"{Number(series.Bounds[i])}\"}} {counts[i]}");
        Line($"{name}_bucket{{{series.Labels}{comma}le=\"+Inf\"}} {counts[^1]}");
        Sample($"{name}_sum", series.Labels, series.Value);
        Sample($"{name}_count", series.Labels, counts[^1]);
    }

    private void Sample(string name, string labels, double value) =>
        Line(labels.Length == 0 ? $"{name} {Number(value)}" : $"{name}{{{labels}}} {Number(value)}");

    private void Line(string text)
    {
        Encoding.UTF8.GetBytes(text, output);
        output.Write("\n"u8);
    }

    private static string Number(double value) =>
        value switch
        {
            double.PositiveInfinity => "+Inf",
            double.NegativeInfinity => "-Inf",
            double.NaN => "NaN",
            _ => value.ToString(CultureInfo.InvariantCulture),
        };
}
