using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Events;

/// <summary>One channel of Redis and the loop that reads it, for as long as anybody wants its events.</summary>
/// <remarks>A channel per type, not one pattern: an ACL that names channels then says who may hear what, and nobody is sent what nobody handles.</remarks>
internal sealed class EventFeed : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private static readonly ConfigureAwaitOptions UntilStopped =
        ConfigureAwaitOptions.SuppressThrowing
        | (Rt.Capture ? ConfigureAwaitOptions.ContinueOnCapturedContext : ConfigureAwaitOptions.None);

    private readonly RedisClient _redis;
    private readonly Action<EventFeed, RedisMessage> _received;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<RedisException?> _firstAttempt = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _loop = Task.CompletedTask;
    private volatile bool _isOpen;

    public EventFeed(
        string type,
        string channel,
        RedisClient redis,
        Action<EventFeed, RedisMessage> received,
        ILogger logger,
        TimeProvider time
    )
    {
        Type = type;
        Channel = channel;
        _redis = redis;
        _received = received;
        _logger = logger;
        _time = time;
    }

    public string Type { get; }

    public string Channel { get; }

    /// <summary>Who handles its events; changed under the bus's gate, read without.</summary>
    public ImmutableArray<EventSubscription> Subscriptions { get; set; } = [];

    /// <summary>A feature wants it too, so it stays when the last handler leaves.</summary>
    public bool Stands { get; set; }

    /// <summary>Redis has confirmed the subscription (and restores it by itself after a lost link).</summary>
    public bool IsOpen => _isOpen;

    /// <summary>Completes when Redis has answered, or could not be asked, for the first time: with what went wrong, or <c>null</c>.</summary>
    public Task<RedisException?> FirstAttempt => _firstAttempt.Task;

    public void Start() => _loop = RunAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _loop.ConfigureAwait(Rt.Capture);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var pause = FirstPause;
        for (var attempt = 1; !_stop.IsCancellationRequested; attempt++)
        {
            try
            {
                var subscription = await _redis.SubscribeAsync(Channel, _stop.Token).ConfigureAwait(Rt.Capture);
                await using (subscription.ConfigureAwait(Rt.Capture))
                {
                    Opened(attempt);
                    pause = FirstPause;
                    await foreach (var message in subscription.ReadAllAsync(_stop.Token).ConfigureAwait(Rt.Capture))
                        _received(this, message);
                }

                Failed(null);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                break;
            }
            catch (Exception failure)
            {
                Failed(failure);
            }

            _isOpen = false;
            await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(UntilStopped);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        _isOpen = false;
        _firstAttempt.TrySetResult(null);
    }

    private void Opened(int attempt)
    {
        _isOpen = true;
        EventsLog.FeedOpened(_logger, Type, Channel);
        _firstAttempt.TrySetResult(null);
        if (attempt > 1)
            _received(
                this,
                new RedisMessage
                {
                    Channel = "",
                    Payload = default,
                    Interrupted = true,
                }
            );
    }

    private void Failed(Exception? failure)
    {
        if (failure is RedisServerException { IsTransient: false } refused)
            EventsLog.FeedRefused(_logger, Type, Channel, refused.Message);
        else
            EventsLog.FeedFailed(_logger, Type, failure?.Message ?? "the client is closed.", failure is RedisException ? null : failure);
        _firstAttempt.TrySetResult(failure as RedisException);
    }
}
