namespace Onggi.Events;

/// <summary>Where a subscription begins, and whom it tells of events that are gone.</summary>
public sealed class SubscribeOptions
{
    /// <summary>Also hands over the events of so long before, as far as the ring still has them. For whoever builds up something at the start.</summary>
    /// <value>Default <see cref="TimeSpan.Zero"/>: from now on. The ring keeps the <c>ttl</c> of the event in the catalog, 1 to 5 minutes.</value>
    public TimeSpan Replay { get; set; }

    /// <summary>Called where events are missing that nobody can bring any more, in its place among the events and by the same loop. An exception from it is logged.</summary>
    /// <value>Default <c>null</c>: the gap is counted and logged.</value>
    public Func<EventGap, CancellationToken, ValueTask>? OnGap { get; set; }
}
