using Onggi.Diagnostics;

namespace Onggi.AspNetCore.Health;

/// <summary>The health endpoint's answer.</summary>
/// <param name="Status"><c>up</c>, <c>degraded</c> or <c>down</c>.</param>
/// <param name="Reasons">Why it is not up, one sentence each.</param>
/// <param name="LatencyMilliseconds">The round trip of a PING.</param>
/// <param name="UsedMemoryBytes">What Redis uses.</param>
/// <param name="MaxMemoryBytes">What Redis may use.</param>
internal sealed record HealthBody(
    string Status,
    IReadOnlyList<string> Reasons,
    double? LatencyMilliseconds,
    long? UsedMemoryBytes,
    long? MaxMemoryBytes
)
{
    public static HealthBody Of(OnggiHealthReport report) =>
        new(
            report.State switch
            {
                OnggiHealthState.Up => "up",
                OnggiHealthState.Degraded => "degraded",
                _ => "down",
            },
            report.Reasons,
            report.RoundTrip is { } took ? Math.Round(took.TotalMilliseconds, 3) : null,
            report.UsedMemory,
            report.MaxMemory
        );
}
