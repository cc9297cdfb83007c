using System.Text.Json;

namespace Onggi.Events;

/// <summary>An event as it passes the seam between features: its type, where it is from, and its payload as JSON.</summary>
public sealed class EventNotice
{
    /// <summary>The name in the catalog, for example <c>user.updated</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The service that published it; empty when a foreign publisher did not say.</summary>
    public required string Source { get; init; }

    /// <summary>What the publisher said beside the payload; empty for none.</summary>
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>The payload; default (Undefined) when the event has none.</summary>
    public JsonElement Data
    {
        // Most events concern no feature: what nobody looks at is not parsed.
        get => field.ValueKind == JsonValueKind.Undefined && !Json.IsEmpty ? field = JsonElement.Parse(Json.Span) : field;
        init;
    }

    /// <summary>The payload's JSON; empty for none.</summary>
    internal ReadOnlyMemory<byte> Json { get; init; }

    /// <summary>Published by this very process.</summary>
    public bool IsOwn { get; init; }

    /// <summary>Published by a program without Onggi (no sequence number): nobody has invalidated the mapped keys yet.</summary>
    public bool IsForeign { get; init; }
}

/// <summary>Where other features hear of events, without knowing the event bus.</summary>
public interface IEventSource
{
    /// <summary>Runs before an event of this process is published; the publish waits for it, and fails when it throws.</summary>
    /// <returns>Dispose it to stop.</returns>
    IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler);

    /// <summary>
    /// Runs for every event that arrives, own ones included, before any subscriber's handler. It is on the path of all events of that
    /// type: it must not block and must not throw.
    /// </summary>
    /// <returns>Dispose it to stop.</returns>
    IDisposable OnReceived(Action<EventNotice> handler);

    /// <summary>Runs when events can have been missed: listening began just now, the link was lost and is back, or this process read too slowly. It comes once for each type concerned and must not block.</summary>
    /// <returns>Dispose it to stop.</returns>
    IDisposable OnInterrupted(Action handler);
}

/// <summary>Where other features publish events, without knowing the event bus.</summary>
public interface IEventSink
{
    /// <summary>Publishes a library event; one round trip. Failures are logged, not thrown: the notice is a courtesy, not the promise.</summary>
    ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default);

    /// <summary>Publishes a library event that must not get lost: whoever calls keeps it until the call has returned, and makes the call again with the same id. One round trip.</summary>
    /// <param name="type">One of the library's own types.</param>
    /// <param name="id">Names the event, so that who hears it twice knows.</param>
    /// <param name="data">The payload.</param>
    /// <param name="cancellationToken">Ends the wait; the event may be published all the same.</param>
    /// <exception cref="Onggi.Client.RedisException">It was not published, or that is not known.</exception>
    ValueTask DeliverAsync<TData>(EventType<TData> type, string id, TData data, CancellationToken cancellationToken = default);
}
