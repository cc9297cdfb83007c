using Onggi.Client.Connections;

namespace Onggi.Client.Routing;

/// <summary>Commands that a server could not take, until they are asked again or their time is over.</summary>
/// <remarks>The pauses grow from a few milliseconds to a few hundred, and are drawn at random, so that many callers do not come back in step.</remarks>
internal sealed class RetryLine : IAsyncDisposable
{
    private const double FirstPause = 8;
    private const double LongestPause = 200;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(5);

    private readonly Lock _gate = new();
    private readonly List<(PendingReply Pending, long Due)> _waiting = [];
    private readonly Random _random = new();
    private readonly TimeProvider _time;
    private readonly Action<PendingReply> _dispatch;
    private readonly ITimer _timer;
    private bool _ticking;
    private bool _ended;

    public RetryLine(TimeProvider time, Action<PendingReply> dispatch)
    {
        (_time, _dispatch) = (time, dispatch);
        _timer = time.CreateTimer(static line => ((RetryLine)line!).OnTick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many wait.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _waiting.Count;
        }
    }

    /// <summary>Asks at the next opportunity what waits for a connection; what a server has put off goes on waiting.</summary>
    public void Hurry()
    {
        lock (_gate)
            for (var i = 0; i < _waiting.Count; i++)
                if (_waiting[i].Pending.Refused is RedisConnectionException)
                    _waiting[i] = _waiting[i] with { Due = 0 };
    }

    public bool TryAdd(PendingReply pending)
    {
        lock (_gate)
        {
            if (_ended)
                return false;
            (pending.Queue, pending.HasWaited) = (null, true);
            var most = Math.Min(LongestPause, FirstPause * Math.Pow(2, Math.Min(pending.Retries, 10)));
            var pause = (0.25 + (0.75 * _random.NextDouble())) * most;
            _waiting.Add((pending, _time.GetTimestamp() + (long)(pause / 1000 * _time.TimestampFrequency)));
            if (!_ticking)
                _ticking = _timer.Change(Tick, Tick);
            return true;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(Rt.Capture);
        List<PendingReply> left;
        lock (_gate)
        {
            _ended = true;
            left = [.. _waiting.Select(waiting => waiting.Pending)];
            _waiting.Clear();
        }

        foreach (var pending in left)
        {
            pending.TryFail(
                pending.Word,
                new RedisConnectionException("The client was disposed.", pending.MaybeExecuted ? Sent.Maybe : Sent.No, isTransient: false)
            );
            pending.Release();
        }
    }

    private void OnTick()
    {
        var now = _time.GetTimestamp();
        List<PendingReply>? due = null;
        lock (_gate)
        {
            for (var i = _waiting.Count - 1; i >= 0; i--)
            {
                var (pending, when) = _waiting[i];
                if (when > now && pending.Deadline > now && !pending.IsSettled)
                    continue;
                (due ??= []).Add(pending);
                _waiting.RemoveAt(i);
            }

            if (_waiting.Count == 0 && !_ended)
            {
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                _ticking = false;
            }
        }

        // Removed from the end: asked again in the order in which they came.
        due?.Reverse();
        foreach (var pending in due ?? [])
            Ask(pending, now);
    }

    // What the server says is a better reason than that time has passed; but it says nothing of an earlier attempt that may have been executed.
    private static Exception Reason(PendingReply pending) =>
        pending.Refused is RedisServerException refused && !pending.MaybeExecuted
            ? refused
            : new RedisTimeoutException(
                $"{pending.Name} was not answered in time"
                    + (pending.MaybeExecuted ? "; whether it was executed is not known. " : "; it was not sent. ")
                    + pending.Refused?.Message,
                pending.MaybeExecuted ? Sent.Maybe : Sent.No,
                pending.Refused
            );

    private void Ask(PendingReply pending, long now)
    {
        var word = pending.Word;
        if (pending.IsSettled)
        {
            pending.Release();
            return;
        }

        try
        {
            if (pending.Deadline > now)
            {
                _dispatch(pending);
                return;
            }

            pending.TryFail(word, pending, static (_, pending) => Reason(pending));
        }
        catch (RedisBusyException) when (TryAdd(pending))
        {
            // There will be room before its time is over, or not.
            return;
        }
        catch (Exception error)
        {
            // The top of a timer's callback: thrown on, it would end the process, and those behind it would wait for ever.
            pending.TryFail(word, error);
        }

        pending.Release();
    }
}
