#pragma warning disable CS1591, MA0025
namespace Onggi.Keys;

/// <summary>The catalog, bound to one environment and one service: it makes wire names and knows each family's rules. (API sketch, bodies follow.)</summary>
public sealed class Keyspace
{
    /// <exception cref="CatalogException">The catalog has mistakes; the message lists each with line, reason and what to write.</exception>
    public static Keyspace Load(string catalogJson, string? environment = null, string? service = null, string? personalSecret = null) =>
        throw new NotImplementedException();

    public string System => throw new NotImplementedException();
    public string Environment => throw new NotImplementedException();
    public string? Service => throw new NotImplementedException();

    /// <summary>What every wire name begins with, for example <c>dev:</c>; may be empty.</summary>
    public string Prefix => throw new NotImplementedException();

    public IReadOnlyCollection<FamilySettings> Families => throw new NotImplementedException();

    /// <summary>Maximum memory for this environment in bytes; null when the catalog names none.</summary>
    public long? MemoryLimit => throw new NotImplementedException();

    /// <exception cref="KeyNotFoundException">Unknown family; the message suggests the nearest.</exception>
    public FamilySettings SettingsOf(KeyFamily family) => throw new NotImplementedException();

    /// <summary>The name of the key in Redis: prefix, pattern, escaped (or HMAC-hashed personal) identifiers.</summary>
    public string WireName(in EntryKey key) => throw new NotImplementedException();

    /// <summary>The family's physical TTL for this key: (ttl + grace) shrunk by a jitter that is a function of the wire name.</summary>
    public TimeSpan PhysicalTtl(FamilySettings settings, string wireName, TimeSpan? logicalTtl = null) =>
        throw new NotImplementedException();

    /// <summary>The entries that an event invalidates, by the catalog's events section. data is the event's payload, metadata its metadata. Identifiers that the event lacks are skipped and reported through missing.</summary>
    public IReadOnlyList<EntryKey> InvalidatedBy(
        string eventType,
        global::System.Text.Json.JsonElement data,
        IReadOnlyDictionary<string, string> metadata
    ) => throw new NotImplementedException();

    /// <summary>Whether the event type is in the catalog (or one of the built-in ones).</summary>
    public bool KnowsEvent(string eventType) => throw new NotImplementedException();

    /// <summary>The family that a wire name belongs to, for audits; null when it is nobody's. Aux keys ("{dev:customer:…}:l") belong to their data key's family.</summary>
    public FamilySettings? FamilyOf(string wireName) => throw new NotImplementedException();
}

/// <summary>The catalog cannot be used; the message lists every mistake.</summary>
public sealed class CatalogException(string message) : Exception(message);
