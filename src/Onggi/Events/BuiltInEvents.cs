using System.Text.Json;
using System.Text.Json.Serialization;

namespace Onggi.Events;

/// <summary>The events that Onggi itself publishes; every catalog has them.</summary>
public static class OnggiEventTypes
{
    /// <summary>The name of the event that tells of a session that began. Reserved: nothing publishes it yet.</summary>
    public const string AuthSessionCreated = "auth.session_created";

    /// <summary>The name of the event that tells of a session that ended by time. Reserved: nothing publishes it yet.</summary>
    public const string AuthSessionExpired = "auth.session_expired";

    /// <summary>An access token was issued.</summary>
    public static EventType<TokenIssued> AuthTokenIssued { get; } = new("auth.token_issued");

    /// <summary>A token, a family of them, or all of a user's were revoked.</summary>
    public static EventType<TokenRevoked> AuthTokenRevoked { get; } = new("auth.token_revoked");

    /// <summary>Entries of a cache family were removed: whoever keeps copies in memory drops them.</summary>
    public static EventType<CacheInvalidated> CacheInvalidated { get; } = new("cache.invalidated");

    /// <summary>Cache families were filled ahead of their readers.</summary>
    public static EventType<CacheWarmed> CacheWarmed { get; } = new("cache.warmed");
}

/// <summary>The payload of <c>cache.invalidated</c>.</summary>
/// <param name="Family">The family's name in the catalog.</param>
/// <param name="Keys">The names of the keys in Redis.</param>
public sealed record CacheInvalidated(string Family, IReadOnlyList<string> Keys);

/// <summary>The payload of <c>cache.warmed</c>.</summary>
/// <param name="Name">The name of the warm-up.</param>
/// <param name="Families">The names, in the catalog, of all families that it had entries of, in ordinal order; empty when there was nothing to do.</param>
/// <param name="Count">How many entries were put.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record CacheWarmed(string Name, IReadOnlyList<string> Families, long Count, double Seconds);

/// <summary>How the library's own payloads, and payloads that stay JSON, are read and written.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(CacheInvalidated))]
[JsonSerializable(typeof(CacheWarmed))]
[JsonSerializable(typeof(TokenIssued))]
[JsonSerializable(typeof(TokenRevoked))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class BuiltInEventsJson : JsonSerializerContext;
