using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Sessions;

/// <summary>Remembers what this process revoked lately, and says it again when there is a new connection: a replica that took over may never have heard of it.</summary>
/// <remarks>Saying it again ends what had come back and changes nothing else. What another process revoked, that one says again; what nobody alive remembers is lost: see WAIT.</remarks>
internal sealed class SessionRevocations : IAsyncDisposable
{
    private const int Room = 10_000;
    private const int HandlesAtATime = 500;

    /// <summary>Longer than a replica that is elected can lag behind.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly RedisClient _redis;
    private readonly SessionStore _store;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new(); // Guards the queue.
    private readonly Queue<(long At, string Partition, string Handle)> _recent = new();
    private readonly RepeatedWork _repeating;

    public SessionRevocations(RedisClient redis, SessionStore store, ILogger logger, TimeProvider time)
    {
        _redis = redis;
        _store = store;
        _logger = logger;
        _time = time;
        _repeating = new RepeatedWork(RepeatAsync);
        redis.ConnectionChanged += OnConnection;
    }

    public void Add(string partition, IReadOnlyList<string> handles)
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            foreach (var handle in handles)
                _recent.Enqueue((now, partition, handle));
            while (_recent.Count > Room || (_recent.TryPeek(out var oldest) && _time.GetElapsedTime(oldest.At) > Memory))
                _recent.Dequeue();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _redis.ConnectionChanged -= OnConnection;
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _repeating.EndAsync().ConfigureAwait(Rt.Quietly);
        _stop.Dispose();
    }

    private void OnConnection(bool connected)
    {
        // mutant: what a failover lost stays lost.
        if (!connected || SessionMutants.ForgetRevocations)
            return;
        lock (_gate)
        {
            if (_recent.Count == 0 || _stop.IsCancellationRequested)
                return;
        }

        _repeating.Ask();
    }

    private async Task RepeatAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        List<(long At, string Partition, string Handle)> recent;
        lock (_gate)
            recent = [.. _recent];
        try
        {
            var ended = 0;
            foreach (var user in recent.GroupBy(static one => one.Partition, StringComparer.Ordinal))
            foreach (var handles in user.Select(static one => one.Handle).Distinct(StringComparer.Ordinal).Chunk(HandlesAtATime))
                ended += (await _store.RevokeAsync(user.Key, handles, "revoked_again", _stop.Token).ConfigureAwait(Rt.Capture))
                    .Reply
                    .Handles
                    .Length;
            if (ended > 0)
                SessionLog.CameBack(_logger, ended);
        }
        catch (Exception failure) when (failure is RedisException or OperationCanceledException or ObjectDisposedException)
        {
            if (_stop.IsCancellationRequested)
                return;

            // A server that has just been promoted can be slow, or refuse, over a connection that stays.
            SessionLog.NotRepeated(_logger, recent.Count, failure.Message);
            _repeating.Ask();
            await Task.Delay(Pause, _time, _stop.Token).ConfigureAwait(Rt.Quietly);
        }
    }
}
