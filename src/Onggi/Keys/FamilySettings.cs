#pragma warning disable CS1591, MA0025
namespace Onggi.Keys;

/// <summary>What the catalog says of one family, resolved for one environment and service.</summary>
public sealed class FamilySettings
{
    public required KeyFamily Family { get; init; }

    /// <summary>The kind's word in the catalog: cache, session, token, lock, limit, stream …</summary>
    public required string Kind { get; init; }

    /// <summary>The service that writes it; <c>null</c> when every service does.</summary>
    public string? Owner { get; init; }

    /// <summary>Logical time to live.</summary>
    public required TimeSpan Ttl { get; init; }

    /// <summary>How long a value stays readable in Redis beyond its logical time to live; zero for none.</summary>
    public TimeSpan Grace { get; init; }

    /// <summary>How long a "not found" (JSON null) lives.</summary>
    public TimeSpan NegativeTtl { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest share of the TTL that the deterministic jitter takes off, 0 to 0.5.</summary>
    public double Jitter { get; init; }

    /// <summary>The share of memory, 0 to 1; <c>null</c> when the catalog names none.</summary>
    public double? Share { get; init; }

    /// <summary>The event types that invalidate entries of this family.</summary>
    public IReadOnlyList<string> InvalidatedBy { get; init; } = [];

    /// <summary>The full name of the CLR type of the values; <c>null</c> when the catalog names none.</summary>
    public string? ValueType { get; init; }

    /// <summary>Glob patterns of the keys themselves and of their auxiliary keys (<c>dev:customer:*</c>, <c>{dev:customer:*</c>).</summary>
    public required IReadOnlyList<string> ScanPatterns { get; init; }
}
