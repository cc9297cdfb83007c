#pragma warning disable CS1591, MA0025
namespace Onggi.Client;

/// <summary>What a subscription hands out: a message, or the news that messages can have been missed.</summary>
public readonly record struct RedisMessage
{
    /// <summary>The channel that the message was published on; empty when <see cref="Interrupted"/>.</summary>
    public required string Channel { get; init; }

    /// <summary>The published bytes; empty when <see cref="Interrupted"/>.</summary>
    public required ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>The connection was lost and is back, or this reader was too slow and messages were dropped: what was published meanwhile did not arrive.</summary>
    public bool Interrupted { get; init; }
}

/// <summary>A standing wish to hear a channel. It survives reconnects; dispose it to unsubscribe. (API sketch, bodies follow.)</summary>
public sealed class RedisSubscription : IAsyncDisposable
{
    public IAsyncEnumerable<RedisMessage> ReadAllAsync(CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
