using Microsoft.Extensions.Logging;
using Onggi.Client;

namespace Onggi.Tokens;

/// <summary>What this process revoked lately, and asserts again: a failover can lose what Redis had acknowledged, and with it bring a revoked token back.</summary>
/// <remarks>
/// <para>Asserted again is everything when the link to Redis has changed, which every failover that we notice brings along, and by itself each revocation when it is 1, 2, 4, 8 … s old. What a failover loses is
/// what was written shortly before it; so what is lost without our noticing is back after as long as it had been there.</para>
/// <para>A revocation that failed is kept all the same: its caller was told, and it is tried again until it has succeeded or does not matter any more. That is as long as a refresh family can live, which it was to end.</para>
/// </remarks>
internal sealed class RecentRevocations : IAsyncDisposable
{
    private const int MostPerFlush = 500;
    private static readonly TimeSpan First = TimeSpan.FromSeconds(1);

    private readonly RedisClient _redis;
    private readonly ServerClock _clock;
    private readonly int _capacity;
    private readonly TokensMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();

    // Guards all below.
    private readonly Lock _gate = new();
    private readonly Queue<RevocationNote> _notes = new();
    private CancellationTokenSource _wake = new();
    private Task? _loop;
    private long _sleepsUntil;
    private bool _all;
    private bool _disposed;
    private bool _saidFull;

    public RecentRevocations(RedisClient redis, ServerClock clock, int capacity, TokensMetrics metrics, ILogger logger, TimeProvider time)
    {
        (_redis, _clock, _capacity, _metrics, _logger, _time) = (redis, clock, capacity, metrics, logger, time);
        _redis.ConnectionChanged += OnConnectionChanged;
    }

