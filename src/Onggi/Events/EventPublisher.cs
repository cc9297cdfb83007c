using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Onggi.Client;
using Onggi.Events.Streams;
using Onggi.Scripts;

namespace Onggi.Events;

/// <summary>Writes events and publishes them: one script, one round trip.</summary>
internal sealed class EventPublisher(
    RedisClient redis,
    EventNames names,
    EventOptions options,
    EventJson json,
    EventsMetrics metrics,
    ILogger logger,
    TimeProvider time,
    string source,
    OnggiStreams streams
)
{
    internal static readonly RedisScript Script = LuaScript.Load("publish.lua");

    internal static readonly ReplyParser<(long Sequence, long Receivers, bool IsKept)> Answer = static (ref reader) =>
    {
        var numbers = ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadInt64());
        return (numbers[0], numbers[1], numbers[2] != 0);
    };

    private readonly HandlerList<Func<EventNotice, CancellationToken, ValueTask>> _publishing = new();

    /// <summary>The ids of what was published here and is listened to here.</summary>
    public OwnEvents Own { get; } = new();

    /// <summary>Adds what must run before an event goes out.</summary>
    public IDisposable OnPublishing(Func<EventNotice, CancellationToken, ValueTask> handler) => _publishing.Add(handler);

    /// <summary>Publishes.</summary>
    /// <param name="type">One that the catalog knows.</param>
    /// <param name="data">The payload.</param>
    /// <param name="metadata">Beside it; <c>null</c> for none.</param>
    /// <param name="isHeard">Whether this process listens to the type.</param>
    /// <param name="runPublishing">Whether what must run before is run.</param>
    /// <param name="givenId">The event's id; <c>null</c> for a fresh one.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<EventReceipt> PublishAsync<TData>(
        EventType<TData> type,
        TData data,
        IReadOnlyDictionary<string, string>? metadata,
        bool isHeard,
        bool runPublishing,
        string? givenId,
        CancellationToken cancellationToken
    )
    {
        var payload = JsonSerializer.SerializeToUtf8Bytes(data, json.Of<TData>());
        var now = time.GetUtcNow();
        var fresh = Guid.CreateVersion7(now).ToString();
        var id = givenId ?? fresh;
        var envelope = EventEnvelope.Write(id, type.Name, source, now, metadata, payload);
        if (envelope.Length > options.MaxBytes)
            throw new ArgumentException(
                $"The event {type.Name} has {envelope.Length} bytes of JSON, more than Events:MaxBytes allows ({options.MaxBytes}). Publish what readers need to fetch it, not the thing itself.",
                nameof(data)
            );

        if (runPublishing)
            await RunPublishingAsync(type.Name, metadata, payload, cancellationToken).ConfigureAwait(Rt.Capture);
        if (isHeard)
            Own.Add(id);
        try
        {
            if (streams.Carries(type.Name))
            {
                var number = await streams.AppendAsync(type.Name, fresh, envelope, cancellationToken).ConfigureAwait(Rt.Capture);
                metrics.Published(type.Name);
                return new EventReceipt(id, number, Receivers: 0, IsKept: true);
            }

            var sharded = await names.IsShardedAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            var places = names.Of(type.Name);
            var (sequence, receivers, isKept) = await redis
                .EvalAsync(
                    Script,
                    [places.Head, places.Ring],
                    [
                        sharded ? places.SlotChannel : places.Channel,
                        sharded ? "SPUBLISH" : "PUBLISH",
                        fresh,
                        envelope,
                        id,
                        options.RingLength,
                        options.RingBytes,
                        places.KeptMs,
                    ],
                    Answer,
                    cancellationToken
                )
                .ConfigureAwait(Rt.Capture);
            metrics.Published(type.Name);
            if (!isKept && options.RingLength > 0)
                TellUnkept(type.Name);
            return new EventReceipt(id, sequence, receivers, isKept);
        }
        catch (RedisException)
        {
            metrics.PublishFailed(type.Name);
            throw;
        }
    }

    private void TellUnkept(string type)
    {
        var count = metrics.Unkept(type);
        if (long.IsPow2(count))
            EventsLog.NotKept(logger, type, count);
    }

    private async ValueTask RunPublishingAsync(
        string type,
        IReadOnlyDictionary<string, string>? metadata,
        byte[] payload,
        CancellationToken cancellationToken
    )
    {
        var handlers = _publishing.Handlers;
        if (handlers.IsEmpty)
            return;
        var notice = new EventNotice
        {
            Type = type,
            Source = source,
            Metadata = metadata ?? ImmutableDictionary<string, string>.Empty,
            Json = payload,
            IsOwn = true,
        };
        foreach (var handler in handlers)
            await handler(notice, cancellationToken).ConfigureAwait(Rt.Capture);
    }
}
