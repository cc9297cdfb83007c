using Microsoft.Extensions.Options;

namespace Onggi.Diagnostics;

/// <summary>From when on Redis counts as degraded, and how long a check waits.</summary>
public sealed class HealthOptions
{
    /// <summary>How long a check waits for PING before it says down.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>From which round trip on Redis is degraded.</summary>
    /// <value>Default 100 ms.</value>
    public TimeSpan SlowerThan { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>From which share of <c>maxmemory</c> on Redis is degraded, 0 to 1.</summary>
    /// <value>Default 0.9.</value>
    public double MemoryAbove { get; set; } = 0.9;

    /// <summary>How long after events can have been missed, or a write was refused for want of memory, Redis stays degraded.</summary>
    /// <value>Default 30 s.</value>
    public TimeSpan Remember { get; set; } = TimeSpan.FromSeconds(30);
}

/// <summary>Finds the mistakes in <see cref="HealthOptions"/>.</summary>
internal static class HealthOptionsValidator
{
    public static void Validate(HealthOptions options, string path, ValidateOptionsResultBuilder result)
    {
        if (options.Timeout <= TimeSpan.Zero || options.Timeout > TimeSpan.FromMinutes(1))
            result.AddError(
                $"is {options.Timeout}, but whoever asks for health waits for it. Write a time above 00:00:00 and at most 00:01:00, for example 00:00:01.",
                $"{path}:{nameof(HealthOptions.Timeout)}"
            );
        if (options.SlowerThan <= TimeSpan.Zero || options.SlowerThan >= options.Timeout)
            result.AddError(
                $"is {options.SlowerThan}, but must be above 00:00:00 and below Timeout ({options.Timeout}), or nothing could be slow before it is down. Write for example 00:00:00.100.",
                $"{path}:{nameof(HealthOptions.SlowerThan)}"
            );
        if (options.MemoryAbove is not (> 0 and <= 1))
            result.AddError(
                $"is {options.MemoryAbove}, but is a share of maxmemory. Write a number above 0 and at most 1, for example 0.9.",
                $"{path}:{nameof(HealthOptions.MemoryAbove)}"
            );
        if (options.Remember < TimeSpan.Zero)
            result.AddError(
                $"is {options.Remember}, but a time cannot be negative. Write 00:00:00 to forget at once, or for example 00:00:30.",
                $"{path}:{nameof(HealthOptions.Remember)}"
            );
    }
}
