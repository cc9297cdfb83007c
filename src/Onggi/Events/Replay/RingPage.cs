using System.Runtime.InteropServices;

namespace Onggi.Events.Replay;

/// <summary>What the ring still has from a number on, and where the count stands, both of one moment.</summary>
/// <param name="Epoch">The count; <c>null</c> when nothing was ever published, or Redis lost it.</param>
/// <param name="Sequence">The number of the youngest event; 0 for none.</param>
/// <param name="Id">The youngest event's id; <c>null</c> when it is not known.</param>
/// <param name="Time">When this was, by Redis's clock.</param>
/// <param name="Events">The first of them, in the order of their numbers; there can be more.</param>
internal sealed record RingPage(string? Epoch, long Sequence, string? Id, DateTimeOffset Time, IReadOnlyList<RingEvent> Events);

/// <summary>An event in the ring.</summary>
/// <param name="Time">When it was published, by Redis's clock.</param>
/// <param name="Before">The id of the event before it; empty when that is not known.</param>
/// <param name="Event">The event.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RingEvent(DateTimeOffset Time, string Before, EventEnvelope Event);
