#pragma warning disable CS1591
using System.Text.Json;

namespace Onggi.Events;

/// <summary>An event as it passes the seam between features: its type, where it is from, and its payload as JSON.</summary>
public sealed class EventNotice
{
    public required string Type { get; init; }

    public required string Source { get; init; }

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>The payload; default (Undefined) when the event has none.</summary>
    public JsonElement Data { get; init; }

    /// <summary>Published by this very process.</summary>
    public bool IsOwn { get; init; }

    /// <summary>Published by a program without Onggi (no sequence number): nobody has invalidated the mapped keys yet.</summary>
    public bool IsForeign { get; init; }
}

/// <summary>Where other features hear of events, without knowing the event bus.</summary>
public interface IEventSource
{
    /// <summary>Runs before an event of this process is published; the publish waits for it, and fails when it throws.</summary>
    IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler);

    /// <summary>Runs for every event that arrives for a type in the catalog, own ones included. It must not block and must not throw.</summary>
    IDisposable OnReceived(Action<EventNotice> handler);

    /// <summary>Runs when events can have been missed (link lost and back, or a slow reader).</summary>
    IDisposable OnInterrupted(Action handler);
}

/// <summary>Where other features publish events, without knowing the event bus.</summary>
public interface IEventSink
{
    /// <summary>Publishes a library event; one round trip. Failures are logged, not thrown: the notice is a courtesy, not the promise.</summary>
    ValueTask NotifyAsync<TData>(EventType<TData> type, TData data, CancellationToken cancellationToken = default);
}
