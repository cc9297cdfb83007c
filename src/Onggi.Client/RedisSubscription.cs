using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Onggi.Client.Routing;

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

/// <summary>A standing wish to hear a channel or a pattern of channels. It survives reconnects; dispose it to unsubscribe.</summary>
/// <remarks>
/// When Redis is slow or gone: nothing arrives; when it is back, a message with <see cref="RedisMessage.Interrupted"/> comes before those published from then on.
/// Redis' Pub/Sub keeps nothing: what is published while nobody listens is gone.
/// </remarks>
public sealed class RedisSubscription : IAsyncDisposable
{
    private static readonly RedisMessage Gap = new()
    {
        Channel = "",
        Payload = default,
        Interrupted = true,
    };

    private readonly Channel<RedisMessage> _messages;
    private readonly long _mostBytes;
    private SubscriberHub _hub = null!;
    private bool _over;
    private long _bytes;
    private int _dropped;

    internal RedisSubscription(SubscriberHub hub, string name, SubscriptionKind kind, int buffer, long mostBytes)
    {
        (Hub, Name, Kind, _mostBytes) = (hub, name, kind, mostBytes);
        _messages = Channel.CreateBounded<RedisMessage>(
            new BoundedChannelOptions(buffer) { FullMode = BoundedChannelFullMode.DropOldest },
            dropped =>
            {
                Interlocked.Add(ref _bytes, -dropped.Payload.Length);
                Volatile.Write(ref _dropped, 1);
            }
        );
    }

    /// <summary>The channel's name, or the pattern.</summary>
    public string Name { get; }

    /// <summary>Whether <see cref="Name"/> is a glob pattern.</summary>
    public bool IsPattern => Kind == SubscriptionKind.Pattern;

    internal SubscriptionKind Kind { get; }

    /// <summary>Where it is listened at; a channel of a slot moves with the slot.</summary>
    internal SubscriberHub Hub
    {
        get => Volatile.Read(ref _hub);
        set => Volatile.Write(ref _hub, value);
    }

    /// <summary>Its reader has left.</summary>
    internal bool IsOver => Volatile.Read(ref _over);

    internal SubscriberHub.Topic? Topic { get; set; }

    /// <summary>For who wants to know that a message has come, and not what it says: told on the reading loop, so it must be short and must not block. From then on only interruptions are queued.</summary>
    internal Action? Arrived { get; set; }

    /// <summary>Ends when Redis has confirmed the subscription on the present connection; from then on every message arrives.</summary>
    /// <exception cref="RedisServerException">Redis refuses it, for example because the user may not read the channel.</exception>
    public Task WhenActiveAsync(CancellationToken cancellationToken = default) => Topic!.Active.WaitAsync(cancellationToken);

    /// <summary>The messages as they arrive, until the subscription or the client is disposed. For one reader at a time.</summary>
    public async IAsyncEnumerable<RedisMessage> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var message in _messages.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(Rt.Capture))
        {
            Interlocked.Add(ref _bytes, -message.Payload.Length);
            if (Interlocked.Exchange(ref _dropped, 0) == 1)
                yield return Gap;
            yield return message;
        }
    }

    /// <summary>Unsubscribes, when nobody else of this process reads the same channel; at most one round trip. Ends <see cref="ReadAllAsync"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        Volatile.Write(ref _over, true);
        Complete();
        await Hub.RemoveAsync(this).ConfigureAwait(Rt.Capture);
    }

    internal async Task WhenActiveAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await Topic!.Active.WaitAsync(timeout, Hub.Time, cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (TimeoutException error)
        {
            throw new RedisTimeoutException(
                $"Redis did not confirm the subscription to {Name} in time. {Hub.LastError}",
                Sent.Maybe,
                error
            );
        }
    }

    internal void Deliver(RedisMessage message)
    {
        if (Arrived is { } arrived)
        {
            arrived();
            return;
        }

        // One message always fits; beyond that, what a slow reader holds is bounded, and it is told.
        var size = message.Payload.Length;
        if (Interlocked.Add(ref _bytes, size) > _mostBytes && Volatile.Read(ref _bytes) > size)
        {
            Interlocked.Add(ref _bytes, -size);
            Volatile.Write(ref _dropped, 1);
            return;
        }

        _messages.Writer.TryWrite(message);
    }

    internal void Interrupt() => _messages.Writer.TryWrite(Gap);

    internal void Complete() => _messages.Writer.TryComplete();
}
