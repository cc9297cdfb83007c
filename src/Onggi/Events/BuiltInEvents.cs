using System.Text.Json;
using System.Text.Json.Serialization;

namespace Onggi.Events;

/// <summary>The events that Onggi itself publishes; every catalog has them.</summary>
public static class OnggiEventTypes
{
    /// <summary>A session began, or goes on under another handle.</summary>
    public static EventType<SessionEvent> AuthSessionCreated { get; } = new("auth.session_created");

    /// <summary>A session ended by time.</summary>
    public static EventType<SessionEvent> AuthSessionExpired { get; } = new("auth.session_expired");

    /// <summary>A session was ended: signed out, or pushed out by the limit.</summary>
    public static EventType<SessionEvent> AuthSessionRevoked { get; } = new("auth.session_revoked");

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

/// <summary>The payload of <c>auth.session_created</c>, <c>auth.session_expired</c> and <c>auth.session_revoked</c>.</summary>
/// <param name="Session">The session's handle: it names the session and opens nothing.</param>
/// <param name="User">Whose it is.</param>
/// <param name="Reason"><c>signed_in</c>, <c>rotated</c>, <c>expired</c>, <c>limit</c>, or what was given to the revocation.</param>
/// <param name="At">When it happened, by Redis's clock.</param>
/// <param name="CreatedAt">When the session began.</param>
/// <param name="Device">Where it was begun; empty where that was not said.</param>
/// <param name="Replaces">The handle that it had before; <c>null</c> but for <c>rotated</c>.</param>
/// <param name="IsRepeat">Whether the event may have been published before: its first publisher has not confirmed it. The event's id is the same.</param>
public sealed record SessionEvent(
    string Session,
    string User,
    string Reason,
    DateTimeOffset At,
    DateTimeOffset CreatedAt,
    string Device,
    string? Replaces,
    bool IsRepeat
);

/// <summary>How the library's own payloads, and payloads that stay JSON, are read and written.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(CacheInvalidated))]
[JsonSerializable(typeof(CacheWarmed))]
[JsonSerializable(typeof(TokenIssued))]
[JsonSerializable(typeof(TokenRevoked))]
[JsonSerializable(typeof(SessionEvent))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class BuiltInEventsJson : JsonSerializerContext;
