using System.Diagnostics.Metrics;
using System.Text;

namespace Onggi.AspNetCore.Metrics;

/// <summary>What Prometheus calls an instrument, and by what its values are multiplied to be in base units.</summary>
/// <remarks>
/// OpenTelemetry's rules for Prometheus (docs "Prometheus and OpenMetrics Compatibility"): dots become underscores, the unit becomes
/// the ending, counters end in <c>_total</c>. Beyond them, units that are not base units are converted, since promtool refuses
/// <c>_milliseconds</c>.
/// </remarks>
internal readonly record struct PrometheusName(string Text, double Scale)
{
    public static PrometheusName Of(Instrument instrument, MetricKind kind)
    {
        var (unit, scale) = Unit(instrument.Unit ?? "", kind);
        var name = Sanitize(instrument.Name);
        // "onggi.cache.requests.total" must not become "…_total_total", nor "….seconds" in s "…_seconds_seconds".
        if (kind == MetricKind.Counter && name.EndsWith("_total", StringComparison.Ordinal))
            name = name[..^"_total".Length];
        if (unit.Length > 0 && !name.EndsWith($"_{unit}", StringComparison.Ordinal))
            name = $"{name}_{unit}";
        return new(kind == MetricKind.Counter ? $"{name}_total" : name, scale);
    }

    /// <summary>The same text with every character that Prometheus does not take in names as an underscore, never two in a row.</summary>
    public static string Sanitize(string name)
    {
        var text = new StringBuilder(name.Length + 1);
        foreach (var character in name)
        {
            if (char.IsAsciiLetterOrDigit(character))
            {
                if (text.Length == 0 && char.IsAsciiDigit(character))
                    text.Append('_');
                text.Append(character);
            }
            else if (text.Length == 0 || text[^1] != '_')
            {
                text.Append('_');
            }
        }
        return text.ToString();
    }

    // Units are UCUM's, as OpenTelemetry asks. "{request}" only says what is counted.
    private static (string Suffix, double Scale) Unit(string unit, MetricKind kind) =>
        unit switch
        {
            "s" => ("seconds", 1),
            "ms" => ("seconds", 1e-3),
            "us" => ("seconds", 1e-6),
            "ns" => ("seconds", 1e-9),
            "min" => ("seconds", 60),
            "h" => ("seconds", 3_600),
            "d" => ("seconds", 86_400),
            "By" => ("bytes", 1),
            "KiBy" => ("bytes", 1 << 10),
            "MiBy" => ("bytes", 1 << 20),
            "GiBy" => ("bytes", 1 << 30),
            "kBy" => ("bytes", 1e3),
            "MBy" => ("bytes", 1e6),
            "GBy" => ("bytes", 1e9),
            "%" => ("ratio", 1e-2),
            "1" => (kind == MetricKind.Gauge ? "ratio" : "", 1),
            "" => ("", 1),
            ['{', ..] => ("", 1),
            _ => (Sanitize(unit), 1),
        };
}
