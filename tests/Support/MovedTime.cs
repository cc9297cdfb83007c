using System.Diagnostics;

namespace Onggi.Testing;

/// <summary>The system's time, moved.</summary>
public sealed class MovedTime(TimeSpan by) : TimeProvider
{
    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;

    /// <inheritdoc/>
    public override long GetTimestamp() => Stopwatch.GetTimestamp() + (long)(by.TotalSeconds * Stopwatch.Frequency);
}
