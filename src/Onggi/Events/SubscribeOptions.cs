namespace Onggi.Events;

/// <summary>Where a subscription begins, and whom it tells of events that are gone.</summary>
public sealed class SubscribeOptions
{
    /// <summary>Also hands over the events of so long before, as far as the ring still has them. For whoever builds up something at the start.</summary>
    /// <value>Default <see cref="TimeSpan.Zero"/>: from now on. The ring keeps the <c>ttl</c> of the event in the catalog, 1 to 5 minutes.</value>
    public TimeSpan Replay { get; set; }

    /// <summary>Goes on behind this event, as far as the ring still has what followed; what it no longer has is a gap. For a process that was stopped or killed, and has kept the position of the last event that it handled.</summary>
    /// <remarks>
    /// Keep <see cref="Event{TData}.Position"/> in the same step as what the handler does, and each event takes effect once, whenever the process is killed; keep it afterwards, and the last one can come again. Of one type:
    /// <see cref="OnggiEvents.SubscribeAllAsync"/> refuses it. Where it is given, <see cref="Replay"/> counts for nothing: so a first start can have the one, and later ones the other.
    /// </remarks>
    /// <value>Default <c>null</c>: as <see cref="Replay"/> says.</value>
    public EventPosition? After { get; set; }

    /// <summary>Called where events are missing that nobody can bring any more, in its place among the events and by the same loop. An exception from it is logged.</summary>
    /// <value>Default <c>null</c>: the gap is counted and logged.</value>
    public Func<EventGap, CancellationToken, ValueTask>? OnGap { get; set; }
}
