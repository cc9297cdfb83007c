namespace Onggi.Keys;

/// <summary>How an event reaches who hears it; the catalog says it of each.</summary>
public enum EventDelivery
{
    /// <summary>Through Pub/Sub: who is connected hears it, who is not has missed it.</summary>
    AtMostOnce = 0,

    /// <summary>Through a stream: each service gets it until it has settled it, so perhaps more than once.</summary>
    AtLeastOnce = 1,
}
