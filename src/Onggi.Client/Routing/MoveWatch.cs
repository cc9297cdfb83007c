namespace Onggi.Client.Routing;

/// <summary>What a link hears of where its server has moved to, or that it is back: the attempt under way, or the pause before the next one, ends then.</summary>
internal sealed class MoveWatch
{
    private readonly Lock _gate = new();
    private RedisAddress _address;
    private RedisAddress? _movedTo;
    private CancellationTokenSource? _attempt;
    private TaskCompletionSource? _pause;
    private bool _isBack;

    /// <summary>Since the attempt began that found the address, the server has moved elsewhere.</summary>
    public bool IsElsewhere
    {
        get
        {
            lock (_gate)
                return _movedTo is { } to && to != _address;
        }
    }

    /// <summary>An attempt begins, which asks anew where the server is.</summary>
    public void Begin(CancellationTokenSource attempt)
    {
        lock (_gate)
            (_attempt, _movedTo, _isBack) = (attempt, null, false);
    }

    /// <summary>The attempt leads there.</summary>
    public void Found(RedisAddress address)
    {
        lock (_gate)
            _address = address;
    }

    /// <summary>The attempt has ended; its source can be disposed of.</summary>
    public void End()
    {
        lock (_gate)
            _attempt = null;
    }

    public void OnMoved(RedisAddress to)
    {
        lock (_gate)
        {
            _movedTo = to;
            _pause?.TrySetResult();

            // Not under the gate what others do when they hear of it.
            if (_address != to)
                _ = _attempt?.CancelAsync();
        }
    }

    /// <summary>Another connection to the same server stands: the next attempt need not wait.</summary>
    public void OnBack()
    {
        lock (_gate)
        {
            _isBack = true;
            _pause?.TrySetResult();
        }
    }

    /// <summary>Waits; true when there was news, so that the attempts before do not count.</summary>
    public async Task<bool> PauseAsync(TimeSpan pause, TimeProvider time, CancellationToken stop)
    {
        Task news;
        lock (_gate)
        {
            if (_movedTo is not null || _isBack)
                return true;
            _pause = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            news = _pause.Task;
        }

        await news.WaitAsync(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return news.IsCompleted;
    }
}
