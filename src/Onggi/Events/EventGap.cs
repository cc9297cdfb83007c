using System.Runtime.InteropServices;

namespace Onggi.Events;

/// <summary>Why events were missed for good.</summary>
public enum EventGapReason
{
    /// <summary>The ring no longer has them: they are older than its time, or it was full, or nothing is kept (<see cref="EventOptions.RingLength"/>, or Redis had no memory).</summary>
    NoLongerKept,

    /// <summary>Redis lost the count and began a new one: restarted without data, or emptied.</summary>
    NewEpoch,

    /// <summary>A failover lost the last events: Redis gives their numbers to others.</summary>
    WentBack,

    /// <summary>Redis could not be asked for them within <see cref="EventOptions.ReplayTimeout"/>, or refuses it.</summary>
    NotAsked,
}

/// <summary>Events that a subscriber has missed, or can have missed, and will not get. It comes where they would have come: after the ones before, before the ones after.</summary>
/// <param name="Type">Their type.</param>
/// <param name="Epoch">The count that the numbers belong to; <c>null</c> when there was none yet.</param>
/// <param name="From">The first number missed.</param>
/// <param name="To">The last number missed; <c>null</c> when nobody knows how many there were, perhaps none.</param>
/// <param name="Reason">Why.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct EventGap(string Type, string? Epoch, long From, long? To, EventGapReason Reason)
{
    /// <summary>How many events; <c>null</c> when nobody knows.</summary>
    public long? Count => To - From + 1;
}
