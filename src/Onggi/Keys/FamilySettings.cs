namespace Onggi.Keys;

/// <summary>What the catalog says of one family, resolved for one environment and service.</summary>
public sealed class FamilySettings
{
    /// <summary>The family.</summary>
    public required KeyFamily Family { get; init; }

    /// <summary>The kind's word in the catalog: cache, session, token, lock, limit or stream.</summary>
    public required string Kind { get; init; }

    /// <summary>The service that writes it; <c>null</c> when every service does.</summary>
    public string? Owner { get; init; }

    /// <summary>The other services that read it; <c>*</c> stands for all.</summary>
    public IReadOnlyList<string> Readers { get; init; } = [];

    /// <summary>The other services that write it, too: that load it when it is missing, or put it; <c>*</c> stands for all. They read it as well.</summary>
    public IReadOnlyList<string> Writers { get; init; } = [];

    /// <summary>Logical time to live. Of a session it is the whole life, of a lock the lease, of a limit the window, of a token the longest expiry.</summary>
    public required TimeSpan Ttl { get; init; }

    /// <summary>How long a session lives unused; <c>null</c> for the other kinds.</summary>
    public TimeSpan? IdleTtl { get; init; }

    /// <summary>How many sessions a user may have at a time, 0 for no limit; <c>null</c> for the other kinds, and where the catalog says nothing.</summary>
    public int? SessionLimit { get; init; }

    /// <summary>What happens to one more: <c>reject</c>, <c>oldest</c> or <c>leastRecent</c>; <c>null</c> for the other kinds, and where the catalog says nothing.</summary>
    public string? SessionPolicy { get; init; }

    /// <summary>The longest logical time to live that the rules of the family's kind allow, whatever a loader asks for.</summary>
    /// <value>Default 7 days.</value>
    public TimeSpan MaxTtl { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How long a value stays readable in Redis beyond its logical time to live; zero for none.</summary>
    public TimeSpan Grace { get; init; }

    /// <summary>How long a "not found" (JSON null) lives.</summary>
    /// <value>Default 30 s, never longer than <see cref="Ttl"/>.</value>
    public TimeSpan NegativeTtl { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest share of the TTL that the deterministic jitter takes off, 0 to 0.5.</summary>
    public double Jitter { get; init; }

    /// <summary>The share of memory, 0 to 1; <c>null</c> when the catalog names none: such families divide what the others leave.</summary>
    public double? Share { get; init; }

    /// <summary>The event types that invalidate entries of this family.</summary>
    public IReadOnlyList<string> InvalidatedBy { get; init; } = [];

    /// <summary>The identifiers that are personal data; they are hashed where the environment says so.</summary>
    public IReadOnlyList<string> Personal { get; init; } = [];

    /// <summary>The full name of the CLR type of the values; <c>null</c> when the catalog names none.</summary>
    public string? ValueType { get; init; }

    /// <summary>The pattern of the keys with the environment's prefix: <c>dev:customer:{lineNumber}</c>.</summary>
    public string Pattern { get; init; } = "";

    /// <summary>What the catalog says of it in words; <c>null</c> when it says nothing.</summary>
    public string? Description { get; init; }

    /// <summary>Glob patterns of the keys themselves and of their auxiliary keys (<c>dev:customer:*</c>, <c>{dev:customer:*</c>).</summary>
    /// <remarks>A star also matches colons, so a pattern can find keys of a longer family too: ask <see cref="Keyspace.FamilyOf"/> about what it finds.</remarks>
    public required IReadOnlyList<string> ScanPatterns { get; init; }
}
