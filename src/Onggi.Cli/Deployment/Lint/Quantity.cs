using System.Globalization;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>Quantities as Kubernetes has them: <c>512Mi</c>, <c>1G</c>, <c>500m</c>.</summary>
internal static class Quantity
{
    private static readonly (string Unit, double Factor)[] Units =
    [
        ("Ki", 1L << 10),
        ("Mi", 1L << 20),
        ("Gi", 1L << 30),
        ("Ti", 1L << 40),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("m", 1e-3),
    ];

    /// <summary>Bytes; <c>null</c> when it is nothing, or no quantity.</summary>
    public static long? Bytes(string? text) => Value(text) is { } value ? (long)value : null;

    /// <summary>Cores; <c>null</c> when it is nothing, or no quantity.</summary>
    public static double? Cores(string? text) => Value(text);

    /// <summary>As people write it: whole mebibytes.</summary>
    public static string Spell(long bytes) => $"{(bytes + (1 << 20) - 1) >> 20}Mi";

    private static double? Value(string? text)
    {
        if (text is null)
            return null;
        var (unit, factor) = Units.FirstOrDefault(unit => text.EndsWith(unit.Unit, StringComparison.Ordinal), ("", 1));
        return double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value * factor
            : null;
    }
}