    /// <summary>How many are remembered.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _notes.Count;
        }
    }

    /// <summary>Remembers one, before Redis is asked: whatever becomes of that call.</summary>
    public void Add(RevocationNote note)
    {
        note.Asked = note.Since = _time.GetTimestamp();
        note.Next = After(First);
        lock (_gate)
        {
            if (_disposed)
                return;
            _notes.Enqueue(note);
            if (_notes.Count > _capacity)
            {
                _notes.Dequeue();
                if (!_saidFull)
                    TokensLog.RemembersTooLittle(_logger, _capacity);
                _saidFull = true;
            }

            if (_loop is null)
            {
                using var flow = Rt.WithoutFlow();
                _loop = RunAsync();
            }
            else if (note.Next < _sleepsUntil)
            {
                // It waits for an older one, which can be due in minutes.
                _sleepsUntil = note.Next;
                Wake();
            }
        }
    }

    /// <summary>Redis has made it.</summary>
    /// <param name="note">What was made.</param>
    /// <param name="epoch">The epoch that it set; 0 for none.</param>
    public void Made(RevocationNote note, long epoch)
    {
        lock (_gate)
        {
            note.Epoch = Math.Max(note.Epoch, epoch);
            if (note.IsMade)
                return;
            note.IsMade = true;
            // Access tokens can have been handed out until now, and what a failover loses is what was written shortly before it.
            note.Since = _time.GetTimestamp();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task? loop;
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
            loop = _loop;
        }

        _redis.ConnectionChanged -= OnConnectionChanged;
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        lock (_gate)
            Wake();
        if (loop is not null)
            await loop.ConfigureAwait(Rt.Quietly);
        _stop.Dispose();
    }

    private void OnConnectionChanged(bool connected)
    {
        if (!connected || TokenMutants.NoReassertion)
            return;
        lock (_gate)
        {
            if (_notes.Count == 0)
                return;
            _all = true;
            Wake();
        }
    }

    // Under the gate.
    private void Wake()
    {
        var wake = _wake;
        _wake = new CancellationTokenSource();
        wake.Cancel();
    }

    private async Task RunAsync()
    {
        // The caller goes on; it holds the gate.
        await Rt.YieldAsync().ConfigureAwait(Rt.Capture);
        while (!_stop.IsCancellationRequested)
        {
            var (due, all, pause, wake) = Due();
            if (due.Count == 0)
            {
                await Task.Delay(pause, _time, wake).ConfigureAwait(Rt.Quietly);
                continue;
            }

            try
            {
                await AssertAsync(due, all).ConfigureAwait(Rt.Capture);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                // It must not end: what is not asserted now is in a second.
                TokensLog.ReassertionFailed(_logger, due.Count, failure.Message);
                Put(due, First);
            }
        }
    }

    private (List<RevocationNote> Due, bool All, TimeSpan Pause, CancellationToken Wake) Due()
    {
        var due = new List<RevocationNote>();
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            var all = _all;
            _all = false;
            var next = long.MaxValue;
            for (var left = _notes.Count; left > 0; left--)
            {
                var note = _notes.Dequeue();
                if (note.IsOver(_time.GetElapsedTime(note.Since, now)))
                    continue;
                _notes.Enqueue(note);
                if (all || note.Next <= now)
                    due.Add(note);
                else
                    next = Math.Min(next, note.Next);
            }

            if (TokenMutants.NoReassertion)
                due.Clear();
            // Who has something to do looks here again before it sleeps.
            _sleepsUntil = due.Count == 0 ? next : long.MinValue;
            var pause =
                next == long.MaxValue ? Timeout.InfiniteTimeSpan
                : _time.GetElapsedTime(now, next) is var wait && wait < TimeSpan.FromMilliseconds(50) ? TimeSpan.FromMilliseconds(50)
                : wait;
            return (due, all, pause, _wake.Token);
        }
    }

    private async ValueTask AssertAsync(List<RevocationNote> due, bool all)
    {
        var done = 0;
        await FindEpochsAsync(due).ConfigureAwait(Rt.Capture);
        for (var first = 0; first < due.Count; first += MostPerFlush)
        {
            var part = due.GetRange(first, Math.Min(MostPerFlush, due.Count - first));
            var batch = _redis.CreateBatch();
            lock (_gate)
            {
                foreach (var note in part)
                {
                    var args = note.ArgsAt(_time.GetElapsedTime(note.Since));
                    batch.Add(note.Script, note.Keys, args, ReplyParsers.Ignore, CommandOptions.Idempotent);
                }
            }

            await batch.SendAsync(cancellationToken: _stop.Token).ConfigureAwait(Rt.Capture);
            for (var i = 0; i < part.Count; i++)
            {
                var isMade = batch.Items[i].Outcome == BatchOutcome.Answered;
                if (isMade)
                {
                    done++;
                    Made(part[i], 0);
                }

                // As long again as it has been there; at once again where it failed.
                Put([part[i]], isMade ? _time.GetElapsedTime(part[i].Since) : First);
            }

            if (batch.Items.FirstOrDefault(item => item.Error is not null)?.Error is { } error)
                TokensLog.ReassertionFailed(_logger, batch.Items.Count(item => item.Error is not null), error.Message);
        }

        _metrics.Reasserted(done);
        if (all && done > 0)
            TokensLog.Reasserted(_logger, done);
    }

    // Before the answer to it is known, a sign-out ends what was issued before it was asked for. That is a time of the server's clock, and our own can be hours off.
    private async ValueTask FindEpochsAsync(List<RevocationNote> due)
    {
        if (!due.Exists(static note => note is { HasEpoch: true, Epoch: 0 }))
            return;
        if (!_clock.IsKnown)
            await _clock.AskAsync(_redis, _stop.Token).ConfigureAwait(Rt.Capture);
        lock (_gate)
        {
            foreach (var note in due.Where(static note => note is { HasEpoch: true, Epoch: 0 }))
                note.Epoch = _clock.IsKnown ? _clock.At(note.Asked) : 0;
        }

        // Without an epoch it would sign out who has signed in since.
        var waiting = due.FindAll(static note => note is { HasEpoch: true, Epoch: 0 });
        Put(waiting, First);
        due.RemoveAll(waiting.Contains);
        if (waiting.Count > 0)
            TokensLog.ReassertionFailed(_logger, waiting.Count, "The server does not say its time.");
    }

    private void Put(List<RevocationNote> notes, TimeSpan pause)
    {
        foreach (var note in notes)
            note.Next = After(pause > First ? pause : First);
    }

    private long After(TimeSpan pause) => _time.GetTimestamp() + (long)(pause.TotalSeconds * _time.TimestampFrequency);
}
