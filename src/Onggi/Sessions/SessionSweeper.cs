using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Sessions;

/// <summary>Ends sessions that are past their deadline, and publishes events that their publishers have not. Every process has one; none of them leads.</summary>
/// <remarks>
/// <para>1. Ask all shards, in one flush, what is due, and when the next thing will be.</para>
/// <para>2. End each due user's sessions with a script that also writes down that it must be told. Whoever comes second finds nothing.</para>
/// <para>3. Hand the events to the outbox of this process. If it dies before they are published, they are due again in some time, for everybody.</para>
/// <para>4. Sleep until the next thing is due, at most a second: a session begins with at least half an hour to live, an event with seconds.</para>
/// <para>No notification of Redis is used: it tells of an expiry when it removes the key, which among many keys can be minutes late, and nobody hears it twice.</para>
/// </remarks>
internal sealed class SessionSweeper : IAsyncDisposable
{
    private const int AtATime = 500;

    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ShortestSleep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMilliseconds(250);

    private readonly SessionStore _store;
    private readonly SessionKeys _keys;
    private readonly SessionOutbox _outbox;
    private readonly SessionMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Random _spread;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new(); // Guards the beginning of the loop.
    private Task? _loop;
    private bool _failing;

    public SessionSweeper(
        SessionStore store,
        SessionKeys keys,
        SessionOutbox outbox,
        SessionMetrics metrics,
        ILogger logger,
        TimeProvider time
    )
    {
        _store = store;
        _keys = keys;
        _outbox = outbox;
        _metrics = metrics;
        _logger = logger;
        _time = time;
        _spread = new Random(unchecked((int)time.GetTimestamp()));
    }

    public void Start()
    {
        lock (_gate)
        {
            if (_loop is not null || _stop.IsCancellationRequested)
                return;
            using var flow = Rt.WithoutFlow();
            _loop = RunAsync(_stop.Token);
        }
    }

    /// <summary>One look at everything: how long nothing will be due, as far as is known.</summary>
    internal async ValueTask<TimeSpan> SweepAsync(CancellationToken stop)
    {
        var looks = await _store.LookAsync(AtATime, stop).ConfigureAwait(Rt.Capture);
        var left = LongestSleep;
        var sessions = 0L;
        var due = new List<string>();
        for (var i = 0; i < looks.Length; i++)
        {
            if (looks[i].Reply is not { } look)
            {
                Failing($"a shard cannot be asked. {looks[i].Failure?.Message}", null);
                continue;
            }

            sessions += look.Sessions;
            due.AddRange(look.Due);
            _outbox.Add(_keys.Shards[i], look.Entries, areRepeats: true);
            if (look.LeftMs >= 0 && TimeSpan.FromMilliseconds(look.LeftMs) is var wait && wait < left)
                left = wait;
        }

        if (looks.All(static look => look.Reply is not null))
        {
            _metrics.Live = sessions - due.Count;
            Recovered();
        }

        if (due.Count == 0)
            return left;
        foreach (var (shard, reply) in await _store.ReapAsync(due, stop).ConfigureAwait(Rt.Capture))
        {
            _metrics.Expired(reply.Ended);
            _outbox.Add(shard, reply.Entries);
        }

        return TimeSpan.Zero;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        Task? loop;
        lock (_gate)
            loop = _loop;
        if (loop is not null)
            await loop.ConfigureAwait(Rt.Quietly);
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var pause = AfterFailure;
            try
            {
                pause = await SweepAsync(stop).ConfigureAwait(Rt.Capture);
                // Processes that all wake at the deadline would all do the same; the first one does it for the others.
                pause += ShortestSleep * (1 + (4 * _spread.NextDouble()));
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (RedisException failure)
            {
                Failing(failure.Message, null);
            }
            catch (Exception failure)
            {
                Failing(failure.Message, failure);
            }

            await Task.Delay(pause, _time, stop).ConfigureAwait(Rt.Quietly);
        }
    }

    private void Failing(string reason, Exception? failure)
    {
        if (!_failing)
            SessionLog.SweepFails(_logger, reason, failure);
        _failing = true;
    }

    private void Recovered()
    {
        if (_failing)
            SessionLog.SweepsAgain(_logger);
        _failing = false;
    }
}
