using Microsoft.Extensions.Diagnostics.HealthChecks;
using Onggi.Diagnostics;

namespace Onggi.AspNetCore.Health;

/// <summary>What <see cref="OnggiHealth"/> finds, as ASP.NET's health checks say it.</summary>
internal sealed class OnggiHealthCheck(OnggiHealth health) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var report = await health.CheckAsync(cancellationToken);
        var status = report.State switch
        {
            OnggiHealthState.Up => HealthStatus.Healthy,
            OnggiHealthState.Degraded => HealthStatus.Degraded,
            _ => context.Registration.FailureStatus,
        };
        return new HealthCheckResult(status, Describe(report), data: Numbers(report));
    }

    private static string Describe(OnggiHealthReport report) =>
        report.Reasons.Count == 0 ? "Redis answers." : string.Join(' ', report.Reasons);

    private static Dictionary<string, object> Numbers(OnggiHealthReport report)
    {
        var numbers = new Dictionary<string, object>();
        if (report.RoundTrip is { } took)
            numbers.Add("latencyMilliseconds", took.TotalMilliseconds);
        if (report.UsedMemory is { } used)
            numbers.Add("usedMemoryBytes", used);
        if (report.MaxMemory is { } max)
            numbers.Add("maxMemoryBytes", max);
        return numbers;
    }
}
