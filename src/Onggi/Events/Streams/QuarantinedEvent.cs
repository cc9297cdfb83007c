using System.Globalization;

namespace Onggi.Events.Streams;

/// <summary>An event that a group could not handle.</summary>
/// <param name="Id">Its id in the quarantine; what <see cref="OnggiStreams.RedriveAsync"/> takes.</param>
/// <param name="MessageId">The id that it had in the stream: when it was published, in ms since 1970, and a number.</param>
/// <param name="EventId">The event's own id; empty when it has none.</param>
/// <param name="Reason">Why: <c>unreadable</c>, <c>payload</c>, <c>failed</c>, <c>timeout</c>, <c>rejected</c> or <c>abandoned</c>, a colon, and words for people.</param>
/// <param name="Attempts">How often it was handed out.</param>
/// <param name="At">When it was put here, by Redis's clock.</param>
/// <param name="Json">The event as it was published; empty when the entry has none.</param>
public sealed record QuarantinedEvent(
    string Id,
    string MessageId,
    string EventId,
    string Reason,
    int Attempts,
    DateTimeOffset At,
    string Json
)
{
    internal static QuarantinedEvent Of(string id, Dictionary<string, string> fields) =>
        new(
            id,
            fields.GetValueOrDefault("id", ""),
            fields.GetValueOrDefault("event-id", ""),
            fields.GetValueOrDefault("reason", ""),
            int.TryParse(fields.GetValueOrDefault("attempts"), CultureInfo.InvariantCulture, out var attempts) ? attempts : 0,
            DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(id.AsSpan(0, id.IndexOf('-')), CultureInfo.InvariantCulture)),
            fields.GetValueOrDefault("event", "")
        );

    /// <summary>Id and reason: payloads can be personal.</summary>
    public override string ToString() => $"{Id}: {Reason}";
}

/// <summary>Throw it from a handler for an event that will never be handled, however often it is tried: it is put into quarantine at once.</summary>
/// <param name="reason">Why, for who looks into the quarantine.</param>
public sealed class EventRejectedException(string reason) : Exception(reason);
