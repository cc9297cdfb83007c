using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events;

/// <summary>One channel of Redis and the loop that reads it, for as long as anybody wants its events.</summary>
/// <remarks>
/// A channel per type, not one pattern: an ACL that names channels then says who may hear what, and nobody is sent what nobody handles.
/// The client restores the subscription after a lost link. Only a refusal ends it; then this asks again from time to time, because permissions change.
/// </remarks>
internal sealed class EventFeed : IAsyncDisposable
{
    internal static readonly TimeSpan PauseAfterRefusal = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PauseWhenAway = TimeSpan.FromMilliseconds(100);

    private readonly EventNames _names;
    private readonly RedisClient _redis;
    private readonly Action<string, RedisMessage> _received;
    private readonly Action<string> _began;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<RedisServerException?> _firstAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new(); // Guards the count.
    private (string? Epoch, long Sequence) _count;
    private bool _isBusy;
    private volatile RedisSubscription? _subscription;
    private Task _loop = Task.CompletedTask;

    /// <param name="type">The type whose events it brings.</param>
    /// <param name="names">Say where they are published.</param>
    /// <param name="redis">Connected or not.</param>
    /// <param name="received">Gets each message with the type, on the reading loop.</param>
    /// <param name="began">Called when Redis has confirmed the subscription for the first time: what was published before did not arrive.</param>
    /// <param name="logger">Says.</param>
    /// <param name="time">Measures pauses.</param>
    public EventFeed(
        string type,
        EventNames names,
        RedisClient redis,
        Action<string, RedisMessage> received,
        Action<string> began,
        ILogger logger,
        TimeProvider time
    )
    {
        Type = type;
        _names = names;
        _redis = redis;
        _received = received;
        _began = began;
        _logger = logger;
        _time = time;
    }

    public string Type { get; }

    /// <summary>Who handles its events; replaced as a whole under the bus's gate, read without it.</summary>
    public ImmutableArray<EventSubscription> Subscriptions { get; set; } = [];

    /// <summary>A feature wants it too, so it stays when the last handler leaves.</summary>
    public bool Stands { get; set; }

    /// <summary>When the count is looked at again after Redis did not let us. The watch's own.</summary>
    public long LookAgainAt { get; set; } = long.MinValue;

    /// <summary>Redis has confirmed the subscription on the present connection.</summary>
    public bool IsOpen => _subscription?.WhenActiveAsync(CancellationToken.None).IsCompletedSuccessfully == true;

    /// <summary>Completes when Redis has answered for the first time: with <c>null</c>, or with its refusal. It waits as long as Redis is away.</summary>
    public Task<RedisServerException?> FirstAnswer => _firstAnswer.Task;

    public void Start()
    {
        // The loop outlives the caller: it must not carry the caller's request or activity along.
        using var flow = Rt.WithoutFlow();
        _loop = RunAsync();
    }

    /// <summary>An event with a number has arrived.</summary>
    public void Heard(string? epoch, long sequence)
    {
        lock (_gate)
            (_count, _isBusy) = ((epoch, sequence), true);
    }

    /// <summary>Whether events have arrived since this was asked last.</summary>
    public bool TakeIsBusy()
    {
        lock (_gate)
        {
            var was = _isBusy;
            _isBusy = false;
            return was;
        }
    }

    /// <summary>Whether a count is another than what was heard last, or seen by this last; then it counts as seen.</summary>
    public bool IsBehind(string? epoch, long sequence)
    {
        lock (_gate)
        {
            if (_isBusy || _count == (epoch, sequence))
                return false;
            _count = (epoch, sequence);
            return true;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _loop.ConfigureAwait(Rt.Capture);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        string? channel = null;
        while (!_stop.IsCancellationRequested)
        {
            var pause = PauseAfterRefusal;
            try
            {
                var sharded = await _names.IsShardedAsync(_stop.Token).ConfigureAwait(Rt.Capture);
                channel = sharded ? _names.Of(Type).SlotChannel : _names.Of(Type).Channel;
                _subscription = sharded ? _redis.SubscribeSharded(channel) : _redis.Subscribe(channel);
                await using (_subscription.ConfigureAwait(Rt.Capture))
                    await ReadAsync(_subscription, channel).ConfigureAwait(Rt.Capture);
                break; // The client was disposed.
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                break;
            }
            catch (RedisServerException refusal)
            {
                EventsLog.FeedRefused(_logger, Type, channel!, refusal.Message);
                _firstAnswer.TrySetResult(refusal);
            }
            catch (RedisConnectionException) when (channel is null)
            {
                // Redis was never there yet: it is not known whether there is one server or a cluster.
                pause = PauseWhenAway;
            }
            catch (Exception failure)
            {
                EventsLog.FeedFailed(_logger, Type, failure);
            }

            await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(Rt.Quietly);
        }

        _firstAnswer.TrySetResult(null);
    }

    private async Task ReadAsync(RedisSubscription subscription, string channel)
    {
        await subscription.WhenActiveAsync(_stop.Token).ConfigureAwait(Rt.Capture);
        EventsLog.FeedOpened(_logger, Type, channel);
        _began(Type);
        _firstAnswer.TrySetResult(null);
        await foreach (var message in subscription.ReadAllAsync(_stop.Token).ConfigureAwait(Rt.Capture))
            _received(Type, message);
    }
}
