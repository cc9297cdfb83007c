namespace Onggi.Keys;

/// <summary>What the catalog says of one event, resolved for one environment.</summary>
public sealed class EventSettings
{
    /// <summary>The event's name, for example <c>customer.updated</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The Pub/Sub channel with the environment's prefix: <c>dev:events:global:customer.updated</c>.</summary>
    public required string Channel { get; init; }

    /// <summary>The full name of the CLR type of the payload; <c>null</c> when the catalog names none.</summary>
    public string? PayloadType { get; init; }

    /// <summary>How it reaches who hears it.</summary>
    /// <value>Default at most once.</value>
    public EventDelivery Delivery { get; init; }

    /// <summary>How long the last events of this type stay readable for those who come back: 1 to 5 minutes.</summary>
    /// <value>Default 1 min.</value>
    public TimeSpan Ttl { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The services that publish it; <c>*</c> stands for all.</summary>
    /// <value>Default: all.</value>
    public IReadOnlyList<string> Publishers { get; init; } = ["*"];

    /// <summary>The families of which the event invalidates keys; empty when it invalidates none.</summary>
    public IReadOnlyList<string> Families { get; init; } = [];

    /// <summary>What the catalog says of it in words; <c>null</c> when it says nothing.</summary>
    public string? Description { get; init; }
}
