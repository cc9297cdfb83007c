using System.Runtime.InteropServices;
using Onggi.Events.Streams;

namespace Onggi.Events;

/// <summary>A thing that happened, as a subscriber gets it.</summary>
/// <typeparam name="TData">The type of the payload.</typeparam>
public sealed class Event<TData>
{
    /// <summary>The name in the catalog, for example <c>user.updated</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The service that published it; empty when a foreign publisher did not say.</summary>
    public required string Source { get; init; }

    /// <summary>Names this event, and no other: use it to do a thing once. Empty when a foreign publisher gave none.</summary>
    public required string Id { get; init; }

    /// <summary>When the publisher made it, by the publisher's clock; when it arrived, by ours, if a foreign publisher did not say.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Which count <see cref="Sequence"/> belongs to; it changes when Redis lost the count. <c>null</c> for foreign publishers.</summary>
    public string? Epoch { get; init; }

    /// <summary>The number of this event among those of its type and epoch, from 1, without gaps. <c>null</c> for foreign publishers.</summary>
    public long? Sequence { get; init; }

    /// <summary>Where a subscription goes on that has handled this event; <c>null</c> for foreign publishers, and for what is delivered at least once: there Redis keeps it.</summary>
    public EventPosition? Position =>
        Delivery is null && Epoch is { } epoch && Sequence is { } number ? new EventPosition(epoch, number, Id) : null;

    /// <summary>What the publisher said beside the payload; empty for none. Values of foreign publishers that are not text are given as JSON.</summary>
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>The payload; <c>null</c> (or the type's default) when the event has none.</summary>
    public TData? Data { get; init; }

    /// <summary>How it was handed over, where the catalog delivers it at least once; <c>null</c> where at most once.</summary>
    public StreamDelivery? Delivery { get; init; }

    /// <summary>Type and id: payloads can be personal.</summary>
    public override string ToString() => $"{Type} {Id}";
}

/// <summary>What Redis said of an event that was published.</summary>
/// <param name="Id">The event's id.</param>
/// <param name="Sequence">Its number among the events of its type.</param>
/// <param name="Receivers">
/// How many connections the server handed it to. A hint for people: it counts connections, not handlers, and in a cluster those of one node only.
/// 0 for what is delivered at least once: it waits in its stream.
/// </param>
/// <param name="IsKept">Whether the ring has it, for those who are cut off at the moment. <c>false</c> when Redis is full, or when <see cref="EventOptions.RingLength"/> is 0.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct EventReceipt(string Id, long Sequence, long Receivers, bool IsKept);

/// <summary>Counts since the process started. The meter <c>Onggi.Events</c> has the same by type.</summary>
/// <param name="Published">Events that Redis took.</param>
/// <param name="Received">Events that arrived and could be read; one that several handlers get counts once.</param>
/// <param name="HandlerFailures">Calls of handlers that threw.</param>
/// <param name="Dropped">Events that a handler did not get: nobody had them any more, or the event could not be read.</param>
/// <param name="Interruptions">How often events of a type did not arrive by themselves: link lost and back, or this process read too slowly.</param>
/// <param name="Gaps">How often a handler has missed events for good; see <see cref="EventGap"/>.</param>
/// <param name="Replayed">Missed events that a handler got from the ring.</param>
/// <param name="Repeated">Events that arrived once more and were not handed over again.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct EventStatistics(
    long Published,
    long Received,
    long HandlerFailures,
    long Dropped,
    long Interruptions,
    long Gaps,
    long Replayed,
    long Repeated
);
